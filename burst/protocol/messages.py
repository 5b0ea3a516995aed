"""What both halves of the wire share: the base of all messages, and what both speak of.

The worker protocol is in `burst.protocol.worker_messages`, the artists' API in
`burst.protocol.artist_messages`. Times are UTC, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

API = "/api/burst/v1"
"""Where both halves live."""

BYTES_MAX = 2**63 - 1
"""The largest number that a database keeps."""


class Message(BaseModel):
    """Base of everything on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OutputFile(Message):
    """One file of a frame, proven whole and uploaded under the attempt's name."""

    name: str
    """Relative path under the job's renders."""
    size: int = Field(ge=0, le=BYTES_MAX)
    sha256: str


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
    frame: int | None = None
    """None while a command runs."""
    sample: int = 0
    samples: int = 0
    """0 when the engine does not say."""
    elapsed_seconds: float = 0
    memory_bytes: int = 0
    """Resident memory of Blender."""
    step: str = ""
    """Blender's own words, e.g. ``Synchronizing object | Cube``; or what a command does."""
    percent: float | None = None
    """How far a command is, where it says so."""


class WorkerStatistics(Message):
    """psutil's figures of the machine and of the worker."""

    cpu_percent: float = 0
    load: float = 0
    memory_percent: float = 0
    disk_free_bytes: int = 0
    worker_memory_bytes: int = 0


class ErrorBody(Message):
    """Every answer that is not a success."""

    code: str
    message: str
    hint: str | None = None
    details: dict[str, object] = Field(default_factory=dict)
