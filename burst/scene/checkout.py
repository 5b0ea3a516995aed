"""A scene laid out on a worker: a tree of links into the blobs of a `SceneSource`.

Blender opens the .blend in it as if it lay on the artist's machine. A blob's content never
changes, so whatever Blender may write to is a copy of its own (`must_copy`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from burst.domain.jobs import SceneRef
from burst.errors import BlobMissing, StorageError, storage_error
from burst.scene.blob_cache import Wish
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.source import SceneSource
from burst.storage import layout
from burst.storage.items import Wanted
from burst.storage.storage import Storage

_COPY_BYTES = 8 * 1024 * 1024
_CACHE_FOLDER = re.compile(r"(blendcache|cache_fluid)_?")
_CACHE_SUFFIXES = (".bphys", ".uni", ".bobj", ".bobj.gz")
_FLUID_FILE = re.compile(r"(fluid_[a-z]+|config|pp)_\d+\.")
_USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
_COPIED_SUFFIXES = (*_CACHE_SUFFIXES, *_USD_SUFFIXES)


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """A scene that Blender can open."""

    blend: Path
    """The .blend, below ``folder``."""
    remap: dict[str, Path]
    """Key of an absolute name in a .blend → where that lies here; a pattern or folder for many."""
    folder: Path
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    """Place below ``folder`` → what lies there."""


def must_copy(relative: str) -> bool:
    """Say whether a file of a scene must be a copy in a checkout, not a link.

    Merely opening a .blend deletes and rewrites point caches, a fluid domain updates its
    cache, and USD looks for a layer's neighbours beside what a link points to.
    """
    folders, _, name = relative.rpartition("/")
    name = name.lower()
    return (
        name.endswith(_COPIED_SUFFIXES)
        or any(_CACHE_FOLDER.match(folder) for folder in folders.split("/"))
        or _FLUID_FILE.match(name) is not None
    )


def checkout(
    scene: SceneRef,
    storage: Storage,
    source: SceneSource,
    folder: Path,
    wanted: Wish = lambda: True,
) -> CheckedOut:
    """Lay a scene out in ``folder``; one that is there and laid out so is kept as it is.

    It is built beside, and renamed when it is whole; several processes may ask for the same
    folder. Blocks, also while another process builds it.

    Args:
        scene: which one.
        storage: where its manifest is.
        source: where the content of its files is.
        folder: where to.
        wanted: asked now and then while files are fetched.

    Raises:
        BlobMissing: a blob is not in the storage, or damaged.
        StorageError: so is the manifest, a blob can't be read, or the folder not be written.
        NotWanted: ``wanted`` said so.
    """
    manifest = Manifest.from_bytes(storage.get_bytes(layout.manifest(scene.name, scene.version)))
    if manifest.version != scene.version:
        raise StorageError(
            f"the manifest of scene {scene.name} is not that of version {scene.version}",
            hint="upload the scene again",
        )
    folder = folder.absolute()
    try:
        source.hold(manifest.files, wanted)
        with _writing(folder), _locked(folder):
            if not _is_laid_out(manifest, source, folder):
                _build(manifest, source, folder)
    except BlobMissing as error:
        raise _by_its_place(error, manifest.files) from error
    remap = {name: folder / place for name, place in manifest.outside.items()}
    return CheckedOut(folder / manifest.main, remap, folder, manifest.files)


def remove_checkout(folder: Path) -> None:
    """Remove what `checkout` made; nothing there is no error.

    Raises:
        StorageError: it can't be removed.
    """
    folder = folder.absolute()
    if not folder.parent.is_dir():
        return
    with _writing(folder), _locked(folder):
        _remove(_part(folder))
        _remove(folder)


def _by_its_place(error: BlobMissing, files: Mapping[str, FileEntry]) -> BlobMissing:
    """Return the error with the name that an artist knows, where the storage named the blob."""
    text = str(error)
    for place, entry in files.items():
        text = text.replace(layout.blob(entry.sha256), place)
    return BlobMissing(text, hint="upload the scene again")


def _is_laid_out(manifest: Manifest, source: SceneSource, folder: Path) -> bool:
    """Say whether each file has its link, or its copy. What the links lead to is not touched."""
    try:
        for place, entry in manifest.files.items():
            path = f"{folder}/{place}"
            if must_copy(place):
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    return False
            elif os.readlink(path) != str(source.path(entry.sha256)):  # noqa: PTH115 - quick
                return False
    except OSError:
        return False
    return True


def _build(manifest: Manifest, source: SceneSource, folder: Path) -> None:
    part = _part(folder)
    _remove(part)  # of a process that was killed
    try:
        _make_folders(part, manifest)
        copies = []
        for place, entry in manifest.files.items():
            if must_copy(place):
                name = layout.blob(entry.sha256)
                copies.append(Wanted(name, part / place, entry.size, entry.sha256))
            else:
                os.symlink(source.path(entry.sha256), f"{part}/{place}")  # noqa: PTH211 - quick
        if copies and not source.bring(copies):
            for copy in copies:
                _copy(source.path(copy.sha256), copy.target)
        _remove(folder)
        part.rename(folder)
    except BaseException:
        # Half a scene must not be what fills the disk: the next one is another, maybe.
        shutil.rmtree(part, ignore_errors=True)
        raise


def _make_folders(part: Path, manifest: Manifest) -> None:
    part.mkdir()
    for parent in {place.rpartition("/")[0] for place in manifest.files}:
        (part / parent).mkdir(parents=True, exist_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy inside the kernel, which shares blocks where the file system can; writable."""
    try:
        with source.open("rb") as opened, target.open("wb") as sink:
            while os.copy_file_range(opened.fileno(), sink.fileno(), _COPY_BYTES):
                pass
            # Some file systems say that it is the end where it is not.
            is_whole = os.fstat(sink.fileno()).st_size == os.fstat(opened.fileno()).st_size
    except (AttributeError, OSError) as error:
        # Not on this system, or not between these two file systems.
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        is_whole = False
    if not is_whole:
        shutil.copyfile(source, target)


def _part(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part")


def _remove(tree: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tree)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the right to build or remove ``folder``; the kernel frees it of a dead process."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, f"can't check out to {folder}") from error
