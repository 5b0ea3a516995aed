"""Why tasks failed, each reason once with the frames it hit: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from burst.domain.frames import FrameRange
from burst.domain.transitions import AttemptStatus

if TYPE_CHECKING:
    from burst.protocol.artist_messages import TaskView

NO_REASON = "no reason was given"

_FRAME_NUMBER = re.compile(r"(\bframe |(?<!\d)(?=\d{3}))(-?\d+)")
"""A number that may be a frame's: called so, or as long as in the name of a file."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason, and all that ended for it."""

    subject: str
    """``frame 3``, ``frames 1-300``, or the name of a command task."""
    reason: str
    alike: bool = False
    """The reasons differ in the number of their frame only; this is the first of them."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}" + (" (and the like)" if self.alike else "")


def troubles(ended: Iterable[tuple[TaskView, str]]) -> list[Trouble]:
    """Return each reason once, in the order of the first task that it hit.

    Args:
        ended: tasks, and why each ended so.
    """
    keys: dict[str, str] = {}
    groups: dict[str, list[tuple[TaskView, str]]] = {}
    for task, reason in ended:
        key = keys.setdefault(reason, _key(task, reason))
        groups.setdefault(key, []).append((task, reason or NO_REASON))
    return [
        Trouble(
            subject=subject_of(task for task, _ in group),
            reason=group[0][1],
            alike=len({reason for _, reason in group}) > 1,
        )
        for group in groups.values()
    ]


def last_reason(task: TaskView) -> str:
    """Return why a task failed."""
    reasons = [attempt.reason for attempt in task.attempts if attempt.reason]
    if not task.attempts:
        return "not begun, as what comes before it failed"
    return reasons[-1] if reasons else NO_REASON


def attempt_troubles(tasks: Iterable[TaskView]) -> list[tuple[AttemptStatus, Trouble]]:
    """Return what went wrong in the attempts at tasks, each kind and reason once."""
    by_status: dict[AttemptStatus, list[tuple[TaskView, str]]] = {}
    for task in tasks:
        for attempt in task.attempts:
            if attempt.reason:
                by_status.setdefault(attempt.status, []).append((task, attempt.reason))
    return [(status, one) for status, ended in by_status.items() for one in troubles(ended)]


def subject_of(tasks: Iterable[TaskView]) -> str:
    """Return what tasks are about, for people."""
    frames: list[str] = []
    names: dict[str, None] = {}
    for task in tasks:
        if task.frames:
            frames.append(task.frames)
        else:
            names[task.name] = None
    said = list(names)
    if frames:
        together = FrameRange.parse(frames[0])
        if len(frames) > 1:
            together = FrameRange.of(frame for text in frames for frame in FrameRange.parse(text))
        said.insert(0, f"frame{'s' * (len(together) > 1)} {together}")
    return ", ".join(said)


def _key(task: TaskView, reason: str) -> str:
    """Return the reason without the numbers of the task's own frames."""
    if not task.frames:
        return reason
    frames = FrameRange.parse(task.frames)

    def without(match: re.Match[str]) -> str:
        return match[1] + "#" if int(match[2]) in frames else match[0]

    return _FRAME_NUMBER.sub(without, reason)
