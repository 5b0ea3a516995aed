"""A collection and uploads at the same time, in every order of their calls that matters.

Where either stops once for the other, all orders are tried; where they alternate more often, some
hundred by chance. What a killed process leaves behind: tests/chaos/test_upload_kills.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from burst.scene import collection
from burst.scene.collection import Collection
from burst.scene.hashing import Hasher
from burst.scene.manifest import Manifest
from burst.scene.trace import SceneTrace, TracedFile
from burst.scene.upload import Uploaded, upload_scene
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.storage import Storage, open_storage
from tests.fakes.strict_gcs import StrictGcs
from tests.fakes.turns import Actor, Choose, Gated, by_chance, by_plan, play

MOST_CALLS = 40
CHANCES = 60
CHANCES_IN_A_BUCKET = 12

Pause = Callable[[float], None]


@pytest.fixture(autouse=True)
def _one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_THREADS", 1)
    monkeypatch.setattr(collection, "_AT_ONCE", 1)
    # Nothing here has to outlive a power cut.
    monkeypatch.setattr(os, "fsync", lambda _file: None)


class Farm:
    """A storage with a scene that stays, files that were uploaded once, and garbage."""

    def __init__(self, folder: Path, storage: Storage | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.storage = storage or DirectoryStorage(folder / "storage")
        kept = self.upload("kept", {"shot.blend": b"K", "a.png": b"shared"})
        gone = self.upload("gone", {"shot.blend": b"G", "b.png": b"once", "c.png": b"twice"})
        self.storage.delete(layout.manifest(gone.scene.name, gone.scene.version))
        self.garbage = gone.manifest.files["shot.blend"].sha256
        self.whole = [kept]

    def trace(self, name: str, contents: dict[str, bytes]) -> SceneTrace:
        root = self.folder / name
        root.mkdir(exist_ok=True)
        files = []
        for where, content in contents.items():
            (root / where).write_bytes(content)
            files.append(TracedFile(where, root / where, ""))
        return SceneTrace(root, "shot.blend", tuple(files), ())

    def upload(self, name: str, contents: dict[str, bytes]) -> Uploaded:
        return upload_scene(self.trace(name, contents), name, self.storage, Hasher(None))

    def uploader(self, name: str, contents: dict[str, bytes]) -> Actor:
        trace = self.trace(name, contents)

        def send(storage: Gated, pause: Pause) -> Uploaded:
            return upload_scene(trace, name, storage, Hasher(None), pause=pause)

        return Actor(name, send)

    def collector(self, name: str = "gc") -> Actor:
        return Actor(name, lambda storage, pause: Collection(storage, 0, pause=pause).run())

    def play(self, choose: Choose, *actors: Actor) -> None:
        play(self.storage, actors, choose)
        for actor in actors:
            if isinstance(actor.result, Uploaded):
                self.whole.append(actor.result)

    def check(self) -> None:
        """Every version that was ever said to be uploaded is whole."""
        for uploaded in self.whole:
            name = layout.manifest(uploaded.scene.name, uploaded.scene.version)
            manifest = Manifest.from_bytes(self.storage.get_bytes(name))
            blobs = [layout.blob(entry.sha256) for entry in manifest.files.values()]
            assert not self.storage.missing(blobs), f"{name} has lost {blobs}"
        assert list(self.storage.list(layout.PENDING)) == []
        assert list(self.storage.list("collection/")) == []


SHOT = {"shot.blend": b"new", "a.png": b"shared", "b.png": b"once", "c.png": b"twice"}


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    return Farm(tmp_path)


def calls_alone(folder: Path, make: Callable[[Farm], Actor]) -> list[str]:
    """Return the calls that one makes by itself."""
    farm = Farm(folder)
    actor = make(farm)
    farm.play(by_plan([]), actor)
    farm.check()
    return actor.calls


def upload(farm: Farm) -> Actor:
    return farm.uploader("new", SHOT)


def collect(farm: Farm) -> Actor:
    return farm.collector()


def test_a_collection_removes_what_nothing_names_and_nothing_else(farm: Farm) -> None:
    gc = farm.collector()
    farm.play(by_plan([]), gc)
    farm.check()
    assert gc.result.blobs == 3
    assert gc.result.kept == 2
    assert farm.storage.missing([layout.blob(farm.garbage)])


@pytest.mark.parametrize("first", ["new", "gc"])
def test_nothing_is_lost_wherever_either_stops_for_the_other(tmp_path: Path, first: str) -> None:
    makers = {"new": upload, "gc": collect}
    second = "gc" if first == "new" else "new"
    one = len(calls_alone(tmp_path / "one", makers[first]))
    other = len(calls_alone(tmp_path / "other", makers[second]))
    assert 8 < one < MOST_CALLS
    assert 8 < other < MOST_CALLS
    for before in range(one + 1):
        for between in range(1, other + 1):
            farm = Farm(tmp_path / f"{before}-{between}")
            plan = [(first, before), (second, between), (first, MOST_CALLS), (second, MOST_CALLS)]
            farm.play(by_plan(plan), upload(farm), collect(farm))
            farm.check()
            assert farm.storage.missing([layout.blob(farm.garbage)])


def test_nothing_is_lost_when_an_upload_begins_just_before_the_mark(tmp_path: Path) -> None:
    """The collection has found its garbage by then; it must look once more, and in order."""
    uploading = len(calls_alone(tmp_path / "one", upload))
    collecting = calls_alone(tmp_path / "other", collect)
    found = collecting.index("create")
    for before in range(1, uploading):
        for between in range(1, len(collecting) - found):
            farm = Farm(tmp_path / f"{before}-{between}")
            plan = [("gc", found), ("new", before), ("gc", between), ("new", MOST_CALLS)]
            farm.play(by_plan(plan), collect(farm), upload(farm))
            farm.check()
            assert farm.storage.missing([layout.blob(farm.garbage)])


@pytest.mark.parametrize("seed", range(CHANCES))
def test_nothing_is_lost_by_chance(farm: Farm, seed: int) -> None:
    again = farm.uploader("again", {**SHOT, "d.png": b"fourth"})
    farm.play(by_chance(seed), upload(farm), again, collect(farm))
    farm.check()
    assert farm.storage.missing([layout.blob(farm.garbage)])


@pytest.mark.parametrize("seed", range(CHANCES_IN_A_BUCKET))
def test_nothing_is_lost_in_a_bucket(tmp_path: Path, gcs: StrictGcs, seed: int) -> None:
    farm = Farm(tmp_path / "farm", open_storage("gs://farm"))
    again = farm.uploader("again", {**SHOT, "d.png": b"fourth"})
    farm.play(by_chance(seed), upload(farm), again, collect(farm))
    farm.check()
    assert farm.storage.missing([layout.blob(farm.garbage)])
