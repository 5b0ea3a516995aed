"""Every statement the manager runs, by name. Nothing else builds SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from burst.domain.frames import RESULT_MIN
from burst.domain.transitions import AttemptStatus, FrameStatus, JobStatus, TaskStatus
from burst.manager.database.tables import (
    attempts,
    counters,
    frames,
    jobs,
    pool_choices,
    tasks,
    worker_starts,
    workers,
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ForEach:
    """A statement to be run once for each of many rows: compiled once, it takes no time."""

    statement: sa.Executable
    rows: Sequence[Row]


Statement = sa.Executable | ForEach
Select = sa.Select[Any]

_TASK_KEY = ("job_id", "task_index")
_IS_FRAME = frames.c.frame < RESULT_MIN
"""And not the result of a command task."""

# ── Writes ───────────────────────────────────────────────────────────────────────────


def add_job(row: Row) -> Statement:
    """Insert a job."""
    return sa.insert(jobs).values(**row)


def change_job(job_id: str, **values: Any) -> Statement:
    """Change columns of a job."""
    return sa.update(jobs).where(jobs.c.id == job_id).values(**values)


def delete_job(job_id: str) -> Statement:
    """Delete a job with its tasks, attempts and frames."""
    return sa.delete(jobs).where(jobs.c.id == job_id)


def put_task(job_id: str, task_index: int, **values: Any) -> Statement:
    """Insert or change the row of a task."""
    return _upsert(tasks, {"job_id": job_id, "task_index": task_index}, values)


def put_tasks(job_id: str, task_indexes: Sequence[int], status: TaskStatus) -> Statement:
    """Insert or change the rows of many tasks, and forget their failures."""
    values = {"status": status, "failures": 0, "failed_on": [], "outgrown_bytes": 0}
    insert = _insert_tasks(job_id, task_indexes, values)
    return insert.on_conflict_do_update(index_elements=_TASK_KEY, set_=values)


def add_tasks(job_id: str, task_indexes: Sequence[int], status: TaskStatus) -> Statement:
    """Insert rows of those tasks that have none."""
    values = {"status": status, "failures": 0, "failed_on": [], "outgrown_bytes": 0}
    return _insert_tasks(job_id, task_indexes, values).on_conflict_do_nothing()


def move_tasks(job_id: str, now: Collection[TaskStatus], then: TaskStatus) -> Statement:
    """Move all touched tasks of a job."""
    return (
        sa.update(tasks)
        .where(tasks.c.job_id == job_id, tasks.c.status.in_([*now]))
        .values(status=then)
    )


def add_attempt(row: Row) -> Statement:
    """Insert an attempt."""
    return sa.insert(attempts).values(**row)


def end_attempt(attempt_id: str, status: AttemptStatus, at: datetime, **values: Any) -> Statement:
    """Write down how an attempt ended; one that has ended is left alone."""
    return (
        sa.update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.status == AttemptStatus.ACTIVE)
        .values(status=status, ended_at=at, **values)
    )


def put_frame(job_id: str, frame: int, **values: Any) -> Statement:
    """Insert or change the row of a frame."""
    return _upsert(frames, {"job_id": job_id, "frame": frame}, values)


def put_frame_status(
    job_id: str, frame: int, status: FrameStatus, replaces: Mapping[str, str]
) -> Statement:
    """Change where the result of a frame stands, and which files its next one may replace."""
    return (
        sa.update(frames)
        .where(frames.c.job_id == job_id, frames.c.frame == frame)
        .values(status=status, replaces=dict(replaces))
    )


def restore_requeued_frames(job_id: str) -> Statement:
    """Make requeued frames published again: their old files are still there."""
    return (
        sa.update(frames)
        .where(frames.c.job_id == job_id, frames.c.status == FrameStatus.REQUEUED)
        .values(status=FrameStatus.PUBLISHED)
    )


def delete_frame(job_id: str, frame: int) -> Statement:
    """Forget the result of a frame, so that it is rendered anew."""
    return sa.delete(frames).where(frames.c.job_id == job_id, frames.c.frame == frame)


def put_worker(name: str, **values: Any) -> Statement:
    """Insert or change the row of a worker."""
    return _upsert(workers, {"name": name}, values)


def change_worker(name: str, **values: Any) -> Statement:
    """Change columns of a worker."""
    return sa.update(workers).where(workers.c.name == name).values(**values)


def delete_worker(name: str) -> Statement:
    """Forget a worker that went away."""
    return sa.delete(workers).where(workers.c.name == name)


def add_worker_starts(names: Sequence[str], pool: str, threads: int, at: datetime) -> Statement:
    """Write down the names of workers before they are started."""
    common = {"pool": pool, "threads": threads, "started_at": at}
    return ForEach(sa.insert(worker_starts), [{"name": name, **common} for name in names])


def delete_worker_start(name: str) -> Statement:
    """Forget a start whose worker is gone."""
    return sa.delete(worker_starts).where(worker_starts.c.name == name)


def put_pool_choice(pool: str, **values: int | None) -> Statement:
    """Set what somebody chose for a worker pool."""
    return _upsert(pool_choices, {"pool": pool}, values)


def delete_pool_choice(pool: str) -> Statement:
    """Forget what somebody chose for a worker pool."""
    return sa.delete(pool_choices).where(pool_choices.c.pool == pool)


def put_counter(name: str, value: int) -> Statement:
    """Set a counter."""
    return _upsert(counters, {"name": name}, {"value": value})


# ── Reads ────────────────────────────────────────────────────────────────────────────


def all_jobs() -> Select:
    """Return every job, in order of submission."""
    return sa.select(jobs).order_by(jobs.c.seq)


def touched_tasks() -> Select:
    """Return every task row, in order."""
    return sa.select(tasks).order_by(tasks.c.job_id, tasks.c.task_index)


def active_attempts() -> Select:
    """Return every attempt under way."""
    return sa.select(attempts).where(attempts.c.status == AttemptStatus.ACTIVE)


def attempt_counts() -> Select:
    """Return how many attempts of each job ended how, and the most memory they took."""
    peak = sa.func.max(attempts.c.peak_memory_bytes).label("peak_memory_bytes")
    count = sa.func.count().label("count")
    return sa.select(attempts.c.job_id, attempts.c.status, count, peak).group_by(
        attempts.c.job_id, attempts.c.status
    )


def attempts_of_job(job_id: str) -> Select:
    """Return every attempt at a job, oldest first."""
    return sa.select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.started_at)


def attempts_of_task(job_id: str, task_index: int) -> Select:
    """Return every attempt at one task, oldest first."""
    return attempts_of_job(job_id).where(attempts.c.task_index == task_index)


def attempt_by_id(attempt_id: str) -> Select:
    """Return one attempt."""
    return sa.select(attempts).where(attempts.c.id == attempt_id)


def tasks_of_job(job_id: str) -> Select:
    """Return the touched tasks of a job, in order."""
    return sa.select(tasks).where(tasks.c.job_id == job_id).order_by(tasks.c.task_index)


def task_by_index(job_id: str, task_index: int) -> Select:
    """Return one task, if it was touched."""
    return tasks_of_job(job_id).where(tasks.c.task_index == task_index)


def frame_sums() -> Select:
    """Return per job how many frames have a result, and what they took."""
    published = sa.case((frames.c.status == FrameStatus.PUBLISHED, 1), else_=0)
    return (
        sa.select(
            frames.c.job_id,
            sa.func.count().label("count"),
            sa.func.sum(published).label("published"),
            sa.func.sum(frames.c.render_seconds).label("render_seconds"),
            sa.func.max(frames.c.peak_memory_bytes).label("peak_memory_bytes"),
        )
        .where(_IS_FRAME)
        .group_by(frames.c.job_id)
    )


def last_published() -> Select:
    """Return per job the last number that a published frame, or another result, was given."""
    last = sa.func.max(frames.c.published_seq).label("published_seq")
    return (
        sa.select(frames.c.job_id, last)
        .where(frames.c.published_seq.is_not(None))
        .group_by(frames.c.job_id)
    )


def slowest_frames() -> Select:
    """Return each job's slowest frames, the first by number last."""
    worst = (
        sa.select(frames.c.job_id, sa.func.max(frames.c.render_seconds).label("seconds"))
        .where(_IS_FRAME)
        .group_by(frames.c.job_id)
        .subquery()
    )
    return (
        sa.select(frames.c.job_id, frames.c.frame, frames.c.render_seconds)
        .join(
            worst,
            (frames.c.job_id == worst.c.job_id) & (frames.c.render_seconds == worst.c.seconds),
        )
        .where(_IS_FRAME)
        .order_by(frames.c.frame.desc())
    )


def frame_maker(job_id: str, frame: int) -> Select:
    """Return the attempt that a frame's result is of."""
    return sa.select(frames.c.attempt_id).where(frames.c.job_id == job_id, frames.c.frame == frame)


def unpublished_frames() -> Select:
    """Return frames that are committed or requeued, with their attempts' tokens."""
    return (
        sa.select(frames, attempts.c.token_sha256, attempts.c.session)
        .join(attempts, attempts.c.id == frames.c.attempt_id)
        .where(frames.c.status != FrameStatus.PUBLISHED)
    )


def frames_of_open_jobs() -> Select:
    """Return job and number of every frame that has a result, in jobs with chunks."""
    return (
        sa.select(frames.c.job_id, frames.c.frame)
        .join(jobs, jobs.c.id == frames.c.job_id)
        .where(
            jobs.c.chunk > 1,
            jobs.c.status != JobStatus.COMPLETED,
            frames.c.status != FrameStatus.REQUEUED,
        )
    )


def frames_published_after(job_id: str, seq: int) -> Select:
    """Return the frames of a job in the order they were published."""
    return (
        sa.select(frames)
        .where(
            frames.c.job_id == job_id,
            frames.c.published_seq > seq,
            # One that is rendered again keeps its number until it has the next.
            frames.c.status != FrameStatus.COMMITTED,
        )
        .order_by(frames.c.published_seq)
    )


