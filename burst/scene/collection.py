"""Collecting garbage: removing blobs that no scene version names any more.

Safe against uploads that are under way; `burst.scene.pending` says how. The mark is held for a
short time only, so that uploads need not wait for long: what takes time, reading the manifests
and listing the blobs, is done before, and long removals go in rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from burst.errors import StorageConflict, StorageError
from burst.scene.manifest import Manifest
from burst.scene.pending import MARK_SECONDS, PENDING_SECONDS, Pause, find_mark, time_of
from burst.storage import layout
from burst.storage.items import Stored
from burst.storage.storage import Storage

ROUND_SECONDS = 60.0
"""After this a round removes nothing more, and lets uploads that wait have their turn; far
from the age at which they would take its mark for a dead one's."""
REST_SECONDS = 3.0
"""Between two rounds: longer than an upload waits between two looks."""

_THREADS = 16
"""A bucket takes tens of milliseconds to delete an object."""
_AT_ONCE = 2 * _THREADS
"""Few, since each may be tried for a minute where the storage does not answer."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, or would do."""

    blobs: int
    """Removed, or to be removed."""
    bytes: int
    kept: int
    """Blobs that something names."""
    young: int
    """Blobs that nothing names, too young to be removed."""
    expired: int
    """Pledges of uploads that died long ago."""
    uploads: int
    """Uploads under way, or broken off less than a day ago: they hold what they sent."""


@dataclass(frozen=True, slots=True)
class CollectionProgress:
    """How far a collection is."""

    blobs_done: int
    blobs_total: int
    bytes_freed: int


Watcher = Callable[[CollectionProgress], None]


class Collection:
    """One collection in one storage."""

    def __init__(
        self,
        storage: Storage,
        older_than: float,
        on_progress: Watcher | None = None,
        pause: Pause = time.sleep,
    ) -> None:
        """Collect nothing yet.

        Args:
            storage: where.
            older_than: seconds since a blob was written for it to be removed.
            on_progress: told now and then of what was removed.
            pause: waits so many seconds.
        """
        self._storage = storage
        self._older_than = older_than
        self._watch = on_progress or (lambda _progress: None)
        self._pause = pause
        self._named = _Named(storage)
        self._kept = self._young = 0
        self._removed: list[Stored] = []
        self._freed = 0
        """Bytes of these."""

    def plan(self) -> Collected:
        """Find out what `run` would remove; removes nothing. Blocks.

        Raises:
            StorageError: the storage, or a manifest in it, can't be read.
        """
        now = time_of(self._storage)
        expired = self._expired(now)
        self._named.look(without={one.name for one in expired})
        return self._result(self._find_garbage(now), len(expired))

    def run(self) -> Collected:
        """Remove what nothing names. Blocks. Repeating it after it was killed is right.

        Raises:
            StorageConflict: another collection runs.
            StorageError: the storage, or a manifest in it, can't be read; then nothing more is
                removed.
        """
        now = time_of(self._storage)
        # By their very identity: one that is renewed meanwhile stays.
        expired = sum(self._storage.remove(one) for one in self._expired(now))
        self._named.look()
        garbage = self._find_garbage(now)
        total = len(garbage)
        while garbage:
            with _mark(self._storage) as mark:
                # Once more: what was pledged before there was a mark must be seen.
                self._named.look()
                garbage = [one for one in garbage if not self._named.has(one)]
                left = self._remove_some(garbage, mark, total)
            if left and len(left) == len(garbage):
                raise StorageError(
                    "the mark of this collection was taken away", hint="try again in a while"
                )
            garbage = left
            if garbage:
                self._pause(REST_SECONDS)
        self._storage.sweep()
        return self._result(self._removed, expired)

    def _result(self, blobs: list[Stored], expired: int) -> Collected:
        return Collected(
            blobs=len(blobs),
            bytes=sum(one.size for one in blobs),
            kept=self._kept,
            young=self._young,
            expired=expired,
            uploads=self._named.uploads,
        )

    def _expired(self, now: float) -> list[Stored]:
        pending = self._storage.scan(layout.PENDING)
        return [one for one in pending if now - one.changed > PENDING_SECONDS]

    def _find_garbage(self, now: float) -> list[Stored]:
        garbage = []
        for stored in self._storage.scan(layout.BLOBS):
            if self._named.has(stored):
                self._kept += 1
            elif now - stored.changed < self._older_than:
                self._young += 1
            else:
                garbage.append(stored)
        return garbage

    def _remove_some(self, garbage: list[Stored], mark: _Mark, total: int) -> list[Stored]:
        """Remove for as long as the mark is held, and return what is left."""

        def remove(one: Stored) -> bool | None:
            # Once more: the machine may have slept since the last look.
            return self._storage.remove(one) if mark.is_fresh() else None

        late: list[Stored] = []
        done = 0
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="collect") as pool:
            while done < len(garbage) and mark.is_held():
                some = garbage[done : done + _AT_ONCE]
                done += len(some)
                for one, is_gone in zip(some, pool.map(remove, some), strict=True):
                    if is_gone:
                        self._removed.append(one)
                        self._freed += one.size
                    elif is_gone is None:
                        late.append(one)
                left = len(garbage) - done + len(late)
                self._watch(CollectionProgress(total - left, total, self._freed))
        return late + garbage[done:]


