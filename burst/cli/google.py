"""Which farm on Google Cloud a command means, and with which settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from burst.errors import UsageError

if TYPE_CHECKING:
    from burst.config.cluster import PoolSettings
    from burst.config.google import GoogleFarm
    from burst.operations.google_farm import Site


def google_farm(
    state_dir: Path | None = None,
    project: str | None = None,
    *,
    is_to_be_made: bool = False,
    **typed: str | None,
) -> GoogleFarm | None:
    """Load the settings of the farm on Google Cloud; None if none is named, or another cluster is.

    Args:
        state_dir: as it was typed.
        project: as it was typed.
        is_to_be_made: what Google would refuse is a mistake, too.
        typed: ``zone`` of ``[google]``, ``farm`` and ``namespace`` of ``[cluster]`` likewise.

    Raises:
        ConfigError: burst.toml has mistakes; all of them are told.
    """
    from burst.config.cluster import ClusterFarm, ClusterSettings, load_pools
    from burst.config.farm import FarmSettings, default_cache_dir
    from burst.config.google import GoogleFarm, GoogleSettings, remembered
    from burst.config.images import ImageSettings
    from burst.config.load import load
    from burst.config.mistakes import check_file

    check_file(os.environ, is_to_be_made=is_to_be_made)
    settings = load(FarmSettings, {"state_dir": state_dir}).settings
    known = remembered(settings.state_dir)
    named = {"farm": typed.get("farm"), "namespace": typed.get("namespace")}
    cluster = load(ClusterSettings, named)
    google = load(GoogleSettings, {"project": project, "zone": typed.get("zone")}).settings
    if project is None and cluster.settings.kubeconfig is not None:
        return None
    if google.project is None:
        if known is None:
            return None
        google = google.model_copy(update={"project": known[0]})
    from burst.cloud.programs import use_fetched

    use_fetched(default_cache_dir())
    where = cluster.settings.model_copy(update={"kubeconfig": None, "context": None})
    if known and known[0] == google.project and cluster.sources["farm"] == "default":
        where = where.model_copy(update={"farm": known[1]})
    there = ClusterFarm(
        **settings.model_copy(update={"console_url": None}).model_dump(),
        cluster=where,
        pools=load_pools(os.environ) or _usual_pool(),
    )
    return GoogleFarm(there, google, load(ImageSettings).settings)


def site_to_make(farm: GoogleFarm) -> Site:
    """Return the farm as it is to be made; one that burst.toml does not know as it was made.

    Raises:
        ConfigError: something is missing, or does not fit together.
    """
    from burst.config.google import mistakes
    from burst.config.mistakes import check_file
    from burst.operations.google_farm import as_made, open_site

    site = open_site(farm)
    if farm.google.zone is None and (made := as_made(site)) is not None:
        return made
    check_file(os.environ, mistakes(farm))
    return site


def site_as_made(farm: GoogleFarm) -> Site:
    """Return the farm as it was last made, and else as burst.toml has it.

    Raises:
        CloudError: nobody tells.
        UsageError: it never was, and nothing says where it would be.
    """
    from burst.operations.google_farm import as_made, open_site

    site = open_site(farm)
    made = as_made(site)
    if made is not None:
        return made
    if farm.google.zone is None and farm.google.region is None:
        raise UsageError(
            f"there is no farm {farm.name} in the project {farm.project}",
            hint="name another one: --farm NAME, or its zone: --zone NAME",
        )
    return site


def find_google_farm(
    state_dir: Path | None = None, project: str | None = None, farm: str | None = None
) -> GoogleFarm:
    """Return the farm on Google Cloud that a command means, as it was last made.

    Args:
        state_dir: as it was typed.
        project: likewise.
        farm: likewise.

    Raises:
        UsageError: none is named anywhere.
        CloudError: nobody tells of it.
    """
    found = google_farm(state_dir, project, farm=farm)
    if found is None:
        raise UsageError(
            "no farm on Google Cloud is set up",
            hint="name its project: --project ID, or set one up: burst init, then burst up",
        )
    return site_as_made(found).farm


def _usual_pool() -> dict[str, PoolSettings]:
    """Return the pool of a farm that says nothing of pools."""
    from burst.config.cluster import PoolSettings
    from burst.domain.presets import PRESETS, USUAL
    from burst.operations.farm_values import DEFAULT_POOL

    preset = PRESETS[USUAL]
    return {
        DEFAULT_POOL: PoolSettings(
            machine=preset.machine,
            spot=preset.spot,
            maximum=preset.maximum,
            disk_gib=preset.disk_gib,
            disk_type=preset.disk_type,
        )
    }
