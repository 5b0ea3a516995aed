"""What ``burst up`` and ``burst down`` do with Terraform, as a program that tests kill.

``python -m tests.fakes.terraform_up up PLACE SOURCE BUCKET [GATE]`` runs the root ``farm`` of
SOURCE, whose resources need no provider; one of them waits for the file GATE. It says a line for
everything that burst tells, after ``tell``, and the address of each resource that is begun or done.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from burst.cloud.state_bucket import StateBucket
from burst.cloud.terraform import Terraform
from burst.cloud.terraform_copies import root_folder
from burst.cloud.terraform_events import Completed, Event, Started
from burst.cloud.terraform_run import held_farm, open_root
from burst.errors import BurstError
from burst.storage.login import TOKEN

RELEASE_SECONDS = 2.0
"""How long a bucket that is away is asked here to take a lock back, by both."""


def say(*words: object) -> None:
    print(*words, flush=True)


def hear(event: Event) -> None:
    if isinstance(event, (Started, Completed)):
        say(type(event).__name__.lower(), event.resource.address)


def tell(text: str) -> None:
    say("tell", text)


def run(command: str, place: Path, source: Path, bucket_name: str, gate: str) -> None:
    StateBucket.patience_seconds = RELEASE_SECONDS
    bucket = StateBucket(bucket_name, os.environ)
    terraform = Terraform(
        root_folder(place, "farm"),
        {**os.environ, TOKEN: "of nobody"},
        program=os.environ.get("BURST_TEST_TERRAFORM", "terraform"),
        project="film",
        tell=tell,
    )
    terraform.release_seconds = RELEASE_SECONDS
    with held_farm(bucket, place, f"burst {command}", tell):
        say("held")
        open_root(terraform, bucket, source, "farm", tell=tell, hear=hear)
        terraform.write_variables({"gate": gate})
        if command == "down":
            terraform.destroy(hear)
        else:
            plan = terraform.plan(hear)
            say("planned", len(plan.changes))
            terraform.apply(plan, hear)
        say("state", *terraform.state_addresses())


def main(arguments: list[str]) -> int:
    command, place, source, bucket, *rest = arguments
    try:
        run(command, Path(place), Path(source), bucket, rest[0] if rest else "")
    except BurstError as error:
        say("error", type(error).__name__, error.message)
        say("hint", error.hint)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
