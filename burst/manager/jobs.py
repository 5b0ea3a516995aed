"""What artists do with jobs: submit, cancel, pause, resume, delete.

Each function decides on the index and returns what to write.
"""

from __future__ import annotations

from datetime import datetime

from burst.domain.commands import CommandTask
from burst.domain.frames import FrameRange, TaskPlan, is_frame
from burst.domain.jobs import PRIORITY_DEFAULT, new_job_id, work_key
from burst.domain.tasks import TaskBoard
from burst.domain.transitions import (
    JOB_MOVES,
    AttemptStatus,
    FrameStatus,
    JobStatus,
    TaskStatus,
    check_move,
)
from burst.domain.turns import check_commands
from burst.errors import InvalidRequest, NotAllowed, UsageError
from burst.manager import attempts
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import Index, JobEntry
from burst.manager.turns import first_status
from burst.protocol.artist_messages import SubmitJob


def submit(
    index: Index, message: SubmitJob, now: datetime, changes: Changes
) -> tuple[JobEntry, bool]:
    """Add a job, or find the unfinished one that does the same work.

    What it asks for was checked by `check_submission`.

    Returns:
        The job, and whether it was found rather than made.
    """
    frames = FrameRange.restore(message.frames)
    key = work_key(
        message.scene,
        str(frames),
        message.settings,
        message.chunk,
        message.output,
        message.commands,
    )
    found = None if message.new else index.unfinished_job(key)
    if found is not None:
        _ask_again(found, message, changes)
        return found, True
    plan = TaskPlan(frames, message.chunk, message.commands)
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
        given_up=False,
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
    for number, task in enumerate(message.commands):
        start_command(job, plan.frame_task_count + number, task, changes)
    changes.ready_tasks += job.board.count(TaskStatus.QUEUED)
    parts = [f"{len(frames)} frames, {frames}"] if len(frames) else []
    parts += [f"task {task.name}" for task in message.commands]
    changes.notes.append((job.id, "info", f"job submitted: {'; '.join(parts)}"))
    return job, False


def _ask_again(job: JobEntry, message: SubmitJob, changes: Changes) -> None:
    """Go on with an unfinished job, as it was asked for last.

    A priority that was not typed leaves the one that the job was given since.
    """
    job.requirements, job.fail_fast = message.requirements, message.fail_fast
    job.retry_limit = message.retry_limit
    if message.priority != PRIORITY_DEFAULT:
        job.priority = message.priority
    changes.write(
        statements.change_job(
            job.id,
            requirements=job.requirements.model_dump(),
            fail_fast=job.fail_fast,
            retry_limit=job.retry_limit,
            priority=job.priority,
        )
    )
    changes.jobs.add(job.id)
    # It may ask for less than before.
    changes.ready_tasks += job.board.count(TaskStatus.QUEUED)
    if job.status is JobStatus.PAUSED:
        resume(job, changes)


def check_submission(message: SubmitJob) -> None:
    """Check that what a new job asks for makes sense. Takes a while with many frames.

    Raises:
        InvalidRequest: it does not.
    """
    if message.frames and message.scene is None:
        raise InvalidRequest("frames without a scene", hint="name the scene to render them of")
    if not message.frames and not message.commands:
        raise InvalidRequest("a job needs frames of a scene, or commands")
    frames = FrameRange.restore(message.frames)
    if message.settings.unbaked == "render" and message.chunk < len(frames):
        raise InvalidRequest(
            "a simulation that is not baked has to be rendered as one task",
            hint=f"set chunk to {len(frames)}, or bake the simulation",
        )
    try:
        check_commands(message.commands, frames)
    except UsageError as error:
        raise InvalidRequest(error.message, hint=error.hint) from error


def start_command(job: JobEntry, index: int, task: CommandTask, changes: Changes) -> None:
    """Set a new command task where it starts, and give it its row."""
    status = first_status(task)
    job.board.restore(index, status)
    changes.write(statements.put_task(job.id, index, status=status))


def cancel(index: Index, job: JobEntry, now: datetime, changes: Changes) -> None:
    """Stop a job. Frames that are published or committed stay."""
    job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, JobStatus.CANCELED)
    job.status_reason, job.ended_at = "canceled by hand", now
    for attempt in [a for a in index.attempts.values() if a.job_id == job.id]:
        changes.wake_workers.add(attempt.worker)
        ending = attempts.Ending(AttemptStatus.CANCELED, "job canceled")
        attempts.end(index, attempt, ending, now, changes)
    open_tasks = (TaskStatus.QUEUED, TaskStatus.WAITING)
    job.board.move_all(open_tasks, TaskStatus.CANCELED)
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
    activate(job, changes)
    changes.notes.append((job.id, "info", "job resumed"))


def set_priority(job: JobEntry, priority: int, changes: Changes) -> None:
    """Change which jobs go first."""
    job.priority = priority
    changes.write(statements.change_job(job.id, priority=priority))
    changes.jobs.add(job.id)


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


def activate(job: JobEntry, changes: Changes) -> None:
    """Let a job go on: one that was paused, or that had ended and has something to do again."""
    status = job.status
    if status is JobStatus.PAUSED:
        status = JobStatus.ACTIVE if job.started_at else JobStatus.QUEUED
    elif job.ended:
        status = JobStatus.ACTIVE
    if job.status is not status:
        job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, status)
    if not job.given_up:
        job.status_reason = ""
    job.ended_at = None
    changes.write(
        statements.change_job(
            job.id, status=job.status, status_reason=job.status_reason, ended_at=None
        )
    )
    changes.jobs.add(job.id)
    changes.ready_tasks += job.board.count(TaskStatus.QUEUED)


def _keep_old_files(job: JobEntry) -> None:
    """Requeued frames that will not be rendered again after all are published as they were."""
    for frame, pending in list(job.pending.items()):
        if pending.status is FrameStatus.REQUEUED:
            del job.pending[frame]
            job.published += is_frame(frame)


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
        "commands": [task.model_dump(mode="json") for task in job.plan.commands],
        "fail_fast": job.fail_fast,
        "fps": job.fps,
        "output": job.output,
        "work_key": job.work_key,
        "created_at": job.created_at,
    }
