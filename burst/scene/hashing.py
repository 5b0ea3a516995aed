"""SHA-256 and CRC-32C of a scene's files, in parallel, remembered from one upload to the next.

Both are taken in one pass over a file. They are remembered by path, size, time of change and
inode, in a small SQLite file that several processes may use at once and that a killed one
leaves whole. It is a memory only: when it can't be read or written, files are hashed again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from burst.scene.digest import Hashed, Signature, unreadable
from burst.scene.hash_crew import MOST_PROCESSES, read_files

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_FILE_NAME = "hashes.sqlite"
_LOCK_SECONDS = 10
_REMEMBER_BYTES = 1 << 30
"""After hashing this much the results are written down, so that a Ctrl-C loses little."""
_SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again without a new time: some file systems
keep times to two seconds. It is not remembered."""
_ASKED_AT_ONCE = 2000
"""Paths in one question to SQLite, which takes 32,766 at most."""

_TABLE = """
CREATE TABLE IF NOT EXISTS digests (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER,
    sha256 TEXT, crc32c INTEGER
) WITHOUT ROWID
"""
_FIND = "SELECT path, size, mtime_ns, inode, sha256, crc32c FROM digests WHERE path IN "
_FIND_BETWEEN = (
    "SELECT path, size, mtime_ns, inode, sha256, crc32c FROM digests "
    "WHERE path BETWEEN ? AND ? LIMIT ?"
)
_Row = tuple[bytes, int, int, int, str, int]
_INODES = 1 << 64

_KEEP = "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)"
_DROP_OLD = "DROP TABLE IF EXISTS hashes"
"""Up to 0.4 there was this one, without a CRC."""


OnLooked = Callable[[int, int], None]
"""Takes how many files there are, and their bytes."""

OnRead = Callable[[Path, int, bool], None]
"""Takes a file, the bytes of it that were read since the last time, and whether it is done."""


class Hasher:
    """Hashes files, and remembers."""

    def __init__(
        self, cache: Path | None, *, rehash: bool = False, processes: int = MOST_PROCESSES
    ) -> None:
        """Remember in the folder ``cache``; None is not at all.

        With ``rehash`` every file is read, and what was remembered of it is put right. Many files
        are read by so many ``processes``; with one, by threads of this.
        """
        self._database = None if cache is None else cache / _FILE_NAME
        self._rehash = rehash
        self._processes = processes

    def anew(self) -> Hasher:
        """Return one with the same memory, that reads every file."""
        cache = self._database and self._database.parent
        return Hasher(cache, rehash=True, processes=self._processes)

    def hash_all(
        self,
        paths: Iterable[Path],
        on_read: OnRead | None = None,
        on_looked: OnLooked | None = None,
        on_lacking: OnLooked | None = None,
    ) -> dict[Path, Hashed]:
        """Return the hashes of each file. Blocks.

        Args:
            paths: files; links are followed.
            on_read: told of files as they are read, large ones several times, in the caller's
                thread; of those that are remembered once.
            on_looked: told once, before anything is read, of all files and bytes.
            on_lacking: told then of those that are not remembered, if there are any.

        Raises:
            SceneError: a file can't be read, or does not stop changing.
        """
        tell = on_read or (lambda _path, _bytes, _whole: None)
        signatures = _look_at(paths)
        if on_looked is not None:
            on_looked(len(signatures), sum(its.size for its in signatures.values()))
        hashes = {} if self._rehash else self._recall(signatures)
        for path, hashed in hashes.items():
            tell(path, hashed.size, True)
        lacking = []
        if len(hashes) < len(signatures):
            lacking = [(its.size, path) for path, its in signatures.items() if path not in hashes]
            if on_lacking is not None:
                on_lacking(len(lacking), sum(size for size, _ in lacking))
        fresh: dict[Path, tuple[Signature, Hashed]] = {}
        unwritten_bytes = 0
        try:
            for news in read_files(lacking, self._processes):
                tell(news.path, news.bytes, news.result is not None)
                unwritten_bytes += news.bytes
                if news.result is None:
                    continue
                fresh[news.path] = news.result
                hashes[news.path] = news.result[1]
                if unwritten_bytes >= _REMEMBER_BYTES:
                    self._remember(fresh)
                    fresh, unwritten_bytes = {}, 0
        finally:
            self._remember(fresh)
        return hashes

    def _recall(self, signatures: dict[Path, Signature]) -> dict[Path, Hashed]:
        names = [os.fsencode(path) for path in signatures]
        rows = self._use(lambda database: _rows(database, names)) or {}
        found = {}
        for name, (path, its) in zip(names, signatures.items(), strict=True):
            row = rows.get(name)
            if row is not None and its == (row[1], row[2], row[3] % _INODES):
                found[path] = Hashed(row[4], row[5], row[1])
        return found

    def _remember(self, hashes: dict[Path, tuple[Signature, Hashed]]) -> None:
        settled_ns = time.time_ns() - _SETTLED_NS
        rows = [
            (*_key(path, signature), hashed.sha256, hashed.crc32c)
            for path, (signature, hashed) in hashes.items()
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
                database.execute(_DROP_OLD)
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


def _look_at(paths: Iterable[Path]) -> dict[Path, Signature]:
    """Look at each file; written out, as there may be ten thousands."""
    found = {}
    for path in dict.fromkeys(paths):
        try:
            its = os.stat(path)  # noqa: PTH116
        except OSError as error:
            raise unreadable(path, error) from error
        found[path] = Signature(its.st_size, its.st_mtime_ns, its.st_ino)
    return found


def _rows(database: sqlite3.Connection, names: Sequence[bytes]) -> dict[bytes, _Row]:
    """Return what is remembered of each name."""
    if not names:
        return {}
    # Files of one scene lie side by side, so that what lies between the first and the last is
    # hardly more than they are, and much quicker read than each by itself.
    most = 2 * len(names)
    between = database.execute(_FIND_BETWEEN, (min(names), max(names), most)).fetchall()
    if len(between) < most:
        return {row[0]: row for row in between}
    found: dict[bytes, _Row] = {}
    for begin in range(0, len(names), _ASKED_AT_ONCE):
        some = names[begin : begin + _ASKED_AT_ONCE]
        asked = f"{_FIND} ({','.join('?' * len(some))})"
        found |= {row[0]: row for row in database.execute(asked, some)}
    return found


def _key(path: Path, signature: Signature) -> tuple[bytes, int, int, int]:
    return os.fsencode(path), signature.size, signature.mtime_ns, _signed(signature.inode)


def _signed(inode: int) -> int:
    """Return an inode as SQLite takes it: some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode
