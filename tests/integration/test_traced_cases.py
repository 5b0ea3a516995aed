"""What burst traces, beside what Blender opens, for a generated scene of every kind.

A real Blender makes the scenes (`tests/fakes/make_dependencies.py`), and renders them under
strace: first where they lie, then out of a checkout, while the originals are away. To make and
to render them takes longer than all the looks at them, so that there is one test a Blender,
which says everything that is wrong. Left out: what blender-asset-tracer alone finds, which
`scripts/trace-table` shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

SECONDS = 120
ASKED = ("absolute", "camera_script", "imported", "multires", "nested", "packed",
         "packed_library", "points", "sequencer", "unused", "windows")  # fmt: skip
"""Asked of a Blender: each takes it a second."""
SILENT = ("packed", "points")
"""Of these a Blender has nothing to name."""
PINK = ("moved", "other_case")
"""A plain Blender does not find here what burst finds."""
CLEARED = (".bphys",)
"""What Blender deletes and writes anew when it opens a scene."""

Findings = dict[str, Any]
"""Scene → what is wrong with it; empty if nothing is."""


@dataclass
class Scenes:
    """A Blender, the scenes that it made, and what it opened of them."""

    real: RealBlender
    folder: Path
    made: dict[str, Made]
    traced: dict[str, SceneTrace]
    home: Path
    pictures: Path
    seen: Seen

    def opened(self, name: str) -> set[Path]:
        """Return what was opened of one scene."""
        return self.seen.opened_below(self.made[name].top)


@dataclass
class Checkouts:
    """The same scenes in checkouts, and what was opened of them."""

    scenes: dict[str, CheckedOut]
    home: Path
    pictures: Path
    seen: Seen


@pytest.mark.blender
@pytest.mark.parametrize("kind", ["binary", "bpy"])
def test_what_is_traced_is_what_blender_opens_and_a_checkout_is_enough(kind, tmp_path):
    strace_program()
    real = real_blender(kind, tmp_path / "facts")
    scenes = make_and_render(real, tmp_path)
    checkouts = render_checkouts(scenes, tmp_path)
    found: dict[str, Findings] = {
        "not what is needed": wrongly_traced(scenes),
        "opened and not traced": missed(scenes),
        "traced and not opened, for no known reason": unexplained(scenes),
        "added by asking Blender": added_by_asking(scenes),
        "changed by asking Blender": changed_by_asking(scenes),
        "opened outside of a checkout": stray(scenes, checkouts),
        "not opened in a checkout": lacking(scenes, checkouts),
        "other pixels from a checkout": differing(scenes, checkouts),
    }
    assert {what: scenes for what, scenes in found.items() if scenes} == {}


def make_and_render(real: RealBlender, work: Path) -> Scenes:
    """Have the scenes made, traced, and rendered where they lie."""
    folder, home, pictures = work / "scenes", work / "home", work / "pictures"
    make_cases(real.program, real.facts, folder)
    made = read_cases(folder)
    # Before they are opened, which clears caches.
    traced = {name: trace(case.blend) for name, case in made.items()}
    looks = [Look(case.blend, case.frames) for case in made.values()]
    seen = look(real.program, real.facts, looks, home, pictures)
    failed = [case.name for case in made.values() if rendered(seen, case.blend) != "rendered"]
    assert failed == [], seen.printed[-3000:]
    return Scenes(real, folder, made, traced, home, pictures, seen)


def render_checkouts(scenes: Scenes, work: Path) -> Checkouts:
    """Lay all scenes out, and have them rendered while the originals are away."""
    storage = DirectoryStorage(work / "storage")
    source = MountedBlobs(storage.root, storage)
    laid = {}
    for name, case in scenes.made.items():
        # Traced again: what the render cleared is missing now, as in any scene.
        done = upload_scene(trace(case.blend), name, storage, Hasher(None))
        laid[name] = checkout(done.scene, storage, source, work / "worker" / name)
    looks = [
        Look(scene.blend, scenes.made[name].frames, {k: str(v) for k, v in scene.remap.items()})
        for name, scene in laid.items()
    ]
    home, pictures = work / "home of the worker", work / "pictures of the worker"
    hidden = work / "moved away"
    scenes.folder.rename(hidden)
    try:
        seen = look(scenes.real.program, scenes.real.facts, looks, home, pictures)
    finally:
        hidden.rename(scenes.folder)
    return Checkouts(laid, home, pictures, seen)


def places(case: Made, paths: Iterable[Path]) -> set[str]:
    return {os.path.relpath(path, case.top) for path in paths}


def wrongly_traced(scenes: Scenes) -> Findings:
    """Every needed file is found, nothing else is, and what is missing is missing."""
    found = {}
    for name, case in scenes.made.items():
        there = places(case, (file.path for file in scenes.traced[name].files))
        gone = {file.name for file in scenes.traced[name].missing}
        if (there, gone) != (case.needed, set(case.missing)):
            found[name] = (sorted(case.needed - there), sorted(there - case.needed), gone)
    return found


def missed(scenes: Scenes) -> Findings:
    """Nothing that Blender opens is missed, in the scenes or anywhere else."""
    found: Findings = {}
    for name, case in scenes.made.items():
        files = {file.path for file in scenes.traced[name].files}
        found[name] = places(case, scenes.opened(name) - files)
    opened = opened_by_scene(scenes.seen, scenes.real.program, scenes.home)
    found["elsewhere"] = {path for path in opened if not path.is_relative_to(scenes.folder)}
    return {name: files for name, files in found.items() if files}


def unexplained(scenes: Scenes) -> Findings:
    """What no render opens is known, with its reason."""
    found = {}
    for name, case in scenes.made.items():
        traced = places(case, (file.path for file in scenes.traced[name].files))
        unopened = traced - places(case, scenes.opened(name))
        found[name] = unopened - case.superfluous.keys()
    return {name: files for name, files in found.items() if files}


def added_by_asking(scenes: Scenes) -> Findings:
    """What Blender names itself is all found by reading, and none of it is falsely missing."""
    found = {}
    for name in [name for name in ASKED if name in scenes.made]:
        blend, alone = scenes.made[name].blend, scenes.traced[name]
        asked = ask_for_files(scenes.real.program, blend, scenes.real.facts.kind, SECONDS)
        assert bool(asked) != (name in SILENT), name
        both = trace(blend, asked)
        found[name] = {file.path for file in both.files} ^ {file.path for file in alone.files}
        found[name] |= {file.name for file in both.missing} ^ {one.name for one in alone.missing}
    return {name: files for name, files in found.items() if files}


def changed_by_asking(scenes: Scenes) -> Findings:
    """To open a scene clears stale caches beside it; to ask about it does not."""
    case = scenes.made["points"]
    caches = sorted((case.top / "film/shot/blendcache_main").iterdir())
    stale = caches[0].with_name("64757374_000009_00.bphys")
    stale.write_bytes(b"BPHYSICS" + bytes(64))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (*caches, stale)}
    ask_for_files(scenes.real.program, case.blend, None, SECONDS)
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in stale.parent.iterdir()}
    stale.unlink()
    return {} if before == after else {case.name: before.keys() ^ after.keys()}


def stray(scenes: Scenes, checkouts: Checkouts) -> Findings:
    """Nothing outside of the checkouts is opened, not even the blobs by their own names."""
    opened = opened_by_scene(checkouts.seen, scenes.real.program, checkouts.home)
    folders = [scene.folder for scene in checkouts.scenes.values()]
    found = {path for path in opened if not any(path.is_relative_to(one) for one in folders)}
    return {"elsewhere": found} if found else {}


def lacking(scenes: Scenes, checkouts: Checkouts) -> Findings:
    """All that Blender opened where the scenes lay is opened in their checkouts."""
    found = {}
    for name, scene in checkouts.scenes.items():
        place_of = {file.path: file.relative for file in scenes.traced[name].files}
        opened = checkouts.seen.opened_below(scene.folder)
        now = {path.relative_to(scene.folder).as_posix() for path in opened}
        before = {place_of.get(path, str(path)) for path in scenes.opened(name)}
        found[name] = {place for place in before - now if not place.endswith(CLEARED)}
    return {name: files for name, files in found.items() if files}


def differing(scenes: Scenes, checkouts: Checkouts) -> Findings:
    """The pictures of a checkout are those of the original."""
    found = {}
    for number, name in enumerate(checkouts.scenes):
        before, after = (
            {path.name: pixels(path) for path in folder.glob(f"{number}_*.png")}
            for folder in (scenes.pictures, checkouts.pictures)
        )
        assert before, name
        if name not in PINK and before != after:
            found[name] = sorted(before)
    return found


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        return picture.convert("RGBA").tobytes()
