"""The memory that decides: jobs, attempts and workers as the scheduler sees them.

Holds only what decides and what every page shows; the rest stays in the database. Built
from the database at start (`burst.manager.rebuild`), changed in step with what is
committed. Nothing here does I/O or waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from burst.domain.frames import FrameRange, TaskPlan, is_frame
from burst.domain.jobs import RenderSettings, SceneRef
from burst.domain.pools import WorkerPool
from burst.domain.tasks import TaskBoard
from burst.domain.transitions import JOB_ENDED, FrameStatus, JobStatus, TaskStatus
from burst.domain.workers import Capabilities, Requirements
from burst.errors import NotFound
from burst.protocol.messages import OutputFile, RenderProgress, WorkerStatistics


@dataclass(slots=True)
class FrameTimes:
    """What the frames of a job took so far."""

    count: int = 0
    seconds: float = 0.0
    slowest_frame: int | None = None
    slowest_seconds: float = 0.0
    peak_memory_bytes: int = 0

    def add(self, frame: int, seconds: float, peak_memory_bytes: int) -> None:
        """Count one more frame."""
        self.count += 1
        self.seconds += seconds
        self.peak_memory_bytes = max(self.peak_memory_bytes, peak_memory_bytes)
        slowest = self.slowest_frame
        if slowest is None or (seconds, -frame) > (self.slowest_seconds, -slowest):
            # Of equals the first by number, so that it is the same after a restart.
            self.slowest_frame, self.slowest_seconds = frame, seconds

    @property
    def mean_seconds(self) -> float | None:
        """Mean render time of a frame, None before the first."""
        return self.seconds / self.count if self.count else None


@dataclass(slots=True)
class PendingFrame:
    """A frame whose files are not under their final names: committed, or requeued."""

    status: FrameStatus
    attempt_id: str
    token_sha256: str
    worker: str
    session: str
    files: tuple[OutputFile, ...]
    replaces: dict[str, str]
    render_seconds: float
    peak_memory_bytes: int
    warnings: tuple[str, ...]


@dataclass(slots=True)
class JobEntry:
    """One job."""

    id: str
    seq: int
    name: str
    status: JobStatus
    status_reason: str
    priority: int
    scene: SceneRef | None
    plan: TaskPlan
    settings: RenderSettings
    requirements: Requirements
    retry_limit: int
    fail_fast: bool
    given_up: bool
    """Tasks that were never touched have failed; those that end well or not are not tried again."""
    fps: float
    output: str
    work_key: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    board: TaskBoard
    failures: dict[int, int] = field(default_factory=dict)
    """Task → failed attempts, where there are any."""
    failed_on: dict[int, set[str]] = field(default_factory=dict)
    """Task → workers that failed at it."""
    outgrown: dict[int, int] = field(default_factory=dict)
    """Task → memory in bytes of the largest worker that it ran out of memory on."""
    finished: dict[int, set[int]] = field(default_factory=dict)
    """Open task of several frames → those that are committed."""
    pending: dict[int, PendingFrame] = field(default_factory=dict)
    """Frame → result that is not published."""
    published: int = 0
    published_seq: int = 0
    times: FrameTimes = field(default_factory=FrameTimes)
    retries: int = 0
    interruptions: int = 0

    @property
    def frames(self) -> FrameRange:
        """The frames of the job."""
        return self.plan.frames

    @property
    def ended(self) -> bool:
        """Whether the job is over, unless somebody requeues it."""
        return self.status in JOB_ENDED

    @property
    def claimable(self) -> bool:
        """Whether tasks of it may be handed out."""
        return self.status in (JobStatus.QUEUED, JobStatus.ACTIVE)

    @property
    def unpublished(self) -> Iterator[tuple[int, PendingFrame]]:
        """Frames that are committed and wait for their final names."""
        return ((f, p) for f, p in self.pending.items() if p.status is FrameStatus.COMMITTED)

    def frame_tasks(self, status: TaskStatus) -> int:
        """Return how many tasks that render frames have ``status``."""
        return self.board.count(status) - sum(1 for _ in self.command_tasks(status))

    def command_tasks(self, status: TaskStatus) -> Iterator[int]:
        """Yield the command tasks that have ``status``."""
        tasks = range(self.plan.frame_task_count, len(self.board))
        return (task for task in tasks if self.board.status(task) is status)

    def first_frame_task(self, status: TaskStatus) -> int:
        """Return the first task that has ``status``; there must be one that renders frames."""
        return next(self.board.with_status(status))

    def task_label(self, task_index: int, frames: Iterable[int] = ()) -> str:
        """Return what people call a task: by its name, or by its frames (or by some of them)."""
        command = self.plan.command_task(task_index)
        if command is not None:
            return f"task {command.name}"
        first, *rest = sorted(frames) or self.plan.frames_of(task_index)
        return f"frames {first}-{rest[-1]}" if rest else f"frame {first}"

    def result_label(self, number: int) -> str:
        """Return what people call the result of that number."""
        if is_frame(number):
            return f"frame {number}"
        return self.task_label(self.plan.task_of(number))

    def missing_frames(self, task_index: int) -> tuple[int, ...]:
        """Return the frames of a task that nobody has finished."""
        done = self.finished.get(task_index, ())
        return tuple(frame for frame in self.plan.frames_of(task_index) if frame not in done)


@dataclass(slots=True)
class AttemptEntry:
    """One attempt under way."""

    id: str
    job_id: str
    task_index: int
    worker: str
    session: str
    token_sha256: str
    missing: set[int]
    """Frames that it has not finished."""
    started_at: datetime
    claim: int
    """Number of the worker's claim that it was handed out in."""


