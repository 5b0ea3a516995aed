"""Settings of the farm for a command: ``burst.toml`` < environment < its options."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from burst.errors import UsageError

if TYPE_CHECKING:
    from burst.config.cluster import ClusterFarm
    from burst.config.farm import FarmSettings


def farm_settings(
    state_dir: Path | None = None,
    workers: int | None = None,
    blender: str | None = None,
    storage: str | None = None,
    *,
    local: bool = False,
    attach: bool = True,
) -> FarmSettings:
    """Load what the command needs to know of the farm.

    Those of a farm elsewhere, where one is set up, unless ``local`` says that this machine's is
    meant: at an address that was given, or on a cluster. One on Google Cloud that another laptop
    made is looked for there, if ``attach`` allows it.

    Raises:
        ConfigError: a setting is wrong.
        CloudError: Google does not tell of the farm.
    """
    from burst.config.farm import FarmSettings
    from burst.config.load import load

    given = {
        "state_dir": state_dir,
        "workers": workers,
        "blender": blender_typed(blender),
        "storage_url": storage_typed(storage),
    }
    settings = load(FarmSettings, given).settings
    if local:
        return settings.model_copy(update={"console_url": None})
    if settings.console_url is not None:
        return settings
    from burst.config.cluster import ClusterFarm, cluster_settings, load_pools

    cluster = cluster_settings(settings.state_dir, {}, os.environ)
    if cluster is None:
        return (attach and _attached(state_dir)) or settings
    pools = load_pools(os.environ)
    return ClusterFarm(**settings.model_dump(), cluster=cluster, pools=pools)


def _attached(state_dir: Path | None) -> ClusterFarm | None:
    """Find the farm on Google Cloud that another laptop made, and know it from then on."""
    from burst.cli.google import google_farm

    farm = google_farm(state_dir)
    if farm is None:
        return None
    from burst.config.cluster import Note, write_note
    from burst.operations.google_farm import as_made, open_site, reach_cluster

    site = as_made(open_site(farm))
    settings = reach_cluster(site) if site else None
    if settings is None:
        return None
    there = settings.cluster
    where = str(there.kubeconfig), there.context or "", there.space
    note = Note(there.farm, *where, registry=site.farm.registry if site else "")
    write_note(settings.state_dir, note)
    return settings


def blender_typed(blender: str | None) -> str | None:
    """Return ``--blender`` for whoever runs elsewhere: paths made absolute, names as they are."""
    if blender is None:
        return None
    programs = blender.split(os.pathsep)
    return os.pathsep.join(
        str(Path(program).expanduser().absolute()) if "/" in program else program
        for program in programs
    )


def storage_typed(storage: str | None) -> str | None:
    """Return ``--storage`` for whoever runs elsewhere: a path made absolute, a URL as it is."""
    if storage is None or "://" in storage.removeprefix("file://"):
        return storage
    storage = storage.removeprefix("file://")
    return str(Path(storage).expanduser().absolute())


def cluster_farm(
    state_dir: Path | None = None, storage: str | None = None, **typed: object
) -> ClusterFarm:
    """Load the settings of the farm on a cluster.

    Args:
        state_dir: as it was typed.
        storage: as it was typed.
        typed: settings of ``[cluster]`` from the command line; None is not given.

    Raises:
        ConfigError: a setting is wrong.
        UsageError: no cluster is named anywhere.
    """
    from burst.config.cluster import ClusterFarm, cluster_settings, load_pools
    from burst.config.farm import FarmSettings
    from burst.config.load import load

    given = {"state_dir": state_dir, "storage_url": storage_typed(storage)}
    # A farm at an address is another one.
    settings = load(FarmSettings, given).settings.model_copy(update={"console_url": None})
    cluster = cluster_settings(settings.state_dir, typed, os.environ)
    if cluster is None:
        raise UsageError(
            "no cloud farm is set up",
            hint="set one up: burst init, then burst up; or use this machine: --local",
        )
    pools = load_pools(os.environ)
    return ClusterFarm(**settings.model_dump(), cluster=cluster, pools=pools)


def where_typed(settings: FarmSettings, state_dir: Path | None) -> str:
    """Return the options by which the next command means the same farm, with a space before.

    Args:
        settings: of the farm.
        state_dir: as it was typed.
    """
    from burst.config.cluster import cluster_settings
    from burst.config.farm import FarmSettings
    from burst.config.load import load

    where = f" --state-dir {shlex.quote(str(state_dir))}" if state_dir is not None else ""
    if not settings.is_local:
        return where
    is_elsewhere = (
        not load(FarmSettings).settings.is_local
        or cluster_settings(settings.state_dir, {}, os.environ) is not None
    )
    return f" --local{where}" if is_elsewhere else where


def require_farm(settings: FarmSettings, local: bool, command: str) -> None:
    """Refuse a command that means a farm in the cloud where none is set up.

    Raises:
        UsageError: there is none, and ``--local`` was not given.
    """
    if not local and settings.is_local:
        raise UsageError(
            "no cloud farm is set up",
            hint=f"use this machine: {command} --local, or set one up: burst init, then burst up",
        )
