"""The real Blenders of this machine, and scenes made in them.

Not a fake: the other way round, what tests use to leave none in between. A ``blender`` is
taken from PATH; the Python of a bpy environment from ``BURST_TEST_BPY`` or burst's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst.domain.workers import BlenderFacts
from burst.worker.discovery import probe_blender
from burst.worker.surroundings import command_line, prepare

MAKE_SCENE = Path(__file__).with_name("make_scene.py")
_ANIMATE = """
import bpy, sys
blend, trust, target, first, last = sys.argv[-5:]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=bool(trust))
scene = bpy.context.scene
scene.frame_start, scene.frame_end = int(first), int(last)
if target:
    scene.render.filepath = target
bpy.ops.render.render(animation=True)
"""


@dataclass(frozen=True)
class RealBlender:
    """One Blender at hand."""

    program: Path
    facts: BlenderFacts

    def make_scene(self, blend: Path, *options: str) -> Path:
        """Save a scene; the options are those of ``make_scene.py``."""
        self.run(MAKE_SCENE, blend.parent, str(blend), *options)
        assert blend.is_file()
        return blend

    def run(self, script: Path, folder: Path, *options: str) -> None:
        """Run a script inside this Blender, with options behind ``--``."""
        # A descriptor pair is what command_line puts last, where options begin.
        command = command_line(self.program, self.facts.kind, script, (0, 0))[:-2]
        if self.facts.kind == "bpy":
            command.append("--")
        self._run([*command, *options], folder)

    def animate(
        self, blend: Path, target: str, first: int, last: int, *, trust: bool = False
    ) -> None:
        """Render a range in one plain run, as without burst; "" is the scene's own output."""
        frames = [str(first), str(last)]
        if self.facts.kind == "bpy":
            script = [str(self.program), "-c", _ANIMATE, str(blend), "-y" if trust else ""]
            script += [target, *frames]
            self._run(script, blend.parent)
            return
        head = [str(self.program), "-b", "--factory-startup", "-y" if trust else "-Y"]
        head.append(str(blend))
        head += ["-o", target] if target else []
        self._run([*head, "-s", frames[0], "-e", frames[1], "-a"], blend.parent)

    def _run(self, command: list[str], folder: Path) -> None:
        env = prepare(folder / "plain-blender")
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def real_blender(kind: str, cache: Path) -> RealBlender:
    """Return the ``binary`` or the ``bpy`` of this machine, or skip the test."""
    program = _binary() if kind == "binary" else _bpy()
    if program is None:
        pytest.skip("no blender in PATH" if kind == "binary" else "no bpy: set BURST_TEST_BPY")
    return RealBlender(program, probe_blender(program, cache))


def _binary() -> Path | None:
    found = shutil.which("blender")
    return Path(found) if found else None


def _bpy() -> Path | None:
    named = os.environ.get("BURST_TEST_BPY")
    if named:
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return max(cache.glob("burst/bpy-*/bin/python"), default=None)
