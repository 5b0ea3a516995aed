"""Where a worker has the content of scenes: a mount of the storage, or a cache that is filled.

``mount:/path`` is a folder with the storage's ``blobs/`` in it: the directory itself, or a
bucket by Cloud Storage FUSE. ``fetch`` is `burst.scene.blob_cache`. A checkout links into either.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from burst.errors import (
    BlobMissing,
    ConfigError,
    StorageAway,
    StorageDenied,
    StorageError,
    storage_error,
)
from burst.scene.blob_cache import CachedBlobs, Wish
from burst.scene.manifest import FileEntry
from burst.storage import layout
from burst.storage.items import Wanted
from burst.storage.storage import Storage

MOUNT = "mount:"
FETCH = "fetch"

_NETWORKED = (
    *("fuse", "nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "gpfs", "beegfs"),
    *("orangefs", "ocfs2", "gfs2"),
)
"""How the names of file systems begin that have their files somewhere else."""
_LOCAL = ("fuseblk", "fuse.fuse-overlayfs", "fuse.mergerfs")
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class SceneSource(Protocol):
    """The content of scenes, as files that can be read here by their hash."""

    @property
    def blobs(self) -> Path:
        """Folder that the links of a checkout lead into; no path in it is ever changed."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether to read it may fail, or not end, because something far away does not answer."""
        ...

    def path(self, sha256: str) -> Path:
        """Return where a blob lies, whether it is there or not."""
        ...

    def hold(self, files: Mapping[str, FileEntry], wanted: Wish) -> None:
        """Have all these at hand and keep them, instead of those from before. May block long.

        Of what is remote nothing is looked at: that is done while Blender starts.

        Raises:
            BlobMissing: one is not in the storage, or damaged there.
            StorageError: they can't be had here.
            NotWanted: ``wanted`` said so.
        """
        ...

    def bring(self, copies: Iterable[Wanted]) -> bool:
        """Make copies that are nobody else's; False if that is for the caller to do."""
        ...

    def recheck(self, files: Mapping[str, FileEntry]) -> None:
        """Look at everything again, since something seemed wrong. May read all of it.

        Raises:
            BlobMissing: one is not in the storage, or damaged there.
            StorageAway: something is wrong here, which will be mended.
        """
        ...

    def is_in_place(self) -> bool:
        """Say whether nobody seems to have taken it away; a quick look. Not of what is remote."""
        ...

    def close(self) -> None:
        """Keep nothing any longer."""
        ...


class MountedBlobs:
    """The blobs of a storage that is mounted here, or is a directory of this machine."""

    def __init__(self, root: Path, storage: Storage) -> None:
        """Read below ``root``, which has what ``storage`` has."""
        self._root = root
        self._storage = storage
        self.blobs = root / layout.BLOBS
        self.is_remote = is_remote(root)

    def path(self, sha256: str) -> Path:
        """Return the path in the mount."""
        return self._root / layout.blob(sha256)

    def hold(self, files: Mapping[str, FileEntry], wanted: Wish) -> None:
        """Look at the size of each, where that is quick."""
        if not self.is_remote:
            self.recheck(files)

    def bring(self, copies: Iterable[Wanted]) -> bool:
        """Bring them by client: who reads them from a mount may never come back."""
        if not self.is_remote:
            return False
        self._storage.fetch_all(copies)
        return True

    def recheck(self, files: Mapping[str, FileEntry]) -> None:
        """Compare the size of each."""
        for place, entry in files.items():
            path = self.path(entry.sha256)
            try:
                size = path.stat().st_size
            except OSError as error:
                raise self.trouble(place, entry, error) from error
            if size != entry.size:
                raise damaged(place)
            if not os.access(path, os.R_OK):
                raise closed(place, path)

    def trouble(self, place: str, entry: FileEntry, error: OSError) -> StorageError:
        """Return what it means that a file of a scene can't be read here."""
        if error.errno in (errno.EACCES, errno.EPERM):
            return closed(place, self.path(entry.sha256))
        if error.errno != errno.ENOENT:
            return storage_error(error, f"can't read {place}")
        name = layout.blob(entry.sha256)
        if self._storage.missing([name]):
            if not self._is_there():
                return StorageAway(
                    f"there is no folder {self.blobs}", hint="look whether it is mounted"
                )
            return BlobMissing(f"{place} is not in the storage", hint="upload the scene again")
        return StorageAway(
            f"{place} is in the storage, but not to be found below {self.blobs}",
            hint="look whether that is a mount of the same storage",
        )

    def is_in_place(self) -> bool:
        """Say whether the folder of the blobs is there."""
        return self.blobs.is_dir()

    def close(self) -> None:
        """Do nothing: nobody keeps a blob from being read."""

    def _is_there(self) -> bool:
        """Say whether the folder of the blobs is there, and not just an empty mount point."""
        own = self._storage.blob_path("0" * 64)
        return self.blobs.is_dir() or (own is not None and own.parents[2].is_dir())


def damaged(place: str) -> BlobMissing:
    """Return the error for a file of another size than it was uploaded with."""
    return BlobMissing(f"{place} is damaged in the storage", hint="upload the scene again")


def closed(place: str, path: Path) -> StorageDenied:
    """Return the error for what this worker's user may not read."""
    return StorageDenied(
        f"{place} can't be read in the storage: {path} is closed to this worker",
        hint="give workers the right to read it",
    )


def open_source(setting: str | None, storage: Storage, cache: Path, limit: int) -> SceneSource:
    """Open what a worker's settings say.

    Args:
        setting: ``mount:`` and a folder, or ``fetch``; None is what fits the storage.
        storage: where the scenes are.
        cache: folder for what is fetched.
        limit: bytes that the cache may take; 0 is half of its disk.

    Raises:
        ConfigError: there is no such source, or no such folder.
    """
    own = storage.blob_path("0" * 64)
    if setting is None and own is not None:
        return MountedBlobs(own.parents[2], storage)
    if setting in (None, FETCH):
        return CachedBlobs(cache, limit, storage)
    assert setting is not None  # noqa: S101 - for mypy
    root = Path(setting.removeprefix(MOUNT))
    if not setting.startswith(MOUNT) or not root.is_absolute():
        raise ConfigError(
            f"{setting!r} is no place for scenes that burst knows",
            hint="set BURST_SCENES to mount:/path, with the folder where the storage is mounted, "
            "or to fetch",
        )
    return MountedBlobs(root, storage)


def is_remote(folder: Path) -> bool:
    """Say whether the files of a folder come from elsewhere when they are read."""
    if not sys.platform.startswith("linux"):
        return False
    wanted, kind, depth = os.path.realpath(folder), "", 0
    for line in _MOUNTS.read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        named = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), before.split()[4])
        point = os.fsdecode(named)
        # Of two at one place the later one is seen.
        if len(point) >= depth and _is_below(wanted, point):
            kind, depth = after.split()[0].decode(), len(point)
    return kind.startswith(_NETWORKED) and kind not in _LOCAL


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
