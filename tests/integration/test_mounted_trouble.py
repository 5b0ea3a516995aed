"""A mount that lies, refuses, or never answers, and the parts of a worker that have to bear it.

Real gcsfuse and a real Blender, without a farm. The whole way is in `test_mounted_scenes`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst.domain.jobs import RenderSettings
from burst.errors import BlobMissing, StorageAway, StorageDenied
from burst.scene.checkout import CheckedOut, checkout
from burst.scene.hashing import Hasher
from burst.scene.source import MountedBlobs
from burst.scene.trace import trace
from burst.scene.upload import upload_scene
from burst.storage.storage import open_storage
from burst.worker import dialogue, process
from burst.worker import watch as watching
from burst.worker.blender import Blender, BlenderFailed
from burst.worker.faults import Fault
from burst.worker.process import left_behind
from burst.worker.trust import Cage
from burst.worker.watch import Watch
from tests.fakes.emulator import running_emulator
from tests.fakes.gate import Gate, Rule, running_gate
from tests.fakes.gcsfuse import BOUNDED, ENDLESS, mounted, program
from tests.fakes.proxy import Proxy, running_proxy
from tests.fakes.scenes_of_caches import Made, make, pixels

pytestmark = pytest.mark.blender


@dataclass
class Rig:
    """A scene, checked out into a mount, and a Blender for it."""

    gate: Gate
    way: Proxy
    scene: CheckedOut
    source: MountedBlobs
    blender: Blender
    watch: Watch

    def blob(self, place: str) -> Path:
        """Return where the emulator keeps the content of a file."""
        sha256 = self.scene.files[place].sha256
        (path,) = self.gate.emulator.folder.rglob(sha256)
        return path

    def render(self, folder: Path) -> None:
        """Load the scene and render a frame of it."""
        self.blender.load(self.scene.blend, RenderSettings(), self.scene.remap)
        self.blender.render(1, folder / "frame", lambda progress: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    program()
    return make(tmp_path_factory.mktemp("made"), tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture
def rig(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Rig]:
    flags = getattr(request, "param", BOUNDED)
    with ExitStack() as stack:
        emulator = stack.enter_context(running_emulator(tmp_path / "emulator"))
        gate = stack.enter_context(running_gate(emulator))
        way = stack.enter_context(running_proxy(gate.endpoint))
        for name, value in gate.environment.items():
            monkeypatch.setenv(name, value)
        storage = open_storage(emulator.url)
        uploaded = upload_scene(trace(made.blend), "art", storage, Hasher(None))
        mount = tmp_path / "mnt"
        stack.enter_context(mounted(way.endpoint, "farm", mount, flags))
        source = MountedBlobs(mount, storage)
        folder = tmp_path / "scenes" / "art"
        scene = checkout(uploaded.scene, storage, source, folder)
        blender = Blender(
            made.real.program, made.real.facts, scratch=tmp_path / "blender", threads=1,
            memory_limit_bytes=0, on_line=lambda text: watch.hear(text),
            cage=Cage(folder.parent, source.blobs),
        )  # fmt: skip
        watch = Watch(source, tmp_path / "lookout", blender.kill)
        yield Rig(gate, way, scene, source, blender, watch)
        watch.close()
        blender.close()


def test_gcsfuse_is_known_for_what_it_is(rig: Rig) -> None:
    assert rig.source.is_remote


def test_a_caged_blender_reads_through_the_mount_and_is_believed(rig: Rig, tmp_path: Path) -> None:
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.render(tmp_path)
        rig.watch.vouch()


def test_a_blob_that_vanished_is_named_and_no_frame_counts(rig: Rig, tmp_path: Path) -> None:
    rig.blob("tex/moving.png").unlink()
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        # It says that a picture is missing, and would have the job given up for it.
        with pytest.raises(BlenderFailed, match="missing") as caught:
            rig.render(tmp_path)
        trouble = rig.watch.explain(caught.value)
    assert isinstance(trouble, BlobMissing)
    assert str(trouble) == "tex/moving.png is not in the storage"


def test_a_bucket_that_refuses_is_denied_and_makes_no_frame(rig: Rig, tmp_path: Path) -> None:
    refuses = Rule("^GET .*/o/blobs", status=403, message="no storage.objects.get access")
    rig.gate.add(refuses)
    rig.watch.begin(rig.scene)
    error: Exception | None = None
    with rig.watch.reading():
        try:
            rig.render(tmp_path)
            rig.watch.vouch()
        except (BlenderFailed, StorageDenied, StorageAway) as failure:
            error = rig.watch.explain(failure)
    assert isinstance(error, StorageDenied)


def test_a_blob_that_vanishes_between_load_and_render_makes_no_frame(
    rig: Rig, tmp_path: Path
) -> None:
    rig.watch.begin(rig.scene)
    with rig.watch.reading():
        rig.blender.load(rig.scene.blend, RenderSettings(), rig.scene.remap)
        # Looked at, but not read: a larger one would have been read ahead.
        rig.watch._wait_for_look(rig.watch._number)
        for place in ("tex/moving.png", "tex/skin.1001.png"):
            rig.blob(place).unlink()
            drop_caches(rig.source.path(rig.scene.files[place].sha256))
        rig.blender.render(1, tmp_path / "frame", lambda progress: None)
        with pytest.raises((BlobMissing, StorageAway)):
            rig.watch.vouch()


@pytest.mark.parametrize("rig", [("--max-retry-attempts=1",)], indirect=True)
def test_a_frame_that_was_made_while_the_bucket_was_away_is_wrong_and_not_believed(
    rig: Rig, made: Made, tmp_path: Path
) -> None:
    # Let it render on, and say nothing: what it makes then is what all this is about.
    watch = Watch(rig.source, tmp_path / "lookout", lambda: None)
    watch.begin(CheckedOut(rig.scene.blend, {}, rig.scene.folder / "unheard", rig.scene.files))
    with watch.reading():
        rig.blender.load(rig.scene.blend, RenderSettings(), rig.scene.remap)
        watch.vouch()
        for entry in rig.scene.files.values():
            drop_caches(rig.source.path(entry.sha256))
        rig.way.cut()
        frame = rig.blender.render(1, tmp_path / "frame", lambda progress: None)
        rig.way.heal()
        assert pixels(frame.files[0].read_bytes()) != made.pixels[1]
        with pytest.raises(StorageAway, match="can't read scenes"):
            watch.vouch()
    watch.close()


def drop_caches(path: Path) -> None:
    """Have the kernel forget what it knows of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