class _Mark:
    """The mark of this collection, as long as it means something to others."""

    def __init__(self, storage: Storage, begun: tuple[float, float]) -> None:
        self._storage = storage
        self._begun = begun
        self._mine = find_mark(storage)

    def is_fresh(self) -> bool:
        """Say whether it is so young that nobody takes it for a dead one's."""
        begun, begun_by_clock = self._begun
        # While a machine sleeps one of them stands still; somebody may set the other.
        age = max(time.monotonic() - begun, abs(time.time() - begun_by_clock))
        return age < ROUND_SECONDS

    def is_held(self) -> bool:
        """Say whether it may still remove."""
        return (
            self.is_fresh()
            and self._mine is not None
            and self._storage.identity(layout.COLLECTION_MARK) == self._mine.identity
        )

    def take_away(self) -> None:
        """Let uploads go on."""
        if self._mine is not None:
            self._storage.remove(self._mine)


@contextmanager
def _mark(storage: Storage) -> Iterator[_Mark]:
    """Hold the mark while the block runs."""
    begun = time.monotonic(), time.time()
    if not storage.create(b"{}", layout.COLLECTION_MARK):
        _clear_dead_mark(storage)
        begun = time.monotonic(), time.time()
        if not storage.create(b"{}", layout.COLLECTION_MARK):
            raise _another_runs(storage)
    mark = _Mark(storage, begun)
    try:
        yield mark
    finally:
        mark.take_away()


def _clear_dead_mark(storage: Storage) -> None:
    """Remove the mark of a collection that was killed.

    Raises:
        StorageConflict: it is too young for that.
    """
    mark = find_mark(storage)
    if mark is not None:
        if time_of(storage) - mark.changed < MARK_SECONDS:
            raise _another_runs(storage)
        storage.remove(mark)


def _another_runs(storage: Storage) -> StorageConflict:
    return StorageConflict(
        f"another collection runs in {storage.url}",
        hint=f"wait for its end; if it was killed, {MARK_SECONDS / 60:.0f} minutes are enough",
    )


class _Named:
    """The content that manifests and uploads under way name."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._by_manifest: dict[str, frozenset[str]] = {}
        """What a manifest says never changes: each is read once."""
        self._hashes: set[str] = set()

    def look(self, without: Container[str] = ()) -> None:
        """Read what is there now, but for some.

        Raises:
            StorageError: one can't be read; nothing may be removed then.
        """
        found: dict[str, frozenset[str]] = {}
        # What is pending is read before the manifests are listed: an upload that ends in between
        # has written its manifest by then.
        for folder in (layout.PENDING, layout.SCENES):
            names = [name for name in self._storage.list(folder) if name not in without]
            found |= self._read_all(names)
        self._by_manifest = found
        self._hashes = set().union(*found.values())

    @property
    def uploads(self) -> int:
        """How many uploads were pending when it looked."""
        return sum(name.startswith(layout.PENDING) for name in self._by_manifest)

    def has(self, blob: Stored) -> bool:
        """Say whether something names a blob."""
        return blob.name.rpartition("/")[2] in self._hashes

    def _read_all(self, names: list[str]) -> dict[str, frozenset[str]]:
        known = {name: self._by_manifest[name] for name in names if name in self._by_manifest}
        fresh = [name for name in names if name not in known]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="manifest") as pool:
            read = zip(fresh, pool.map(self._read, fresh), strict=True)
            # One that is gone is not remembered as empty: it may come back.
            return known | {name: hashes for name, hashes in read if hashes is not None}

    def _read(self, name: str) -> frozenset[str] | None:
        try:
            content = self._storage.get_bytes(name)
        except StorageError:
            if self._storage.identity(name) is None:
                return None
            raise
        try:
            manifest = Manifest.from_bytes(content)
        except StorageError as error:
            raise StorageError(
                f"{name} can't be read, so nothing is removed: {error.message}",
                hint="update burst if another one wrote it; else remove that version",
            ) from error
        return frozenset(entry.sha256 for entry in manifest.files.values())
