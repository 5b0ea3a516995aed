"""Tasks that are done again: what failed or was canceled, or frames that an artist names.

What waits for them waits again. Each function decides on the index and returns what to write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from burst.domain.frames import FrameRange, is_frame
from burst.domain.transitions import (
    FRAME_MOVES,
    FrameStatus,
    JobStatus,
    TaskStatus,
    check_move,
)
from burst.errors import InvalidRequest, NotAllowed
from burst.manager import attempts, turns
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import Index, JobEntry, PendingFrame
from burst.manager.jobs import activate
from burst.manager.outcomes import settle_job


@dataclass(frozen=True, slots=True)
class Again:
    """The tasks that a requeue means."""

    tasks: list[int]
    """Ended ones that were asked for."""
    behind: list[int]
    """Command tasks that wait for one of them and had their turn, or were denied it."""


def tasks_to_requeue(job: JobEntry, frames: FrameRange | None) -> Again:
    """Return the tasks that a requeue means, ascending.

    Raises:
        InvalidRequest: the job does not render one of the frames.
    """
    if frames is None:
        ended = (TaskStatus.FAILED, TaskStatus.CANCELED)
        tasks = sorted(task for status in ended for task in job.board.with_status(status))
    else:
        for frame in frames:
            if frame not in job.frames:
                raise InvalidRequest(f"job {job.id} does not render frame {frame}")
        open_tasks = (TaskStatus.QUEUED, TaskStatus.ACTIVE)
        named = {job.plan.task_of(frame) for frame in frames}
        tasks = sorted(task for task in named if job.board.status(task) not in open_tasks)
    stays = (TaskStatus.WAITING, TaskStatus.CANCELED)
    behind = [
        task
        for task in turns.tasks_behind(job, tasks)
        if task not in tasks and job.board.status(task) not in stays
    ]
    return Again(tasks, behind)


def requeue(
    index: Index,
    job: JobEntry,
    frames: FrameRange | None,
    published: Mapping[int, PendingFrame],
    now: datetime,
    changes: Changes,
) -> None:
    """Do tasks of a job again.

    Args:
        index: the job's.
        job: the job.
        frames: frames whose tasks are to be rendered again; None means every task that
            failed or was canceled.
        published: the published results among those of the tasks, each with the storage
            identities that the new files may replace.
        now: the time.
        changes: what to write.

    Raises:
        InvalidRequest: the job does not render one of the frames.
        NotAllowed: there is nothing to requeue.
    """
    again = tasks_to_requeue(job, frames)
    if not again.tasks and frames is not None:
        which = "frame" if len(frames) == 1 else "every one of frames"
        raise NotAllowed(f"{which} {frames} of job {job.id} is still to be rendered")
    if not again.tasks:
        raise NotAllowed(
            f"job {job.id} has no failed or canceled tasks",
            hint="name the frames to render again with --frames",
        )
    results = {
        task: _results_again(job, task, published, named=frames is not None or task in again.behind)
        for task in (*again.tasks, *again.behind)
    }
    # Nothing is refused from here on.
    write_untouched(job, changes, besides=results.keys())
    for task in again.tasks:
        _reopen(job, task, results[task], published, changes)
    for task in again.behind:
        _take_back(index, job, task, now, changes)
        _reopen(job, task, results[task], published, changes)
    for status in (TaskStatus.QUEUED, TaskStatus.WAITING):
        moved = [task for task in results if job.board.status(task) is status]
        changes.write(statements.put_tasks(job.id, moved, status))
    changes.ready_tasks += sum(job.board.status(t) is TaskStatus.QUEUED for t in again.tasks)
    if job.status is not JobStatus.PAUSED:
        activate(job, changes)
    settle_job(job, now, changes)
    changes.jobs.add(job.id)
    changes.notes.append((job.id, "info", f"{len(again.tasks)} tasks requeued by hand"))


def write_untouched(job: JobEntry, changes: Changes, besides: Collection[int] = ()) -> None:
    """Give a row to each task of a job that was given up, or canceled, and has none.

    The job's row said what they are; it will not from here on. Those of ``besides`` are
    written by the caller.
    """
    ended = {TaskStatus.FAILED} if job.given_up else set()
    if job.status is JobStatus.CANCELED:
        ended.add(TaskStatus.CANCELED)
    for status in sorted(ended):
        tasks = [task for task in job.board.with_status(status) if task not in besides]
        changes.write(statements.add_tasks(job.id, tasks, status))
    if job.given_up:
        job.given_up, job.status_reason = False, ""
        changes.write(statements.change_job(job.id, given_up=False, status_reason=""))


def _take_back(index: Index, job: JobEntry, task: int, now: datetime, changes: Changes) -> None:
    """End the attempt at a command task whose frames are being rendered again."""
    for attempt in [a for a in index.attempts.values() if a.job_id == job.id]:
        if attempt.task_index == task:
            reason = "what it waits for is made anew"
            attempts.withdraw(index, attempt, reason, now, changes)


def _reopen(
    job: JobEntry,
    task: int,
    again: tuple[int, ...],
    published: Mapping[int, PendingFrame],
    changes: Changes,
) -> None:
    command = job.plan.command_task(task)
    status = turns.first_status(command) if command else TaskStatus.QUEUED
    if job.board.status(task) is not status:
        job.board.move(task, status)
    job.failures.pop(task, None)
    job.failed_on.pop(task, None)
    job.outgrown.pop(task, None)
    _requeue_results(job, again, published, changes)
    _keep_finished(job, task, again, published)


def _results_again(
    job: JobEntry, task: int, published: Mapping[int, PendingFrame], *, named: bool
) -> tuple[int, ...]:
    """Return the results of an ended task that there are and that are made anew all the same.

    A task that ended without all its frames keeps those that it has, unless it was named.
    """
    frames = job.plan.frames_of(task)
    committed = {f for f in frames if f in job.pending and _is_committed(job.pending[f])}
    done = committed | (published.keys() & set(frames))
    completed = job.board.status(task) is TaskStatus.COMPLETED
    if completed and len(done) < len(frames):
        raise NotAllowed(f"job {job.id} has changed meanwhile", hint="try again")
    if not (named or len(done) == len(frames)):
        return ()
    if committed:
        label = job.result_label(min(committed))
        what = label if is_frame(min(committed)) else f"the result of {label}"
        raise NotAllowed(f"{what} of job {job.id} is just being published", hint="try again")
    return tuple(sorted(done))


def _requeue_results(
    job: JobEntry,
    numbers: tuple[int, ...],
    published: Mapping[int, PendingFrame],
    changes: Changes,
) -> None:
    for number in numbers:
        pending = published[number]
        check_move(FRAME_MOVES, job.result_label(number), FrameStatus.PUBLISHED, pending.status)
        job.pending[number] = pending
        job.published -= is_frame(number)
        changes.write(statements.put_frame_status(job.id, number, pending.status, pending.replaces))


def _keep_finished(
    job: JobEntry, task: int, again: tuple[int, ...], published: Mapping[int, PendingFrame]
) -> None:
    """Note which frames of a task that is queued again nobody needs to render."""
    kept = {
        frame
        for frame in job.plan.frames_of(task)
        if frame not in again
        and (frame in published or (frame in job.pending and _is_committed(job.pending[frame])))
    }
    job.finished.pop(task, None)
    if kept:
        job.finished[task] = kept


def _is_committed(pending: PendingFrame) -> bool:
    return pending.status is FrameStatus.COMMITTED
