"""What burst traces, beside what Blender opens, for a generated scene of every kind.

A real Blender makes the scenes (`tests/fakes/make_dependencies.py`), and renders them under
strace: first where they lie, then out of a checkout, while the originals are away. Left out:
what blender-asset-tracer alone finds, which `scripts/trace-table` shows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from burst.scene.checkout import CheckedOut, checkout
from burst.scene.hashing import Hasher
from burst.scene.source import MountedBlobs
from burst.scene.trace import SceneTrace, trace
from burst.scene.upload import upload_scene
from burst.storage.directory import DirectoryStorage
from burst.worker.asking import ask_for_files
from tests.fakes.blenders import RealBlender, real_blender
from tests.fakes.comparison import Look, look, opened_by_scene, rendered
from tests.fakes.made import Made, make_cases, read_cases
from tests.fakes.strace import Seen, strace_program

pytestmark = pytest.mark.blender

SECONDS = 60
ASKED = ("absolute", "camera_script", "escaping", "imported", "multires", "nested", "packed",
         "packed_library", "points", "sequencer", "udim", "unused", "windows")  # fmt: skip
"""Asked of a Blender: each takes it a second."""
PINK = ("moved", "other_case")
"""A plain Blender does not find here what burst finds."""
CLEARED = (".bphys",)
"""What Blender deletes and writes anew when it opens a scene."""


@dataclass
class Scenery:
    """A Blender, the scenes that it made, and what it opened of them."""

    real: RealBlender
    folder: Path
    made: dict[str, Made]
    traced: dict[str, SceneTrace]
    seen: Seen
    pictures: Path

    def opened(self, name: str) -> set[Path]:
        """Return what was opened of one scene."""
        return self.seen.opened_below(self.made[name].top)


@pytest.fixture(
    scope="module",
    params=[
        # All with one Blender go to one process: to make and render the scenes takes a while.
        pytest.param(kind, marks=pytest.mark.xdist_group(f"traced by {kind}"))
        for kind in ("binary", "bpy")
    ],
)
def scenery(request, tmp_path_factory):
    strace_program()
    real = real_blender(request.param, tmp_path_factory.getbasetemp() / "facts")
    folder = tmp_path_factory.mktemp("traced") / "scenes"
    make_cases(real.program, real.facts, folder)
    made = read_cases(folder)
    # Before they are opened, which clears caches.
    traced = {name: trace(case.blend) for name, case in made.items()}
    looks = [Look(case.blend, case.frames) for case in made.values()]
    home, pictures = folder.with_name("home"), folder.with_name("pictures")
    seen = look(real.program, real.facts, looks, home, pictures)
    assert {name: rendered(seen, case.blend) for name, case in made.items()} == dict.fromkeys(
        made, "rendered"
    ), seen.printed[-3000:]
    return Scenery(real, folder, made, traced, seen, pictures)


def places(case: Made, paths) -> set[str]:
    return {os.path.relpath(path, case.top) for path in paths}


def test_what_is_needed_is_found_and_nothing_else(scenery):
    found = {}
    for name, case in scenery.made.items():
        traced = scenery.traced[name]
        there = places(case, (file.path for file in traced.files))
        missing = {file.name for file in traced.missing}
        if (there, missing) != (case.needed, set(case.missing)):
            found[name] = (case.needed - there, there - case.needed, missing)
    assert found == {}


def test_nothing_that_blender_opens_is_missed(scenery):
    missed = {}
    for name, case in scenery.made.items():
        files = {file.path for file in scenery.traced[name].files}
        if found := scenery.opened(name) - files:
            missed[name] = places(case, found)
    assert missed == {}
    # Every file that was opened belongs to one of the scenes.
    home = scenery.folder.with_name("home")
    opened = opened_by_scene(scenery.seen, scenery.real.program, home)
    assert {path for path in opened if not path.is_relative_to(scenery.folder)} == set()


def test_what_no_render_opens_is_known_with_its_reason(scenery):
    spare = {}
    for name, case in scenery.made.items():
        needed = places(case, (file.path for file in scenery.traced[name].files))
        unopened = needed - places(case, scenery.opened(name))
        if unexplained := unopened - case.superfluous.keys():
            spare[name] = unexplained
    assert spare == {}


def test_asking_blender_adds_nothing_to_what_is_read(scenery):
    for name in [name for name in ASKED if name in scenery.made]:
        case, alone = scenery.made[name], scenery.traced[name]
        asked = ask_for_files(scenery.real.program, case.blend, scenery.real.facts.kind, SECONDS)
        assert asked or name in ("packed", "points"), name
        both = trace(case.blend, asked)
        assert {file.path for file in both.files} == {file.path for file in alone.files}, name
        assert {file.name for file in both.missing} == {file.name for file in alone.missing}, name


def test_to_ask_leaves_the_caches_of_a_scene_alone(scenery, tmp_path):
    case = scenery.made["points"]
    caches = sorted((case.top / "film/shot/blendcache_main").iterdir())
    stale = caches[0].with_name("64757374_000009_00.bphys")
    stale.write_bytes(b"BPHYSICS" + bytes(64))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (*caches, stale)}
    ask_for_files(scenery.real.program, case.blend, None, SECONDS)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in before if p.exists()} == before
    stale.unlink()


@dataclass
class Laid:
    """The same scenes in checkouts, and what was opened of them."""

    scenes: dict[str, CheckedOut]
    seen: Seen
    pictures: Path
    storage: Path


@pytest.fixture(scope="module")
def laid(scenery):
    """Render all scenes out of checkouts while the originals are away."""
    work = scenery.folder.with_name("worker")
    storage = DirectoryStorage(scenery.folder.with_name("storage"))
    scenes = {}
    for name, traced in scenery.traced.items():
        # What was cleared meanwhile is missing now, as in every scene.
        done = upload_scene(trace(traced_blend(traced)), name, storage, Hasher(None))
        source = MountedBlobs(storage.root, storage)
        scenes[name] = checkout(done.scene, storage, source, work / name)
    looks = [
        Look(scene.blend, scenery.made[name].frames, {k: str(v) for k, v in scene.remap.items()})
        for name, scene in scenes.items()
    ]
    home, pictures = work.with_name("home of the worker"), work.with_name("pictures of checkouts")
    hidden = scenery.folder.with_name("moved away")
    scenery.folder.rename(hidden)
    try:
        seen = look(scenery.real.program, scenery.real.facts, looks, home, pictures)
    finally:
        hidden.rename(scenery.folder)
    return Laid(scenes, seen, pictures, storage.root)


def traced_blend(traced: SceneTrace) -> Path:
    return next(file.path for file in traced.files if file.relative == traced.main)


def test_a_checkout_is_all_that_blender_opens(scenery, laid):
    home = laid.storage.with_name("home of the worker")
    opened = opened_by_scene(laid.seen, scenery.real.program, home)
    folders = [scene.folder for scene in laid.scenes.values()]
    stray = {path for path in opened if not any(path.is_relative_to(one) for one in folders)}
    assert stray == set()


def test_a_checkout_lacks_nothing_that_blender_opened_before(scenery, laid):
    lacking = {}
    for name, scene in laid.scenes.items():
        place_of = {file.path: file.relative for file in scenery.traced[name].files}
        opened = {str(p.relative_to(scene.folder)) for p in laid.seen.opened_below(scene.folder)}
        before = {place_of.get(path, str(path)) for path in scenery.opened(name)}
        if found := {place for place in before - opened if not place.endswith(CLEARED)}:
            lacking[name] = found
    assert lacking == {}


def test_pictures_of_a_checkout_are_those_of_the_original(scenery, laid):
    differ = []
    for number, name in enumerate(laid.scenes):
        before, after = (
            {path.name: pixels(path) for path in folder.glob(f"{number}_*.png")}
            for folder in (scenery.pictures, laid.pictures)
        )
        assert before, name
        if name not in PINK and before != after:
            differ.append(name)
    assert differ == []


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        return picture.convert("RGBA").tobytes()
