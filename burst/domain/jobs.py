"""What a job is made of: render settings, its identity, and the status its tasks add up to."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import unicodedata
from typing import Literal, NewType

from pydantic import BaseModel, ConfigDict, Field

from burst.domain.commands import CommandTask
from burst.domain.transitions import JobStatus

JobId = NewType("JobId", str)

PropertyValue = bool | int | float | str | tuple[bool | int | float | str, ...] | None

PRIORITY_DEFAULT = 50
RETRY_LIMIT_DEFAULT = 3

_ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
"""Lower case, without the letters and digits that are mistaken for each other."""


class RenderSettings(BaseModel):
    """What the job changes in the scene before it renders; None leaves it as the .blend has it.

    Recorded with the job and applied the same way in every attempt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    blender_scene: str | None = None
    """Name of the data-block to render; None is the one that was open when the file was saved."""
    engine: str | None = None
    """Render engine as Blender spells it, e.g. ``CYCLES``."""
    file_format: str | None = None
    """Image format as Blender spells it, e.g. ``PNG``, ``OPEN_EXR``."""
    resolution_x: int | None = Field(default=None, ge=1, le=65536)
    """Width in pixels, before the percentage."""
    resolution_y: int | None = Field(default=None, ge=1, le=65536)
    """Height in pixels, before the percentage."""
    resolution_percentage: int | None = Field(default=None, ge=1, le=32767)
    """Scale of both, in percent."""
    samples: int | None = Field(default=None, ge=1)
    """Samples per pixel of Cycles or EEVEE."""
    camera: str | None = None
    """Name of the camera object to render from; markers don't switch it then."""
    denoiser: Literal["off", "oidn", "optix"] | None = None
    """Denoiser of Cycles."""
    device: Literal["cpu", "gpu", "cuda", "optix", "hip", "oneapi", "metal"] | None = None
    """What Cycles computes on; None is the worker's own choice."""
    properties: dict[str, PropertyValue] = Field(default_factory=dict)
    """Any other property, e.g. ``scene.cycles.max_bounces`` → 4. Set last, in this order."""
    keep_metadata: bool = False
    """Let Blender write the .blend's path and the host's name into the files."""
    trust_scripts: bool = False
    """Run Python that the .blend brings: drivers, registered text blocks."""
    missing: Literal["fail", "warn"] = "fail"
    """What becomes of the job when Blender lacks an image, a library or another file."""
    unbaked: Literal["refuse", "render"] = "refuse"
    """What becomes of it when a simulation is not baked; to render it takes one task for all."""


class SceneRef(BaseModel):
    """One uploaded version of a scene in the storage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the scene, safe as a path part."""
    version: str
    """Digest of its manifest: same files, same version."""


def new_job_id(name: str) -> JobId:
    """Make an id that says what it is: the name made safe, and six random characters."""
    suffix = "".join(secrets.choice(_ID_ALPHABET) for _ in range(6))
    return JobId(f"{slug(name)}-{suffix}")


def slug(name: str, limit: int = 32) -> str:
    """Return ``name`` in lower-case letters, digits and dashes, at most ``limit`` long."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:limit].strip("-") or "job"


def work_key(
    scene: SceneRef | None,
    frames: str,
    settings: RenderSettings,
    chunk: int,
    output: str,
    commands: tuple[CommandTask, ...] = (),
) -> str:
    """Return the identity of a piece of work, as 64 hex digits.

    Two submissions with the same key ask for the same files in the same place; while one
    is unfinished the other means: go on with that.
    """
    parts = [
        scene.model_dump(mode="json") if scene else None,
        frames,
        settings.model_dump(mode="json"),
        chunk,
        output,
        [task.model_dump(mode="json") for task in commands],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def settled_status(completed: int, failed: int, canceled: int, total: int) -> JobStatus | None:
    """Return what a job has become, or None while tasks are still to end.

    Args:
        completed: tasks whose every frame is published.
        failed: tasks that failed for good.
        canceled: tasks canceled with their job.
        total: all tasks of the job.
    """
    if completed + failed + canceled < total:
        return None
    if failed:
        return JobStatus.FAILED
    return JobStatus.CANCELED if canceled else JobStatus.COMPLETED
