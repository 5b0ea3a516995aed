"""Settings of a worker."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from burst.config.farm import default_cache_dir, default_state_dir
from burst.config.load import Settings
from burst.config.machine import available_cores
from burst.domain.workers import DeviceChoice


def _default_name() -> str:
    host = re.sub(r"[^a-z0-9-]+", "-", platform.node().lower()).strip("-") or "worker"
    return f"{host[:40]}-{os.getpid()}"


class WorkerSettings(Settings):
    """What a worker needs to know."""

    table: ClassVar[str] = "worker"

    manager_url: str = "http://127.0.0.1:8081"
    """The manager's workers' listener."""

    worker_token: SecretStr | None = None
    """Secret that the manager asks for."""

    storage_url: str | None = None
    """Directory or bucket where scenes and frames live: the same that the manager uses."""

    scenes: str | None = None
    """Where the files of scenes are read: ``mount:/path`` with the folder where the storage is
    mounted, such as a bucket by Cloud Storage FUSE, or ``fetch`` for a cache on this machine's
    disk. By default a storage that is a directory is read in place, and a bucket is fetched."""

    scenes_cache_dir: Path = Field(default_factory=lambda: default_cache_dir() / "scenes")
    """Folder of that cache, shared by all workers of this machine and user."""

    scenes_cache_bytes: int = Field(default=0, ge=0)
    """What the cache may take; what was not used for longest goes first. 0 is half of its disk."""

    blender: str | None = None
    """Blenders to render with, separated as in PATH: each a ``blender`` program, or the
    ``python`` of an environment that has the ``bpy`` wheel. A scene is rendered by the one of
    the version that saved it, else by the next newer. By default the ``blender`` on PATH and
    every such environment in burst's cache. ``none`` makes a worker that only runs commands."""

    worker_name: str = Field(default_factory=_default_name, pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")
    """Name in the farm; another worker of that name is given up. By default host and pid."""

    worker_pool: str = "by-hand"
    """Worker pool that it belongs to."""

    work_dir: Path | None = None
    """Folder for scenes, scratch and outbox; by default one for the name in the state folder."""

    device: DeviceChoice = "auto"
    """What Cycles computes on: ``cpu``, any ``gpu``, or one of ``cuda``, ``optix``, ``hip``,
    ``oneapi``, ``metal``; a worker that does not find it does not start. By default a GPU if
    there is one, else the processor."""

    threads: int = Field(default_factory=available_cores, ge=1)
    """CPU threads to render with; by default one for each core that the machine, or its
    cgroup, lets the worker use."""

    memory_limit_bytes: int = Field(default=0, ge=0)
    """Memory that Blender may take; 0 is all that the machine or its cgroup has."""

    manager_away_seconds: float = Field(default=600.0, gt=0)
    """Stop when the manager did not answer for so long. Ten minutes outlast the time that a
    disk takes to move with the manager to another machine."""

    storage_away_seconds: float = Field(default=600.0, ge=0)
    """How long what is rendered waits for a storage that is away or refuses; then its frames are
    given back, and rendered anew."""

    first_progress_seconds: float = Field(default=1800.0, gt=0)
    """Blender is taken for hung when it neither says anything nor computes for so long while
    it loads a scene or renders its first frame."""

    progress_seconds: float = Field(default=600.0, gt=0)
    """The same for later frames."""

    verify: Literal["structure", "deep"] = "structure"
    """How outputs are proven whole: by structure and checksums, or by decoding them too."""

    cage: Literal["on", "off"] = "on"
    """Keep Blender, and what a scene makes it do, from everything that it does not need; see
    docs/security.md. Where the kernel can't, the worker says so in its log and renders on."""

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """How much the worker logs."""

    @field_validator("work_dir", "scenes_cache_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else None

    @property
    def home(self) -> Path:
        """Where this worker keeps what it needs."""
        return self.work_dir or default_state_dir() / "own-workers" / self.worker_name
