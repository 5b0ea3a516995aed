"""What a task may make a worker do beside rendering frames: its commands, as plain values.

A frame job's own tasks have none of these: they are arithmetic over its frame range. A
`CommandTask` is written down one by one, and may wait for the frames or for others.
"""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Codec = Literal["h264", "prores", "prores4444", "av1"]

VIDEO_SUFFIXES: dict[Codec, tuple[str, ...]] = {
    "h264": (".mp4", ".mov"),
    "prores": (".mov",),
    "prores4444": (".mov",),
    "av1": (".mp4",),
}
"""What a video's name may end in; others can't hold the codec, or hardly any player opens them."""

FRAMES = "frames"
"""Name that stands for all frame tasks of the job."""


def check_inner(name: str) -> str:
    """Return a file name that is to lie below the job's renders.

    Raises:
        ValueError: it would lie elsewhere.
    """
    parts = set(name.split("/")) - {"", "."}
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError(f"{name!r} is no name below the job's renders")
    return name


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Exec(_Command):
    """Run a program: no shell, a process group of its own, its exit status kept.

    What it leaves in ``$BURST_OUTPUT_DIR`` is published with the task.
    """

    kind: Literal["exec"] = "exec"
    argv: tuple[str, ...] = Field(min_length=1)
    environment: dict[str, str] = Field(default_factory=dict)
    """Added to the clean environment that every program of a task gets."""
    working_directory: str | None = None
    """Absolute, or relative to the scene; by default the scene's folder, or one of its own."""
    timeout_seconds: float | None = Field(default=None, gt=0)
    progress: str | None = None
    """Regular expression; its first group is a percentage, or its two groups are part and whole."""

    @field_validator("progress")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if groups not in (1, 2):
            raise ValueError(f"{pattern!r} has {groups} groups, not one or two")
        return pattern


class Sleep(_Command):
    """Do nothing for a while."""

    kind: Literal["sleep"] = "sleep"
    seconds: float = Field(ge=0)


class Echo(_Command):
    """Write a line to the job's log."""

    kind: Literal["echo"] = "echo"
    text: str


class Copy(_Command):
    """Copy a file or a folder of the scene, or of the worker, to the job's renders."""

    kind: Literal["copy"] = "copy"
    source: str
    """Absolute, or relative to the scene."""
    target: str
    """Relative to the job's renders."""

    @field_validator("target")
    @classmethod
    def _check_target(cls, name: str) -> str:
        return check_inner(name)


class Encode(_Command):
    """Make a video of the job's published frames."""

    kind: Literal["encode"] = "encode"
    codec: Codec = "h264"
    name: str
    """File name of the video under the job's renders."""
    fps: float = Field(gt=0)
    frames: str
    """Frame range; every frame of it is one picture of the video."""
    allow_gaps: bool = False
    """A missing frame is shown by the one before it; otherwise it is an error."""
    sound: bool = True
    """Mix the scene's sound in, if it has any."""

    @model_validator(mode="after")
    def _check_name(self) -> Encode:
        suffixes = VIDEO_SUFFIXES[self.codec]
        if posixpath.splitext(check_inner(self.name))[1].lower() not in suffixes:
            raise ValueError(f"the name of a {self.codec} video ends in {' or '.join(suffixes)}")
        return self


TaskCommand = Annotated[Exec | Sleep | Echo | Copy | Encode, Field(discriminator="kind")]


class CommandTask(BaseModel):
    """One task that runs commands, one after the other, until one fails."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")
    """Unique in the job, and not ``frames``."""
    commands: tuple[TaskCommand, ...] = Field(min_length=1)
    after: tuple[str, ...] = ()
    """Names of command tasks that must be completed first; ``frames`` is every frame, published."""


def video_name(stem: str, first: int, last: int, codec: Codec) -> str:
    """Return the file name of a video, as Blender would name it: ``shot_0001-0048.mp4``.

    Args:
        stem: last part of the scene's output path, or the job's name; ``#`` at its end are dropped.
        first: first frame.
        last: last frame.
        codec: what it is encoded with.
    """
    numbers = "-".join(f"{'-' * (n < 0)}{abs(n):04d}" for n in (first, last))
    return f"{stem.rstrip('#')}{numbers}{VIDEO_SUFFIXES[codec][0]}"
