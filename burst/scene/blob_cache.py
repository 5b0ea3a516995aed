"""A cache of blobs on a worker's disk, shared by all workers of the machine.

::

    lock                who decides what comes and what goes
    blobs/<aa>/<sha256> whole and proven content; its times say what is known of it
    held/<random>       hashes that one process uses, locked for as long as it lives
    coming/<random>     hashes that one process fetches, locked likewise
    incoming/<random>/  what it has fetched of them so far

The time of change of a blob is a number that stands for the machine's present boot: whatever
is written to it later changes that, and after a power cut nothing has it. One without it is
hashed before it is used. The time of access is its last use, by which the oldest goes first.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import psutil

from burst.errors import StorageAway, StorageError, StorageFull, storage_error
from burst.scene.manifest import FileEntry
from burst.storage import layout
from burst.storage.files import in_parallel, sha256_of, try_lock
from burst.storage.items import Transferred, Wanted
from burst.storage.storage import Storage

log = logging.getLogger(__name__)

Wish = Callable[[], bool]
"""Says whether what is waited for is still wanted."""

STALE_SECONDS = 60.0
"""Another process that has fetched nothing for so long is not waited for any more."""

_WAIT_SECONDS = 0.05
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MODE = 0o444


class NotWanted(Exception):
    """Whoever asked does not want it any more."""


class CachedBlobs:
    """A `burst.scene.source.SceneSource` that fetches what it lacks. For one thread."""

    is_remote = False

    def __init__(self, folder: Path, limit_bytes: int, storage: Storage) -> None:
        """Keep blobs of ``storage`` below ``folder``, an absolute path.

        Args:
            folder: made if it is not there.
            limit_bytes: what they may take; 0 is half of the disk.
            storage: where they come from.

        Raises:
            StorageError: the folder can't be used.
        """
        self.blobs = folder / "blobs"
        self._folder = folder
        self._storage = storage
        self._held, self._coming = folder / "held", folder / "coming"
        self._incoming = folder / "incoming"
        self._mine: BinaryIO | None = None
        """The list of what this one holds."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                self._make_folders()
                # What processes that were killed have left.
                for _ in _living(self._held):
                    pass
            self._limit_bytes = limit_bytes or shutil.disk_usage(folder).total // 2
        except OSError as error:
            raise storage_error(error, f"can't keep scenes in {folder}") from error
        self._stamp = _boot_stamp()

    def path(self, sha256: str) -> Path:
        """Return where a blob lies when it is there."""
        return self.blobs / sha256[:2] / sha256

    def hold(self, files: Mapping[str, FileEntry], wanted: Wish) -> None:
        """Fetch what lacks, each blob by one process only, and keep all until the next call."""
        sizes = {entry.sha256: entry.size for entry in files.values()}
        with _cache_errors(self._folder):
            self._pin(sizes)
            self._prove(sizes)
            while self._fetch_some(sizes, wanted):
                if not wanted():
                    raise NotWanted
            now = time.time_ns()
            for sha256 in sizes:
                os.utime(self.path(sha256), ns=(now, self._stamp))

    def bring(self, copies: Iterable[Wanted]) -> bool:
        """Leave it to the caller: to read from here is quick."""
        return False

    def recheck(self, files: Mapping[str, FileEntry]) -> None:
        """Hash everything; what is wrong is fetched anew by the next `hold`."""
        with _cache_errors(self._folder):
            sizes = {entry.sha256: entry.size for entry in files.values()}
            bad = self._wrong(sizes)
            for sha256 in bad:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self.path(sha256), ns=(0, 0))
        named = [place for place, entry in files.items() if entry.sha256 in bad]
        if named:
            more = f" and {len(named) - 1} more" if len(named) > 1 else ""
            raise StorageAway(
                f"{named[0]}{more} was damaged on this worker's disk",
                hint="it is fetched again; if that repeats, look at the disk",
            )

    def is_in_place(self) -> bool:
        """Say whether nobody has cleared the cache away."""
        mine = self._mine
        return self.blobs.is_dir() and bool(mine and os.fstat(mine.fileno()).st_nlink)

    def close(self) -> None:
        """Hold nothing any longer."""
        if self._mine:
            with self._mine as mine:
                Path(mine.name).unlink(missing_ok=True)
            self._mine = None

    def _make_folders(self) -> None:
        for place in (self.blobs, self._held, self._coming, self._incoming):
            place.mkdir(exist_ok=True)

    def _pin(self, sizes: Mapping[str, int]) -> None:
        """Write down what is used from now on, before it is looked at."""
        with self._locked():
            self._make_folders()
            mine = _write_list(self._held, sizes)
        self.close()
        self._mine = mine

    def _prove(self, sizes: Mapping[str, int]) -> None:
        """Hash what nobody vouches for, and vouch for what is right."""
        doubtful = {
            sha256: size
            for sha256, size in sizes.items()
            if (status := self._status(sha256)) and status.st_mtime_ns != self._stamp
        }
        bad = self._wrong(doubtful)
        for sha256 in doubtful.keys() - bad:
            os.utime(self.path(sha256), ns=(time.time_ns(), self._stamp))
        if bad:
            log.warning("%d files in the cache of scenes are damaged: fetching them", len(bad))

    def _wrong(self, sizes: Mapping[str, int]) -> set[str]:
        """Return those blobs whose content is not what their name says, or that are gone."""

        def is_right(sha256: str) -> bool:
            try:
                return sha256_of(self.path(sha256)) == sha256
            except OSError:
                return False

        return {sha256 for sha256, right in in_parallel(is_right, sizes) if not right}

    def _fetch_some(self, sizes: Mapping[str, int], wanted: Wish) -> bool:
        """Fetch, or wait for, some of what lacks; say whether there is more to be done."""
        with self._locked():
            lacking = {sha: size for sha, size in sizes.items() if not self._is_whole(sha, size)}
            if not lacking:
                return False
            others = self._coming_to_others()
            own = {sha: size for sha, size in lacking.items() if sha not in others}
            if own:
                self._make_room(own, others, sizes)
                claim = _write_list(self._coming, own)
        if not own:
            time.sleep(_WAIT_SECONDS)
            return True
        with claim:
            self._fetch(own, Path(claim.name), wanted)
        return True

    def _fetch(self, own: Mapping[str, int], claim: Path, wanted: Wish) -> None:
        folder = self._incoming / claim.name
        folder.mkdir()

        def arrived(news: Transferred) -> None:
            if not wanted():
                raise NotWanted
            os.utime(claim)
            if news.whole:
                self._keep(folder / news.name.rpartition("/")[2])

        # The largest first: none of them is what all others wait for in the end.
        order = sorted(own.items(), key=lambda item: -item[1])
        try:
            self._storage.fetch_all(
                (Wanted(layout.blob(sha), folder / sha, size, sha) for sha, size in order), arrived
            )
        finally:
            claim.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)

    def _keep(self, arrived: Path) -> None:
        """Give a whole blob its name; an older one of it was damaged."""
        final = self.path(arrived.name)
        final.parent.mkdir(exist_ok=True)
        arrived.chmod(_MODE)
        os.utime(arrived, ns=(time.time_ns(), self._stamp))
        arrived.replace(final)

    def _make_room(
        self, own: Mapping[str, int], others: Mapping[str, int], scene: Mapping[str, int]
    ) -> None:
        """Remove what was not used for longest, until ``own`` fits; the cache is locked."""
        if sum(scene.values()) > self._limit_bytes:
            raise StorageError(
                f"the scene is {_gib(sum(scene.values()))}, and the cache for scenes may take "
                f"{_gib(self._limit_bytes)}",
                hint="raise BURST_SCENES_CACHE_BYTES, or mount the storage: BURST_SCENES=mount:/…",
            )
        present = dict(self._present())
        more = sum(own.values())
        more += sum(size for sha256, size in others.items() if sha256 not in present)
        taken = sum(status.st_size for status in present.values())
        free = shutil.disk_usage(self._folder).free
        pinned = {sha256 for _, sizes in _living(self._held) for sha256 in sizes}
        idle = sorted(
            (status.st_atime_ns, sha256, status.st_size)
            for sha256, status in present.items()
            if sha256 not in pinned
        )
        for _, sha256, size in idle:
            if taken + more <= self._limit_bytes and more <= free:
                return
            self.path(sha256).unlink(missing_ok=True)
            taken, free = taken - size, free + size
        if more > shutil.disk_usage(self._folder).free:
            raise StorageFull(
                f"no space left on the disk of {self._folder}: the scene needs {_gib(more)}",
                hint="free some space, then go on",
            )
        if taken + more > self._limit_bytes:
            raise StorageFull(
                f"no space left in {self._folder}: other workers use {_gib(taken)} of the "
                f"{_gib(self._limit_bytes)} that it may take",
                hint="raise BURST_SCENES_CACHE_BYTES",
            )

    def _present(self) -> Iterator[tuple[str, os.stat_result]]:
        for parent in self.blobs.iterdir():
            with os.scandir(parent) as entries:
                yield from ((entry.name, entry.stat()) for entry in entries)

    def _coming_to_others(self) -> dict[str, int]:
        """Return what other processes fetch just now, and clear what the dead have left."""
        coming: dict[str, int] = {}
        living = set()
        for path, sizes in _living(self._coming):
            living.add(path.name)
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime < STALE_SECONDS:
                    coming |= sizes
        for folder in self._incoming.iterdir():
            if folder.name not in living:
                shutil.rmtree(folder, ignore_errors=True)
        return coming

    def _is_whole(self, sha256: str, size: int) -> bool:
        status = self._status(sha256)
        return bool(status and status.st_size == size and status.st_mtime_ns == self._stamp)

    def _status(self, sha256: str) -> os.stat_result | None:
        try:
            return self.path(sha256).stat()
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write_list(folder: Path, sizes: Mapping[str, int]) -> BinaryIO:
    """Make a list that is known to be of a living process until it is closed."""
    path = folder / secrets.token_hex(8)
    file = path.open("xb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("".join(f"{sha256} {size}\n" for sha256, size in sizes.items()).encode())
        file.flush()
    except BaseException:
        file.close()
        path.unlink(missing_ok=True)
        raise
    return file


def _living(folder: Path) -> Iterator[tuple[Path, dict[str, int]]]:
    """Yield the lists of living processes, and delete those of dead ones."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            if try_lock(file):
                path.unlink()
                continue
            lines = (line.split() for line in file.read().decode().splitlines())
            yield path, {sha256: int(size) for sha256, size in lines}


def _boot_stamp() -> int:
    """Return nanoseconds that stand for the machine's present boot, long before any of today."""
    try:
        boot = _BOOT.read_bytes()
    except OSError:
        boot = str(int(psutil.boot_time())).encode()
    number = int.from_bytes(hashlib.sha256(boot).digest()[:4], "big")
    # Even seconds: there are file systems that know no others.
    return (1_000_000_000 + number % 250_000_000 * 2) * 1_000_000_000


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


@contextlib.contextmanager
def _cache_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, f"can't keep the scene in {folder}") from error
