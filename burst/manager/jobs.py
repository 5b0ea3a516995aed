"""What artists do with jobs: submit, cancel, pause, resume, requeue, delete.

Each function decides on the index and returns what to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from burst.domain.frames import FrameRange, TaskPlan
from burst.domain.jobs import new_job_id, work_key
from burst.domain.tasks import TaskBoard
from burst.domain.transitions import (
    FRAME_MOVES,
    JOB_MOVES,
    AttemptStatus,
    FrameStatus,
    JobStatus,
    TaskStatus,
    check_move,
)
from burst.errors import InvalidRequest, NotAllowed
from burst.manager import attempts
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import Index, JobEntry, PendingFrame
from burst.protocol.artist_messages import SubmitJob


def submit(
    index: Index, message: SubmitJob, now: datetime, changes: Changes
) -> tuple[JobEntry, bool]:
    """Add a job, or find the unfinished one that does the same work.

    Returns:
        The job, and whether it was found rather than made.
    """
    frames = FrameRange.parse(message.frames)
    key = work_key(message.scene, str(frames), message.settings, message.chunk, message.output)
    found = None if message.new else index.unfinished_job(key)
    if found is not None:
        if found.status is JobStatus.PAUSED:
            resume(found, changes)
        return found, True
    plan = TaskPlan(frames, message.chunk)
    job = JobEntry(
        id=new_job_id(message.name),
        seq=index.next_counter("job"),
        name=message.name,
        status=JobStatus.QUEUED,
        status_reason="",
        priority=message.priority,
        scene=message.scene,
        plan=plan,
        settings=message.settings,
        requirements=message.requirements,
        retry_limit=message.retry_limit,
        fail_fast=message.fail_fast,
        fps=message.fps,
        output=message.output,
        work_key=key,
        created_at=now,
        started_at=None,
        ended_at=None,
        board=TaskBoard(plan.task_count),
    )
    index.jobs[job.id] = job
    changes.write(
        statements.put_counter("job", job.seq),
        statements.add_job(_row(job)),
    )
    changes.jobs.add(job.id)
    changes.ready_tasks += plan.task_count
    changes.notes.append((job.id, "info", f"job submitted: {len(frames)} frames, {frames}"))
    return job, False


def cancel(index: Index, job: JobEntry, now: datetime, changes: Changes) -> None:
    """Stop a job. Frames that are published or committed stay."""
    job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, JobStatus.CANCELED)
    job.status_reason, job.ended_at = "canceled by hand", now
    for attempt in [a for a in index.attempts.values() if a.job_id == job.id]:
        changes.wake_workers.add(attempt.worker)
        attempts.end(index, attempt, AttemptStatus.CANCELED, "job canceled", now, changes)
    open_tasks = (TaskStatus.QUEUED, TaskStatus.ACTIVE)
    for status in open_tasks:
        for task in job.board.with_status(status):
            job.board.move(task, TaskStatus.CANCELED)
    job.finished.clear()
    _keep_old_files(job)
    changes.write(
        statements.move_tasks(job.id, open_tasks, TaskStatus.CANCELED),
        statements.restore_requeued_frames(job.id),
        statements.change_job(
            job.id, status=job.status, status_reason=job.status_reason, ended_at=now
        ),
    )
    changes.jobs.add(job.id)
    changes.notes.append((job.id, "warning", "job canceled by hand"))


def pause(job: JobEntry, changes: Changes) -> None:
    """Hand out no more tasks of a job; what is being rendered goes on."""
    job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, JobStatus.PAUSED)
    changes.write(statements.change_job(job.id, status=job.status))
    changes.jobs.add(job.id)
    changes.notes.append((job.id, "info", "job paused"))


def resume(job: JobEntry, changes: Changes) -> None:
    """Hand out tasks of a paused job again."""
    if job.status is not JobStatus.PAUSED:
        raise NotAllowed(f"job {job.id} is {job.status}, only a paused job can be resumed")
    _activate(job, changes)
    changes.notes.append((job.id, "info", "job resumed"))


def set_priority(job: JobEntry, priority: int, changes: Changes) -> None:
    """Change which jobs go first."""
    job.priority = priority
    changes.write(statements.change_job(job.id, priority=priority))
    changes.jobs.add(job.id)


def requeue(
    job: JobEntry,
    frames: FrameRange | None,
    published: Mapping[int, PendingFrame],
    changes: Changes,
) -> None:
    """Render tasks of a job again.

    Args:
        job: the job.
        frames: frames whose tasks are to be rendered again; None means every task that
            failed or was canceled.
        published: the published frames among those of the tasks, each with the storage
            identities that the new files may replace.
        changes: what to write.

    Raises:
        InvalidRequest: the job does not render one of the frames.
        NotAllowed: there is nothing to requeue.
    """
    tasks = tasks_to_requeue(job, frames)
    if not tasks:
        raise NotAllowed(
            f"job {job.id} has no failed or canceled tasks",
            hint="name the frames to render again with --frames",
        )
    again = {task: _frames_again(job, task, published, named=frames is not None) for task in tasks}
    # Nothing is refused from here on.
    if job.status is JobStatus.CANCELED:
        # Tasks that were never touched have no row; the job's status said what they are.
        canceled = [*job.board.with_status(TaskStatus.CANCELED)]
        changes.write(*statements.put_tasks(job.id, canceled, TaskStatus.CANCELED))
    for task in tasks:
        job.board.move(task, TaskStatus.QUEUED)
        job.failures.pop(task, None)
        job.failed_on.pop(task, None)
        _requeue_frames(job, again[task], published, changes)
        _keep_finished(job, task, again[task], published)
    changes.write(*statements.put_tasks(job.id, tasks, TaskStatus.QUEUED))
    changes.ready_tasks += len(tasks)
    if job.status is not JobStatus.PAUSED:
        _activate(job, changes)
    changes.jobs.add(job.id)
    changes.notes.append((job.id, "info", f"{len(tasks)} tasks requeued by hand"))


def tasks_to_requeue(job: JobEntry, frames: FrameRange | None) -> list[int]:
    """Return the ended tasks that a requeue means, ascending.

    Raises:
        InvalidRequest: the job does not render one of the frames.
    """
    if frames is None:
        ended = (TaskStatus.FAILED, TaskStatus.CANCELED)
        return sorted(task for status in ended for task in job.board.with_status(status))
    for frame in frames:
        if frame not in job.frames:
            raise InvalidRequest(f"job {job.id} does not render frame {frame}")
    tasks = {job.plan.task_of(frame) for frame in frames}
    open_tasks = (TaskStatus.QUEUED, TaskStatus.ACTIVE)
    return sorted(task for task in tasks if job.board.status(task) not in open_tasks)


def delete(index: Index, job: JobEntry, changes: Changes) -> None:
    """Forget an ended job.

    Raises:
        NotAllowed: as `check_deletable`.
    """
    check_deletable(job)
    del index.jobs[job.id]
    changes.write(statements.delete_job(job.id))
    changes.jobs.add(job.id)


def check_deletable(job: JobEntry) -> None:
    """Check that a job may be forgotten.

    Raises:
        NotAllowed: it has not ended, or results of it are still being published.
    """
    if not job.ended:
        raise NotAllowed(
            f"job {job.id} is {job.status}", hint=f"cancel it first: burst jobs cancel {job.id}"
        )
    if any(True for _ in job.unpublished):
        raise NotAllowed(f"frames of job {job.id} are still being published", hint="try again")


def _activate(job: JobEntry, changes: Changes) -> None:
    status = job.status
    if status is JobStatus.PAUSED:
        status = JobStatus.ACTIVE if job.started_at else JobStatus.QUEUED
    elif job.ended:
        status = JobStatus.ACTIVE
    if job.status is not status:
        job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, status)
    job.status_reason, job.ended_at = "", None
    changes.write(statements.change_job(job.id, status=job.status, status_reason="", ended_at=None))
    changes.jobs.add(job.id)
    changes.ready_tasks += job.board.count(TaskStatus.QUEUED)


def _frames_again(
    job: JobEntry, task: int, published: Mapping[int, PendingFrame], *, named: bool
) -> tuple[int, ...]:
    """Return the frames of an ended task that have a result and are rendered all the same.

    A task that ended without all its frames keeps those that it has, unless it was named.
    """
    frames = job.plan.frames_of(task)
    committed = {f for f in frames if f in job.pending and _is_committed(job.pending[f])}
    done = committed | (published.keys() & set(frames))
    whole = job.board.status(task) is TaskStatus.COMPLETED or len(done) == len(frames)
    if not (whole or named):
        return ()
    if committed:
        raise NotAllowed(
            f"frame {min(committed)} of job {job.id} is just being published", hint="try again"
        )
    return tuple(sorted(done))


def _requeue_frames(
    job: JobEntry,
    frames: tuple[int, ...],
    published: Mapping[int, PendingFrame],
    changes: Changes,
) -> None:
    for frame in frames:
        pending = published[frame]
        check_move(FRAME_MOVES, f"frame {frame}", FrameStatus.PUBLISHED, pending.status)
        job.pending[frame] = pending
        job.published -= 1
        changes.write(statements.put_frame_status(job.id, frame, pending.status, pending.replaces))


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


def _keep_old_files(job: JobEntry) -> None:
    """Requeued frames that will not be rendered again after all are published as they were."""
    for frame, pending in list(job.pending.items()):
        if pending.status is FrameStatus.REQUEUED:
            del job.pending[frame]
            job.published += 1


def _row(job: JobEntry) -> dict[str, object]:
    return {
        "id": job.id,
        "seq": job.seq,
        "name": job.name,
        "status": job.status,
        "status_reason": job.status_reason,
        "priority": job.priority,
        "scene": job.scene.model_dump() if job.scene else None,
        "frames": str(job.frames),
        "chunk": job.plan.chunk,
        "settings": job.settings.model_dump(),
        "requirements": job.requirements.model_dump(),
        "retry_limit": job.retry_limit,
        "fail_fast": job.fail_fast,
        "fps": job.fps,
        "output": job.output,
        "work_key": job.work_key,
        "created_at": job.created_at,
    }
