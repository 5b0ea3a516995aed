"""The artists' API, message by message: what CLI and console ask, and what they are answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field

from burst.domain.commands import Codec, CommandTask
from burst.domain.frames import FRAME_MAX, FRAME_MIN
from burst.domain.jobs import PRIORITY_DEFAULT, RETRY_LIMIT_DEFAULT, RenderSettings, SceneRef
from burst.domain.transitions import (
    AttemptStatus,
    FrameStatus,
    JobStatus,
    TaskStatus,
    WorkerStatus,
)
from burst.domain.workers import Capabilities, Requirements
from burst.protocol.messages import (
    LogLine,
    Message,
    OutputFile,
    RenderProgress,
    WorkerStatistics,
)

POOL_MAX = 100_000
"""Most workers that can be asked of a pool; whoever wants more has mistyped."""


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
    scene: SceneRef | None = None
    """None in a job that only runs commands."""
    frames: str = Field(default="", max_length=20_000)
    """A frame range, e.g. ``1-48`` or ``1,3,7-20x2``; empty without a scene."""
    commands: tuple[CommandTask, ...] = Field(default=(), max_length=1000)
    """Tasks beside the frames."""
    settings: RenderSettings = RenderSettings()
    requirements: Requirements = Requirements()
    chunk: int = Field(default=1, ge=1, le=FRAME_MAX - FRAME_MIN + 1)
    """Frames per task."""
    priority: int = Field(default=PRIORITY_DEFAULT, ge=0, le=100)
    retry_limit: int = Field(default=RETRY_LIMIT_DEFAULT, ge=1, le=100)
    """Failed attempts after which a task is given up."""
    fail_fast: bool = False
    """Give up the whole job with its first task that is given up."""
    fps: float = Field(default=24, gt=0)
    output: str = ""
    """Where the artist wants the frames; part of what makes two submissions the same work."""
    new: bool = False
    """Make another job even if an unfinished one asks for the same."""


class TaskCounts(Message):
    """Tasks of a job by status; together they are all of them."""

    queued: int
    waiting: int
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
    scene: SceneRef | None
    frames: str
    frame_count: int
    frames_published: int
    chunk: int
    settings: RenderSettings
    requirements: Requirements
    commands: tuple[CommandTask, ...]
    retry_limit: int
    fail_fast: bool
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


class MakeVideo(Message):
    """``POST /jobs/{id}/video``: add a task that encodes the frames; answered by the job."""

    codec: Codec = "h264"
    fps: float | None = Field(default=None, gt=0)
    """None is the scene's own."""
    frames: str | None = None
    """None is the job's whole range."""
    name: str | None = None
    """File name; None is made from the job's name, frames and codec."""
    allow_gaps: bool = False
    sound: bool = True


class Reason(Message):
    """Why one worker, or the job itself, does or does not go on."""

    subject: str
    """A worker's name, a pool's, or ``job``."""
    text: str


class Explanation(Message):
    """``GET /jobs/{id}/explain``: why the job is where it is, most important first."""

    job_id: str
    reasons: tuple[Reason, ...]


class Requeue(Message):
    """``POST /jobs/{id}/requeue``: render again. Without frames: what failed or was canceled."""

    frames: str | None = None


class ChangePriority(Message):
    """``POST /jobs/{id}/priority``."""

    priority: int = Field(ge=0, le=100)


class FrameView(Message):
    """One frame that has a result."""

    frame: int
    """Its number; above Blender's own numbers it is the result of a command task."""
    task: str = ""
    """Name of the command task whose result it is."""
    status: FrameStatus
    files: tuple[OutputFile, ...]
    attempt_id: str
    worker: str
    render_seconds: float
    peak_memory_bytes: int
    published_seq: int | None
    """Grows with every frame that is published in the job; ask for what came after it."""
    warnings: tuple[str, ...] = ()


FRAMES_MAX = 2000
"""Frames in one answer: there may be a million."""


class Frames(Message):
    """``GET /jobs/{id}/frames?after=N``: in the order they were published, 2000 at most."""

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
    name: str = ""
    """Of a command task."""
    frames: str
    """Empty for a command task."""
    status: TaskStatus
    failures: int
    attempts: tuple[AttemptView, ...]


