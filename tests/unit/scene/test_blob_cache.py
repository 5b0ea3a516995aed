"""The cache of blobs that a node's workers share. Over a bucket: the integration tests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.errors import BlobMissing, StorageAway, StorageError, StorageFull
from burst.scene import blob_cache as module
from burst.scene.blob_cache import CachedBlobs, NotWanted
from burst.scene.manifest import FileEntry
from burst.storage import layout
from burst.storage.directory import DirectoryStorage

KEEP = """
import sys, time
from pathlib import Path
from burst.scene.blob_cache import CachedBlobs
from burst.scene.manifest import FileEntry
from burst.storage.directory import DirectoryStorage
cache, storage, sha256, size = sys.argv[1:]
held = CachedBlobs(Path(cache), 0, DirectoryStorage(Path(storage)))
held.hold({"a": FileEntry(sha256, int(size))}, lambda: True)
print("held", flush=True)
time.sleep(600)
"""


Open = Callable[..., CachedBlobs]


def wanted() -> bool:
    return True


class Counting(DirectoryStorage):
    """A storage that says what it was asked for, and can be made to wait or to fail."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.trouble: list[Exception] = []

    def fetch_all(self, wanted: Any, tell: Any = lambda news: None) -> None:
        wanted = list(wanted)
        self.asked += [one.sha256 for one in wanted]
        if self.trouble:
            raise self.trouble.pop(0)
        assert self.gate.wait(20)
        super().fetch_all(wanted, tell)


@pytest.fixture
def storage(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "storage")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def opened(folder: Path, storage: Counting) -> Iterator[Open]:
    """Opens caches, each as another process would."""
    with contextlib.ExitStack() as caches:

        def open_one(limit_bytes: int = 0) -> CachedBlobs:
            cache = CachedBlobs(folder, limit_bytes, storage)
            caches.callback(cache.close)
            return cache

        yield open_one


