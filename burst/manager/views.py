"""How entries of the index and rows of the database look on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from burst.domain.frames import FrameRange, TaskPlan
from burst.domain.transitions import AttemptStatus, FrameStatus, TaskStatus
from burst.manager import registry
from burst.manager.index import Index, JobEntry, WorkerEntry
from burst.protocol.artist_messages import (
    AttemptView,
    FrameView,
    JobView,
    TaskCounts,
    TaskView,
    WorkerView,
)
from burst.protocol.messages import OutputFile


def job_view(job: JobEntry) -> JobView:
    """Return a job as artists see it."""
    board = job.board
    mean = job.times.mean_seconds
    return JobView(
        id=job.id,
        name=job.name,
        status=job.status,
        status_reason=job.status_reason,
        priority=job.priority,
        scene=job.scene,
        frames=str(job.frames),
        frame_count=len(job.frames),
        frames_published=job.published,
        chunk=job.plan.chunk,
        settings=job.settings,
        requirements=job.requirements,
        commands=job.plan.commands,
        fail_fast=job.fail_fast,
        retry_limit=job.retry_limit,
        fps=job.fps,
        output=job.output,
        tasks=TaskCounts(**{status.value: board.count(status) for status in TaskStatus}),
        retries=job.retries,
        interruptions=job.interruptions,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        mean_frame_seconds=mean,
        slowest_frame=job.times.slowest_frame,
        slowest_frame_seconds=job.times.slowest_seconds if job.times.count else None,
        eta_seconds=_eta_seconds(job),
    )


def _eta_seconds(job: JobEntry) -> float | None:
    mean, active = job.times.mean_seconds, job.frame_tasks(TaskStatus.ACTIVE)
    if mean is None or not active or job.ended:
        return None
    left = job.frame_tasks(TaskStatus.QUEUED) + active / 2
    return left * job.plan.chunk * mean / active


def worker_view(worker: WorkerEntry, monotonic: float) -> WorkerView:
    """Return a worker as artists see it."""
    return WorkerView(
        name=worker.name,
        pool=worker.pool,
        host=worker.host,
        pid=worker.pid,
        status=registry.status_of(worker),
        capabilities=worker.capabilities,
        threads=worker.threads,
        registered_at=worker.registered_at,
        silent_seconds=0.0 if worker.open_claims else max(0.0, monotonic - worker.seen),
        frames_finished=worker.frames_finished,
        progress=worker.progress,
        trouble=worker.trouble,
        statistics=worker.statistics,
    )


def frame_view(plan: TaskPlan, row: Mapping[str, Any]) -> FrameView:
    """Return a frame, or another result, as the database has it."""
    return FrameView(
        frame=row["frame"],
        task=plan.result_name(row["frame"]),
        status=FrameStatus(row["status"]),
        files=tuple(OutputFile.model_validate(file) for file in row["files"]),
        attempt_id=row["attempt_id"],
        worker=row["worker"],
        render_seconds=row["render_seconds"],
        peak_memory_bytes=row["peak_memory_bytes"],
        published_seq=row["published_seq"],
        warnings=tuple(row["warnings"]),
    )


def attempt_view(row: Mapping[str, Any]) -> AttemptView:
    """Return an attempt as the database has it."""
    return AttemptView(
        id=row["id"],
        task_index=row["task_index"],
        worker=row["worker"],
        status=AttemptStatus(row["status"]),
        reason=row["reason"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        peak_memory_bytes=row["peak_memory_bytes"],
    )


def task_views(
    job: JobEntry, tasks: Iterable[Mapping[str, Any]], attempts: Iterable[Mapping[str, Any]]
) -> tuple[TaskView, ...]:
    """Return the touched tasks of a job with their attempts."""
    by_task: dict[int, list[AttemptView]] = {}
    for row in attempts:
        by_task.setdefault(row["task_index"], []).append(attempt_view(row))
    return tuple(_task_view(job.plan, row, by_task.get(row["task_index"], ())) for row in tasks)


def _task_view(plan: TaskPlan, row: Mapping[str, Any], attempts: Iterable[AttemptView]) -> TaskView:
    index = row["task_index"]
    command = plan.command_task(index)
    return TaskView(
        index=index,
        name=command.name if command else "",
        frames="" if command else str(FrameRange.of(plan.frames_of(index))),
        status=TaskStatus(row["status"]),
        failures=row["failures"],
        attempts=tuple(attempts),
    )


def untouched_task(job: JobEntry, task_index: int) -> TaskView:
    """Return a task that the database has no row of."""
    row = {"task_index": task_index, "status": job.board.status(task_index), "failures": 0}
    return _task_view(job.plan, row, ())


def job_counts(index: Index) -> dict[Any, int]:
    """Return how many jobs have each status."""
    counts: dict[Any, int] = {}
    for job in index.jobs.values():
        counts[job.status] = counts.get(job.status, 0) + 1
    return counts
