"""``burst logs``: what was said while a job was rendered, or by a worker."""

from __future__ import annotations

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

    from burst.operations.jobs import job_or_worker, local_farm

    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        found = job_or_worker(client, name)
        if isinstance(found, str):
            for text in client.worker_log(found, follow=follow):
                console.say(json_module.dumps({"text": text}) if json else text)
            return
        for line in client.job_log(found.id, follow=follow):
            console.say(line.model_dump_json() if json else as_text(line))


def as_text(line: LogLine) -> str:
    """Return a line of a job's log for people."""
    frame = "" if line.frame is None else f" frame {line.frame}"
    level = "" if line.level == "info" else f" {line.level}:"
    return f"{line.at.astimezone():%H:%M:%S}{frame}{level} {line.text}"
