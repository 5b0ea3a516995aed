"""Where files arrive before they get their names in an artist's folder.

A hidden folder in it, there while files arrive, so that giving a file its name is one step
and a name of any length fits. Whoever uses one holds a lock on it: what a killed run has
left is found by the next, and what was whole is not fetched again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from burst.errors import storage_error
from burst.protocol.messages import OutputFile
from burst.storage.files import sha256_of, try_lock

PREFIX = ".burst-arriving-"
_LOCK = "lock"
_OLD_SECONDS = 24 * 3600
"""Where files can't be locked, a leftover is one that nobody has touched for so long."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
"""What ``link(2)`` answers on file systems without hard links."""


class Arrivals:
    """One such folder."""

    def __init__(self, path: Path) -> None:
        """Use ``path``, which this process holds."""
        self._path = path

    def place(self, file: OutputFile) -> Path:
        """Return where the file is to arrive: the same in every run, another for each name."""
        named = f"{file.name}\0{file.sha256}".encode(errors="surrogateescape")
        return self._path / hashlib.sha256(named).hexdigest()[:32]

    def has(self, file: OutputFile) -> bool:
        """Say whether the file arrived already, whole: an earlier run was killed just then."""
        place = self.place(file)
        try:
            return place.stat().st_size == file.size and sha256_of(place) == file.sha256
        except OSError:
            return False

    def drop(self, file: OutputFile) -> None:
        """Forget a file that arrived."""
        self.place(file).unlink(missing_ok=True)


@contextlib.contextmanager
def open_arrivals(folder: Path) -> Iterator[Arrivals]:
    """Hold a folder for arriving files in ``folder``, that of a killed run if there is one.

    It is gone at the end, unless this process is killed.

    Raises:
        StorageError: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path, lock = _hold(folder)
    except OSError as error:
        raise storage_error(error, f"can't write to {folder}") from error
    with lock:
        try:
            yield Arrivals(path)
        finally:
            shutil.rmtree(path, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """Remove what killed runs left in ``folder``, as far as that goes."""
    for path in _found(folder):
        lock = _lock_leftover(path)
        if lock is not None:
            with lock:
                shutil.rmtree(path, ignore_errors=True)


def _hold(folder: Path) -> tuple[Path, BinaryIO]:
    for path in _found(folder):
        lock = _lock_leftover(path)
        if lock is not None:
            for part in path.glob(".*"):
                part.unlink()
            return path, lock
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(4)}"
        path.mkdir()
        lock = (path / _LOCK).open("ab")
        with contextlib.suppress(OSError):  # There are file systems without locks.
            if not try_lock(lock):
                # Taken for a leftover before it was locked.
                lock.close()
                continue
        return path, lock


def _lock_leftover(path: Path) -> BinaryIO | None:
    """Lock the leftover of a killed run; None if somebody uses it."""
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context((path / _LOCK).open("ab"))
            if not try_lock(lock):
                return None
            is_free = (path / _LOCK).exists()  # Else its owner was just done with it.
        except FileNotFoundError:
            return None
        except OSError:
            is_free = _is_old(path)
        if is_free:
            stack.pop_all()
            return lock
    return None


def _is_old(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - _OLD_SECONDS
    except OSError:
        return False


def _found(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.name.startswith(PREFIX))
    except OSError:
        return []


def give_name(arrived: Path, target: Path) -> bool:
    """Give a file its name, in one step; False if something has the name.

    Raises:
        OSError: it can't have that name.
    """
    try:
        os.link(arrived, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            return False
        arrived.rename(target)
        return True
    arrived.unlink()
    return True
