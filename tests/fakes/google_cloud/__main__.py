"""``python -m tests.fakes.google_cloud``: a stand-in to try things by hand.

eval "$(python -m tests.fakes.google_cloud --port 8900 --environ)"
python -m tests.fakes.google_cloud --port 8900 &
terraform apply
"""

from __future__ import annotations

import argparse
import json
import signal
import threading

from tests.fakes.billing_catalogue import catalogue
from tests.fakes.google_cloud.cloud import GoogleCloud


def main() -> None:
    """Serve, and say at the end what is left."""
    parser = argparse.ArgumentParser(prog="google_cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--project", default="proj-x")
    parser.add_argument("--operation-seconds", type=float, default=0.05)
    parser.add_argument("--environ", action="store_true", help="print the variables, and end")
    told = parser.parse_args()
    cloud = GoogleCloud(
        told.project,
        operation_seconds=told.operation_seconds,
        port=0 if told.environ else told.port,
    )
    if told.environ:
        own = cloud.url
        for name, value in cloud.environ.items():
            print(f"export {name}={value.replace(own, f'http://127.0.0.1:{told.port}')}")
        return
    cloud.prices = catalogue()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with cloud:
        print(cloud.url, flush=True)
        ended.wait()
        print(json.dumps(cloud.everything(), indent=1))


if __name__ == "__main__":
    main()
