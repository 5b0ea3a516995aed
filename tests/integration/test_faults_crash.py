"""Real Blenders that crash, leave, talk nonsense or too much, or leave processes behind.

Left out: graphics drivers that crash.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from burst.domain.jobs import RenderSettings
from burst.worker.blender import BlenderFailed
from burst.worker.faults import Fault
from burst.worker.proof import prove
from tests.fakes.blenders import RealBlender
from tests.fakes.troubles import (
    TRUSTING,
    Open,
    assert_gone,
    fail,
    fail_while_rendering,
    make_trouble,
)

pytestmark = pytest.mark.blender

ORPHAN = Path(__file__).parents[1] / "fakes" / "orphan.py"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("kind", "name"), [("segfault", "SIGSEGV"), ("abort", "SIGABRT")])
def test_a_crash_from_inside_names_signal_and_frame_and_says_where(
    real: RealBlender, open_blender: Open, tmp_path: Path, kind: str, name: str
) -> None:
    blender = open_blender()
    failed = fail(blender, make_trouble(real, tmp_path, kind, 3), tmp_path / "out", 3)
    assert failed.fault is Fault.CRASHED
    assert failed.outcome == "failed"
    assert failed.reason == (
        f"Blender crashed ({name}) while rendering frame 3; its last lines are in the job's log"
    )
    told = "\n".join(failed.log_tail)
    assert re.search(r'trouble\.py", line \d+ in trouble', told), told
    assert "Extension modules" not in told
    if kind == "segfault" and real.facts.kind == "binary":
        # It writes a report of its own, which comes last.
        assert "# Python backtrace" in failed.log_tail


def test_the_next_scene_is_rendered_after_a_crash(
    real: RealBlender, open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    failed = fail(blender, make_trouble(real, tmp_path, "segfault"), tmp_path / "out")
    assert failed.fault is Fault.CRASHED
    loaded = blender.load(quick, RenderSettings(), {})
    rendered = blender.render(1, tmp_path / "again", lambda progress: None)
    prove(rendered.files[0], loaded.file_format, loaded.width, loaded.height)


def test_the_report_of_an_earlier_crash_is_not_told_again(
    real: RealBlender, open_blender: Open, tmp_path: Path
) -> None:
    blender = open_blender()
    fail(blender, make_trouble(real, tmp_path, "segfault"), tmp_path / "out")
    failed = fail(blender, make_trouble(real, tmp_path, "exits-badly"), tmp_path / "out")
    assert "trouble.py" not in "\n".join(failed.log_tail)


def test_a_signal_from_outside_is_told_from_a_crash(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    failed = fail_while_rendering(
        blender, endless, tmp_path / "out", lambda: os.kill(blender.pid or 0, signal.SIGTERM)
    )
    assert failed.fault is Fault.ENDED
    assert failed.reason.startswith(
        "Blender was ended by another program (SIGTERM) while rendering frame 1"
    )


@pytest.mark.parametrize(("kind", "status"), [("exits-well", 0), ("exits-badly", 3)])
def test_a_blender_that_leaves_has_rendered_nothing(
    real: RealBlender, open_blender: Open, tmp_path: Path, kind: str, status: int
) -> None:
    failed = fail(open_blender(), make_trouble(real, tmp_path, kind), tmp_path / "out")
    assert failed.fault is Fault.LEFT
    assert failed.reason.startswith(
        f"Blender left with exit status {status} while rendering frame 1"
    )


@pytest.mark.parametrize("kind", ["garbage", "endless-line"])
def test_garbage_in_the_drivers_pipe_is_no_answer(
    real: RealBlender, open_blender: Open, tmp_path: Path, kind: str
) -> None:
    failed = fail(open_blender(), make_trouble(real, tmp_path, kind), tmp_path / "out")
    assert failed.fault is Fault.GARBLED
    assert failed.reason.startswith("Blender answered what burst does not understand while")


def test_a_frame_that_lands_elsewhere_is_none(
    real: RealBlender, open_blender: Open, tmp_path: Path
) -> None:
    try:
        failed = fail(open_blender(), make_trouble(real, tmp_path, "elsewhere"), tmp_path / "out")
    finally:
        Path("/tmp/burst-elsewhere-0001.png").unlink(missing_ok=True)
    assert failed.fault is Fault.REFUSED
    assert "wrote no main image" in failed.reason


def test_a_flood_of_lines_takes_no_memory_and_hides_no_frame(
    real: RealBlender, open_blender: Open, tmp_path: Path
) -> None:
    heard = 0

    def hear(text: str) -> None:
        nonlocal heard
        heard += 1

    blender = open_blender(on_line=hear)
    blender.load(make_trouble(real, tmp_path, "floods"), TRUSTING, {})
    before = psutil.Process().memory_info().rss
    rendered = blender.render(1, tmp_path / "out", lambda progress: None)
    assert [path.name for path in rendered.files] == ["shot_0001.png"]
    assert heard >= 200_000
    # What was printed, held as lines, would be several times its 20 MB.
    assert psutil.Process().memory_info().rss - before < 15 * 2**20


@pytest.mark.parametrize("kind", ["daemon", "daemon-then-segfault"])
def test_nothing_that_a_scene_started_outlives_its_blender(
    real: RealBlender, tmp_path: Path, kind: str
) -> None:
    blend = make_trouble(real, tmp_path, kind)
    facts = real.facts.model_dump_json()
    command = [sys.executable, str(ORPHAN), str(real.program), facts, str(blend), str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "trust"], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    daemon = re.search(r"(?m)^daemon (\d+)$", done.stdout)
    assert daemon, done.stdout + done.stderr
    assert_gone(int(daemon[1]))
    if kind == "daemon-then-segfault":
        # Told at once, though the daemon held the pipe open.
        assert "Blender crashed (SIGSEGV) while rendering frame 1" in done.stdout


def test_a_driver_that_can_not_be_started_is_a_failure(
    open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    with pytest.raises(BlenderFailed) as caught:
        open_blender(program=tmp_path / "none").load(quick, RenderSettings(), {})
    assert caught.value.fault is Fault.NOT_STARTED
