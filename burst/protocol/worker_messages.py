"""The worker protocol, message by message.

``docs/contributing/worker-protocol.md`` tells the story.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from burst.domain.commands import TaskCommand
from burst.domain.jobs import RenderSettings, SceneRef
from burst.domain.workers import Capabilities, Requirements
from burst.protocol.messages import (
    BYTES_MAX,
    LogLine,
    Message,
    OutputFile,
    RenderProgress,
    WorkerStatistics,
)


class RegisterWorker(Message):
    """``POST /worker/register``: here I am. A worker of that name that was known is gone."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")
    pool: str
    host: str
    pid: int
    capabilities: Capabilities
    threads: int = Field(ge=1)
    """CPU threads that it renders with."""


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


class FrameFinished(Message):
    """A frame is rendered, proven, and uploaded to ``attempts/<job>/<attempt>/``.

    Of a command task this is its one result, which may be without files.
    """

    kind: Literal["finished"] = "finished"
    job_id: str
    attempt_id: str
    token: str
    frame: int
    files: tuple[OutputFile, ...]
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
    outcome: Literal["failed", "interrupted", "out_of_memory"]
    reason: str
    """One sentence that an artist understands."""
    gives_up: Literal["task", "job"] | None = None
    """What no other try can save, on no other worker: this task, or every task of the job."""
    peak_memory_bytes: int = Field(default=0, ge=0, le=BYTES_MAX)


Report = Annotated[FrameFinished | FramePublished | AttemptEnded, Field(discriminator="kind")]


class Verdict(Message):
    """The manager's answer to one report, in the order of the reports."""

    answer: Literal["publish", "done", "drop"]
    """``publish``: it is committed, make it visible and confirm. ``done``: noted, forget it.
    ``drop``: the attempt is not current any more; delete what it made."""
    replaces: dict[str, str] = Field(default_factory=dict)
    """With ``publish``: file name → storage identity of the older file it may replace."""


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
    trouble: str = ""
    """What keeps the worker from its work, such as a storage that is away; empty: nothing."""
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
    """Those of the task that nobody has finished yet, and before them, of a simulation that is
    not baked, what leads there; the number of its result if it has commands."""
    scene: SceneRef | None
    """None in a job that only runs commands."""
    settings: RenderSettings
    requirements: Requirements
    task_name: str = ""
    """Of a command task."""
    commands: tuple[TaskCommand, ...] = ()
    """What to do instead of rendering the frames."""


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


class AskInputs(Message):
    """``POST /worker/inputs``: the published frames of the job that an attempt belongs to."""

    job_id: str
    attempt_id: str
    token: str


class InputFrame(Message):
    """A published frame, to make something of."""

    frame: int
    files: tuple[OutputFile, ...]
    """The main image first."""


class Inputs(Message):
    """They, ascending."""

    frames: tuple[InputFrame, ...]


class SignOff(Message):
    """``POST /worker/{name}/sign-off``: I leave; what I still hold is interrupted."""

    session: str
    reports: tuple[Report, ...] = ()
    logs: tuple[LogLine, ...] = ()
    reason: str
