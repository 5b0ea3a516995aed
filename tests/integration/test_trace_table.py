"""`scripts/trace-table` for a .blend that somebody names; not its table of generated scenes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.blenders import real_blender
from tests.fakes.strace import strace_program

SCRIPT = Path(__file__).parents[2] / "scripts" / "trace-table"


@pytest.mark.blender
def test_a_row_says_what_was_found_opened_and_missed(tmp_path):
    strace_program()
    real = real_blender("binary", tmp_path / "facts")
    (tmp_path / "art").mkdir()
    blend = real.make_scene(tmp_path / "art" / "shot.blend")
    command = [sys.executable, str(SCRIPT), str(blend)]
    env = {**os.environ, "BURST_TEST_BLENDERS": str(real.program)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    version = real.facts.label
    assert f"| 0/shot.blend | 1 | 0 | {version}: 1 | 0 | 0 | 0 |" in done.stdout.splitlines()
