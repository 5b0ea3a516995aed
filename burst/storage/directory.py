"""A directory as storage: the embedded default, laid out as the bucket is.

A file is written under ``incoming/`` while its writer holds a lock on it, made durable,
and renamed to its name; so nothing half-written has a name, and what a killed process
left behind can be told from what is being written (`DirectoryStorage.sweep`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from burst.errors import StorageConflict, StorageError, storage_error
from burst.storage import layout

_COPY_BYTES = 8 * 1024 * 1024
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
"""What ``link(2)`` answers on file systems without hard links."""


class _ChangedError(Exception):
    """What was written is not what was to be written."""


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
        return {name for name in names if not self._path(name).exists()}

    def put_file(self, source: Path, name: str) -> None:
        """Copy a file to ``name``, durably; shares its blocks where the file system can."""
        with _storage_errors(f"can't store {name}"), source.open("rb") as opened:
            self._write(name, lambda sink: _copy(opened, sink))

    def put_blob(self, source: Path, sha256: str) -> bool:
        """Copy a file to its blob; what was written is hashed before it gets the name."""
        name = layout.blob(sha256)

        def fill(sink: BinaryIO) -> None:
            _copy(opened, sink)
            sink.flush()
            if _sha256(Path(sink.name)) != sha256:
                raise _ChangedError

        with _storage_errors(f"can't store {name}"), source.open("rb") as opened:
            try:
                self._write(name, fill, mode=0o444)
            except _ChangedError:
                return False
        return True

    def put_bytes(self, content: bytes, name: str) -> None:
        """Write ``content`` to ``name``, durably."""
        with _storage_errors(f"can't store {name}"):
            self._write(name, lambda sink: _write_all(sink, content))

    def get_bytes(self, name: str) -> bytes:
        """Return the content of ``name``."""
        with _storage_errors(f"can't read {name}"):
            return self._path(name).read_bytes()

    def fetch(self, name: str, target: Path) -> None:
        """Copy ``name`` to a local path, by way of a hidden file beside it."""
        part = target.with_name(f".{target.name}.part")
        with _storage_errors(f"can't bring {name} to {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._path(name).open("rb") as source, part.open("wb") as sink:
                try:
                    _copy(source, sink)
                except OSError:
                    part.unlink(missing_ok=True)
                    raise
            part.replace(target)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield every name that starts with ``prefix``."""
        folder = self._path(prefix if prefix.endswith("/") else prefix.rpartition("/")[0])
        for parent, _, files in os.walk(folder):
            for file in files:
                name = (Path(parent) / file).relative_to(self.root).as_posix()
                if name.startswith(prefix):
                    yield name

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
        try:
            status = self._path(name).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, f"can't look at {name}") from error
        return f"{status.st_ino}-{status.st_mtime_ns}"

    def publish(self, source: str, target: str, sha256: str, replaces: str | None = None) -> None:
        """Link the upload to its final name, which fails if the name is taken."""
        upload, final = self._path(source), self._path(target)
        with _storage_errors(f"can't publish {target}"):
            final.parent.mkdir(parents=True, exist_ok=True)
            # No lock around the link: it decides by itself who was first, and a process that
            # was frozen while it held the lock would keep all others from publishing.
            if self._link(upload, final):
                _make_durable(final.parent)
            else:
                with _locked_folder(final.parent):
                    self._settle(upload, final, sha256, replaces)
                    _make_durable(final.parent)
            upload.unlink(missing_ok=True)
            self._drop_empty(upload.parent)

    def sweep(self) -> None:
        """Remove files under ``incoming/`` whose writers are dead."""
        with _storage_errors("can't clear interrupted writes"):
            for path in self._incoming.iterdir():
                with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                    if _try_lock(file):
                        path.unlink()

    def blob_path(self, sha256: str) -> Path | None:
        """Return the blob's own path: workers read it in place."""
        return self.root / "blobs" / sha256[:2] / sha256

    def read_path(self, name: str) -> Path | None:
        """Return the file's own path."""
        path = self._path(name)
        if not path.is_file():
            raise StorageError(f"there is no {name} in the storage")
        return path

    def _path(self, name: str) -> Path:
        path = self.root / name
        if ".." in path.parts or "\0" in name or not path.is_relative_to(self.root):
            raise StorageError(f"{name!r} is not a name in the storage")
        return path

    def _write(self, name: str, fill: Callable[[BinaryIO], None], mode: int | None = None) -> None:
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
                    temporary.rename(final)
                    return
            except FileNotFoundError:
                # A sweep took the file for abandoned before the lock was on it, or the
                # folder was deleted for being empty.
                continue
            except (OSError, _ChangedError):
                temporary.unlink(missing_ok=True)
                raise

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
        if is_taken and _sha256(final) == sha256:
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


def _copy(source: BinaryIO, sink: BinaryIO) -> None:
    """Copy between open files inside the kernel, so that blocks are shared where they can."""
    # From the start: an interrupted write is tried again with the same open source.
    source.seek(0)
    try:
        while os.copy_file_range(source.fileno(), sink.fileno(), _COPY_BYTES):
            pass
        # Some file systems say that it is the end where it is not.
        is_whole = os.fstat(sink.fileno()).st_size == os.fstat(source.fileno()).st_size
    except (AttributeError, OSError) as error:
        # Not on this system, or not between these two file systems.
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        is_whole = False
    if not is_whole:
        source.seek(0)
        sink.seek(0)
        sink.truncate()
        while chunk := source.read(_COPY_BYTES):
            _write_all(sink, chunk)


def _write_all(sink: BinaryIO, content: bytes) -> None:
    sink.write(content)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_durable(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _storage_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, what) from error
