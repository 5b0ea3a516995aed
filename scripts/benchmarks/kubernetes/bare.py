"""A client that does nothing but post Jobs: pooled connections, several threads, no bookkeeping.

Run as a program by `scripts/bench kubernetes`: reads JSON with ``kubeconfig``, ``namespace``,
``threads`` and ``jobs`` (their bodies) on stdin; prints when it began, and its processor seconds.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import urllib3

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0


class BareClient:
    """The API server of a cluster, by the certificate of a kubeconfig."""

    def __init__(self, kubeconfig: Path, at_once: int) -> None:
        """Connect with at most so many connections, when they are needed."""
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server = cluster["server"]
        with tempfile.TemporaryDirectory() as folder:
            files = {}
            for name, text in (
                ("ca", cluster["certificate-authority-data"]),
                ("certificate", user["client-certificate-data"]),
                ("key", user["client-key-data"]),
            ):
                files[name] = Path(folder) / name
                files[name].write_bytes(base64.b64decode(text))
            context = urllib3.util.create_urllib3_context()
            context.load_verify_locations(files["ca"])
            context.load_cert_chain(files["certificate"], files["key"])
        self._pool = urllib3.PoolManager(maxsize=at_once, ssl_context=context, retries=False)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Send a request and return its answer, which must be a success."""
        answer = self._pool.request(
            method, self._server + path, body=body,
            headers={"Content-Type": "application/json", **headers},
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
        )  # fmt: skip
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        return json.loads(answer.data)

    def open_watch(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        """Return the answer of a watch, to be read as it comes."""
        return self._pool.request(
            "GET", self._server + path, headers=headers, preload_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=None),
        )  # fmt: skip


def in_threads(work: deque[Any], threads: int, do: Any) -> None:
    """Do something with each of many things, so many at a time.

    Raises:
        RuntimeError: one of them failed.
    """
    failed: list[Exception] = []

    def run() -> None:
        while not failed:
            try:
                one = work.popleft()
            except IndexError:
                return
            try:
                do(one)
            except (RuntimeError, urllib3.exceptions.HTTPError) as error:
                failed.append(error)

    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if failed:
        raise RuntimeError(str(failed[0]))


def main() -> int:
    """Post what stdin says."""
    given = json.load(sys.stdin)
    client = BareClient(Path(given["kubeconfig"]), given["threads"])
    path = f"/apis/batch/v1/namespaces/{given['namespace']}/jobs"
    bodies = deque(json.dumps(job).encode() for job in given["jobs"])
    began = time.monotonic()
    in_threads(bodies, given["threads"], lambda body: client.ask("POST", path, body))
    print(json.dumps({"began": began, "cpu_seconds": time.process_time()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
