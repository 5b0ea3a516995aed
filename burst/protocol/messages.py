"""Every message on the wire, as frozen models that refuse unknown keys.

Two halves. The *worker protocol* (`RegisterWorker` … `SignOff`) is spoken on the workers'
listener; ``docs/contributing/worker-protocol.md`` tells the story. The *artists' API*
(`SubmitJob` … `FarmStatus`) is spoken on the console listener. Times are UTC, durations
are seconds, sizes are bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from burst.domain.frames import FRAME_MAX, FRAME_MIN
from burst.domain.jobs import PRIORITY_DEFAULT, RETRY_LIMIT_DEFAULT, RenderSettings, SceneRef
from burst.domain.transitions import (
    AttemptStatus,
    FrameStatus,
    JobStatus,
    TaskStatus,
    WorkerStatus,
)
from burst.domain.workers import BlenderFacts, Requirements

API = "/api/burst/v1"
"""Where both halves live."""

BYTES_MAX = 2**63 - 1
"""The largest number that a database keeps."""


class Message(BaseModel):
    """Base of everything on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# ── The worker protocol ──────────────────────────────────────────────────────────────


class RegisterWorker(Message):
    """``POST /worker/register``: here I am. A worker of that name that was known is gone."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")
    pool: str
    host: str
    pid: int
    blender: BlenderFacts
    threads: int = Field(ge=1)
    """CPU threads that it renders with."""
    memory_bytes: int = Field(ge=0)
    """Memory that Blender may take."""


class Registered(Message):
    """Welcome, and the terms."""

    session: str
    """Proves in each later call that the manager still means this worker."""
    lease_seconds: float
    """Silent for this long, and the worker is lost."""
    beat_seconds: float
    """How often to call while no claim is open."""
    idle_exit_seconds: float | None
    """Leave when nothing was to claim for this long; None is never."""


class OutputFile(Message):
    """One file of a frame, proven whole and uploaded under the attempt's name."""

    name: str
    """Relative path under the job's renders."""
    size: int = Field(ge=0, le=BYTES_MAX)
    sha256: str


class FrameFinished(Message):
    """A frame is rendered, proven, and uploaded to ``attempts/<job>/<attempt>/``."""

    kind: Literal["finished"] = "finished"
    job_id: str
    attempt_id: str
    token: str
    frame: int
    files: tuple[OutputFile, ...] = Field(min_length=1)
    render_seconds: float
    peak_memory_bytes: int = Field(ge=0, le=BYTES_MAX)
    warnings: tuple[str, ...] = ()


class FramePublished(Message):
    """The frame's files stand under their final names."""

    kind: Literal["published"] = "published"
    job_id: str
    attempt_id: str
    token: str
    frame: int


class AttemptEnded(Message):
    """The attempt is over without having finished all its frames."""

    kind: Literal["ended"] = "ended"
    job_id: str
    attempt_id: str
    token: str
    outcome: Literal["failed", "interrupted", "out_of_memory", "canceled"]
    reason: str
    """One sentence that an artist understands."""
    peak_memory_bytes: int = Field(default=0, ge=0, le=BYTES_MAX)


Report = Annotated[FrameFinished | FramePublished | AttemptEnded, Field(discriminator="kind")]


class Verdict(Message):
    """The manager's answer to one report, in the order of the reports."""

    answer: Literal["publish", "done", "drop"]
    """``publish``: it is committed, make it visible and confirm. ``done``: noted, forget it.
    ``drop``: the attempt is not current any more; delete what it made."""
    replaces: dict[str, str] = {}
    """With ``publish``: file name → storage identity of the older file it may replace."""


class LogLine(Message):
    """One line for the artist to read."""

    at: datetime
    level: Literal["info", "warning", "error"] = "info"
    text: str = Field(max_length=4000)
    job_id: str | None = None
    attempt_id: str | None = None
    frame: int | None = None


class RenderProgress(Message):
    """What the worker renders at this moment."""

    attempt_id: str
    job_id: str
    frame: int
    sample: int = 0
    samples: int = 0
    """0 when the engine does not say."""
    elapsed_seconds: float = 0
    memory_bytes: int = 0
    """Resident memory of Blender."""
    step: str = ""
    """Blender's own words, e.g. ``Synchronizing object | Cube``."""