def published_frames(job_id: str) -> Select:
    """Return number and files of the frames of a job that are published, ascending."""
    return (
        sa.select(frames.c.frame, frames.c.files)
        .where(frames.c.job_id == job_id, frames.c.status == FrameStatus.PUBLISHED, _IS_FRAME)
        .order_by(frames.c.frame)
    )


def published_numbers(job_id: str) -> Select:
    """Return the numbers of the frames of a job that are published."""
    return sa.select(frames.c.frame).where(
        frames.c.job_id == job_id, frames.c.status == FrameStatus.PUBLISHED, _IS_FRAME
    )


def frame_by_number(job_id: str, frame: int) -> Select:
    """Return one frame."""
    return sa.select(frames).where(frames.c.job_id == job_id, frames.c.frame == frame)


def frames_with_tokens(job_id: str, numbers: Sequence[int]) -> Select:
    """Return some frames of a job, with their attempts' tokens."""
    return (
        sa.select(frames, attempts.c.token_sha256, attempts.c.session)
        .join(attempts, attempts.c.id == frames.c.attempt_id)
        .where(frames.c.job_id == job_id, frames.c.frame.in_(sa.select(_each(numbers))))
    )


def all_workers() -> Select:
    """Return every worker that is here."""
    return sa.select(workers)


def all_worker_starts() -> Select:
    """Return every worker that was started and is not gone."""
    return sa.select(worker_starts).order_by(worker_starts.c.started_at)


def all_pool_choices() -> Select:
    """Return what somebody chose for each worker pool."""
    return sa.select(pool_choices)


def all_counters() -> Select:
    """Return every counter."""
    return sa.select(counters)


def _each(numbers: Sequence[int]) -> sa.ColumnElement[Any]:
    """Return numbers as a column: there may be a million, and of values SQLite takes few."""
    return sa.func.json_each(json.dumps(numbers)).table_valued("value").c.value


def _insert_tasks(job_id: str, task_indexes: Sequence[int], values: Row) -> sqlite.Insert:
    columns = {"job_id": job_id, "task_index": _each(task_indexes), **values}
    # SQLite would take the ON that follows for one of a join, but for the WHERE.
    rows = sa.select(
        *(
            sa.literal(value, tasks.c[name].type) if name != "task_index" else value
            for name, value in columns.items()
        )
    ).where(sa.true())
    return sqlite.insert(tasks).from_select([*columns], rows)


def _upsert(table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> Statement:
    insert = sqlite.insert(table).values(**key, **values)
    return insert.on_conflict_do_update(index_elements=[*key], set_=values)
