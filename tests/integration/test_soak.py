"""A worker that goes on and on holds no more than at its beginning, by the short benchmark.

Left out: the long one, ``scripts/bench soak``, whose figures are for people.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.blenders import real_blender

ROOT = Path(__file__).parents[2]


@pytest.mark.blender
def test_nothing_leaks_over_frames_and_changes_of_the_scene(tmp_path):
    blender = real_blender("binary", tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "scripts/bench", "soak", "--quick", "--blender", str(blender.program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["blenders"] == 1
    assert figures["switches"] == 15
    files = {name: figures[name] for name in figures if name.endswith("files_growth")}
    # A connection or a file that is just open is one more; a leak a frame would be nine.
    assert max(files.values()) <= 2, files
    assert figures["processes_growth"] == figures["switch_processes_growth"] == 0
    assert figures["agent_threads_growth"] == figures["switch_agent_threads_growth"] == 0
    # Ten times what was ever seen in so few frames: a leak of a picture a frame shows.
    assert figures["agent_mib_growth"] < 5
