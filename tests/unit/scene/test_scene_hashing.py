"""Hashes of files, remembered. Two processes and a killed one: the integration tests."""

import hashlib
import os
import sqlite3
import threading
import time

import pytest

from burst.errors import SceneError
from burst.scene import digest, hash_crew, hashing, readers
from burst.scene.digest import Hashed, Signature, hash_file
from burst.scene.hashing import Hasher
from burst.storage.checksum import crc32c

LONG_AGO = 1_600_000_000


def hashed(content):
    return Hashed(hashlib.sha256(content).hexdigest(), crc32c(content), len(content))


@pytest.fixture
def write(tmp_path):
    def write(name, content, at=LONG_AGO):
        path = tmp_path / name
        path.write_bytes(content)
        os.utime(path, (at, at))
        return path

    return write


@pytest.fixture
def reads(monkeypatch):
    """Every file that is really read."""
    seen = []

    def counted(path, read):
        seen.append(path)
        return hash_file(path, read)

    monkeypatch.setattr(hash_crew, "hash_file", counted)
    return seen


def test_every_file_has_its_hash(write):
    files = {write(f"f {n} ü", bytes([n]) * n): bytes([n]) * n for n in range(30)}
    assert Hasher(None).hash_all(files) == {path: hashed(files[path]) for path in files}


def test_a_file_that_did_not_change_is_not_read_again(tmp_path, write, reads):
    paths = [write("a", b"1"), write("b", b"2")]
    first = Hasher(tmp_path / "cache").hash_all(paths)
    assert Hasher(tmp_path / "cache").hash_all(paths) == first
    assert sorted(reads) == paths


@pytest.mark.parametrize("change", ["content", "time", "another file"])
def test_a_file_that_changed_is_read_again(tmp_path, write, reads, change):
    path = write("a", b"old")
    hasher = Hasher(tmp_path / "cache")
    hasher.hash_all([path])
    if change == "content":
        write("a", b"new content")
    elif change == "time":
        write("a", b"new", at=LONG_AGO + 1)
    else:
        write("b", b"new").replace(path)
    assert hasher.hash_all([path]) == {path: hashed(path.read_bytes())}
    assert reads == [path, path]


def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path, reads):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    hasher = Hasher(tmp_path / "cache")
    hasher.hash_all([path])
    hasher.hash_all([path])
    assert reads == [path, path]


def test_without_a_cache_nothing_is_remembered(write, reads):
    path = write("a", b"1")
    hasher = Hasher(None)
    hasher.hash_all([path])
    hasher.hash_all([path])
    assert reads == [path, path]


def test_a_damaged_memory_is_begun_anew(tmp_path, write, reads):
    path = write("a", b"1")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "hashes.sqlite").write_bytes(b"this is no database" * 99)
    for _ in range(3):
        assert Hasher(cache).hash_all([path]) == {path: hashed(b"1")}
    assert len(reads) <= 2


def test_a_memory_that_another_process_holds_locked_is_done_without(tmp_path, write, monkeypatch):
    monkeypatch.setattr(hashing, "_LOCK_SECONDS", 0)
    path = write("a", b"1")
    Hasher(tmp_path).hash_all([path])
    with sqlite3.connect(tmp_path / "hashes.sqlite") as held:
        held.execute("BEGIN EXCLUSIVE")
        assert Hasher(tmp_path).hash_all([path]) == {path: hashed(b"1")}
    held.close()


def test_a_cache_that_cannot_be_a_folder_is_done_without(write):
    path = write("a", b"1")
    assert Hasher(path / "below a file").hash_all([path]) == {path: hashed(b"1")}


def test_rehash_reads_every_file_and_puts_the_memory_right(tmp_path, write, reads):
    path = write("a", b"old")
    cache = tmp_path / "cache"
    Hasher(cache).hash_all([path])
    path.write_bytes(b"new")
    inode_and_times_as_before = (LONG_AGO, LONG_AGO)
    os.utime(path, inode_and_times_as_before)
    assert Hasher(cache).hash_all([path]) == {path: hashed(b"old")}
    assert Hasher(cache, rehash=True).hash_all([path]) == {path: hashed(b"new")}
    assert Hasher(cache).hash_all([path]) == {path: hashed(b"new")}
    assert reads == [path, path]