def stored(storage: DirectoryStorage, *contents: bytes) -> dict[str, FileEntry]:
    """Put contents into the storage, and return them as files of a scene."""
    files = {}
    for number, content in enumerate(contents):
        sha256 = hashlib.sha256(content).hexdigest()
        storage.put_bytes(content, layout.blob(sha256))
        files[f"{number}.png"] = FileEntry(sha256, len(content))
    return files


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs").glob("*/*")}


def shas(files: dict[str, FileEntry]) -> set[str]:
    return {entry.sha256 for entry in files.values()}


def test_what_lacks_is_fetched_once_and_stands_proven_and_read_only(
    folder: Path, storage: Counting, opened: Open
) -> None:
    files = stored(storage, b"a", b"bb", b"")
    files["again.png"] = files["0.png"]
    cache = opened()
    cache.hold(files, wanted)
    cache.hold(files, wanted)
    assert sorted(storage.asked) == sorted(shas(files))
    path = cache.path(files["1.png"].sha256)
    assert path.read_bytes() == b"bb"
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.is_relative_to(cache.blobs)
    assert [*(folder / "incoming").iterdir()] == [*(folder / "coming").iterdir()] == []


def test_the_cache_is_closed_to_other_users(folder: Path, storage: Counting, opened: Open) -> None:
    opened()
    assert folder.stat().st_mode & 0o077 == 0


def test_what_was_not_used_for_longest_goes_first(
    folder: Path, storage: Counting, opened: Open
) -> None:
    a, b, c = (stored(storage, letter * 10) for letter in (b"a", b"b", b"c"))
    cache = opened(20)
    for files in (a, b, a, c):
        cache.hold(files, wanted)
    assert names(folder) == shas(a) | shas(c)


def test_what_a_living_process_uses_stays_and_what_a_dead_one_used_goes(
    folder: Path, storage: Counting, opened: Open
) -> None:
    theirs, ours = stored(storage, b"t" * 10), stored(storage, b"o" * 10)
    (entry,) = theirs.values()
    words = [str(folder), str(storage.root), entry.sha256, str(entry.size)]
    other = subprocess.Popen([sys.executable, "-c", KEEP, *words], stdout=subprocess.PIPE)
    try:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        cache = opened(15)
        with pytest.raises(StorageFull, match="other workers use"):
            cache.hold(ours, wanted)
        assert names(folder) == shas(theirs)
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate(timeout=10)
    cache.hold(ours, wanted)
    assert names(folder) == shas(ours)


def test_a_scene_that_can_never_fit_is_refused_with_the_setting(
    folder: Path, storage: Counting, opened: Open
) -> None:
    cache = opened(5)
    with pytest.raises(StorageError, match=r"the scene is .* may take") as caught:
        cache.hold(stored(storage, b"123", b"456"), wanted)
    assert not isinstance(caught.value, StorageFull)
    assert "BURST_SCENES_CACHE_BYTES" in str(caught.value.hint)
    assert storage.asked == []


def test_two_that_want_the_same_fetch_it_once(
    folder: Path, storage: Counting, opened: Open
) -> None:
    files = stored(storage, b"a", b"b", b"c")
    storage.gate.clear()
    caches = [opened() for _ in range(2)]
    threads = [threading.Thread(target=cache.hold, args=(files, wanted)) for cache in caches]
    for thread in threads:
        thread.start()
    while not storage.asked:
        time.sleep(0.01)
    storage.gate.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert sorted(storage.asked) == sorted(shas(files))


def test_what_another_did_not_bring_is_fetched_by_whoever_waited(
    folder: Path, storage: Counting, opened: Open
) -> None:
    files = stored(storage, b"a")
    storage.gate.clear()
    storage.trouble = []
    first, second = opened(), opened()
    is_over = threading.Event()

    def begin() -> None:
        with contextlib.suppress(NotWanted):
            first.hold(files, lambda: not is_over.is_set())

    canceled = threading.Thread(target=begin)
    canceled.start()
    while not storage.asked:
        time.sleep(0.01)
    waiting = threading.Thread(target=second.hold, args=(files, wanted))
    waiting.start()
    is_over.set()
    storage.gate.set()
    canceled.join(20)
    waiting.join(20)
    assert not waiting.is_alive()
    assert names(folder) == shas(files)


def test_another_that_stands_still_is_not_waited_for(
    folder: Path, storage: Counting, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = stored(storage, b"a")
    (entry,) = files.values()
    cache = opened()
    with module._write_list(folder / "coming", {entry.sha256: entry.size}) as claim:
        os.utime(claim.name, (1, 1))
        cache.hold(files, wanted)
    assert names(folder) == shas(files)


def test_what_a_killed_process_had_begun_is_cleared(
    folder: Path, storage: Counting, opened: Open
) -> None:
    cache = opened()
    (folder / "coming" / "dead").write_text("ab 1\n")
    (folder / "incoming" / "dead").mkdir()
    (folder / "incoming" / "dead" / "half").write_bytes(b"h")
    cache.hold(stored(storage, b"a"), wanted)
    assert [*(folder / "incoming").iterdir()] == [*(folder / "coming").iterdir()] == []


@pytest.mark.parametrize("wrong", [b"x", b"", b"longer"])
def test_a_file_that_was_written_to_is_found_and_fetched_again(
    folder: Path, storage: Counting, opened: Open, wrong: bytes
) -> None:
    files = stored(storage, b"a", b"b")
    cache = opened()
    cache.hold(files, wanted)
    path = cache.path(files["0.png"].sha256)
    path.chmod(0o644)
    path.write_bytes(wrong)
    storage.asked.clear()
    cache.hold(files, wanted)
    assert path.read_bytes() == b"a"
    assert storage.asked == [files["0.png"].sha256]


def test_after_a_power_cut_everything_is_hashed_before_it_is_used(
    folder: Path, storage: Counting, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = stored(storage, b"a", b"b")
    cache = opened()
    cache.hold(files, wanted)
    path = cache.path(files["0.png"].sha256)
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"\0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    monkeypatch.setattr(module, "_boot_stamp", lambda: 1_234_567_890 * 10**9)
    storage.asked.clear()
    opened().hold(files, wanted)
    assert path.read_bytes() == b"a"
    assert storage.asked == [files["0.png"].sha256]


def test_damage_that_nothing_shows_is_found_when_something_seemed_wrong(
    folder: Path, storage: Counting, opened: Open
) -> None:
    files = stored(storage, b"a", b"b")
    cache = opened()
    cache.hold(files, wanted)
    cache.recheck(files)
    path = cache.path(files["1.png"].sha256)
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StorageAway, match=r"^1\.png was damaged on this worker's disk"):
        cache.recheck(files)
    cache.hold(files, wanted)
    assert path.read_bytes() == b"b"
    cache.recheck(files)


def test_a_cache_that_was_cleared_away_is_noticed_and_filled_again(
    folder: Path, storage: Counting, opened: Open
) -> None:
    files = stored(storage, b"a")
    cache = opened()
    cache.hold(files, wanted)
    assert cache.is_in_place()
    shutil.rmtree(folder)
    assert not cache.is_in_place()
    with pytest.raises(StorageAway):
        cache.recheck(files)
    cache.hold(files, wanted)
    assert cache.is_in_place()
    assert names(folder) == shas(files)


def test_a_full_disk_makes_room_and_fails_by_name_if_there_is_none(
    folder: Path, storage: Counting, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = stored(storage, b"o" * 10), stored(storage, b"n" * 10)
    cache = opened()
    cache.hold(old, wanted)

    def usage(path: Any) -> Any:
        taken = sum(one.stat().st_size for one in folder.glob("blobs/*/*"))
        return shutil._ntuple_diskusage(12, taken, 12 - taken)  # type: ignore[attr-defined]

    monkeypatch.setattr(shutil, "disk_usage", usage)
    cache.hold(new, wanted)
    assert names(folder) == shas(new)
    with pytest.raises(StorageFull, match=r"no space left on the disk of .*: the scene needs"):
        cache.hold(stored(storage, b"x" * 13), wanted)


