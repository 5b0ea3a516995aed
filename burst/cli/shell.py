"""``burst shell``: look around where the workers are."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from burst.cli import console, options
from burst.cli.settings import cluster_farm


def shell(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND...]", help="What to run in place of a shell."),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool",
            metavar="POOL",
            help="Worker pool to look around in. [default: the preferred one]",
            show_default=False,
        ),
    ] = None,
    state_dir: options.StateDir = None,
) -> None:
    """Open a shell in a pod of the cluster that has a worker's image, mounts and settings.

    The pod goes with the shell.
    """
    from burst.operations.shell import run_shell

    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    status = run_shell(
        cluster_farm(state_dir), pool, command or (), console.tell, is_terminal=is_terminal
    )
    if status:
        raise typer.Exit(status)
