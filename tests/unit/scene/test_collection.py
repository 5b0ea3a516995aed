"""What a collection removes and leaves, and the marks and pledges that it finds.

Uploads under way at the same time: test_collection_races.py.
"""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from burst.errors import StorageConflict, StorageError
from burst.scene import collection
from burst.scene.collection import Collection, CollectionProgress
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.pending import MARK_SECONDS, PENDING_SECONDS
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.files import sha256_of
from burst.storage.items import LocalBlob, Stored

DAY = 24 * 3600.0


def put(storage: DirectoryStorage, content: bytes, age: float = 0) -> LocalBlob:
    """Put a blob there, as old as that."""
    source = storage.root.parent / "source"
    source.write_bytes(content)
    blob = LocalBlob(source, sha256_of(source), len(content), 0)
    assert storage.put_blobs([blob]) == []
    if age:
        make_older(storage, layout.blob(blob.sha256), age)
    return blob


def make_older(storage: DirectoryStorage, name: str, age: float) -> None:
    at = time.time() - age
    os.utime(storage.root / name, (at, at))


def manifest_of(*blobs: LocalBlob) -> Manifest:
    files = {f"{n}.png": FileEntry(blob.sha256, blob.size) for n, blob in enumerate(blobs)}
    return Manifest(name="shot", main="0.png", files=files)


def are_there(storage: DirectoryStorage, *blobs: LocalBlob) -> list[bool]:
    return [not storage.missing([layout.blob(blob.sha256)]) for blob in blobs]


def test_what_versions_and_uploads_name_stays(storage: DirectoryStorage) -> None:
    named, pledged, garbage = (put(storage, content) for content in (b"named", b"pledged", b"old"))
    storage.put_bytes(manifest_of(named).to_bytes(), layout.manifest("shot", "1"))
    storage.put_bytes(manifest_of(pledged).to_bytes(), layout.pending("shot", "2", "a"))
    done = Collection(storage, 0).run()
    assert (done.blobs, done.bytes, done.kept, done.uploads) == (1, len(b"old"), 2, 1)
    assert are_there(storage, named, pledged, garbage) == [True, True, False]
    assert storage.identity(layout.COLLECTION_MARK) is None


def test_what_is_young_stays(storage: DirectoryStorage) -> None:
    young, old = put(storage, b"young", DAY / 2), put(storage, b"old", 2 * DAY)
    done = Collection(storage, DAY).run()
    assert (done.blobs, done.young) == (1, 1)
    assert are_there(storage, young, old) == [True, False]


def test_a_plan_removes_nothing_and_says_the_same(storage: DirectoryStorage) -> None:
    garbage, pledged = put(storage, b"old"), put(storage, b"pledged")
    pending = layout.pending("shot", "2", "a")
    storage.put_bytes(manifest_of(pledged).to_bytes(), pending)
    make_older(storage, pending, PENDING_SECONDS + 60)
    planned = Collection(storage, 0).plan()
    assert are_there(storage, garbage, pledged) == [True, True]
    assert storage.identity(pending) is not None
    assert Collection(storage, 0).run() == planned
    assert (planned.blobs, planned.expired, planned.uploads) == (2, 1, 0)
    assert are_there(storage, garbage, pledged) == [False, False]


def test_a_pledge_holds_for_a_day(storage: DirectoryStorage) -> None:
    pledged = put(storage, b"pledged", 30 * DAY)
    pending = layout.pending("shot", "2", "a")
    storage.put_bytes(manifest_of(pledged).to_bytes(), pending)
    make_older(storage, pending, PENDING_SECONDS - 60)
    assert Collection(storage, 0).run().blobs == 0
    assert are_there(storage, pledged) == [True]


def test_while_another_collection_runs_none_begins(storage: DirectoryStorage) -> None:
    garbage = put(storage, b"old")
    storage.create(b"{}", layout.COLLECTION_MARK)
    with pytest.raises(StorageConflict, match="another collection runs"):
        Collection(storage, 0).run()
    assert are_there(storage, garbage) == [True]
    assert storage.identity(layout.COLLECTION_MARK) is not None


