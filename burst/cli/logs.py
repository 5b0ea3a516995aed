"""``burst logs``: what was said while a job was rendered, or by a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options
from burst.cli.settings import farm_settings
from burst.errors import NotFound

if TYPE_CHECKING:
    from burst.protocol.messages import LogLine


def logs(
    name: Annotated[
        str,
        typer.Argument(
            metavar="JOB|WORKER|POD",
            help="Id of a job, its beginning, or 'last'; the name of a worker; on a cluster also "
            "of a pod, or 'manager'.",
            show_default=False,
        ),
    ],
    follow: options.Follow = False,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Print the log of a job, a worker or a pod; with --json one JSON object a line."""
    from burst.config.cluster import ClusterFarm
    from burst.operations.jobs import open_log

    settings = farm_settings(state_dir, local=local)
    is_on_cluster = isinstance(settings, ClusterFarm)
    if isinstance(settings, ClusterFarm):
        from burst.operations.shell import pod_log

        with pod_log(settings, name, follow=follow) as lines:
            if lines is not None:
                _print(lines, follow=follow, json=json)
                return
    try:
        with open_log(settings, console.tell, name, follow=follow) as log:
            _print(log, follow=follow, json=json)
    except NotFound as error:
        if not is_on_cluster:
            raise
        raise NotFound(
            f"neither a job nor a worker nor a pod is called {name}",
            hint="see: burst jobs, burst workers, or the manager's: burst logs manager",
        ) from error


def _print(lines: Iterable[LogLine | str], *, follow: bool, json: bool) -> None:
    for line in lines:
        if isinstance(line, str):
            console.say(_printed(line, json=json))
        else:
            console.say(line.model_dump_json() if json else as_text(line))
        if follow:
            sys.stdout.flush()


def _printed(line: str, *, json: bool) -> str:
    """Return what a program printed: burst in a pod prints JSON, others do not."""
    import json as json_module

    from burst.logs import readable

    text = readable(line)
    if json:
        return json_module.dumps({"text": line}, ensure_ascii=False) if text is None else line
    return line if text is None else text


def as_text(line: LogLine) -> str:
    """Return a line of a job's log for people."""
    frame = "" if line.frame is None else f" frame {line.frame}"
    level = "" if line.level == "info" else f" {line.level}:"
    return f"{line.at.astimezone():%H:%M:%S}{frame}{level} {line.text}"
