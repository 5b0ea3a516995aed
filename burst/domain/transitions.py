"""Every status, with its meaning, and the moves that are allowed between them.

The tables here are the whole truth; ``docs/concepts/statuses.md`` is generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from burst.errors import NotAllowed


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    """No task of it was claimed yet."""
    ACTIVE = "active"
    """At least one task was claimed, and not all have ended."""
    PAUSED = "paused"
    """No task of it is handed out; what is being rendered goes on to its end."""
    COMPLETED = "completed"
    """Every task is completed, and every frame published."""
    FAILED = "failed"
    """All tasks ended, and at least one failed for good."""
    CANCELED = "canceled"
    """Stopped by hand; published frames stay."""


class TaskStatus(StrEnum):
    """Where a task stands. A frame task without a row is `QUEUED`."""

    QUEUED = "queued"
    """Can be handed out to a worker."""
    WAITING = "waiting"
    """A command task whose turn comes when other tasks of its job are completed."""
    ACTIVE = "active"
    """An attempt at it is under way."""
    COMPLETED = "completed"
    """The manager committed every frame of it."""
    FAILED = "failed"
    """Failed as often as the job allows, can't succeed, or waited for one that failed."""
    CANCELED = "canceled"
    """Its job was canceled."""


class AttemptStatus(StrEnum):
    """How one claim of a task by one worker goes, or how it ended."""

    ACTIVE = "active"
    """The worker holds the lease."""
    COMPLETED = "completed"
    """The manager committed every frame that the attempt was given."""
    FAILED = "failed"
    """Blender or the proof of its output failed; counts against the retry limit."""
    INTERRUPTED = "interrupted"
    """Preempted, drained or signed off; no penalty, the task goes to the front."""
    LOST = "lost"
    """The worker gave no sign of life for the length of a lease; no penalty, front."""
    OUT_OF_MEMORY = "out_of_memory"
    """Needed more memory than the worker has; counts, and raises what the job asks for."""
    CANCELED = "canceled"
    """The job was canceled under it, or what it works on is being made anew."""


class FrameStatus(StrEnum):
    """Where the result of one frame stands. A frame without a row was not rendered yet."""

    COMMITTED = "committed"
    """Proven whole, uploaded, written down by the manager; its name is not visible yet."""
    PUBLISHED = "published"
    """All its files stand under their final names."""
    REQUEUED = "requeued"
    """Was published, is to be rendered again; the old files stay until they are replaced."""


class WorkerStatus(StrEnum):
    """What a registered worker does. One that went away has no status: it is gone."""

    IDLE = "idle"
    """Asks for work."""
    BUSY = "busy"
    """Holds at least one attempt."""
    DRAINING = "draining"
    """Finishes what it holds, then leaves."""


JOB_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset(
        {JobStatus.ACTIVE, JobStatus.PAUSED, JobStatus.CANCELED, JobStatus.FAILED}
    ),
    JobStatus.ACTIVE: frozenset(
        {JobStatus.PAUSED, JobStatus.CANCELED, JobStatus.COMPLETED, JobStatus.FAILED}
    ),
    JobStatus.PAUSED: frozenset(
        {
            JobStatus.QUEUED,
            JobStatus.ACTIVE,
            JobStatus.CANCELED,
            JobStatus.COMPLETED,
            JobStatus.FAILED,
        }
    ),
    JobStatus.COMPLETED: frozenset({JobStatus.ACTIVE}),
    JobStatus.FAILED: frozenset({JobStatus.ACTIVE}),
    JobStatus.CANCELED: frozenset({JobStatus.ACTIVE}),
}
"""An ended job becomes active again only by a requeue."""

TASK_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.QUEUED: frozenset(
        {TaskStatus.ACTIVE, TaskStatus.WAITING, TaskStatus.CANCELED, TaskStatus.FAILED}
    ),
    TaskStatus.WAITING: frozenset({TaskStatus.QUEUED, TaskStatus.CANCELED, TaskStatus.FAILED}),
    TaskStatus.ACTIVE: frozenset(
        {
            TaskStatus.QUEUED,
            TaskStatus.WAITING,
            TaskStatus.COMPLETED,
            TaskStatus.FAILED,
            TaskStatus.CANCELED,
        }
    ),
    TaskStatus.COMPLETED: frozenset(
        {TaskStatus.QUEUED, TaskStatus.WAITING, TaskStatus.FAILED, TaskStatus.CANCELED}
    ),
    TaskStatus.FAILED: frozenset({TaskStatus.QUEUED, TaskStatus.WAITING}),
    TaskStatus.CANCELED: frozenset({TaskStatus.QUEUED, TaskStatus.WAITING}),
}
"""An ended task is queued again by a requeue; a completed one also when a frame of it can't be
published, and when that happened as often as the job allows failures, it has failed (or is
canceled, if its job is). A command task whose frames are requeued waits again, whatever it was."""

ATTEMPT_MOVES: Mapping[AttemptStatus, frozenset[AttemptStatus]] = {
    AttemptStatus.ACTIVE: frozenset(set(AttemptStatus) - {AttemptStatus.ACTIVE}),
    **{status: frozenset() for status in AttemptStatus if status is not AttemptStatus.ACTIVE},
}
"""An attempt ends once, and what it ended as never changes."""

FRAME_MOVES: Mapping[FrameStatus, frozenset[FrameStatus]] = {
    FrameStatus.COMMITTED: frozenset({FrameStatus.PUBLISHED}),
    FrameStatus.PUBLISHED: frozenset({FrameStatus.REQUEUED}),
    FrameStatus.REQUEUED: frozenset({FrameStatus.COMMITTED, FrameStatus.PUBLISHED}),
}
"""A requeued frame whose job is canceled is published again: its old files are still there."""

WORKER_MOVES: Mapping[WorkerStatus, frozenset[WorkerStatus]] = {
    WorkerStatus.IDLE: frozenset({WorkerStatus.BUSY, WorkerStatus.DRAINING}),
    WorkerStatus.BUSY: frozenset({WorkerStatus.IDLE, WorkerStatus.DRAINING}),
    WorkerStatus.DRAINING: frozenset(),
}
"""A draining worker only leaves."""

JOB_ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED})

_Status = TypeVar("_Status", JobStatus, TaskStatus, AttemptStatus, FrameStatus, WorkerStatus)


def check_move(
    moves: Mapping[_Status, frozenset[_Status]], what: str, now: _Status, then: _Status
) -> _Status:
    """Return ``then`` if the table allows the move from ``now``.

    Raises:
        NotAllowed: it does not; ``what`` names the thing in the message.
    """
    if then not in moves[now]:
        raise NotAllowed(f"{what} is {now}, it can't become {then}")
    return then
