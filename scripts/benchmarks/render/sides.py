"""The sides of the comparison: burst's farm, one plain Blender, a new Blender for each frame.

All run the same program: a small script around the real Blender, which has it run
`inside_stamps` first. So all pay the same for being measured.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.render.arithmetic import (
    NotMeasured,
    Run,
    Stamps,
    measure,
    parse_stamps,
    the_renderer,
)

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
STAMPS = HERE / "inside_stamps.py"
SHARED_MEMORY = Path("/dev/shm")
_SECONDS = 3600
"""No single command of a benchmark takes longer."""


class Bench:
    """A folder with everything that is measured in, and the program that is."""

    def __init__(self, folder: Path, blender: Path, kind: str, threads: int) -> None:
        """Write the script that wraps ``blender``, which is a ``binary`` or a ``bpy``."""
        self.folder = folder
        self.state = folder / "state"
        self.kind = kind
        self.threads = threads
        self._blender = blender
        # The farm's Blender is in a cage: it may write to shared memory, and read what lies in
        # a folder `lib` beside its program.
        shared = SHARED_MEMORY if SHARED_MEMORY.is_dir() else folder
        self._stamps = Path(tempfile.mkdtemp(prefix="burst-bench-", dir=shared))
        weakref.finalize(self, shutil.rmtree, self._stamps, ignore_errors=True)
        self.program = folder / "measured" / "blender"
        script = self.program.parent / "lib" / STAMPS.name
        script.parent.mkdir(parents=True)
        shutil.copyfile(STAMPS, script)
        self.program.write_text(wrapper(blender, kind, self._stamps, script), encoding="utf-8")
        self.program.chmod(0o755)

    def make_scene(self, name: str, frames: int) -> Path:
        """Make one of the scenes."""
        scene = self.folder / f"{name}.blend"
        script = str(HERE / "inside_scene.py")
        if self.kind == "bpy":
            command = [str(self._blender), "-I", script]
        else:
            command = [str(self._blender), "-b", "--factory-startup", "--python", script, "--"]
        self._run([*command, name, str(frames), str(scene)])
        if not scene.exists():
            raise NotMeasured(f"Blender did not make the scene {name}")
        return scene

    def farm(self, scene: Path, frames: int) -> Run:
        """Render with `burst render --local` on a new farm with one worker."""
        self._clear()
        options = ["--local", "--workers", "1", "--frames", f"1-{frames}", "--json"]
        options += ["--blender", str(self.program), "--output", str(self.folder / "frames")]
        begun = time.time()
        try:
            summary = self.burst(["render", str(scene), *options])
            job = self.burst(["jobs", "show", summary["job"], "--json"])
        finally:
            self.burst(["down", "--local"])
        if job["frames_published"] != frames or job["retries"] or job["interruptions"]:
            raise NotMeasured(f"the farm did not render {frames} frames at the first try")
        stamps = the_renderer(self._read_stamps(), frames)
        return measure(stamps, begun, datetime.fromisoformat(job["ended_at"]).timestamp())

    def plain(self, scene: Path, frames: int, *, persistent: bool) -> Run:
        """Render with one Blender that is told the whole frame range."""
        self._clear()
        begun = time.time()
        self._run(self._plain_command(scene, (1, frames), persistent=persistent))
        return measure(the_renderer(self._read_stamps(), frames), begun, None)

    def cold(self, scene: Path, frames: int) -> float:
        """Render each frame with a Blender of its own; return the seconds for all."""
        self._clear()
        begun = time.time()
        for frame in range(1, frames + 1):
            self._run(self._plain_command(scene, (frame, frame), persistent=True))
        seconds = time.time() - begun
        if sum(len(stamps.written) for stamps in self._read_stamps()) != frames:
            raise NotMeasured(f"{frames} Blenders did not write {frames} frames")
        return seconds

    def _plain_command(self, scene: Path, span: tuple[int, int], *, persistent: bool) -> list[str]:
        output = str(self.folder / "frames" / "frame_####")
        first, last = (str(frame) for frame in span)
        if self.kind == "bpy":
            script = str(HERE / "inside_plain.py")
            values = [str(scene), str(self.threads), output, first, last, str(int(persistent))]
            return [str(self.program), "-I", script, *values]
        setting = f"bpy.context.scene.render.use_persistent_data = {persistent}"
        return [
            *(str(self.program), "-b", "--factory-startup", "--disable-autoexec", str(scene)),
            *("--python-expr", f"import bpy; {setting}"),
            *("-t", str(self.threads), "-o", output, "-s", first, "-e", last, "-a"),
        ]

    def burst(self, arguments: list[str]) -> Any:
        """Run a command of burst's on the farm in `state`; return what it says with ``--json``."""
        place = ["--state-dir", str(self.state)]
        printed = self._run([sys.executable, "-P", "-m", "burst", *arguments, *place])
        return json.loads(printed) if "--json" in arguments else None

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=clean_environment(self.folder, self.kind),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise NotMeasured(f"{shlex.join(command)} failed ({done.returncode}):\n{tail}")
        return done.stdout

    def _clear(self) -> None:
        for name in ("frames", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for path in self._stamps.iterdir():
            path.unlink()

    def _read_stamps(self) -> list[Stamps]:
        texts = [path.read_text(encoding="utf-8") for path in self._stamps.iterdir()]
        return [parse_stamps(text) for text in texts]


def wrapper(blender: Path, kind: str, stamps: Path, inside: Path = STAMPS) -> str:
    """Return the script that starts ``blender`` so that it writes stamps by ``inside``."""
    program, script = shlex.quote(str(blender)), shlex.quote(str(inside))
    exports = f"export BURST_BENCH_STAMPS={shlex.quote(str(stamps))} BURST_BENCH_KIND={kind}"
    if kind == "bpy":
        start = f'[ "$1" = -I ] && shift\nexec {program} -I {script} "$@"'
    else:
        start = f'exec {program} --python {script} "$@"'
    version = f'[ "$1" = --version ] && exec {program} --version'
    return f"#!/bin/sh\n{exports}\n{version}\n{start}\n"


def clean_environment(folder: Path, kind: str = "binary") -> dict[str, str]:
    """Return our environment without settings of burst, and with a cache of its own.

    The wheel's Python is no part of any system, so its cage knows it by its place only, which
    our script is not in: it is measured without.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BURST_")}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    cage = {"BURST_CAGE": "off"} if kind == "bpy" else {}
    return {**kept, **cage, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
