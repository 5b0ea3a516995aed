"""Scene versions in a storage: listed, found by what one types, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from burst.domain.jobs import SceneRef, slug
from burst.errors import StorageError, UsageError
from burst.scene.manifest import FileEntry, Manifest
from burst.storage import layout
from burst.storage.items import Stored
from burst.storage.storage import Storage

_THREADS = 16
_FEW = 5


@dataclass(frozen=True, slots=True)
class Version:
    """One uploaded version of a scene."""

    scene: SceneRef
    uploaded: float
    """When it was uploaded last, in seconds since 1970."""
    stored: Stored
    """Its manifest."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What one version has otherwise than another; places in the scene."""

    added: dict[str, FileEntry]
    removed: dict[str, FileEntry]
    changed: dict[str, tuple[FileEntry, FileEntry]]
    """Before and after."""


def list_versions(storage: Storage, name: str = "") -> list[Version]:
    """Return the versions of one scene, or of all, newest first.

    Raises:
        StorageError: the storage can't be read.
    """
    prefix = f"{layout.SCENES}{name}/" if name else layout.SCENES
    found = []
    for stored in storage.scan(prefix):
        ref = layout.scene_version(stored.name)
        if ref is not None:
            found.append(Version(SceneRef(name=ref[0], version=ref[1]), stored.changed, stored))
    return sorted(found, key=lambda one: (-one.uploaded, one.stored.name))


def read_manifests(storage: Storage, versions: list[Version]) -> list[Manifest | None]:
    """Read the manifests of versions, in parallel; None for one that is damaged, newer or gone.

    Raises:
        StorageError: the storage can't be read.
    """

    def read(version: Version) -> Manifest | None:
        try:
            content = storage.get_bytes(version.stored.name)
        except StorageError:
            if storage.identity(version.stored.name) is None:
                return None
            raise
        try:
            return Manifest.from_bytes(content)
        except StorageError:
            return None

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="manifest") as pool:
        return list(pool.map(read, versions))


def read_manifest(storage: Storage, version: Version) -> Manifest:
    """Read the manifest of one version.

    Raises:
        StorageError: it can't be read.
    """
    return Manifest.from_bytes(storage.get_bytes(version.stored.name))


def find_version(storage: Storage, typed: str) -> Version:
    """Return the version that ``NAME`` (its newest) or ``NAME@VERSION`` means.

    Args:
        storage: where it lies.
        typed: the version may be abbreviated, and the name be that of the .blend.

    Raises:
        UsageError: there is none, or several are meant.
        StorageError: the storage can't be read.
    """
    name, at, beginning = typed.partition("@")
    versions = list_versions(storage, slug(name))
    if not versions:
        raise UsageError(
            f"there is no scene {name} in {storage.url}", hint="see: burst scenes list"
        )
    if not at:
        return versions[0]
    if not beginning:
        raise UsageError(
            f"which version of {slug(name)} is meant?", hint=f"it has {_few(versions)}"
        )
    fitting = [one for one in versions if one.scene.version.startswith(beginning)]
    if len(fitting) > 1:
        raise UsageError(
            f"{len(fitting)} versions of {slug(name)} begin with {beginning}",
            hint=f"say more of it: {_few(fitting)}",
        )
    if not fitting:
        raise UsageError(
            f"no version of {slug(name)} begins with {beginning}", hint=f"it has {_few(versions)}"
        )
    return fitting[0]


def _few(versions: Sequence[Version]) -> str:
    shown = ", ".join(one.scene.version for one in versions[:_FEW])
    return shown if len(versions) <= _FEW else f"{shown}, ..."


def compare(before: Manifest, after: Manifest) -> Difference:
    """Return what ``after`` has otherwise than ``before``."""
    old, new = before.files, after.files
    return Difference(
        added=_only(new, old),
        removed=_only(old, new),
        changed={
            where: (old[where], new[where])
            for where in sorted(old.keys() & new.keys())
            if old[where].sha256 != new[where].sha256
        },
    )


def remove_version(storage: Storage, version: Version) -> bool:
    """Remove a version; its blobs stay until a collection finds that nothing names them.

    Returns:
        Whether it was there; one that was uploaded again meanwhile stays.
    """
    return storage.remove(version.stored)


def _only(those: Mapping[str, FileEntry], others: Mapping[str, FileEntry]) -> dict[str, FileEntry]:
    return {where: those[where] for where in sorted(those.keys() - others.keys())}
