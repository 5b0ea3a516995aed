"""Builds the index from the database: at start, and after a commit that failed."""

from __future__ import annotations

from collections.abc import Callable

from burst.domain.commands import CommandTask
from burst.domain.frames import FrameRange, TaskPlan
from burst.domain.jobs import RenderSettings, SceneRef
from burst.domain.tasks import TaskBoard
from burst.domain.transitions import (
    JOB_ENDED,
    AttemptStatus,
    FrameStatus,
    JobStatus,
    TaskStatus,
)
from burst.domain.workers import Requirements
from burst.manager.database import statements
from burst.manager.database.statements import Row, Select
from burst.manager.index import (
    AttemptEntry,
    FrameTimes,
    Index,
    JobEntry,
    PendingFrame,
    PoolChoice,
    WorkerEntry,
    WorkerStart,
)
from burst.protocol.messages import OutputFile
from burst.protocol.worker_messages import RegisterWorker

Read = Callable[[Select], list[Row]]


def build_index(read: Read, monotonic: float) -> Index:
    """Return the index that the rows add up to; every lease starts at ``monotonic``."""
    index = Index()
    index.counters = {row["name"]: row["value"] for row in read(statements.all_counters())}
    index.pool_choices = {
        row["pool"]: PoolChoice(row["minimum"], row["maximum"], row["scale"])
        for row in read(statements.all_pool_choices())
    }
    index.jobs = {row["id"]: _job(row) for row in read(statements.all_jobs())}
    _add_tasks(index, read)
    _add_frames(index, read)
    _add_workers(index, read, monotonic)
    _add_attempts(index, read)
    return index


def pending_frame(row: Row) -> PendingFrame:
    """Return the in-memory form of a frame row that was joined with its attempt."""
    return PendingFrame(
        status=FrameStatus(row["status"]),
        attempt_id=row["attempt_id"],
        token_sha256=row["token_sha256"],
        worker=row["worker"],
        session=row["session"],
        files=tuple(OutputFile.model_validate(file) for file in row["files"]),
        replaces=dict(row["replaces"]),
        render_seconds=row["render_seconds"],
        peak_memory_bytes=row["peak_memory_bytes"],
        warnings=tuple(row["warnings"]),
    )


def _job(row: Row) -> JobEntry:
    commands = tuple(CommandTask.model_validate(task) for task in row["commands"])
    plan = TaskPlan(FrameRange.restore(row["frames"]), row["chunk"], commands)
    board = TaskBoard(plan.task_count)
    status = JobStatus(row["status"])
    return JobEntry(
        id=row["id"],
        seq=row["seq"],
        name=row["name"],
        status=status,
        status_reason=row["status_reason"],
        priority=row["priority"],
        scene=SceneRef.model_validate(row["scene"]) if row["scene"] else None,
        plan=plan,
        settings=RenderSettings.model_validate(row["settings"]),
        requirements=Requirements.model_validate(row["requirements"]),
        retry_limit=row["retry_limit"],
        fail_fast=row["fail_fast"],
        given_up=row["given_up"],
        fps=row["fps"],
        output=row["output"],
        work_key=row["work_key"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        board=board,
    )


def _add_tasks(index: Index, read: Read) -> None:
    for row in read(statements.touched_tasks()):
        job, task = index.jobs[row["job_id"]], row["task_index"]
        job.board.restore(task, TaskStatus(row["status"]))
        if row["failures"]:
            job.failures[task] = row["failures"]
            job.failed_on[task] = set(row["failed_on"])
        if row["outgrown_bytes"]:
            job.outgrown[task] = row["outgrown_bytes"]
    for job in index.jobs.values():
        # Untouched tasks of a job that was given up or canceled have no row that says so.
        # One that was given up and then canceled has failed tasks and not canceled ones.
        if job.given_up:
            job.board.move_all((TaskStatus.QUEUED,), TaskStatus.FAILED)
        elif job.status is JobStatus.CANCELED:
            job.board.move_all((TaskStatus.QUEUED,), TaskStatus.CANCELED)


def _add_frames(index: Index, read: Read) -> None:
    for row in read(statements.frame_sums()):
        job = index.jobs[row["job_id"]]
        job.published = row["published"]
        job.times = FrameTimes(
            count=row["count"],
            seconds=row["render_seconds"],
            peak_memory_bytes=row["peak_memory_bytes"],
        )
    for row in read(statements.last_published()):
        index.jobs[row["job_id"]].published_seq = row["published_seq"]
    for row in read(statements.slowest_frames()):
        times = index.jobs[row["job_id"]].times
        times.slowest_frame, times.slowest_seconds = row["frame"], row["render_seconds"]
    for row in read(statements.unpublished_frames()):
        index.jobs[row["job_id"]].pending[row["frame"]] = pending_frame(row)
    for row in read(statements.frames_of_open_jobs()):
        job = index.jobs[row["job_id"]]
        task = job.plan.task_of(row["frame"])
        if job.status not in JOB_ENDED and job.board.status(task) is not TaskStatus.COMPLETED:
            job.finished.setdefault(task, set()).add(row["frame"])


def _add_workers(index: Index, read: Read, monotonic: float) -> None:
    for row in read(statements.all_workers()):
        facts = RegisterWorker.model_validate(row["facts"])
        index.workers[row["name"]] = WorkerEntry(
            name=row["name"],
            session=row["session"],
            pool=facts.pool,
            host=facts.host,
            pid=facts.pid,
            capabilities=facts.capabilities,
            threads=facts.threads,
            registered_at=row["registered_at"],
            seen=monotonic,
            draining=row["draining"],
        )
    for row in read(statements.all_worker_starts()):
        index.starts[row["name"]] = WorkerStart(
            row["name"], row["pool"], row["threads"], row["started_at"]
        )


def _add_attempts(index: Index, read: Read) -> None:
    for row in read(statements.active_attempts()):
        job = index.jobs[row["job_id"]]
        index.attempts[row["id"]] = AttemptEntry(
            id=row["id"],
            job_id=row["job_id"],
            task_index=row["task_index"],
            worker=row["worker"],
            session=row["session"],
            token_sha256=row["token_sha256"],
            missing=set(job.missing_frames(row["task_index"])),
            started_at=row["started_at"],
            claim=0,
        )
        if index.is_here(row["worker"], row["session"]):
            index.workers[row["worker"]].attempts.add(row["id"])
    for row in read(statements.attempt_counts()):
        job = index.jobs[row["job_id"]]
        status = AttemptStatus(row["status"])
        if status in (AttemptStatus.FAILED, AttemptStatus.OUT_OF_MEMORY):
            job.retries += row["count"]
            job.times.peak_memory_bytes = max(job.times.peak_memory_bytes, row["peak_memory_bytes"])
        elif status in (AttemptStatus.INTERRUPTED, AttemptStatus.LOST):
            job.interruptions += row["count"]
