"""Scenes with many files, by real Blenders, and what happens when processes are killed.

A Blender makes the scene, burst traces, uploads and lays it out, the artist's files are moved
away, and the Blender opens what is left. Left out: fluid, Alembic and USD caches.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from burst.domain.jobs import SceneRef
from burst.scene.checkout import checkout
from burst.scene.facts import read_facts
from burst.scene.hashing import Hasher
from burst.scene.header import read_version
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.source import MountedBlobs
from burst.scene.trace import trace
from burst.scene.upload import upload_scene
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from tests.fakes.blenders import real_blender

FAKES = Path(__file__).parent.parent / "fakes"
SECONDS = 120


class Scenery:
    """A Blender, and the files it made."""

    def __init__(self, real, top):
        self.real, self.top = real, top
        self.run("make_scene_with_files.py", str(top))
        self.expected = json.loads((top / "expected.json").read_text(encoding="utf-8"))
        self.blend = top / "shot/main.blend"

    def run(self, script, *options):
        command = [str(self.real.program)]
        if self.real.facts.kind != "bpy":
            command += ["-b", "--factory-startup", "--python-exit-code", "3", "--python"]
        command += [str(FAKES / script), "--", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", params=["binary", "bpy"])
def scenery(request, tmp_path_factory):
    real = real_blender(request.param, tmp_path_factory.getbasetemp() / "facts")
    return Scenery(real, tmp_path_factory.mktemp("made") / "art [v2] ü")


@pytest.mark.blender
def test_every_file_is_found_and_nothing_else(scenery):
    traced = trace(scenery.blend)
    found = {file.path.relative_to(scenery.top).as_posix() for file in traced.files}
    assert found == set(scenery.expected["needed"])
    assert [file.name for file in traced.missing] == scenery.expected["missing"]
    assert sorted(traced.outside) == scenery.expected["absolute"]
    assert traced.notes == ()


@pytest.mark.blender
def test_the_version_and_the_camera_are_read_as_blender_wrote_them(scenery):
    assert read_version(scenery.blend) == scenery.real.facts.version[:2]
    facts = read_facts(scenery.blend)
    assert (facts.blender_scene, facts.has_camera) == ("Scene", True)
    assert facts.blender == scenery.real.facts.version[:2]


@pytest.mark.blender
def test_a_checkout_opens_without_the_artists_files_and_leaves_blobs_alone(scenery, tmp_path):
    storage = DirectoryStorage(tmp_path / "storage")
    done = upload_scene(trace(scenery.blend), "art", storage, Hasher(None))
    laid = checkout(
        done.scene, storage, MountedBlobs(storage.root, storage), tmp_path / "worker" / "scene"
    )
    remap = tmp_path / "remap.json"
    remap.write_text(json.dumps({name: str(path) for name, path in laid.remap.items()}))
    hidden = scenery.top.with_name("moved away")
    scenery.top.rename(hidden)
    try:
        scenery.run("open_checkout.py", str(laid.blend), str(remap), str(tmp_path / "seen"))
    finally:
        hidden.rename(scenery.top)
    seen = json.loads((tmp_path / "seen").read_text(encoding="utf-8"))
    lacking = [name for name, there in seen["images"].items() if name and not there]
    assert sorted(lacking) == sorted([*scenery.expected["missing"], *seen["packed"]])
    assert seen["packed"] == ["//packed.png"]
    assert seen["libraries"]
    assert all(seen["libraries"].values())
    assert seen["missing_data"] == []
    # Blender did write to the caches of the scene, which is what the copies are for.
    stale = (scenery.top / "shot/blendcache_main").iterdir()
    assert seen["caches"] != sorted(path.name for path in stale)
    for name in storage.list("blobs/"):
        content = storage.get_bytes(name)
        assert hashlib.sha256(content).hexdigest() == name.rpartition("/")[2]


HASH_FOR_EVER = """
import sys
from pathlib import Path
from burst.scene.hashing import Hasher
folder, cache = map(Path, sys.argv[1:])
print("ready", flush=True)
while True:
    for path in folder.iterdir():
        Hasher(cache).hash_all([path])
        path.touch()
        import os; os.utime(path, (1, path.stat().st_mtime_ns % 999999))
"""


def start(code, *options):
    command = [sys.executable, "-c", code, *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(SECONDS)
    process.stdout.close()


def test_the_memory_of_hashes_outlives_two_writers_that_are_killed(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for number in range(5):
        (files / str(number)).write_bytes(b"x" * number)
    writers = [start(HASH_FOR_EVER, files, tmp_path / "cache") for _ in range(2)]
    own = tmp_path / "own"
    own.write_bytes(b"mine")
    os.utime(own, (1, 1))
    hasher = Hasher(tmp_path / "cache")
    for _ in range(20):
        assert hasher.hash_all([own])[own].sha256 == hashlib.sha256(b"mine").hexdigest()
    for writer in writers:
        kill(writer)
    hashes = Hasher(tmp_path / "cache").hash_all(files.iterdir())
    assert {path: one.sha256 for path, one in hashes.items()} == {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in hashes
    }


CHECKOUT_FOR_EVER = """
import sys
from pathlib import Path
from burst.domain.jobs import SceneRef
from burst.scene.checkout import checkout, remove_checkout
from burst.scene.source import MountedBlobs
from burst.storage.directory import DirectoryStorage
root, version, folder = sys.argv[1:]
storage = DirectoryStorage(Path(root))
source = MountedBlobs(Path(root), storage)
print("ready", flush=True)
while True:
    checkout(SceneRef(name="s", version=version), storage, source, Path(folder))
    remove_checkout(Path(folder))
"""


def stored_scene(root, count):
    storage = DirectoryStorage(root)
    content = b"B"
    sha256 = hashlib.sha256(content).hexdigest()
    storage.put_bytes(content, layout.blob(sha256))
    files = {f"f{n}/{n}.png": FileEntry(sha256, 1) for n in range(count)}
    manifest = Manifest(name="s", main="f0/0.png", files=files)
    storage.put_bytes(manifest.to_bytes(), layout.manifest("s", manifest.version))
    return storage, manifest


@pytest.mark.parametrize("round_", range(3))
def test_a_checkout_is_whole_though_others_were_killed_at_it(tmp_path, round_):
    storage, manifest = stored_scene(tmp_path / "storage", 300)
    source = MountedBlobs(storage.root, storage)
    folder = tmp_path / "scene"
    others = [start(CHECKOUT_FOR_EVER, storage.root, manifest.version, folder) for _ in range(2)]
    # Each of our own waits for its turn, so the others are somewhere in the middle after it.
    for _ in range(round_ + 1):
        checkout(SceneRef(name="s", version=manifest.version), storage, source, folder)
    for other in others:
        kill(other)
    done = checkout(SceneRef(name="s", version=manifest.version), storage, source, folder)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert found == set(manifest.files)
    assert done.blend.read_bytes() == b"B"
    assert [path.name for path in tmp_path.glob(".scene.part")] == []