class WorkerStatistics(Message):
    """psutil's figures of the machine and of the worker."""

    cpu_percent: float = 0
    load: float = 0
    memory_percent: float = 0
    disk_free_bytes: int = 0
    worker_memory_bytes: int = 0


class Beat(Message):
    """``POST /worker/{name}/beat``: a sign of life, with whatever there is to say."""

    session: str
    holding: tuple[str, ...] = ()
    """Attempts that the worker has not seen through: rendering, proving, or still reporting."""
    claims: int = 0
    """How many claims of this session have been answered or given up. An attempt that was
    handed out in one of them and is not held was lost on the way: it is interrupted."""
    reports: tuple[Report, ...] = ()
    logs: tuple[LogLine, ...] = ()
    progress: RenderProgress | None = None
    statistics: WorkerStatistics | None = None


class Claim(Beat):
    """``POST /worker/{name}/claim``: a beat that also asks for a task.

    The call stays open for up to ``wait_seconds`` while there is none; an open call is a
    sign of life.
    """

    wait_seconds: float = Field(default=0, ge=0, le=60)


class Assignment(Message):
    """One task, for this worker alone, for as long as its lease is renewed."""

    attempt_id: str
    token: str
    """Goes into every report of this attempt."""
    job_id: str
    job_name: str
    task_index: int
    frames: tuple[int, ...]
    """Those of the task that nobody has finished yet."""
    scene: SceneRef
    settings: RenderSettings
    preview: bool = True


class BeatAnswer(Message):
    """Verdicts on the reports, and what the worker is to do."""

    verdicts: tuple[Verdict, ...] = ()
    cancel: tuple[str, ...] = ()
    """Attempts held that are not current: stop them at once and drop what they made."""
    drain: bool = False
    """Finish what you hold, then sign off."""
    beat_seconds: float = 1.0
    """How often to call from now on."""


class ClaimAnswer(BeatAnswer):
    """The same, and a task if there is one."""

    assignment: Assignment | None = None


class Reports(Message):
    """``POST /worker/reports``: what an earlier life of a worker left in its outbox.

    Each report is judged by its own token; no registration is needed.
    """

    reports: tuple[Report, ...]


class SignOff(Message):
    """``POST /worker/{name}/sign-off``: I leave; what I still hold is interrupted."""

    session: str
    reports: tuple[Report, ...] = ()
    logs: tuple[LogLine, ...] = ()
    reason: str


# ── The artists' API ─────────────────────────────────────────────────────────────────


class SceneFacts(Message):
    """What a .blend says about how it wants to be rendered, read from the file itself."""

    blender: tuple[int, int]
    """Version that saved it."""
    blender_scene: str
    """The data-block these facts are of."""
    blender_scenes: tuple[str, ...]
    engine: str
    frame_start: int
    frame_end: int
    frame_step: int
    fps: float
    resolution_x: int
    resolution_y: int
    resolution_percentage: int
    file_format: str
    """As Blender spells it; a video format is rendered as ``PNG`` frames."""
    output_name: str
    """Last part of the output path, e.g. ``shot_####``; may be empty."""
    has_camera: bool


class SubmitJob(Message):
    """``POST /jobs``."""

    name: str = Field(min_length=1, max_length=200)
    scene: SceneRef
    frames: str
    """A frame range, e.g. ``1-48`` or ``1,3,7-20x2``."""
    settings: RenderSettings = RenderSettings()
    requirements: Requirements = Requirements()
    chunk: int = Field(default=1, ge=1, le=FRAME_MAX - FRAME_MIN + 1)
    """Frames per task."""
    priority: int = Field(default=PRIORITY_DEFAULT, ge=0, le=100)
    retry_limit: int = Field(default=RETRY_LIMIT_DEFAULT, ge=1, le=100)
    """Failed attempts after which a task is given up."""
    fps: float = Field(default=24, gt=0)
    output: str = ""
    """Where the artist wants the frames; part of what makes two submissions the same work."""
    new: bool = False
    """Make another job even if an unfinished one asks for the same."""


class TaskCounts(Message):
    """Tasks of a job by status; together they are all of them."""

    queued: int
    active: int
    completed: int
    failed: int
    canceled: int


