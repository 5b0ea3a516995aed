"""``burst manager`` and ``burst worker``: the two programs that run for long.

Everything that they need comes from ``burst.toml`` and the environment; the options here
are the settings that one types by hand.
"""

from __future__ import annotations

from typing import Annotated

import typer

from burst.cli import options
from burst.cli.settings import blender_typed


def manager(
    state_dir: options.StateDir = None,
    storage_url: Annotated[
        str | None,
        typer.Option(
            "--storage-url", metavar="DIR", help="Where scenes and frames live.", show_default=False
        ),
    ] = None,
    console_listen: Annotated[
        str | None,
        typer.Option(
            "--console-listen",
            metavar="HOST:PORT",
            help="Listener for artists. [default: 127.0.0.1:8080]",
            show_default=False,
        ),
    ] = None,
    worker_listen: Annotated[
        str | None,
        typer.Option(
            "--worker-listen",
            metavar="HOST:PORT",
            help="Listener for workers. [default: 127.0.0.1:8081]",
            show_default=False,
        ),
    ] = None,
    blender: options.Blender = None,
    workers: options.Workers = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level",
            metavar="LEVEL",
            help="debug, info, warning or error.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a manager here until it is told to stop. Other settings: burst config."""
    from burst.config.secrecy import forget_secrets, hide_memory

    hide_memory()
    from burst.config.load import load
    from burst.logs import configure
    from burst.manager.app import run_manager
    from burst.manager.settings import ManagerSettings

    given = {
        "state_dir": state_dir,
        "storage_url": storage_url,
        "console_listen": console_listen,
        "worker_listen": worker_listen,
        "blender": blender_typed(blender),
        "workers": workers,
        "log_level": log_level,
    }
    settings = load(ManagerSettings, given).settings
    forget_secrets()
    configure("manager", settings.log_level)
    run_manager(settings)


def worker(
    manager_url: Annotated[
        str | None,
        typer.Option(
            "--manager-url",
            metavar="URL",
            help="The workers' listener of the manager.",
            show_default=False,
        ),
    ] = None,
    blender: options.Blender = None,
) -> None:
    """Run a worker here until there is no work. Other settings: burst config."""
    from burst.config.secrecy import forget_secrets, hide_memory

    hide_memory()
    from burst.config.load import load
    from burst.logs import configure
    from burst.worker.agent import run_worker
    from burst.worker.settings import WorkerSettings

    given = {"manager_url": manager_url, "blender": blender_typed(blender)}
    settings = load(WorkerSettings, given).settings
    forget_secrets()
    configure("worker", settings.log_level)
    raise typer.Exit(run_worker(settings))
