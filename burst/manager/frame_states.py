"""Where every frame of a job stands, a letter each, for a page that shows them all at once.

The index knows it of every task, which is every frame where a task renders one. What it does
not know is which frames a larger task had finished before it failed or was canceled: those
come from the database, and only where the figures say that there are any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from burst.domain.frames import is_frame
from burst.domain.transitions import FrameStatus, TaskStatus
from burst.manager.index import JobEntry
from burst.protocol.artist_messages import FRAME_LETTERS, CommandState, FrameState

_OF_TASK: dict[TaskStatus, FrameState] = {
    TaskStatus.QUEUED: "queued",
    TaskStatus.WAITING: "queued",
    TaskStatus.ACTIVE: "active",
    TaskStatus.COMPLETED: "published",
    TaskStatus.FAILED: "failed",
    TaskStatus.CANCELED: "canceled",
}
"""What the frames of a task are that are not known better. No task of frames waits."""

_LETTERS = {status: ord(FRAME_LETTERS[state]) for status, state in _OF_TASK.items()}
_RUN = re.compile(rb"(.)\1*", re.DOTALL)


def frame_letters(job: JobEntry) -> bytearray:
    """Return one of `FRAME_LETTERS` for each frame, as far as the index knows."""
    chunk, count = job.plan.chunk, len(job.frames)
    tasks = job.board.translated(_LETTERS)[: job.plan.frame_task_count]
    letters = bytearray()
    for run in _RUN.finditer(tasks):
        letters += run[1] * (len(run[0]) * chunk)
    del letters[count:]
    _mark(job, letters, (f for frames in job.finished.values() for f in frames), "published")
    committed = (f for f, p in job.pending.items() if p.status is FrameStatus.COMMITTED)
    _mark(job, letters, committed, "committed")
    return letters


def lacks_published(job: JobEntry, letters: bytearray) -> bool:
    """Say whether more frames are published than the letters have: see `mark_published`."""
    return letters.count(FRAME_LETTERS["published"].encode()) < job.published


def mark_published(job: JobEntry, letters: bytearray, frames: Iterable[int]) -> None:
    """Mark the frames that the database has as published."""
    _mark(job, letters, frames, "published")


def in_runs(letters: bytes | bytearray) -> str:
    """Return letters as runs, each a count and a letter: ``480p1a19q``; a count of 1 is left out.

    Blocks for a while where a million frames differ one from the next.
    """
    runs = ((len(run[0]), run[1].decode()) for run in _RUN.finditer(letters))
    return "".join(f"{count}{letter}" if count > 1 else letter for count, letter in runs)


def command_states(job: JobEntry) -> tuple[CommandState, ...]:
    """Return where the command tasks of a job stand."""
    first = job.plan.frame_task_count
    return tuple(
        CommandState(name=command.name, status=job.board.status(first + number))
        for number, command in enumerate(job.plan.commands)
    )


def _mark(job: JobEntry, letters: bytearray, frames: Iterable[int], state: FrameState) -> None:
    letter = ord(FRAME_LETTERS[state])
    for frame in frames:
        if is_frame(frame):
            letters[job.frames.position_of(frame)] = letter