class JobView(Message):
    """One job."""

    id: str
    name: str
    status: JobStatus
    status_reason: str
    priority: int
    scene: SceneRef
    frames: str
    frame_count: int
    frames_published: int
    chunk: int
    settings: RenderSettings
    requirements: Requirements
    retry_limit: int
    fps: float
    output: str
    tasks: TaskCounts
    retries: int
    """Attempts that failed or ran out of memory so far."""
    interruptions: int
    """Attempts that were interrupted or lost so far."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    mean_frame_seconds: float | None
    slowest_frame: int | None
    slowest_frame_seconds: float | None
    eta_seconds: float | None
    """Time to the last frame at the present pace; None when unknown."""


class Submitted(Message):
    """The job that does the work, new or found."""

    job: JobView
    resumed: bool
    """True when an unfinished job of the same work was found and goes on."""


class Jobs(Message):
    """``GET /jobs``: newest first."""

    jobs: tuple[JobView, ...]


class Requeue(Message):
    """``POST /jobs/{id}/requeue``: render again. Without frames: what failed or was canceled."""

    frames: str | None = None


class ChangePriority(Message):
    """``POST /jobs/{id}/priority``."""

    priority: int = Field(ge=0, le=100)


class FrameView(Message):
    """One frame that has a result."""

    frame: int
    status: FrameStatus
    files: tuple[OutputFile, ...]
    attempt_id: str
    worker: str
    render_seconds: float
    peak_memory_bytes: int
    published_seq: int | None
    """Grows with every frame that is published in the job; ask for what came after it."""
    warnings: tuple[str, ...] = ()


class Frames(Message):
    """``GET /jobs/{id}/frames?after=N``: in the order they were published."""

    frames: tuple[FrameView, ...]


class AttemptView(Message):
    """One attempt at a task."""

    id: str
    task_index: int
    worker: str
    status: AttemptStatus
    reason: str
    started_at: datetime
    ended_at: datetime | None
    peak_memory_bytes: int


class TaskView(Message):
    """One task that was attempted at least once."""

    index: int
    frames: str
    status: TaskStatus
    failures: int
    attempts: tuple[AttemptView, ...]


class Tasks(Message):
    """``GET /jobs/{id}/tasks``."""

    tasks: tuple[TaskView, ...]


class WorkerView(Message):
    """One worker that is here."""

    name: str
    pool: str
    host: str
    pid: int
    status: WorkerStatus
    blender: BlenderFacts
    threads: int
    memory_bytes: int
    registered_at: datetime
    silent_seconds: float
    """Since its last sign of life."""
    frames_finished: int
    progress: RenderProgress | None
    statistics: WorkerStatistics | None


class Workers(Message):
    """``GET /workers``."""

    workers: tuple[WorkerView, ...]


class PoolView(Message):
    """One worker pool as the autoscaler sees it."""

    name: str
    running: int
    """Workers that are registered."""
    starting: int
    """Workers that were started and have not registered yet."""
    wanted: int
    maximum: int
    reason: str
    """Why so many are wanted."""
    failure: str
    """Why the last worker could not start; empty when it could."""


class FarmStatus(Message):
    """``GET /status``."""

    version: str
    started_at: datetime
    storage_url: str
    jobs: dict[JobStatus, int]
    tasks_queued: int
    tasks_active: int
    workers: int
    pools: tuple[PoolView, ...]


class Event(Message):
    """One thing that happened, on ``GET /events`` (server-sent events).

    ``kind`` is ``job``, ``frame``, ``attempt``, ``worker``, ``log``, ``tick`` or ``reset``.
    ``tick`` comes about once a second while nothing happens; ``reset`` says that events
    were missed and that everything should be asked for anew.
    """

    seq: int
    kind: Literal["job", "frame", "attempt", "worker", "log", "tick", "reset"]
    at: datetime
    job_id: str | None = None
    job: JobView | None = None
    frame: FrameView | None = None
    attempt: AttemptView | None = None
    worker: WorkerView | None = None
    worker_name: str | None = None
    log: LogLine | None = None


class ErrorBody(Message):
    """Every answer that is not a success."""

    code: str
    message: str
    hint: str | None = None
    details: dict[str, object] = {}
