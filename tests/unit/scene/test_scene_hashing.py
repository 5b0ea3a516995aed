"""Hashes of files, remembered. Two processes and a killed one: the integration tests."""

import hashlib
import os
import sqlite3

import pytest

from burst.errors import SceneError
from burst.scene import hashing
from burst.scene.hashing import Hasher, hash_file

LONG_AGO = 1_600_000_000


def sha256(content):
    return hashlib.sha256(content).hexdigest()


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

    def counted(path):
        seen.append(path)
        return hash_file(path)

    monkeypatch.setattr(hashing, "hash_file", counted)
    return seen


def test_every_file_has_its_hash(write):
    files = {write(f"f {n} ü", bytes([n]) * n): bytes([n]) * n for n in range(30)}
    assert Hasher(None).hash_all(files) == {path: sha256(files[path]) for path in files}


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
    assert hasher.hash_all([path]) == {path: sha256(path.read_bytes())}
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
        assert Hasher(cache).hash_all([path]) == {path: sha256(b"1")}
    assert len(reads) <= 2


def test_a_memory_that_another_process_holds_locked_is_done_without(tmp_path, write, monkeypatch):
    monkeypatch.setattr(hashing, "_LOCK_SECONDS", 0)
    path = write("a", b"1")
    Hasher(tmp_path).hash_all([path])
    with sqlite3.connect(tmp_path / "hashes.sqlite") as held:
        held.execute("BEGIN EXCLUSIVE")
        assert Hasher(tmp_path).hash_all([path]) == {path: sha256(b"1")}
    held.close()


def test_a_cache_that_cannot_be_a_folder_is_done_without(write):
    path = write("a", b"1")
    assert Hasher(path / "below a file").hash_all([path]) == {path: sha256(b"1")}


def test_the_caller_hears_of_every_file(tmp_path, write):
    paths = [write("a", b"1"), write("b", b"22")]
    hasher = Hasher(tmp_path / "cache")
    hasher.hash_all(paths[:1])
    heard = []
    hasher.hash_all(paths, lambda path, size: heard.append((path, size)))
    assert sorted(heard) == [(paths[0], 1), (paths[1], 2)]


def test_a_lacking_file_is_refused_by_name(tmp_path):
    with pytest.raises(SceneError, match=r"can't read .*gone"):
        Hasher(None).hash_all([tmp_path / "gone"])


def test_a_file_that_changes_while_it_is_read_is_refused(write, monkeypatch):
    path = write("a", b"x" * 1000)
    digest = hashlib.file_digest

    def digest_while_written(file, kind):
        with path.open("ab") as writer:
            writer.write(b"more")
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", digest_while_written)
    with pytest.raises(SceneError, match="changed while it was read"):
        hash_file(path)