@dataclass(slots=True)
class WorkerEntry:
    """One worker that is here."""

    name: str
    session: str
    pool: str
    host: str
    pid: int
    capabilities: Capabilities
    threads: int
    registered_at: datetime
    seen: float
    """Monotonic time of its last sign of life."""
    draining: bool = False
    open_claims: int = 0
    """Claims that wait for an answer; an open one is a sign of life."""
    attempts: set[str] = field(default_factory=set)
    progress: RenderProgress | None = None
    trouble: str = ""
    """What keeps it from its work, in its own words."""
    statistics: WorkerStatistics | None = None
    frames_finished: int = 0


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """A worker that was started by the autoscaler and is not known to be gone."""

    name: str
    pool: str
    threads: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class PoolChoice:
    """What somebody has set for a worker pool, in place of what it says itself."""

    minimum: int | None = None
    maximum: int | None = None
    scale: int | None = None
    """As many workers as this, whatever there is to do."""


class Index:
    """All entries, by what they are asked for."""

    def __init__(self) -> None:
        """Start empty."""
        self.jobs: dict[str, JobEntry] = {}
        self.attempts: dict[str, AttemptEntry] = {}
        self.workers: dict[str, WorkerEntry] = {}
        self.starts: dict[str, WorkerStart] = {}
        self.counters: dict[str, int] = {}
        self.pool_choices: dict[str, PoolChoice] = {}
        self.pools: dict[str, WorkerPool] = {}
        """As the provider described them in the autoscaler's last round, choices included."""

    def job(self, job_id: str) -> JobEntry:
        """Return a job by its id, an unambiguous beginning of it, or ``last``.

        Raises:
            NotFound: there is none, or several.
        """
        if job_id == "last" and self.jobs:
            return max(self.jobs.values(), key=lambda job: job.seq)
        if job_id in self.jobs:
            return self.jobs[job_id]
        found = [job for job in self.jobs.values() if job.id.startswith(job_id)]
        if len(found) > 1:
            names = ", ".join(sorted(job.id for job in found)[:5])
            raise NotFound(f"{job_id} may be several jobs", hint=f"one of {names}")
        if not found:
            raise NotFound(f"there is no job {job_id}", hint="see: burst jobs")
        return found[0]

    def worker(self, name: str) -> WorkerEntry:
        """Return a worker by its name.

        Raises:
            NotFound: it is not here.
        """
        if name not in self.workers:
            raise NotFound(f"there is no worker {name}", hint="see: burst workers")
        return self.workers[name]

    def claimable_jobs(self) -> list[JobEntry]:
        """Return the jobs that tasks may be handed out of, most urgent first."""
        jobs = [
            job
            for job in self.jobs.values()
            if job.claimable and job.board.count(TaskStatus.QUEUED)
        ]
        return sorted(jobs, key=lambda job: (-job.priority, job.seq))

    def unfinished_job(self, work_key: str) -> JobEntry | None:
        """Return the newest unfinished job that does this work."""
        jobs = [
            job
            for job in self.jobs.values()
            if job.work_key == work_key and not (job.ended or job.given_up)
        ]
        return max(jobs, key=lambda job: job.seq, default=None)

    def open_pools(self) -> list[WorkerPool]:
        """Return the pools that nobody has set to no workers by hand."""
        closed = {name for name, choice in self.pool_choices.items() if choice.scale == 0}
        return [pool for name, pool in self.pools.items() if name not in closed]

    def stays_idle(self, pool: str) -> bool:
        """Say whether workers of a pool are to stay though there is nothing to do."""
        choice, entry = self.pool_choices.get(pool), self.pools.get(pool)
        return bool((choice and choice.scale) or (entry and entry.minimum))

    def next_counter(self, name: str) -> int:
        """Return the next value of a counter; the caller writes it down."""
        self.counters[name] = self.counters.get(name, 0) + 1
        return self.counters[name]

    def drop_attempt(self, attempt: AttemptEntry) -> None:
        """Take an attempt that has ended out of the index."""
        self.attempts.pop(attempt.id, None)
        worker = self.workers.get(attempt.worker)
        if worker is not None and worker.session == attempt.session:
            worker.attempts.discard(attempt.id)

    def is_here(self, worker: str, session: str) -> bool:
        """Say whether the worker of that session is registered."""
        entry = self.workers.get(worker)
        return entry is not None and entry.session == session
