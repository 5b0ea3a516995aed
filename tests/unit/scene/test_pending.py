"""Pledges of uploads: how long they hold, and how they wait for a collection."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from burst.errors import StorageError
from burst.scene import pending
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.pending import LAPSED_SECONDS, MARK_SECONDS, RENEW_SECONDS, Pledge
from burst.storage import layout
from burst.storage.directory import DirectoryStorage

MANIFEST = Manifest(name="shot", main="a", files={"a": FileEntry("0" * 64, 1)})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Tell the time of this machine."""
    now = [1000.0]
    monkeypatch.setattr(pending, "time", SimpleNamespace(time=lambda: now[0]))
    return now


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seconds = 0.0
        self.then = lambda: None

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.then()


def pledges(storage: DirectoryStorage) -> list[str]:
    return sorted(storage.list(layout.PENDING))


def test_a_pledge_names_what_the_manifest_names_until_it_is_released(
    storage: DirectoryStorage,
) -> None:
    told = Told()
    pledge = Pledge(storage, told.lines.append, told.pause)
    pledge.hold(MANIFEST)
    (name,) = pledges(storage)
    assert name.startswith(f"uploads/shot/{MANIFEST.version}-")
    assert Manifest.from_bytes(storage.get_bytes(name)) == MANIFEST
    pledge.hold(MANIFEST)
    assert len(pledges(storage)) == 2
    pledge.release()
    assert pledges(storage) == []
    assert (told.lines, told.seconds) == ([], 0)


def test_an_upload_waits_for_the_end_of_a_collection(storage: DirectoryStorage) -> None:
    told = Told()
    storage.create(b"{}", layout.COLLECTION_MARK)

    def end() -> None:
        if told.seconds >= 3:
            storage.delete(layout.COLLECTION_MARK)

    told.then = end
    Pledge(storage, told.lines.append, told.pause).hold(MANIFEST)
    assert told.seconds == 3
    assert told.lines == ["waiting for the end of a collection (burst scenes gc)"]


def test_the_mark_of_a_dead_collection_is_waited_for_until_it_means_nothing(
    storage: DirectoryStorage,
) -> None:
    told = Told()
    storage.create(b"{}", layout.COLLECTION_MARK)
    at = time.time() - MARK_SECONDS + 20
    os.utime(storage.root / layout.COLLECTION_MARK, (at, at))
    Pledge(storage, told.lines.append, told.pause).hold(MANIFEST)
    assert 15 < told.seconds <= 21


def test_collections_one_after_the_other_are_not_waited_for_without_end(
    storage: DirectoryStorage,
) -> None:
    told = Told()
    storage.create(b"{}", layout.COLLECTION_MARK)

    def renew() -> None:
        at = time.time() + told.seconds
        os.utime(storage.root / layout.COLLECTION_MARK, (at, at))

    told.then = renew
    with pytest.raises(StorageError, match="a collection has been going on") as caught:
        Pledge(storage, told.lines.append, told.pause).hold(MANIFEST)
    assert "go on with the same command" in (caught.value.hint or "")


def test_a_pledge_is_renewed_now_and_then(storage: DirectoryStorage, clock: list[float]) -> None:
    pledge = Pledge(storage, print)
    pledge.hold(MANIFEST)
    (name,) = pledges(storage)
    first = storage.identity(name)
    pledge.renew()
    assert storage.identity(name) == first
    clock[0] += RENEW_SECONDS + 1
    pledge.renew()
    assert pledges(storage) == [name]
    assert storage.identity(name) != first
    assert not pledge.lapsed


@pytest.mark.parametrize("renewed", [True, False])
def test_after_a_long_sleep_a_pledge_has_lapsed(
    storage: DirectoryStorage, clock: list[float], renewed: bool
) -> None:
    pledge = Pledge(storage, print)
    pledge.hold(MANIFEST)
    clock[0] += LAPSED_SECONDS + 1
    if renewed:
        pledge.renew()
    assert pledge.lapsed
    pledge.hold(MANIFEST)
    assert not pledge.lapsed


def test_a_pledge_that_cannot_be_deleted_is_left_to_expire(tmp_path: Path) -> None:
    class Stuck(DirectoryStorage):
        def delete(self, prefix: str) -> None:
            raise StorageError("away")

    storage = Stuck(tmp_path)
    pledge = Pledge(storage, print)
    pledge.hold(MANIFEST)
    pledge.release()
    assert len(pledges(storage)) == 1
