"""What the ends of tasks and results mean for their job: published, lost, given up, settled.

Each function decides on the index and returns what to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from burst.domain.frames import is_frame
from burst.domain.jobs import settled_status
from burst.domain.transitions import JOB_MOVES, FrameStatus, JobStatus, TaskStatus, check_move
from burst.manager import turns
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import JobEntry, PendingFrame


def reopened(job: JobEntry) -> TaskStatus:
    """Return what a task becomes that would have to be done again."""
    if job.status is JobStatus.CANCELED:
        return TaskStatus.CANCELED
    return TaskStatus.FAILED if job.given_up else TaskStatus.QUEUED


def publish_frame(job: JobEntry, frame: int, now: datetime, changes: Changes) -> None:
    """Note that a committed frame, or another result, stands under its final name."""
    pending = job.pending.pop(frame)
    job.published_seq += 1
    job.published += is_frame(frame)
    changes.write(
        statements.put_frame(
            job.id,
            frame,
            status=FrameStatus.PUBLISHED,
            published_seq=job.published_seq,
            replaces={},
            **frame_values(pending),
        )
    )
    changes.frames_published.append((job.id, frame))
    changes.jobs.add(job.id)
    settle_job(job, now, changes)


def lose_frame(job: JobEntry, frame: int, reason: str, now: datetime, changes: Changes) -> None:
    """Note that a committed frame, or another result, can't be published: there is none.

    If its task had ended well, that is open again, and it counts as a failure of it: what
    stands in the way may stand there for ever.
    """
    _take_back(job, frame, changes)
    label = job.result_label(frame)
    what = label if is_frame(frame) else f"the result of {label}"
    changes.notes.append((job.id, "error", f"{what} is lost: {reason}"))
    changes.jobs.add(job.id)
    task = job.plan.task_of(frame)
    if job.board.status(task) is not TaskStatus.COMPLETED:
        job.finished.get(task, set()).discard(frame)
        settle_job(job, now, changes)
        return
    if others := set(job.plan.frames_of(task)) - {frame}:
        job.finished[task] = others
    failures = job.failures[task] = job.failures.get(task, 0) + 1
    job.failed_on.setdefault(task, set())
    spent = failures >= job.retry_limit
    status = TaskStatus.FAILED if spent else reopened(job)
    job.board.move(task, status)
    changes.write(statements.put_task(job.id, task, status=status, failures=failures))
    changes.ready_tasks += status is TaskStatus.QUEUED
    if spent and job.fail_fast:
        times = "once" if failures == 1 else f"{failures} times"
        give_up_job(job, f"{what} was lost {times}: {reason}", changes)
    settle_job(job, now, changes)


def give_up_job(job: JobEntry, why: str, changes: Changes) -> None:
    """Let every task fail that is not under way; what is goes on to its end.

    Tasks without a row are not given one: `JobEntry.given_up` says what they are.
    """
    if job.given_up or job.ended:
        return
    job.given_up, job.status_reason = True, f"given up: {why}"
    open_tasks = (TaskStatus.QUEUED, TaskStatus.WAITING)
    job.board.move_all(open_tasks, TaskStatus.FAILED)
    changes.write(
        statements.move_tasks(job.id, open_tasks, TaskStatus.FAILED),
        statements.change_job(job.id, given_up=True, status_reason=job.status_reason),
    )
    changes.jobs.add(job.id)
    changes.notes.append((job.id, "error", f"job {job.status_reason}"))


def settle_job(job: JobEntry, now: datetime, changes: Changes) -> None:
    """End the job if nothing of it is left to do, to publish or to wait for."""
    if job.ended:
        return
    turns.advance(job, changes)
    if any(True for _ in job.unpublished):
        return
    board = job.board
    status = settled_status(
        board.count(TaskStatus.COMPLETED),
        board.count(TaskStatus.FAILED),
        board.count(TaskStatus.CANCELED),
        len(board),
    )
    if status is None:
        return
    job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, status)
    job.ended_at = now
    if not job.given_up:
        failed = board.count(TaskStatus.FAILED)
        job.status_reason = f"{failed} of {len(board)} tasks failed" if failed else ""
    changes.write(
        statements.change_job(job.id, status=status, status_reason=job.status_reason, ended_at=now)
    )
    changes.jobs.add(job.id)
    changes.notes.append((job.id, "info", f"job {status}"))


def frame_values(pending: PendingFrame) -> Mapping[str, object]:
    """Return the columns of a frame's row that come from who made it."""
    return {
        "attempt_id": pending.attempt_id,
        "worker": pending.worker,
        "files": [file.model_dump() for file in pending.files],
        "render_seconds": pending.render_seconds,
        "peak_memory_bytes": pending.peak_memory_bytes,
        "warnings": list(pending.warnings),
    }


def _take_back(job: JobEntry, frame: int, changes: Changes) -> None:
    """Undo the commit of a frame; what it was to replace is still to be replaced."""
    pending = job.pending[frame]
    if pending.replaces:
        pending.status = FrameStatus.REQUEUED
        changes.write(statements.put_frame_status(job.id, frame, pending.status, pending.replaces))
        return
    del job.pending[frame]
    changes.write(statements.delete_frame(job.id, frame))
