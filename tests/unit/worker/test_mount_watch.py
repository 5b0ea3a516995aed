"""Watching a scene's files while Blender reads them.

A pipe that nobody writes to stands for a mount that does not answer; real gcsfuse is in the
integration tests.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.errors import BlobMissing, StorageAway, StorageDenied, StorageError
from burst.scene.checkout import CheckedOut
from burst.scene.manifest import FileEntry
from burst.scene.source import MountedBlobs
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.worker import watch as module
from burst.worker.blender import BlenderFailed
from burst.worker.watch import Watch, read_ahead

CONTENTS = {"shot.blend": b"the scene", "tex/a.png": b"picture a", "tex/b.png": b"a longer picture"}
FILES = {
    place: FileEntry(hashlib.sha256(content).hexdigest(), len(content))
    for place, content in CONTENTS.items()
}


class Rig:
    """A mount, a scene in it, and the watch over both."""

    def __init__(self, folder: Path, *, remote: bool) -> None:
        self.storage = DirectoryStorage(folder / "storage")
        for place, content in CONTENTS.items():
            self.storage.put_bytes(content, layout.blob(FILES[place].sha256))
            path = folder / "mnt" / layout.blob(FILES[place].sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.source = MountedBlobs(folder / "mnt", self.storage)
        self.source.is_remote = remote
        self.away = threading.Event()
        self.watch = Watch(self.source, folder / "scratch", self.away.set)
        self.scene = CheckedOut(folder / "scene/shot.blend", {}, folder / "scene", FILES)

    def path(self, place: str) -> Path:
        return self.source.path(FILES[place].sha256)

    def complain(self, place: str) -> None:
        self.watch.hear(f"ERROR Image file '{self.scene.folder / place}' failed to load.")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, remote=True)
    yield made
    made.watch.close()


@pytest.fixture
def local(tmp_path: Path) -> Rig:
    return Rig(tmp_path, remote=False)


def test_a_scene_that_can_be_read_is_vouched_for(rig: Rig) -> None:
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.watch.vouch()
        rig.watch.vouch()
    assert rig.watch.trouble is None
    assert not rig.away.is_set()


def test_a_frame_does_not_count_before_every_file_was_looked_at(rig: Rig) -> None:
    rig.path("tex/a.png").write_bytes(b"cut")
    rig.watch.begin(rig.scene)
    with pytest.raises(BlobMissing, match=r"tex/a\.png is damaged"), rig.watch.reading():
        rig.watch.vouch()


@pytest.mark.parametrize(
    ("in_storage", "kind"), [(True, StorageAway), (False, BlobMissing)]
)  # fmt: skip
def test_what_is_not_in_the_mount_is_sought_in_the_storage(
    rig: Rig, in_storage: bool, kind: type[StorageError]
) -> None:
    rig.path("tex/b.png").unlink()
    if not in_storage:
        rig.storage.delete(layout.blob(FILES["tex/b.png"].sha256))
    rig.watch.begin(rig.scene)
    with pytest.raises(kind, match=r"tex/b\.png"), rig.watch.reading():
        rig.watch.vouch()


def test_a_mount_that_goes_away_while_blender_reads_ends_it_and_the_frame(rig: Rig) -> None:
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.watch.vouch()
        rig.path("shot.blend").unlink()
        assert rig.away.wait(20)
        with pytest.raises(StorageAway, match=r"shot\.blend is in the storage"):
            rig.watch.vouch()
    assert isinstance(rig.watch.explain(BlenderFailed("stopped", (), "interrupted")), StorageAway)
    # Whoever begins anew is told again what is wrong, and with what file.
    rig.watch.begin(rig.scene)
    assert rig.watch.trouble is None
    with pytest.raises(StorageAway, match=r"shot\.blend is in the storage"), rig.watch.reading():
        rig.watch.vouch()


def test_a_blob_that_nobody_has_any_more_is_named_whatever_sees_it_first(rig: Rig) -> None:
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.watch.vouch()
        # The smallest, which is probed.
        rig.path("shot.blend").unlink()
        rig.storage.delete(layout.blob(FILES["shot.blend"].sha256))
        with pytest.raises(BlobMissing, match=r"shot\.blend is not in the storage"):
            rig.watch.vouch()


def test_a_mount_that_does_not_answer_is_given_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.5)
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.watch.vouch()
        path = rig.path("shot.blend")
        path.unlink()
        os.mkfifo(path)
        assert rig.away.wait(20)
        with pytest.raises(StorageAway, match="does not answer for"):
            rig.watch.vouch()
    started = time.monotonic()
    rig.watch.close()
    assert time.monotonic() - started < 10


def test_nothing_is_held_against_a_mount_while_blender_does_not_read(rig: Rig) -> None:
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.watch.vouch()
    rig.watch._take({"event": "probe", "errno": 5, "reason": "I/O error", "wrong": True})
    assert rig.watch.trouble is None


@pytest.mark.parametrize(
    ("probe", "kind", "words"),
    [
        ({"errno": 5, "reason": "Input/output error", "wrong": True}, StorageAway, "Input/output"),
        ({"errno": 107, "reason": "not connected", "wrong": True}, StorageAway, "not connected"),
        ({"errno": 111, "reason": "refused", "wrong": True}, StorageAway, "refused"),
        ({"errno": 116, "reason": "Stale file handle", "wrong": True}, StorageAway, "Stale"),
        ({"errno": 13, "reason": "denied", "wrong": True}, StorageDenied, "closed to this worker"),
        ({"errno": 0, "seconds": 4.0, "device": 7}, StorageAway, "did not answer for 4.0 s"),
        ({"errno": 0, "seconds": 0.1, "device": 8}, StorageAway, "mounted anew"),
    ],
)
def test_each_doubt_has_its_words(
    rig: Rig, probe: dict[str, Any], kind: type[StorageError], words: str
) -> None:
    rig.watch.begin(rig.scene)
    rig.watch._is_reading = True
    rig.watch._device = 7
    rig.watch._take({"event": "probe", "seconds": 0.1, **probe})
    assert type(rig.watch.trouble) is kind
    assert words in str(rig.watch.trouble)
    assert rig.away.is_set()


def test_a_machine_that_is_slow_is_given_more_time(rig: Rig) -> None:
    slow = {"event": "probe", "errno": 0, "seconds": 4.0, "device": 7}
    for doubts in (True, False):
        rig.watch.begin(rig.scene)
        rig.watch._is_reading = True
        rig.watch._take(slow)
        assert (rig.watch.trouble is not None) == doubts


def test_what_blender_could_not_read_is_tried_again_once(rig: Rig) -> None:
    for is_first in (True, False):
        rig.watch.begin(rig.scene)
        with rig.watch.reading():
            rig.complain("tex/a.png")
            if is_first:
                with pytest.raises(StorageAway, match=r"Blender could not read tex/a\.png"):
                    rig.watch.vouch()
            else:
                # It is the picture, then.
                rig.watch.vouch()


@pytest.mark.parametrize(
    "text",
    [
        "Image file '/elsewhere/x.png' does not exist.",
        "Read blend: {folder}/shot.blend",
        "Saved: '/tmp/x.png'",
    ],
)
def test_not_every_word_is_a_complaint_of_the_scene(rig: Rig, text: str) -> None:
    rig.watch.begin(rig.scene)
    rig.watch.hear(text.format(folder=rig.scene.folder))
    with rig.watch.reading():
        rig.watch.vouch()


def test_a_failure_of_blender_is_explained_by_the_files(rig: Rig) -> None:
    rig.watch.begin(rig.scene)
    error = BlenderFailed("Blender can't read the scene: truncated", gives_up="job")
    assert rig.watch.explain(error) is error
    rig.path("tex/a.png").unlink()
    assert isinstance(rig.watch.explain(error), StorageAway)
    rig.watch.begin(rig.scene)
    assert isinstance(rig.watch.explain(error), StorageAway)


def test_an_error_of_reading_that_passed_is_the_mounts_fault(rig: Rig) -> None:
    rig.watch.begin(rig.scene)
    error = BlenderFailed("Blender failed: OSError: [Errno 111] Connection refused: '/x'")
    assert isinstance(rig.watch.explain(error), StorageAway)


def test_a_lookout_that_dies_is_trouble_and_another_takes_its_place(rig: Rig) -> None:
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.watch.vouch()
        child = rig.watch._child
        assert child
        os.kill(child.pid, signal.SIGKILL)
        assert rig.away.wait(20)
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.watch.vouch()


def test_a_scene_without_any_byte_can_be_watched(rig: Rig) -> None:
    empty = FileEntry(hashlib.sha256(b"").hexdigest(), 0)
    rig.source.path(empty.sha256).parent.mkdir()
    rig.source.path(empty.sha256).touch()
    scene = CheckedOut(rig.scene.blend, {}, rig.scene.folder, {"shot.blend": empty})
    rig.watch.begin(scene)
    with rig.watch.reading():
        rig.watch.vouch()


def test_a_directory_of_this_machine_needs_no_lookout(local: Rig) -> None:
    local.watch.begin(local.scene)
    with local.watch.reading():
        local.watch.vouch()
        local.complain("tex/a.png")
        local.watch.vouch()
        local.path("tex/a.png").unlink()
        local.complain("tex/a.png")
        with pytest.raises(StorageAway, match="in the storage"):
            local.watch.vouch()
    assert local.watch._child is None


# ── Reading ahead ────────────────────────────────────────────────────────────────────


def files(**sizes: int) -> dict[str, FileEntry]:
    return {place: FileEntry(f"sha of {place}", size) for place, size in sizes.items()}


Make = Callable[[int], str]


def test_the_largest_files_come_first_and_no_more_than_fits() -> None:
    scene = files(small=1, big=100, huge=1000, middle=10)
    assert read_ahead(scene, 5000) == [f"sha of {n}" for n in ("huge", "big", "middle", "small")]
    assert read_ahead(scene, 111) == [f"sha of {n}" for n in ("big", "middle", "small")]
    assert read_ahead(scene, 0) == []


@pytest.mark.parametrize(
    ("name", "is_read"),
    [
        (lambda n: f"smoke/smoke_{n:04}.vdb", False),
        (lambda n: f"take{n}/clouds.vdb", False),
        (lambda n: f"tex/skin.{1001 + n}.png", True),
        (lambda n: f"tex/skin_u{n}_v1.png", True),
        (lambda n: f"tex/{'abcdefgh'[n]}.png", True),
    ],
)
def test_a_run_of_which_a_frame_needs_one_is_left_out(name: Make, is_read: bool) -> None:
    scene = {name(n): FileEntry(f"sha {n}", 5) for n in range(8)}
    assert len(read_ahead(scene, 1000)) == (8 if is_read else 0)
