"""A Blender that misbehaves ends in a sentence, an outcome, and its last lines.

Against a stand-in that misbehaves on demand. Left out: what a real one can be made to do
(`tests/integration/test_faults_*.py`).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.domain.jobs import RenderSettings
from burst.domain.workers import BlenderFacts
from burst.worker.blender import Blender, BlenderFailed, Progress
from burst.worker.faults import Fault

STUB = Path(__file__).parents[2] / "fakes" / "blender_stub.py"


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def blender(tmp_path: Path, lines: list[str]) -> Iterator[Blender]:
    program = tmp_path / "blender"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STUB}" "$@"\n')
    program.chmod(0o755)
    opened = Blender(
        program,
        BlenderFacts(version=(4, 2, 0), kind="binary"),
        scratch=tmp_path / "scratch",
        threads=1,
        memory_limit_bytes=0,
        on_line=lines.append,
    )
    yield opened
    opened.close()


def load(blender: Blender, tmp_path: Path, kind: str) -> None:
    blend = tmp_path / f"{kind}.blend"
    blend.write_bytes(b"BLENDER")
    blender.load(blend, RenderSettings(), {})


def failure(blender: Blender, tmp_path: Path, kind: str) -> BlenderFailed:
    load(blender, tmp_path, kind)
    with pytest.raises(BlenderFailed) as caught:
        blender.render(7, tmp_path / "out", lambda progress: None)
    assert blender.pid is None
    return caught.value


def test_a_frame_comes_with_its_figures(blender: Blender, tmp_path: Path) -> None:
    load(blender, tmp_path, "good")
    rendered = blender.render(7, tmp_path / "out", lambda progress: None)
    assert rendered.files == (tmp_path / "out" / "0007.png",)
    assert (rendered.frame, rendered.render_seconds, rendered.warnings) == (7, 0.5, ("w",))
    assert rendered.peak_memory_bytes > 5


def test_progress_is_told_and_other_lines_are_passed_on(
    blender: Blender, tmp_path: Path, lines: list[str]
) -> None:
    told: list[Progress] = []
    load(blender, tmp_path, "progress")
    blender.render(7, tmp_path / "out", told.append)
    blender.close()
    assert [(step.frame, step.sample, step.samples) for step in told] == [
        (7, 0, 0),  # the next step came too soon after it
        (7, 0, 4),
        (7, 1, 4),
    ]
    assert lines == ["Something for the artist"]


def test_saved_on_a_full_disk_is_no_frame(blender: Blender, tmp_path: Path) -> None:
    failed = failure(blender, tmp_path, "saved-on-full-disk")
    assert failed.outcome == "failed"
    assert failed.fault is Fault.DISK_FULL
    assert failed.reason.startswith(
        f"the disk is full: Blender could not write to {tmp_path / 'out'};"
    )


def test_a_crash_for_lack_of_memory_is_told_from_any_other(
    blender: Blender, tmp_path: Path
) -> None:
    failed = failure(blender, tmp_path, "malloc")
    assert failed.outcome == "out_of_memory"
    assert failed.reason.startswith("Blender ran out of memory while rendering frame 7;")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no-file", "Blender wrote no file for frame 7"),
        ("exits", "Blender left with exit status 3 while rendering frame 7"),
        ("error", "Blender failed while rendering frame 7: Cannot render, no camera"),
        ("stray", "Blender wrote /etc/passwd outside of the folder that it was given"),
        ("upward", "Blender wrote "),
        ("nonsense", "Blender answered what burst does not understand while rendering frame 7"),
        ("numberless", "Blender answered what burst does not understand while rendering frame 7"),
    ],
)
def test_each_way_to_make_no_frame_has_its_sentence(
    blender: Blender, tmp_path: Path, kind: str, reason: str
) -> None:
    failed = failure(blender, tmp_path, kind)
    assert failed.reason.startswith(reason)
    assert failed.outcome == "failed"


def test_an_answer_to_a_load_without_its_facts_is_no_scene(
    blender: Blender, tmp_path: Path
) -> None:
    with pytest.raises(BlenderFailed) as caught:
        load(blender, tmp_path, "factless")
    assert caught.value.fault is Fault.GARBLED
    assert blender.pid is None


@pytest.mark.parametrize("kind", ["gives-up", "gives-up-on-full-disk"])
def test_what_no_try_can_save_is_given_up_but_not_for_another_cause(
    blender: Blender, tmp_path: Path, kind: str
) -> None:
    failed = failure(blender, tmp_path, kind)
    expected = ("job", Fault.REFUSED) if kind == "gives-up" else (None, Fault.DISK_FULL)
    assert (failed.gives_up, failed.fault) == expected


def test_the_last_lines_go_with_the_failure(blender: Blender, tmp_path: Path) -> None:
    assert failure(blender, tmp_path, "exits").log_tail == ("last words",)


def test_nothing_is_rendered_before_a_load_or_after_a_kill(
    blender: Blender, tmp_path: Path
) -> None:
    with pytest.raises(BlenderFailed, match="gone before"):
        blender.render(1, tmp_path / "out", lambda progress: None)
    load(blender, tmp_path, "good")
    blender.kill()
    with pytest.raises(BlenderFailed) as caught:
        blender.render(1, tmp_path / "out", lambda progress: None)
    assert caught.value.outcome == "interrupted"


def test_who_is_canceled_just_before_a_load_starts_no_blender(
    blender: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def cancel() -> None:
        # As the worker's session does it, from another thread.
        over.set()
        blender.kill()

    blend = tmp_path / "good.blend"
    blend.write_bytes(b"BLENDER")
    started: list[object] = []
    monkeypatch.setattr("burst.worker.blender.Child", lambda *args, **more: started.append(args))
    cancel()
    with pytest.raises(BlenderFailed) as caught:
        blender.load(blend, RenderSettings(), {}, wanted=lambda: not over.is_set())
    assert caught.value.fault is Fault.STOPPED
    over.clear()
    with pytest.raises(BlenderFailed) as caught:
        # Later still: it was asked already, and nothing is started yet.
        blender.load(blend, RenderSettings(), {}, wanted=lambda: cancel() or True)  # type: ignore[func-returns-value]
    assert caught.value.fault is Fault.STOPPED
    assert started == []


def test_a_kill_between_two_frames_is_not_taken_for_a_loaded_scene(
    blender: Blender, tmp_path: Path
) -> None:
    load(blender, tmp_path, "good")
    pid = blender.pid
    blender.kill()
    assert blender.pid is None
    load(blender, tmp_path, "good")
    assert blender.pid not in (pid, None)
    assert blender.render(7, tmp_path / "out", lambda progress: None).files


def test_a_changed_blend_of_the_same_name_is_loaded_anew(blender: Blender, tmp_path: Path) -> None:
    load(blender, tmp_path, "good")
    pid = blender.pid
    (tmp_path / "good.blend").write_bytes(b"BLENDER, changed")
    blender.load(tmp_path / "good.blend", RenderSettings(), {})
    assert blender.pid not in (pid, None)


def test_a_blend_that_is_not_there_fails_before_anything_starts(
    blender: Blender, tmp_path: Path
) -> None:
    with pytest.raises(BlenderFailed, match=r"none\.blend can't be read"):
        blender.load(tmp_path / "none.blend", RenderSettings(), {})


def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    blend = tmp_path / "a.blend"
    blend.write_bytes(b"BLENDER")
    absent = Blender(
        tmp_path / "no-blender",
        BlenderFacts(version=(4, 2, 0), kind="binary"),
        scratch=tmp_path / "scratch",
        threads=1,
        memory_limit_bytes=0,
        on_line=lambda text: None,
    )
    with pytest.raises(BlenderFailed, match="can't be started"):
        absent.load(blend, RenderSettings(), {})