class Tasks(Message):
    """``GET /jobs/{id}/tasks``."""

    tasks: tuple[TaskView, ...]


FrameState = Literal["queued", "active", "committed", "published", "failed", "canceled"]
"""Where a frame stands, of its task and of its result in one word."""

FRAME_LETTERS: Mapping[FrameState, str] = {
    "queued": "q",
    "active": "a",
    "committed": "c",
    "published": "p",
    "failed": "f",
    "canceled": "x",
}


class CommandState(Message):
    """Where one command task of a job stands."""

    name: str
    status: TaskStatus


class FrameStates(Message):
    """``GET /jobs/{id}/states``: where every frame stands, small enough to be asked for often."""

    job_id: str
    frames: str
    """The job's frame range."""
    states: str
    """Of its frames, ascending, as runs of a count and a letter: ``480p1a19q``; a count of 1 is
    left out. The letters: **q**ueued, **a**ctive, **c**ommitted, **p**ublished, **f**ailed,
    canceled (**x**)."""
    commands: tuple[CommandState, ...]


class FrameDetails(Message):
    """``GET /jobs/{id}/frames/{frame}``: all that is known of one frame."""

    job_id: str
    frame: int
    task: TaskView
    """The task that renders it; one that nobody tried yet has no attempts."""
    result: FrameView | None


class WorkerView(Message):
    """One worker that is here."""

    name: str
    pool: str
    host: str
    pid: int
    status: WorkerStatus
    capabilities: Capabilities
    threads: int
    registered_at: datetime
    silent_seconds: float
    """Since its last sign of life."""
    frames_finished: int
    progress: RenderProgress | None
    trouble: str = ""
    """What keeps it from its work, such as a storage that is away; empty: nothing."""
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
    """Why the last worker was of no use: it could not start, or can't render; else empty."""
    waiting: str = ""
    """What those wait for that were started and have not begun; empty if nothing holds them up."""
    minimum: int = 0
    """Workers that stay though there is nothing to do."""
    scale: int | None = None
    """As many as this, whatever there is to do; set by hand."""
    preference: int = 0
    """Pools with a smaller number are used first."""
    cores: float = 0
    """CPU cores of a worker, or of the machine that they share."""
    memory_bytes: int = 0
    """Memory of a worker, or what they share."""
    memory_class: int = 0
    """A larger one has more memory."""
    device: str = "auto"
    """``cpu`` or ``gpu``; ``auto``: the workers know."""
    blender: tuple[str, ...] = ()
    """Versions at a worker's hand; empty: the workers know."""
    spot: bool = False


class Pools(Message):
    """``GET /pools``: those to be used first at the front."""

    pools: tuple[PoolView, ...]


class ChangePool(Message):
    """``PUT /pools/{name}``: a field that is left out stays as it is.

    Null is what the pool says itself, and of ``scale`` that the autoscaler decides.
    """

    minimum: int | None = Field(default=None, ge=0, le=POOL_MAX)
    maximum: int | None = Field(default=None, ge=0, le=POOL_MAX)
    scale: int | None = Field(default=None, ge=0, le=POOL_MAX)
    """As many workers as this, whatever there is to do."""


class FarmStatus(Message):
    """``GET /status``."""

    version: str
    started_at: datetime
    storage_url: str
    storage_trouble: str = ""
    """What keeps the manager from the storage; empty: nothing."""
    jobs: dict[JobStatus, int]
    tasks_queued: int
    tasks_active: int
    workers: int
    pools: tuple[PoolView, ...]
    pools_trouble: str = ""
    """What keeps the manager from starting workers; empty: nothing."""


class Event(Message):
    """One thing that happened, on ``GET /events`` (server-sent events).

    ``kind`` is ``job``, ``frame``, ``worker``, ``log``, ``tick`` or ``reset``.
    ``tick`` comes about once a second while nothing happens; ``reset`` says that events
    were missed and that everything should be asked for anew.
    """

    seq: int
    kind: Literal["job", "frame", "worker", "log", "tick", "reset"]
    at: datetime
    job_id: str | None = None
    job: JobView | None = None
    frame: FrameView | None = None
    worker: WorkerView | None = None
    worker_name: str | None = None
    log: LogLine | None = None
