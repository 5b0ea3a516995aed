"""A directory as storage: the embedded default, laid out as the bucket is.

A file is written under ``incoming/`` while its writer holds a lock on it, made durable,
and renamed to its name; so nothing half-written has a name, and what a killed process
left behind can be told from what is being written (`DirectoryStorage.sweep`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from burst.errors import BlobMissing, StorageConflict, StorageError, storage_error
from burst.storage import layout
from burst.storage.files import (
    copy,
    in_parallel,
    locked_folder,
    make_durable,
    sha256_of,
    try_lock,
    write_all,
)
from burst.storage.items import LocalBlob, Stored, Tell, Transferred, Wanted, tell_nobody

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
"""What ``link(2)`` answers on file systems without hard links."""


_NOT_OURS = (FileNotFoundError, PermissionError, IsADirectoryError)
"""What others, or another user of the machine, have under ``incoming/``."""


class _ChangedError(Exception):
    """What was written is not what was to be written."""


class _TakenError(Exception):
    """Something has the name already."""


class DirectoryStorage:
    """The `Storage` seam over one local directory."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, an absolute path, and make it if it is not there.

        Raises:
            StorageError: it can't be made.
        """
        self.root = root
        self._incoming = root / "incoming"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, f"can't use {root} as storage") from error

    @property
    def url(self) -> str:
        """The directory's absolute path."""
        return str(self.root)

    def missing(self, names: Iterable[str]) -> set[str]:
        """Return those names that are not there."""
        return {name for name in names if self.identity(name) is None}

    def put_file(self, source: Path, name: str, sha256: str | None = None) -> None:
        """Copy a file to ``name``, durably; shares its blocks where the file system can."""
        with _storage_errors(f"can't store {name}"), source.open("rb") as opened:
            if not self._put_proven(opened, name, sha256):
                raise StorageError(f"{source} changed while it was stored as {name}")

    def put_blobs(self, blobs: Sequence[LocalBlob], tell: Tell = tell_nobody) -> list[LocalBlob]:
        """Copy files to their blobs; what was written is hashed before it gets the name."""

        def put(blob: LocalBlob) -> bool:
            try:
                opened = blob.path.open("rb")
            except OSError:
                # One that is gone is not what was hashed: who hashes it again finds out.
                return False
            with opened:
                return self._put_proven(opened, layout.blob(blob.sha256), blob.sha256, mode=0o444)

        changed = []
        for blob, is_whole in in_parallel(put, blobs):
            if is_whole:
                tell(Transferred(layout.blob(blob.sha256), blob.size, whole=True))
            else:
                changed.append(blob)
        # Together: there are more blobs than folders.
        with _storage_errors("can't store blobs"):
            self._make_names_durable({self.root / "blobs" / blob.sha256[:2] for blob in blobs})
        return changed

    def expecting(self, _files: int, _size: int) -> AbstractContextManager[None]:
        """Do nothing: a directory is always ready."""
        return contextlib.nullcontext()

    def put_bytes(self, content: bytes, name: str) -> None:
        """Write ``content`` to ``name``, durably."""
        with _storage_errors(f"can't store {name}"):
            self._write(name, lambda sink: write_all(sink, content))

    def create(self, content: bytes, name: str) -> bool:
        """Write ``content`` to ``name``, unless something has that name already."""
        with _storage_errors(f"can't store {name}"):
            try:
                self._write(name, lambda sink: write_all(sink, content), give=_give_if_free)
            except _TakenError:
                return False
        return True

    def get_bytes(self, name: str) -> bytes:
        """Return the content of ``name``."""
        with _storage_errors(f"can't read {name}"):
            return self._path(name).read_bytes()

    def fetch(self, name: str, target: Path) -> None:
        """Copy ``name`` to a local path, by way of a hidden file beside it."""
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        with _storage_errors(f"can't bring {name} to {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._path(name).open("rb") as source, part.open("wb") as sink:
                try:
                    copy(source, sink)
                except OSError:
                    part.unlink(missing_ok=True)
                    raise
            part.replace(target)

    def fetch_all(self, wanted: Iterable[Wanted], tell: Tell = tell_nobody) -> None:
        """Copy many files to local paths, each by way of a hidden file beside it."""

        def bring(one: Wanted) -> None:
            self._fetch_proven(one)

        for one, _ in in_parallel(bring, wanted):
            tell(Transferred(one.name, one.size, whole=True))

    def list(self, prefix: str) -> Iterator[str]:
        """Yield every name that starts with ``prefix``."""
        folder = self._path(prefix if prefix.endswith("/") else prefix.rpartition("/")[0])
        with _storage_errors(f"can't list {prefix or self.url}"):
            for parent, _, files in os.walk(folder, onerror=_raise_unless_gone):
                for file in files:
                    name = (Path(parent) / file).relative_to(self.root).as_posix()
                    if name.startswith(prefix):
                        yield name

    def scan(self, prefix: str) -> Iterator[Stored]:
        """Yield every file whose name starts with ``prefix``; what vanishes meanwhile is not."""
        for name in self.list(prefix):
            if status := self._status(name):
                yield Stored(name, status.st_size, status.st_mtime, _identity(status))

    def remove(self, stored: Stored) -> bool:
        """Delete that very file, while its folder is locked."""
        path = self._path(stored.name)
        with _storage_errors(f"can't delete {stored.name}"):
            if not path.parent.is_dir():
                return False
            with locked_folder(path.parent):
                if self.identity(stored.name) != stored.identity:
                    return False
                path.unlink()
            self._drop_empty(path.parent)
        return True

    def delete(self, prefix: str) -> None:
        """Delete every name that starts with ``prefix``, and folders that are empty then."""
        with _storage_errors(f"can't delete {prefix}"):
            for name in list(self.list(prefix)):
                self._path(name).unlink(missing_ok=True)
            folder = self._path(prefix) if prefix.endswith("/") else self._path(prefix).parent
            for parent, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    Path(parent).rmdir()
            self._drop_empty(folder.parent)

    def identity(self, name: str) -> str | None:
        """Return inode and time of change of ``name``, or None if it is not there."""
        status = self._status(name)
        return None if status is None else _identity(status)

    def publish(self, source: str, target: str, sha256: str, replaces: str | None = None) -> None:
        """Link the upload to its final name, which fails if the name is taken."""
        upload, final = self._path(source), self._path(target)
        with _storage_errors(f"can't publish {target}"):
            final.parent.mkdir(parents=True, exist_ok=True)
            # No lock around the link: it decides by itself who was first, and a process that
            # was frozen while it held the lock would keep all others from publishing.
            if self._link(upload, final):
                make_durable(final.parent)
            else:
                with locked_folder(final.parent):
                    self._settle(upload, final, sha256, replaces)
                    make_durable(final.parent)
            upload.unlink(missing_ok=True)
            self._drop_empty(upload.parent)

    def sweep(self) -> None:
        """Remove files under ``incoming/`` whose writers are dead, but for closed ones."""
        with _storage_errors("can't clear interrupted writes"):
            for path in self._incoming.iterdir():
                with contextlib.suppress(*_NOT_OURS), path.open("rb") as file:
                    if try_lock(file):
                        path.unlink()

    def blob_path(self, sha256: str) -> Path | None:
        """Return the blob's own path: workers read it in place."""
        return self.root / "blobs" / sha256[:2] / sha256

    def read_path(self, name: str) -> Path | None:
        """Return the file's own path."""
        path = self._path(name)
        status = self._status(name)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise StorageError(f"there is no {name} in the storage")
        return path

    def _put_proven(
        self, opened: BinaryIO, name: str, sha256: str | None, mode: int | None = None
    ) -> bool:
        """Copy a file; False, and no such name, if what was written has not that hash."""

        def fill(sink: BinaryIO) -> None:
            copy(opened, sink)
            sink.flush()
            if sha256 is not None and sha256_of(Path(sink.name)) != sha256:
                raise _ChangedError

        with _storage_errors(f"can't store {name}"):
            try:
                self._write(name, fill, mode=mode)
            except _ChangedError:
                return False
        return True

    def _fetch_proven(self, one: Wanted) -> None:
        part = one.target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            if self._status(one.name) is None:
                raise BlobMissing(f"{one.name} is not in the storage")
            self.fetch(one.name, part)
            with _storage_errors(f"can't bring {one.name} to {one.target}"):
                if part.stat().st_size != one.size or sha256_of(part) != one.sha256:
                    raise BlobMissing(f"{one.name} is damaged in the storage")
                part.replace(one.target)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        path = self.root / name
        if ".." in path.parts or "\0" in name or not path.is_relative_to(self.root):
            raise StorageError(f"{name!r} is not a name in the storage")
        return path

    def _status(self, name: str) -> os.stat_result | None:
        """Look at ``name``; None is that it is not there."""
        try:
            return self._path(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise storage_error(error, f"can't look at {name}") from error

    def _write(
        self,
        name: str,
        fill: Callable[[BinaryIO], None],
        mode: int | None = None,
        give: Callable[[Path, Path], object] | None = None,
    ) -> None:
        """Write a file beside, and have ``give`` give it its name while it is locked."""
        give = give or _give
        final = self._path(name)
        while True:
            # Here, not once: somebody may clear the storage away under a running farm.
            self._incoming.mkdir(parents=True, exist_ok=True)
            temporary = self._incoming / secrets.token_hex(8)
            try:
                with temporary.open("xb") as sink:
                    fcntl.flock(sink, fcntl.LOCK_EX)
                    fill(sink)
                    sink.flush()
                    if mode is not None:
                        os.fchmod(sink.fileno(), mode)
                    os.fsync(sink.fileno())
                    final.parent.mkdir(parents=True, exist_ok=True)
                    give(temporary, final)
                break
            except FileNotFoundError:
                # A sweep took the file for abandoned before the lock was on it, or the
                # folder was deleted for being empty.
                continue
            except (OSError, _ChangedError, _TakenError):
                temporary.unlink(missing_ok=True)
                raise
        if mode is None:  # blobs have it done together
            self._make_names_durable({final.parent})

    def _make_names_durable(self, folders: set[Path]) -> None:
        """Have on disk what lies in folders, and the folders themselves: they may be new."""
        around = {parent for folder in folders for parent in (folder, *folder.parents)}
        for folder in around:
            if folder.is_relative_to(self.root):
                # One that is gone was deleted, with what was in it.
                with contextlib.suppress(FileNotFoundError):
                    make_durable(folder)

    def _link(self, upload: Path, final: Path) -> bool:
        """Try to give the upload its name; False if that needs a closer look."""
        try:
            os.link(upload, final)
        except (FileExistsError, FileNotFoundError):
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        return True

    def _settle(self, upload: Path, final: Path, sha256: str, replaces: str | None) -> None:
        """Publish where a link could not; the folder is locked, so nobody else does."""
        is_taken = final.exists()
        if is_taken and sha256_of(final) == sha256:
            return
        name = final.relative_to(self.root).as_posix()
        if not upload.exists():
            raise StorageConflict(f"the upload for {name} is gone")
        if is_taken and (replaces is None or replaces != self.identity(name)):
            raise StorageConflict(f"{name} is taken by another file")
        upload.replace(final)

    def _drop_empty(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            while folder != self.root and folder.parent != self.root:
                folder.rmdir()
                folder = folder.parent


def _give(temporary: Path, final: Path) -> None:
    with contextlib.ExitStack() as stack:
        if final.exists():
            # Not between the last look of one who removes the older file, and the removal. Where
            # folders can't be locked nobody removes a very file, either.
            with contextlib.suppress(OSError):
                stack.enter_context(locked_folder(final.parent))
        temporary.rename(final)


def _give_if_free(temporary: Path, final: Path) -> None:
    # Locked rather than linked: there are file systems without links.
    with locked_folder(final.parent):
        if final.exists():
            raise _TakenError
        temporary.rename(final)


def _identity(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_mtime_ns}"


def _raise_unless_gone(error: OSError) -> None:
    """Let no folder that can't be read pass for an empty one: what it names would be removed."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


@contextlib.contextmanager
def _storage_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, what) from error
