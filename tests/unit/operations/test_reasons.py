"""Reasons of failed tasks, each told once."""

from __future__ import annotations

import pytest

from burst.domain.transitions import AttemptStatus, TaskStatus
from burst.operations.reasons import attempt_troubles, last_reason, subject_of, troubles
from burst.protocol.artist_messages import AttemptView, TaskView
from tests.fakes.manager import NOW


def task(frames: str, *ended: tuple[AttemptStatus, str], name: str = "") -> TaskView:
    attempts = tuple(
        AttemptView(
            id=f"a{number}",
            task_index=0,
            worker="w",
            status=status,
            reason=reason,
            started_at=NOW,
            ended_at=NOW,
            peak_memory_bytes=0,
        )
        for number, (status, reason) in enumerate(ended)
    )
    return TaskView(
        index=0,
        name=name,
        frames=frames,
        status=TaskStatus.FAILED,
        failures=len(attempts),
        attempts=attempts,
    )


def told(*ended: tuple[str, str]) -> list[str]:
    return [str(one) for one in troubles((task(frames), reason) for frames, reason in ended)]


def test_frames_with_the_same_reason_are_told_together() -> None:
    assert told(("1", "no camera"), ("2", "crashed"), ("3", "no camera")) == [
        "frames 1,3: no camera",
        "frame 2: crashed",
    ]


@pytest.mark.parametrize(
    "reason", ["frame {0} is black", "shot_{0:04}.png is cut", "{0:05}.exr and frame {0}"]
)
def test_reasons_that_differ_only_in_their_frame_are_alike(reason: str) -> None:
    ended = [(str(frame), reason.format(frame)) for frame in (8, 9, 10)]
    assert told(*ended) == [f"frames 8-10: {reason.format(8)} (and the like)"]


def test_other_numbers_make_another_reason() -> None:
    assert len(told(("1", "exit status 1"), ("2", "exit status 2"))) == 2
    assert told(("1", "exit status 1"), ("2", "exit status 1")) == ["frames 1-2: exit status 1"]
    assert told(("1", "wood_001.png is missing"), ("2", "wood_001.png is missing")) == [
        "frames 1-2: wood_001.png is missing"
    ]
    assert len(told(("1", "wood_001.png is missing"), ("2", "wood_003.png is missing"))) == 2


def test_a_command_task_goes_by_its_name() -> None:
    assert subject_of([task("", name="video")]) == "video"
    assert subject_of([task("1-4"), task("", name="video")]) == "frames 1-4, video"


def test_a_reason_that_is_lacking_is_said_to_be() -> None:
    assert last_reason(task("1", (AttemptStatus.FAILED, ""))) == "no reason was given"
    assert "not begun" in last_reason(task("", name="video"))
    assert told(("1", "")) == ["frame 1: no reason was given"]


def test_attempts_are_told_by_how_they_ended() -> None:
    lost, failed = AttemptStatus.LOST, AttemptStatus.FAILED
    tasks = [
        task("1", (failed, "no camera"), (lost, "silent")),
        task("2", (failed, "no camera"), (AttemptStatus.COMPLETED, "")),
    ]
    assert [(status, str(one)) for status, one in attempt_troubles(tasks)] == [
        (failed, "frames 1-2: no camera"),
        (lost, "frame 1: silent"),
    ]
