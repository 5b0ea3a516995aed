"""``burst init``: a first burst.toml for a farm on Google Cloud, with words about every line."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from burst.config.cluster import ClusterFarm, ClusterSettings, PoolSettings
from burst.config.farm import FarmSettings
from burst.config.google import LONGEST_NAME, GoogleFarm, GoogleSettings, mistakes
from burst.config.images import ImageSettings
from burst.config.load import explain
from burst.domain.presets import PRESETS, Preset
from burst.errors import ConfigError, UsageError


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a farm is to be."""

    project: str
    zone: str
    farm: str
    pools: tuple[str, ...]
    """Names of presets."""


def find_preset(name: str) -> Preset:
    """Return a preset by its name.

    Raises:
        UsageError: there is none of that name.
    """
    found = PRESETS.get(name)
    if found is None:
        raise UsageError(f"there is no pool {name!r}", hint=f"choose of {', '.join(PRESETS)}")
    return found


def find_zone(place: str) -> str:
    """Return the zone that a region or a zone means: of a region the one that every region has.

    Raises:
        ConfigError: it is neither.
    """
    for key, zone in (("region", f"{place}-b"), ("zone", place)):
        with contextlib.suppress(ValidationError):
            GoogleSettings.model_validate({key: place})
            return zone
    raise ConfigError(
        f"{place!r} is no region, such as europe-west4, and no zone, such as europe-west4-a"
    )


def checked_project(name: str) -> str:
    """Return the id of a project, or raise `ConfigError` if it can't be one."""
    return _checked(GoogleSettings, "project", name)


def checked_farm(name: str) -> str:
    """Return the name of a farm, or raise `ConfigError` if it can't be one."""
    if len(_checked(ClusterSettings, "farm", name)) > LONGEST_NAME:
        raise ConfigError(f"{name} is longer than {LONGEST_NAME} characters")
    return name


def _checked(model: type[BaseModel], key: str, value: str) -> str:
    try:
        model.model_validate({key: value})
    except ValidationError as error:
        raise ConfigError(explain(error)) from error
    return value


def burst_toml(wishes: Wishes) -> str:
    """Return a burst.toml.

    Raises:
        ConfigError: something can't be so; all of it is told.
    """
    pools = [find_preset(name) for name in dict.fromkeys(wishes.pools)]
    text = "\n".join(
        [_HEAD.format(**_quoted(wishes)), *(_pool(preset, wishes.zone) for preset in pools)]
    )
    _check(text)
    return text


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        UsageError: there is one.
        ConfigError: the folder can't be written.
    """
    is_ours = False
    try:
        with path.open("x", encoding="utf-8") as file:
            is_ours = True
            file.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already, and stays as it is",
            hint="edit it, or move it away first",
        ) from error
    except OSError as error:
        if is_ours:
            # Half of one would be in the way of the next try.
            path.unlink(missing_ok=True)
        raise ConfigError(f"can't write {path}: {error.strerror}") from error


def _check(text: str) -> None:
    """See that what is written can be read, and that a farm can be made of it."""
    told = tomllib.loads(text)
    try:
        pools = {name: PoolSettings.model_validate(one) for name, one in told["pools"].items()}
        cluster = ClusterSettings.model_validate(told["cluster"])
        settings = ClusterFarm(**FarmSettings().model_dump(), cluster=cluster, pools=pools)
        google = GoogleSettings.model_validate(told["google"])
    except ValidationError as error:
        raise ConfigError(explain(error)) from error
    settings = settings.model_copy(update={"storage_url": None})
    found = mistakes(GoogleFarm(settings, google, ImageSettings()))
    if found:
        raise ConfigError("; ".join(found))


def _quoted(wishes: Wishes) -> dict[str, str]:
    # What JSON says of a text, TOML does too.
    return {name: json.dumps(getattr(wishes, name)) for name in ("project", "zone", "farm")}


def _pool(preset: Preset, zone: str) -> str:
    region = zone.rpartition("-")[0]
    other = f"{region}-c" if zone == f"{region}-b" else f"{region}-b"
    return _POOL.format(
        name=preset.name,
        reason=preset.reason,
        title=preset.title,
        machine=json.dumps(preset.machine),
        spot=json.dumps(preset.spot),
        maximum=preset.maximum,
        disk_gib=preset.disk_gib,
        disk_type=json.dumps(preset.disk_type),
        zones=json.dumps([zone, other]),
    )


def preset_lines(names: Sequence[str] = tuple(PRESETS)) -> list[str]:
    """Return what pools there are to choose of, for people."""
    width = max(len(name) for name in names)
    return [f"  {name:<{width}}  {PRESETS[name].title}: {PRESETS[name].reason}" for name in names]


_HEAD = """\
# A farm on Google Cloud. What can be set besides: docs/reference/settings.md, and burst config.

[google]
# Id of the project that pays; see: gcloud projects list
project = {project}
# Where the cluster, the machines and the bucket are. Prices differ by region; close to you
# uploads are fast.
zone = {zone}
# The one machine that is always there while the farm is up, for the manager.
# system_machine = "e2-standard-2"

[cluster]
# Everything that is made has this name in its own, and the label burst-farm.
farm = {farm}

# The pools of machines that render, filled in this order. Each has no machine until there is
# work, and none again minutes after it. `burst up` once more takes over what is changed here.
"""

_POOL = """\
# {reason} ({title})
[pools.{name}]
machine = {machine}
# Spot machines cost much less, and may be taken back: their frames are rendered again.
spot = {spot}
# Most machines at a time: what a full farm costs an hour follows from it.
maximum = {maximum}
disk_gib = {disk_gib}
disk_type = {disk_type}
# More zones have machines sooner, where one has run out:
# zones = {zones}
# A machine ends after so long, whatever it does: a guard against a farm that was forgotten.
# longest_life_seconds = 86400
"""
