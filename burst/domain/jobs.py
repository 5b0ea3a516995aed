"""What a job is made of: render settings, its identity, and the status its tasks add up to."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import unicodedata
from typing import NewType

from pydantic import BaseModel, ConfigDict, Field

from burst.domain.transitions import JobStatus

JobId = NewType("JobId", str)

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
    scene: SceneRef, frames: str, settings: RenderSettings, chunk: int, output: str
) -> str:
    """Return the identity of a piece of work, as 64 hex digits.

    Two submissions with the same key ask for the same files in the same place; while one
    is unfinished the other means: go on with that.
    """
    parts = [scene.name, scene.version, frames, settings.model_dump(mode="json"), chunk, output]
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
    if canceled:
        return JobStatus.CANCELED
    return JobStatus.FAILED if failed else JobStatus.COMPLETED
