"""``burst pools``: worker pools, how many workers they may have, and how many they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from burst.cli import console, options, pool_words, words
from burst.cli.settings import farm_settings
from burst.errors import NotFound, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from burst.protocol.artist_messages import PoolView

app = typer.Typer(help="List worker pools, and say how large they may be.", rich_markup_mode=None)

_MOST = 10_000


@app.callback(invoke_without_command=True)
def _pools(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_pools()


@app.command("list")
def list_pools(
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """List the worker pools, in the order in which they are filled."""
    from burst.operations.jobs import ask_running

    settings = farm_settings(state_dir, local=local)
    pools = ask_running(settings, console.tell, lambda client: client.pools())
    if json:
        console.emit([pool.model_dump(mode="json") for pool in pools or ()])
        return
    if pools is None:
        console.tell("no local farm is running, so there are no pools")
    elif not pools:
        console.tell("there are no worker pools: the farm can't render")
    else:
        console.table(
            ("POOL", "RUNNING", "STARTING", "WANTED", "MIN", "MAX", "CORES", "MEMORY", "BLENDER"),
            [_row(pool) for pool in pools],
        )
    for pool in pools or ():
        failure = pool_words.gist(pool.failure)
        for text in filter(None, (pool.reason, *pool_words.waits(pool), failure)):
            console.tell(f"{pool.name}: {text}")


@app.command("set")
def set_bounds(
    pool: options.Pool,
    least: Annotated[
        int | None,
        typer.Option(
            "--min", metavar="N", min=0, max=_MOST, help="Workers that are there in any case."
        ),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("--max", metavar="N", min=0, max=_MOST, help="Most workers at a time."),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Back to what the pool was made with.")
    ] = False,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Say how many workers a pool may have; it counts at once, and until it is said anew."""
    if reset == (least is not None or most is not None):
        raise UsageError("say what is to change", hint="--min N, --max N, or --reset alone")
    if least is not None and most is not None and least > most:
        raise UsageError(f"--min {least} is more than --max {most}")
    changes: dict[str, Any] = {"minimum": None, "maximum": None}
    if not reset:
        given = {"minimum": least, "maximum": most}
        changes = {name: value for name, value in given.items() if value is not None}
    _change(pool, changes, local, state_dir, json=json)


@app.command("scale")
def scale(
    pool: options.Pool,
    number: Annotated[
        str, typer.Argument(metavar="N|auto", help="How many, or auto: as many as work asks for.")
    ],
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Fix the number of workers of a pool by hand; with auto the work decides again."""
    if number != "auto" and not (number.isdecimal() and int(number) <= _MOST):
        raise UsageError(f"{number!r} is no number of workers", hint=f"0 to {_MOST}, or auto")
    fixed = None if number == "auto" else int(number)
    _change(pool, {"scale": fixed}, local, state_dir, json=json)


def _change(
    pool: str, changes: dict[str, Any], local: bool, state_dir: Path | None, *, json: bool
) -> None:
    from burst.operations.jobs import ask_running
    from burst.protocol.artist_messages import ChangePool

    settings, wanted = farm_settings(state_dir, local=local), ChangePool(**changes)
    changed = ask_running(settings, console.tell, lambda client: client.change_pool(pool, wanted))
    if changed is None:
        raise NotFound("no local farm is running, so there are no pools")
    if json:
        console.emit(changed.model_dump(mode="json"))
        return
    fixed = "" if changed.scale is None else f", fixed at {changed.scale}"
    bounds = f"{changed.minimum} to {words.count(changed.maximum, 'worker')}"
    console.tell(f"pool {changed.name}: {bounds}{fixed}")


def _row(pool: PoolView) -> tuple[str, ...]:
    fixed = "" if pool.scale is None else " (fixed)"
    return (
        pool.name,
        str(pool.running),
        str(pool.starting),
        f"{pool.wanted}{fixed}",
        str(pool.minimum),
        str(pool.maximum),
        f"{pool.cores:g}" if pool.cores else "-",
        words.binary_size(pool.memory_bytes) if pool.memory_bytes else "-",
        ", ".join(pool.blender) or "-",
    )
