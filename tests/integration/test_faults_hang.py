"""Real Blenders that are silent: a dead one is killed, a slow one is left to its work.

Left out: a GPU that computes without a word, since none is here; to the watchdog it is
like a Blender that waits.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from burst.worker.blender import BlenderFailed
from burst.worker.faults import Fault
from tests.fakes.blenders import RealBlender
from tests.fakes.troubles import TRUSTING, Open, fail_while_rendering, make_trouble

pytestmark = pytest.mark.blender


def test_a_stopped_blender_is_found_hung_and_killed(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    blender = open_blender(first_progress_seconds=3)
    failed = fail_while_rendering(
        blender, endless, tmp_path / "out", lambda: os.kill(blender.pid or 0, signal.SIGSTOP)
    )
    assert failed.outcome == "failed"
    assert failed.reason == (
        "Blender hung while rendering frame 1: it neither said anything nor computed for "
        "3 seconds; if that can be right, raise BURST_FIRST_PROGRESS_SECONDS"
    )


def test_a_blender_that_is_stopped_while_it_loads_is_found_hung(
    open_blender: Open, quick: Path
) -> None:
    blender = open_blender(first_progress_seconds=2)
    stopping = threading.Timer(0, lambda: stop_when_there(blender))
    stopping.start()
    with pytest.raises(BlenderFailed) as caught:
        blender.load(quick, TRUSTING, {})
    stopping.join()
    assert caught.value.fault is Fault.HUNG
    assert "load quick.blend" in caught.value.reason


def stop_when_there(blender: object) -> None:
    while not (pid := getattr(blender, "pid", None)):
        pass
    os.kill(pid, signal.SIGSTOP)


def test_a_long_frame_without_a_word_is_not_taken_for_hung(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    # Far less than the frame takes, and Blender says nothing while it samples: it is
    # its computing that keeps it alive until it is told to stop.
    blender = open_blender(first_progress_seconds=1)

    def strike() -> None:
        threading.Timer(4, blender.kill).start()

    failed = fail_while_rendering(blender, endless, tmp_path / "out", strike)
    assert failed.fault is Fault.STOPPED


def test_a_script_that_computes_for_long_is_left_to_it(
    real: RealBlender, open_blender: Open, tmp_path: Path, printed: list[str]
) -> None:
    blender = open_blender(first_progress_seconds=1)
    blender.load(make_trouble(real, tmp_path, "busy"), TRUSTING, {})
    rendered = blender.render(1, tmp_path / "out", lambda progress: None)
    assert [path.name for path in rendered.files] == ["shot_0001.png"]
    assert "Blender has said nothing for 1 seconds while rendering frame 1, but it computes" in (
        printed
    )


def test_the_first_frame_has_a_longer_limit_than_later_ones(
    real: RealBlender, open_blender: Open, tmp_path: Path
) -> None:
    if real.facts.kind == "bpy":
        pytest.skip("its idle threads may spin for as long as a handler waits")
    blend = make_trouble(real, tmp_path, "sleeps")
    blender = open_blender(first_progress_seconds=60, progress_seconds=1)
    blender.load(blend, TRUSTING, {})
    first = blender.render(1, tmp_path / "first", lambda progress: None)
    assert first.files
    with pytest.raises(BlenderFailed) as caught:
        blender.render(1, tmp_path / "later", lambda progress: None)
    assert caught.value.fault is Fault.HUNG
    assert caught.value.reason.endswith("raise BURST_PROGRESS_SECONDS")