def test_a_memory_of_an_older_burst_is_begun_anew(tmp_path, write, reads):
    path = write("a", b"1")
    with sqlite3.connect(tmp_path / "hashes.sqlite") as old:
        old.execute("CREATE TABLE hashes (path BLOB PRIMARY KEY, sha256 TEXT)")
    old.close()
    for _ in range(2):
        assert Hasher(tmp_path).hash_all([path]) == {path: hashed(b"1")}
    assert reads == [path]
    with sqlite3.connect(tmp_path / "hashes.sqlite") as new:
        assert new.execute("SELECT name FROM sqlite_master").fetchall() == [("digests",)]
    new.close()


def test_many_files_are_recalled_and_an_inode_of_64_bits_too(tmp_path, monkeypatch):
    monkeypatch.setattr(hashing, "_ASKED_AT_ONCE", 100)
    paths = [tmp_path / f"{number}" for number in range(1007)]
    known = {
        path: (
            Signature(number, LONG_AGO, (1 << 64) - 1 - number),
            Hashed("a" * 64, number, number),
        )
        for number, path in enumerate(paths)
    }
    monkeypatch.setattr(hashing, "_look_at", lambda paths: {path: known[path][0] for path in paths})
    Hasher(tmp_path)._remember(known)
    for some in (paths, paths[::3]):
        assert Hasher(tmp_path).hash_all(some) == {path: known[path][1] for path in some}


def test_the_caller_hears_of_every_file(tmp_path, write):
    paths = [write("a", b"1"), write("b", b"22")]
    hasher = Hasher(tmp_path / "cache")
    hasher.hash_all(paths[:1])
    heard = []
    hasher.hash_all(paths, lambda *news: heard.append(news))
    assert sorted(heard) == [(paths[0], 1, True), (paths[1], 2, True)]


def test_a_large_file_is_told_of_while_it_is_read(write, monkeypatch):
    monkeypatch.setattr(digest, "_READ_BYTES", 1000)
    monkeypatch.setattr(readers, "_TELL_BYTES", 2000)
    monkeypatch.setattr(readers, "LARGE_BYTES", 3000)
    path = write("a", b"x" * 5500)
    heard = []
    hashes = Hasher(None).hash_all([path], lambda _path, count, whole: heard.append((count, whole)))
    assert hashes == {path: hashed(b"x" * 5500)}
    assert heard == [(2000, False), (2000, False), (1500, True)]


def test_on_a_slow_disk_small_files_are_read_by_several_threads(write):
    paths = [write(f"{number}", b"1") for number in range(6)]
    both = threading.Barrier(2, timeout=30)

    def meet(_path, _read):
        # Alone no thread gets past this; so one more must have joined.
        both.wait()
        return "met"

    def slow(path, read):
        if path in paths[:2]:
            time.sleep(0.05)
            return "slow"
        return meet(path, read)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "_LOOK_FILES", 1)
        patch.setattr(readers, "_LOOKS", 2)
        patch.setattr(readers, "_MORE_THREADS", 1)
        news = list(readers.read_in_threads(slow, [(1, path) for path in paths], 1))
    assert {one.path for one in news} == set(paths)


def test_after_an_error_nothing_more_is_read(write):
    paths = [write(f"{number}", b"1") for number in range(50)]
    paths[3].unlink()
    with pytest.raises(SceneError, match="can't read"):
        list(readers.read_in_threads(hash_file, [(1, path) for path in paths], 1))


def test_a_lacking_file_is_refused_by_name(tmp_path):
    with pytest.raises(SceneError, match=r"can't read .*gone"):
        Hasher(None).hash_all([tmp_path / "gone"])


class Busy:
    """Bytes that go on being written while they are read, some times."""

    def __init__(self, path, times):
        self.path, self.times, self.told = path, times, []

    def __call__(self, count):
        self.told.append(count)
        if count > 0 and self.times:
            self.times -= 1
            with self.path.open("ab") as writer:
                writer.write(b"more")


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(digest, "_PAUSE_SECONDS", 0)


def test_a_file_that_is_being_saved_is_read_again(write, no_pause):
    path = write("a", b"x" * 1000)
    busy = Busy(path, times=1)
    signature, taken = hash_file(path, busy)
    assert taken == hashed(b"x" * 1000 + b"more")
    assert signature == Signature.of(path)
    assert sum(busy.told) == 1004


def test_a_file_that_changes_whenever_it_is_read_is_refused(write, no_pause):
    path = write("a", b"x" * 1000)
    with pytest.raises(SceneError, match="changed while it was read"):
        hash_file(path, Busy(path, times=99))


def test_no_error_of_a_reader_is_taken_for_the_end(write):
    def wrong(_path, _read):
        raise IndexError("a bug")

    caught = []

    def read():
        try:
            list(readers.read_in_threads(wrong, [(1, write("a", b"x"))], 1))
        except IndexError as error:
            caught.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert caught
