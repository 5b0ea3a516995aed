"""Settings of the farm as the command line sees it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from burst.config.load import Settings


def default_state_dir() -> Path:
    """Return where a local farm keeps its state, by the XDG base directory rules."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "burst"


def default_cache_dir() -> Path:
    """Return where what can be made again is kept, by the XDG base directory rules."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "burst"


class FarmSettings(Settings):
    """What the commands need to find or to start a farm."""

    table: ClassVar[str] = "farm"
    typed: ClassVar[Mapping[str, str]] = {"storage_url": "--storage"}

    state_dir: Path = Field(default_factory=default_state_dir)
    """Folder of the local farm: its database, storage, logs and workers. One farm a folder."""

    storage_url: str | None = None
    """Where scenes and frames live: a directory, or a bucket as ``gs://name``; by default
    ``storage`` in the state directory."""

    blender: str | None = None
    """The Blenders of local workers, separated as in PATH: each a ``blender`` program, or the
    ``python`` of an environment that has the ``bpy`` wheel. By default the ``blender`` on PATH
    and every such environment in burst's cache."""

    workers: int | None = Field(default=None, ge=0, le=1024)
    """Most local workers at a time, 0 for none; by default one for every two cores, at most
    eight."""

    console_url: str | None = None
    """Address of a farm that runs elsewhere, such as ``http://127.0.0.1:8080`` of one in
    containers: every command means that one unless it is told ``--local``. What it asks for as
    a token is ``BURST_CONSOLE_TOKEN``."""

    @property
    def is_local(self) -> bool:
        """Say whether the farm is this machine's own, which is started when it is needed."""
        return self.console_url is None

    @field_validator("console_url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^/\s]+/*", url):
            raise ValueError(f"{url!r} is no address of a console, such as http://127.0.0.1:8080")
        return None if url is None else url.rstrip("/")

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()
