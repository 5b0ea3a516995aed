"""Scenes in a storage: which there are, what is in them, and taking them away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from burst.config.cluster import ClusterFarm
from burst.config.farm import FarmSettings, default_cache_dir
from burst.domain.jobs import SceneRef, slug
from burst.domain.transitions import JOB_ENDED
from burst.errors import ManagerUnreachable, NotAllowed, NotFound, UsageError, storage_error
from burst.manager.state_dir import database_path
from burst.operations.check import must_be_file
from burst.operations.connect import open_client
from burst.operations.reach import find_farm, storage_in_use
from burst.protocol.artist_messages import JobView
from burst.scene.hashing import Hasher
from burst.scene.manifest import Manifest
from burst.scene.trace import trace
from burst.scene.upload import Watcher, plan_upload
from burst.scene.versions import Version, find_version, list_versions, read_manifest
from burst.storage.filesystem import open_files
from burst.storage.layout import checked
from burst.storage.storage import Storage, open_storage

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def storage_meant(settings: FarmSettings) -> str:
    """Return the storage that a command means which needs no farm.

    It is the one that an option, the environment or ``burst.toml`` names, else that of the farm
    that runs here, else that of the one that would be started.
    """
    if settings.storage_url is not None:
        return settings.storage_url
    return storage_in_use(settings)


def find_storage(url: str) -> Storage | None:
    """Open a storage that is only to be read; None for a directory that is not there.

    Raises:
        ConfigError: the URL is of a kind that burst does not know.
    """
    if "://" not in url or url.startswith("file://"):
        folder = Path(url.removeprefix("file://")).expanduser()
        if not folder.is_dir():
            return None
    return open_storage(url)


def existing_storage(url: str) -> Storage:
    """Open a storage that must be there.

    Raises:
        UsageError: it is not.
        ConfigError: the URL is of a kind that burst does not know.
    """
    storage = find_storage(url)
    if storage is None:
        raise UsageError(
            f"there is no storage at {url}",
            hint="name the right one with --storage, or upload a scene first",
        )
    return storage


def unused_versions(
    storage: Storage, typed: Sequence[str], settings: FarmSettings
) -> tuple[list[Version], str]:
    """Find versions that may be removed, and what could not be asked about them, if anything.

    Raises:
        NotAllowed: an unfinished job of the farm needs one.
        UsageError: there is no such version, or none is said.
    """
    vague = next((one for one in typed if "@" not in one), None)
    if vague is not None:
        raise UsageError(
            f"which version of {vague} is to go?", hint=f"see: burst scenes list {vague}"
        )
    versions = [find_version(storage, one) for one in dict.fromkeys(typed)]
    jobs, unasked = _jobs_of_the_farm(settings)
    for version in versions:
        using = [
            job.id for job in jobs if job.scene == version.scene and job.status not in JOB_ENDED
        ]
        if using:
            raise NotAllowed(
                f"{shown(version.scene)} is needed by {', '.join(using)}",
                hint=f"wait for its end, or cancel it: burst jobs cancel {using[0]}",
            )
    return versions, unasked


def _jobs_of_the_farm(settings: FarmSettings) -> tuple[tuple[JobView, ...], str]:
    """Return the farm's jobs, and why it was not asked for them."""
    farm = f"the farm in {settings.state_dir}"
    if isinstance(settings, ClusterFarm):
        farm = f"the farm {settings.cluster.farm}"
    elif settings.console_url is not None:
        farm = f"the farm at {settings.console_url}"
    url = find_farm(settings)
    if url is None:
        has_queue = database_path(settings.state_dir).exists()
        return (), f"{farm} does not run, so it was not asked" if has_queue else ""
    try:
        with open_client(url) as client:
            return client.jobs(), ""
    except ManagerUnreachable:
        return (), f"{farm} does not answer, so it was not asked"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the storage."""

    name: str
    """Its path in the storage."""
    is_folder: bool
    size: int
    changed: float | None
    """In seconds since 1970; None where it is not known."""


def list_folder(url: str, path: str) -> list[Entry]:
    """Return what is in a folder of the storage, folders first; a file is itself.

    Raises:
        NotFound: there is nothing of that name.
        StorageError: the storage can't be read.
    """
    existing_storage(url)
    name = checked(path.strip("/"))
    try:
        found = open_files(url).ls(name, detail=True)
    except FileNotFoundError as error:
        raise NotFound(f"there is no {name} in {url}", hint="see: burst ls") from error
    except OSError as error:
        raise storage_error(error, f"can't list {name or url}") from error
    entries = [
        Entry(one["name"], one["type"] == "directory", int(one.get("size") or 0), _changed(one))
        for one in found
    ]
    return sorted(entries, key=lambda one: (not one.is_folder, one.name))


def _changed(info: Mapping[str, Any]) -> float | None:
    """Return when a file was changed; fsspec's file systems have several words for it."""
    if info["type"] == "directory":
        return None
    changed = info.get("mtime", info.get("updated"))
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    if isinstance(changed, datetime):
        return changed.timestamp()
    return None if changed is None else float(changed)


@dataclass(frozen=True, slots=True)
class Side:
    """One of two that are compared."""

    label: str
    manifest: Manifest


def sides(
    storage: Storage, before: str, after: str | None, on_progress: Watcher
) -> tuple[Side, Side]:
    """Return what is to be compared: versions in the storage, or scenes on the disk.

    Args:
        storage: where the versions lie.
        before: ``NAME``, ``NAME@VERSION`` or a .blend.
        after: the same; None is the newest version of that scene, and ``before`` without a
            version is then the one before.
        on_progress: told of the hashing of a .blend's files.

    Raises:
        UsageError: there is no such version or file.
        SceneError: a .blend can't be read.
    """
    if after is None:
        name, at, _ = before.partition("@")
        versions = list_versions(storage, slug(name))
        newest = find_version(storage, name)
        if not at and len(versions) == 1:
            raise UsageError(
                f"{name} has one version only", hint="name a .blend to compare it with"
            )
        older = find_version(storage, before) if at else versions[1]
        return _stored_side(storage, older), _stored_side(storage, newest)
    first, second = (_side(storage, typed, on_progress) for typed in (before, after))
    return first, second


def shown(scene: SceneRef) -> str:
    """Return a version as it may be typed."""
    return f"{scene.name}@{scene.version}"


def parse_age(typed: str) -> float:
    """Return the seconds that ``90m``, ``12h``, ``30d`` or ``0`` mean.

    Raises:
        UsageError: it is no such thing.
    """
    match = _AGE.fullmatch(typed.strip().lower())
    if match is None:
        raise UsageError(f"{typed!r} is no age", hint="such as 90m, 12h, 30d or 0")
    return float(match[1]) * _SECONDS[match[2]]


def _side(storage: Storage, typed: str, on_progress: Watcher) -> Side:
    if not typed.lower().endswith(".blend"):
        return _stored_side(storage, find_version(storage, typed))
    path = Path(typed)
    must_be_file(path)
    planned = plan_upload(
        trace(path.absolute()), path.stem, None, Hasher(default_cache_dir()), on_progress
    )
    return Side(typed, planned.manifest)


def _stored_side(storage: Storage, version: Version) -> Side:
    return Side(shown(version.scene), read_manifest(storage, version))
