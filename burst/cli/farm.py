"""``burst up``, ``down`` and ``status``: the farm as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burst.cli import console, options
from burst.cli.settings import farm_settings, require_local

if TYPE_CHECKING:
    from pathlib import Path

    from burst.manager.state_dir import Address
    from burst.protocol.artist_messages import FarmStatus


def up(
    local: options.Local = False,
    workers: options.Workers = None,
    blender: options.Blender = None,
    storage: options.Storage = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Start a farm that stays until burst down, and print where it is."""
    require_local(local, "burst up")
    from burst.operations.local_farm import ensure_farm

    settings = farm_settings(state_dir, workers, blender, storage)
    programs: tuple[Path, ...] = ()
    if settings.blender is not None:
        from burst.worker.discovery import find_blenders

        programs = find_blenders(settings.blender)
    farm = ensure_farm(settings, implicit=False, blenders=programs, tell=console.tell)
    if not farm.started:
        console.tell("a farm runs already")
        if farm.address.implicit:
            console.tell("note: a render started it, it leaves when its last job has ended")
        if workers or blender or storage:
            console.tell("note: it keeps the Blender, storage and number of workers that it has")
    if json:
        console.emit({"started": farm.started, **_address(farm.address)})
    else:
        console.say(farm.address.console_url)


def down(
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Stop the farm; its queue stays on disk."""
    require_local(local, "burst down")
    from burst.operations.local_farm import stop_farm

    settings = farm_settings(state_dir)
    stopped = stop_farm(settings.state_dir)
    if json:
        console.emit(
            {"stopped": stopped is not None, "killed": stopped is not None and stopped.killed}
        )
    elif stopped is None:
        console.tell("no local farm is running")
    elif stopped.killed:
        console.tell("the local farm did not leave when asked to, and was killed")
    else:
        console.tell("the local farm is stopped, its queue is kept")


def status(
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Show how the farm stands."""
    require_local(local, "burst status")
    from burst.manager.state_dir import find_manager

    settings = farm_settings(state_dir)
    address = find_manager(settings.state_dir)
    if address is None:
        if json:
            console.emit({"running": False, "state_dir": str(settings.state_dir)})
        else:
            console.tell("no local farm is running")
        return
    from burst.operations.connect import open_client

    with open_client(address.console_url) as client:
        answer = client.status()
    if json:
        console.emit(
            {
                "running": True,
                "state_dir": str(settings.state_dir),
                **_address(address),
                **answer.model_dump(mode="json"),
            }
        )
        return
    _print_status(address, answer)


def _address(address: Address) -> dict[str, object]:
    return {
        "console_url": address.console_url,
        "worker_url": address.worker_url,
        "pid": address.pid,
        "implicit": address.implicit,
    }


def _print_status(address: Address, answer: FarmStatus) -> None:
    stays = "leaves after its last job" if address.implicit else "stays until burst down"
    jobs = ", ".join(f"{number} {status}" for status, number in answer.jobs.items() if number)
    console.say(f"console:  {address.console_url}")
    console.say(f"manager:  {answer.version}, process {address.pid}, {stays}")
    console.say(f"storage:  {answer.storage_url}")
    if answer.storage_trouble:
        console.say(f"          {answer.storage_trouble}")
    console.say(f"jobs:     {jobs or 'none'}")
    console.say(f"tasks:    {answer.tasks_queued} queued, {answer.tasks_active} active")
    console.say(f"workers:  {answer.workers}")
    for pool in answer.pools:
        now = f"{pool.running} running, {pool.starting} starting, {pool.wanted} wanted"
        reason = f": {pool.reason}" if pool.reason else ""
        console.say(f"pool:     {pool.name}, {now} of at most {pool.maximum}{reason}")
        if pool.failure:
            console.say(f"          last worker was of no use: {pool.failure}")
    if not answer.jobs and not answer.workers:
        console.tell("submit something: burst render SCENE.blend --local")