def test_the_mark_of_a_dead_collection_is_cleared(storage: DirectoryStorage) -> None:
    garbage = put(storage, b"old")
    storage.create(b"{}", layout.COLLECTION_MARK)
    make_older(storage, layout.COLLECTION_MARK, MARK_SECONDS + 60)
    assert Collection(storage, 0).run().blobs == 1
    assert are_there(storage, garbage) == [False]
    assert storage.identity(layout.COLLECTION_MARK) is None


@pytest.mark.parametrize("content", [b"not json", b'{"format": 99}'])
def test_with_a_manifest_that_cannot_be_read_nothing_is_removed(
    storage: DirectoryStorage, content: bytes
) -> None:
    garbage = put(storage, b"old")
    storage.put_bytes(content, layout.manifest("shot", "1"))
    with pytest.raises(StorageError, match=r"scenes/shot/1\.json can't be read, so nothing"):
        Collection(storage, 0).run()
    assert are_there(storage, garbage) == [True]


def test_long_removals_go_in_rounds_that_let_others_in_between(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_AT_ONCE", 2)
    garbage = [put(storage, bytes([number])) for number in range(5)]
    saved = garbage[0]
    now = [0.0]
    clocks = SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0])
    monkeypatch.setattr(collection, "time", clocks)

    def watch(_progress: CollectionProgress) -> None:
        now[0] += collection.ROUND_SECONDS

    def rest(_seconds: float) -> None:
        assert storage.identity(layout.COLLECTION_MARK) is None
        rests.append(len(list(storage.list(layout.BLOBS))))
        if are_there(storage, saved)[0]:
            storage.put_bytes(manifest_of(saved).to_bytes(), layout.manifest("shot", "1"))

    rests: list[int] = []
    done = Collection(storage, 0, watch, rest).run()
    assert rests[0] == 3
    assert done.blobs == 5 - are_there(storage, saved)[0]
    assert len(list(storage.list(layout.BLOBS))) == are_there(storage, saved)[0]


@pytest.mark.parametrize("asleep", ["between", "within"])
def test_a_collection_on_a_machine_that_slept_looks_again_before_it_removes(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, asleep: str
) -> None:
    """Its mark meant nothing any more: an upload may have found what was garbage before."""
    monkeypatch.setattr(collection, "_THREADS", 1)
    monkeypatch.setattr(collection, "_AT_ONCE", 1 if asleep == "between" else 10)
    garbage = [put(storage, bytes([number])) for number in range(5)]
    now = [0.0]
    clocks = SimpleNamespace(monotonic=lambda: 0.0, time=lambda: now[0])
    monkeypatch.setattr(collection, "time", clocks)
    real = storage.remove

    def remove(stored: Stored) -> bool:
        is_gone = real(stored)
        if stored.name.startswith(layout.BLOBS) and not now[0]:
            now[0] = 2 * MARK_SECONDS
            here = [one for one in garbage if are_there(storage, one)[0]]
            storage.put_bytes(manifest_of(*here).to_bytes(), layout.manifest("shot", "1"))
        return is_gone

    monkeypatch.setattr(storage, "remove", remove)
    assert Collection(storage, 0, pause=lambda _seconds: None).run().blobs == 1
    assert are_there(storage, *garbage).count(True) == 4


def test_a_collection_whose_mark_is_taken_away_stops(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_AT_ONCE", 1)
    for number in range(3):
        put(storage, bytes([number]))

    def steal(_progress: CollectionProgress) -> None:
        storage.delete(layout.COLLECTION_MARK)

    def take_again(_seconds: float) -> None:
        storage.create(b"{}", layout.COLLECTION_MARK)

    with pytest.raises(StorageConflict, match="another collection runs"):
        Collection(storage, 0, steal, take_again).run()
    assert len(list(storage.list(layout.BLOBS))) == 2


def test_progress_ends_with_everything_done(storage: DirectoryStorage) -> None:
    told: list[CollectionProgress] = []
    put(storage, b"12345")
    Collection(storage, 0, told.append).run()
    assert told[-1] == CollectionProgress(1, 1, 5)