@pytest.mark.parametrize("rig", [ENDLESS], indirect=True)
def test_a_blender_that_cannot_be_killed_is_left_behind(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "_DEATH_SECONDS", 1.0)
    monkeypatch.setattr(process, "_DEATH_SECONDS", 1.0)
    before = rig.way.passed
    rig.way.on_passed = lambda now: rig.way.cut() if now - before > 20_000 else None
    rig.watch.begin(rig.scene)

    def lose_patience() -> None:
        """Give the mount up when Blender waits in the kernel, however long that takes here."""
        wait_for(lambda: is_stuck(rig.blender))
        monkeypatch.setattr(watching, "AWAY_SECONDS", 0.5)

    with rig.watch.reading():
        threading.Thread(target=lose_patience, daemon=True).start()
        with pytest.raises(BlenderFailed) as caught:
            rig.render(tmp_path)
        assert caught.value.fault is Fault.STUCK
        assert caught.value.outcome == "interrupted"
        assert isinstance(rig.watch.explain(caught.value), StorageAway)
    assert left_behind()
    rig.way.on_passed = lambda now: None
    rig.way.heal()
    wait_for(lambda: not left_behind())


def is_stuck(blender: Blender) -> bool:
    """Say whether Blender waits for the mount, and goes on to do so."""
    for _ in range(5):
        try:
            waits = Path(f"/proc/{blender.pid}/wchan").read_text("ascii")
        except OSError:
            return False
        if "request_wait_answer" not in waits:
            return False
        time.sleep(0.1)
    return True


def wait_for(happens: Callable[[], bool]) -> None:
    """Wait until it does."""
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.1)
