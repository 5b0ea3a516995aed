"""``burst status``, and a farm on this machine as a whole: started, stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burst.cli import console, options, pool_words
from burst.cli.google import google_farm, site_as_made
from burst.cli.settings import farm_settings, require_farm

if TYPE_CHECKING:
    from pathlib import Path

    from burst.config.cluster import ClusterFarm
    from burst.config.farm import FarmSettings
    from burst.manager.state_dir import Address
    from burst.operations.google_farm import Site
    from burst.protocol.artist_messages import FarmStatus


def up_local(settings: FarmSettings, *, are_given: bool, json: bool) -> None:
    """Start a farm on this machine that stays, and print where it is.

    Args:
        settings: of the farm.
        are_given: what it is to be like was typed.
        json: print one JSON value.
    """
    from burst.operations.local_farm import ensure_farm

    programs: tuple[Path, ...] = ()
    if settings.blender is not None:
        from burst.worker.discovery import find_blenders

        programs = find_blenders(settings.blender)
    farm = ensure_farm(settings, implicit=False, blenders=programs, tell=console.tell)
    if not farm.started:
        console.tell("a farm runs already")
        if farm.address.implicit:
            console.tell("note: a render started it, it leaves when its last job has ended")
        if are_given:
            console.tell("note: it keeps the Blender, storage and number of workers that it has")
    if json:
        console.emit({"started": farm.started, **_address(farm.address)})
    else:
        console.say(farm.address.console_url)


def down_local(settings: FarmSettings, *, json: bool) -> None:
    """Stop the farm on this machine; its queue stays on disk."""
    from burst.operations.local_farm import stop_farm

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
    project: options.Project = None,
    farm: options.FarmName = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Show how the farm stands, and on Google Cloud what there is of it and what that costs."""
    on_google = None if local else google_farm(state_dir, project, farm=farm)
    if on_google is not None:
        _google_status(site_as_made(on_google), json=json)
        return
    settings = farm_settings(state_dir, local=local)
    require_farm(settings, local, "burst status")
    from burst.config.cluster import ClusterFarm

    if isinstance(settings, ClusterFarm):
        _cluster_status(settings, json=json)
    elif settings.console_url is not None:
        _distant_status(settings.console_url, json=json)
    else:
        _local_status(settings, json=json)


def _google_status(site: Site, *, json: bool) -> None:
    from burst.cli.google_run import status_google
    from burst.errors import BurstError
    from burst.operations.connect import open_client
    from burst.operations.google_farm import find_console

    told = status_google(site, json=json)
    answer, trouble = None, None
    try:
        url = find_console(site, console.tell)
        if url is not None:
            with open_client(url) as client:
                answer = client.status()
    except BurstError as error:
        trouble = error.message
    if json:
        manager = answer.model_dump(mode="json") if answer else {}
        console.emit({"running": answer is not None, **told, "trouble": trouble, **manager})
    elif answer is not None:
        _print_distant(answer)
    elif trouble is not None:
        console.say(f"manager:  {trouble}")


def _cluster_status(settings: ClusterFarm, *, json: bool) -> None:
    from burst.operations.connect import open_client
    from burst.operations.reach import reach_farm

    cluster = settings.cluster
    with open_client(reach_farm(settings, tell=console.tell).console_url) as client:
        answer = client.status()
    where = {
        "farm": cluster.farm,
        "namespace": cluster.space,
        "context": cluster.context,
        "kubeconfig": str(cluster.kubeconfig or ""),
    }
    if json:
        console.emit({"running": True, **where, **answer.model_dump(mode="json")})
        return
    console.say(
        f"farm:     {cluster.farm}, in {cluster.space} of {cluster.context or 'the cluster'}"
    )
    _print_distant(answer)


def _distant_status(url: str, *, json: bool) -> None:
    from burst.operations.connect import open_client

    with open_client(url) as client:
        answer = client.status()
    if json:
        console.emit({"running": True, "console_url": url, **answer.model_dump(mode="json")})
        return
    console.say(f"console:  {url}")
    _print_distant(answer)


def _print_distant(answer: FarmStatus) -> None:
    console.say(f"manager:  {answer.version}")
    _print_status(answer)
    if not answer.jobs and not answer.workers:
        console.tell("submit something: burst render SCENE.blend")


def _local_status(settings: FarmSettings, *, json: bool) -> None:
    from burst.manager.state_dir import find_manager
    from burst.operations.jobs import ask_running

    answer = ask_running(settings, console.tell, lambda client: client.status())
    address = find_manager(settings.state_dir)
    if answer is None or address is None:
        if json:
            console.emit({"running": False, "state_dir": str(settings.state_dir)})
        else:
            console.tell("no local farm is running")
        return
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
    stays = "leaves after its last job" if address.implicit else "stays until burst down"
    console.say(f"console:  {address.console_url}")
    console.say(f"manager:  {answer.version}, process {address.pid}, {stays}")
    _print_status(answer)
    if not answer.jobs and not answer.workers:
        console.tell("submit something: burst render SCENE.blend --local")


def _address(address: Address) -> dict[str, object]:
    return {
        "console_url": address.console_url,
        "worker_url": address.worker_url,
        "pid": address.pid,
        "implicit": address.implicit,
    }


def _print_status(answer: FarmStatus) -> None:
    jobs = ", ".join(f"{number} {status}" for status, number in answer.jobs.items() if number)
    console.say(f"storage:  {answer.storage_url}")
    if answer.storage_trouble:
        console.say(f"          {answer.storage_trouble}")
    console.say(f"jobs:     {jobs or 'none'}")
    console.say(f"tasks:    {answer.tasks_queued} queued, {answer.tasks_active} active")
    console.say(f"workers:  {answer.workers}")
    if answer.pools_trouble and not answer.pools:
        console.say(f"pools:    none is known: {answer.pools_trouble}")
    for pool in answer.pools:
        now = f"{pool.running} running, {pool.starting} starting, {pool.wanted} wanted"
        reason = f": {pool.reason}" if pool.reason else ""
        console.say(f"pool:     {pool.name}, {now} of at most {pool.maximum}{reason}")
        for text in pool_words.waits(pool):
            console.say(f"          of those that start {text}")
        if pool.failure:
            failure = pool_words.gist(pool.failure)
            console.say(f"          last worker was of no use: {failure}")