def test_a_disk_that_fills_up_meanwhile_is_full_by_name(
    folder: Path, storage: Counting, opened: Open
) -> None:
    storage.trouble = [OSError(errno.ENOSPC, "No space left on device")]
    with pytest.raises(StorageFull):
        opened().hold(stored(storage, b"a"), wanted)
    assert [*(folder / "incoming").iterdir()] == []


def test_who_is_not_wanted_any_more_stops(folder: Path, storage: Counting, opened: Open) -> None:
    answers = iter([True, False])
    with pytest.raises(NotWanted):
        opened().hold(stored(storage, b"a", b"b", b"c"), lambda: next(answers, False))
    assert [*(folder / "coming").iterdir()] == []


def test_a_blob_that_nobody_has_is_said_so(folder: Path, storage: Counting, opened: Open) -> None:
    files = {"a.png": FileEntry("ab" * 32, 1)}
    with pytest.raises(BlobMissing):
        opened().hold(files, wanted)


def test_what_killed_processes_held_is_forgotten_by_the_next(
    folder: Path, storage: Counting, opened: Open
) -> None:
    mine = opened()
    mine.hold(stored(storage, b"a"), wanted)
    (folder / "held" / "dead").write_text("ab 1\n")
    opened()
    assert "dead" not in [path.name for path in (folder / "held").iterdir()]
    assert mine.is_in_place()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, storage: Counting) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can't keep scenes in"):
        CachedBlobs(tmp_path / "file" / "cache", 0, storage)


def test_the_lists_of_the_living_are_read_and_those_of_the_dead_deleted(tmp_path: Path) -> None:
    with module._write_list(tmp_path, {"ab": 3}) as mine:
        (tmp_path / "dead").write_text("cd 4\n")
        found: Iterator[Any] = module._living(tmp_path)
        assert list(found) == [(Path(mine.name), {"ab": 3})]
        assert [str(path) for path in tmp_path.iterdir()] == [mine.name]
