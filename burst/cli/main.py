"""The ``burst`` program: its commands, and the one place where errors become exits.

Nothing but Typer is imported for ``--help``: a command imports what it needs when it runs,
so that a look at the options does not wait for the web server or the database.
"""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from burst.cli import (
    config,
    console,
    cost,
    doctor,
    explain,
    farm,
    forward,
    images,
    init,
    jobs,
    kube_token,
    logs,
    ls,
    pools,
    render,
    roles,
    scenes,
    shell,
    up,
    upload,
    video,
    watch,
    workers,
)

app = typer.Typer(
    name="burst",
    help="Render Blender scenes on a farm that is there only while it is needed.",
    no_args_is_help=True,
    # Typer's rich help costs as long again as everything else that --help does.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from burst import __version__

        console.say(f"burst {__version__}")
        raise typer.Exit


@app.callback()
def _burst(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Render Blender scenes on a farm that is there only while it is needed."""


app.command("render")(render.render)
app.command("submit")(render.submit)
app.command("upload")(upload.upload)
app.command("watch")(watch.watch)
app.command("download")(watch.download)
app.command("video")(video.video)
app.add_typer(jobs.app, name="jobs")
app.add_typer(scenes.app, name="scenes")
app.command("ls")(ls.ls)
app.add_typer(workers.app, name="workers")
app.command("explain")(explain.explain)
app.command("logs")(logs.logs)
app.add_typer(pools.app, name="pools")
app.command("console")(forward.open_console)
app.command("shell")(shell.shell)
app.command("init")(init.init)
app.command("up")(up.up)
app.command("deploy")(up.deploy)
app.command("down")(up.down)
app.command("status")(farm.status)
app.command("cost")(cost.cost)
app.command("doctor")(doctor.doctor)
app.add_typer(images.app, name="images")
app.command("config")(config.config)
app.command("kube-token")(kube_token.kube_token)
app.command("manager")(roles.manager)
app.command("worker")(roles.worker)


def run() -> NoReturn:
    """Run the program and exit as ``burst.errors`` and the manual say."""
    sys.exit(console.exit_status(app, sys.argv[1:]))
