"""``burst workers``: who renders, and letting one go."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options, words
from burst.cli.settings import farm_settings

if TYPE_CHECKING:
    from burst.domain.workers import Capabilities
    from burst.protocol.artist_messages import WorkerView

app = typer.Typer(help="List workers, and let one go.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _workers(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_workers()


@app.command("list")
def list_workers(
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """List the workers that are here, and what they render."""
    from burst.operations.jobs import ask_running

    settings = farm_settings(state_dir, local=local)
    workers = ask_running(settings, console.tell, lambda client: client.workers())
    if json:
        console.emit([worker.model_dump(mode="json") for worker in workers or ()])
    elif workers is None:
        console.tell("no local farm is running, so there are no workers")
    elif not workers:
        console.tell("there are no workers: they come when there is work")
    else:
        console.table(
            ("WORKER", "STATUS", "BLENDER", "DEVICE", "DOES", "MEMORY", "DONE"),
            [_row(worker) for worker in workers],
        )


@app.command("drain")
def drain(
    worker: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Let a worker finish what it holds, then leave."""
    from burst.errors import NotFound
    from burst.operations.jobs import ask_running

    settings = farm_settings(state_dir, local=local)
    drained = ask_running(settings, console.tell, lambda client: client.drain(worker))
    if drained is None:
        raise NotFound("no local farm is running, so there are no workers")
    if json:
        console.emit(drained.model_dump(mode="json"))
    else:
        console.tell(f"worker {drained.name} is {drained.status}")


def _row(worker: WorkerView) -> tuple[str, ...]:
    does, memory = "-", "-"
    progress = worker.progress
    if progress is not None:
        frame = "" if progress.frame is None else f"frame {progress.frame}"
        does = " ".join(filter(None, (frame, words.done(progress)))) or progress.step or "-"
        memory = words.size(progress.memory_bytes) if progress.memory_bytes else "-"
    if worker.trouble:
        does = f"waits: {worker.trouble}"
    return (
        worker.name,
        str(worker.status),
        ", ".join(blender.label for blender in worker.capabilities.blenders) or "none",
        _device(worker.capabilities),
        does,
        memory,
        str(worker.frames_finished),
    )


def _device(capabilities: Capabilities) -> str:
    """Return what the worker computes on, where a job does not say otherwise."""
    from burst.domain.workers import choose_device
    from burst.errors import NoSuchDevice

    found = []
    for blender in capabilities.blenders:
        with contextlib.suppress(NoSuchDevice):
            found.append(choose_device(None, capabilities.device, blender))
    return ", ".join(dict.fromkeys(found)) or "-"
