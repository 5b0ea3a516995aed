"""``burst logs``: what was said while a job was rendered, or by a worker."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options
from burst.cli.settings import farm_settings

if TYPE_CHECKING:
    from burst.protocol.messages import LogLine


def logs(
    name: Annotated[
        str,
        typer.Argument(
            metavar="JOB|WORKER",
            help="Id of a job, its beginning, or 'last'; or the name of a worker.",
            show_default=False,
        ),
    ],
    follow: options.Follow = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Print the log of a job or of a worker; with --json one JSON object a line."""
    import json as json_module

    from burst.operations.jobs import local_farm, read_log

    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        for line in read_log(client, name, follow=follow):
            if isinstance(line, str):
                console.say(json_module.dumps({"text": line}) if json else line)
            else:
                console.say(line.model_dump_json() if json else as_text(line))
            if follow:
                sys.stdout.flush()


def as_text(line: LogLine) -> str:
    """Return a line of a job's log for people."""
    frame = "" if line.frame is None else f" frame {line.frame}"
    level = "" if line.level == "info" else f" {line.level}:"
    return f"{line.at.astimezone():%H:%M:%S}{frame}{level} {line.text}"
