"""SHA-256 of a scene's files, in parallel, remembered from one upload to the next.

A hash is remembered by path, size, time of change and inode, in a small SQLite file that
several processes may use at once and that a killed one leaves whole. It is a memory only:
when it can't be read or written, files are hashed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from burst.errors import SceneError

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

HASH_THREADS = min(8, os.cpu_count() or 1)

_FILE_NAME = "hashes.sqlite"
_LOCK_SECONDS = 10
_REMEMBER_BYTES = 1 << 30
"""After hashing this much the results are written down, so that a Ctrl-C loses little."""
_SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again without a new time: some file systems
keep times to two seconds. It is not remembered."""

_TABLE = """
CREATE TABLE IF NOT EXISTS hashes (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, sha256 TEXT
) WITHOUT ROWID
"""
_FIND = "SELECT sha256 FROM hashes WHERE path = ? AND size = ? AND mtime_ns = ? AND inode = ?"
_KEEP = "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells that a file is still the same."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Signature:
        """Look at ``path``.

        Raises:
            SceneError: it can't be looked at.
        """
        with _readable(path):
            return cls.from_status(path.stat())

    @classmethod
    def from_status(cls, status: os.stat_result) -> Signature:
        """Take it from a file's status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class Hasher:
    """Hashes files, and remembers."""

    def __init__(self, cache: Path | None) -> None:
        """Remember in the folder ``cache``; None is not at all."""
        self._database = None if cache is None else cache / _FILE_NAME

    def hash_all(
        self, paths: Iterable[Path], on_hashed: Callable[[Path, int], None] | None = None
    ) -> dict[Path, str]:
        """Return the SHA-256 of each file, as 64 hex digits. Blocks.

        Args:
            paths: files; links are followed.
            on_hashed: told of each file and its bytes as it is done, in the caller's thread.

        Raises:
            SceneError: a file can't be read, or changes meanwhile.
        """
        tell = on_hashed or (lambda _path, _size: None)
        signatures = {path: Signature.of(path) for path in dict.fromkeys(paths)}
        hashes = self._recall(signatures)
        for path in hashes:
            tell(path, signatures[path].size)
        fresh: dict[Path, tuple[Signature, str]] = {}
        unwritten_bytes = 0
        for path, signature, sha256 in _hash_in_parallel(p for p in signatures if p not in hashes):
            hashes[path] = sha256
            fresh[path] = (signature, sha256)
            tell(path, signature.size)
            unwritten_bytes += signature.size
            if unwritten_bytes >= _REMEMBER_BYTES:
                self._remember(fresh)
                fresh, unwritten_bytes = {}, 0
        self._remember(fresh)
        return hashes

    def _recall(self, signatures: dict[Path, Signature]) -> dict[Path, str]:
        def look_up(database: sqlite3.Connection) -> dict[Path, str]:
            rows = {
                path: database.execute(_FIND, _key(path, signature)).fetchone()
                for path, signature in signatures.items()
            }
            return {path: str(row[0]) for path, row in rows.items() if row is not None}

        return self._use(look_up) or {}

    def _remember(self, hashes: dict[Path, tuple[Signature, str]]) -> None:
        settled_ns = time.time_ns() - _SETTLED_NS
        rows = [
            (*_key(path, signature), sha256)
            for path, (signature, sha256) in hashes.items()
            if signature.mtime_ns < settled_ns
        ]

        def write_down(database: sqlite3.Connection) -> None:
            with database:
                database.executemany(_KEEP, rows)

        if rows:
            self._use(write_down)

    def _use(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """Do something with the memory; None when there is none, or it can't be used."""
        if self._database is None:
            return None
        try:
            self._database.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._database, timeout=_LOCK_SECONDS)
            with contextlib.closing(connection) as database:
                database.execute(_TABLE)
                return action(database)
        except (sqlite3.OperationalError, OSError) as error:
            _log.debug("can't use %s: %s", self._database, error)
        except sqlite3.DatabaseError as error:
            _log.debug("%s is damaged and begun anew: %s", self._database, error)
            for suffix in ("-journal", ""):
                with contextlib.suppress(OSError):
                    self._database.with_name(_FILE_NAME + suffix).unlink(missing_ok=True)
        return None


def hash_file(path: Path) -> tuple[Signature, str]:
    """Return the SHA-256 of a file, and what it was taken of.

    Raises:
        SceneError: the file can't be read, or changed meanwhile.
    """
    with _readable(path), path.open("rb") as file:
        before = Signature.from_status(os.fstat(file.fileno()))
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        bytes_read = file.tell()
        after = Signature.from_status(os.fstat(file.fileno()))
    if before != after or bytes_read != after.size:
        raise changed(path)
    return after, sha256


def changed(path: Path) -> SceneError:
    """Return the error for a file that does not keep still."""
    return SceneError(
        f"{path} changed while it was read", hint="wait until it is written, then go on"
    )


def _hash_in_parallel(paths: Iterable[Path]) -> Iterator[tuple[Path, Signature, str]]:
    with ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="hash") as pool:
        futures = {pool.submit(hash_file, path): path for path in paths}
        try:
            for future in as_completed(futures):
                yield futures[future], *future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _key(path: Path, signature: Signature) -> tuple[bytes, int, int, int]:
    # SQLite's integers are signed; inodes of some file systems use all 64 bits.
    inode = signature.inode - (1 << 64) if signature.inode >= 1 << 63 else signature.inode
    return os.fsencode(path), signature.size, signature.mtime_ns, inode


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SceneError(f"can't read {path}: {error.strerror or error}") from error
