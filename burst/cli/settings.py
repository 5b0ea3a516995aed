"""Settings of the farm for a command: ``burst.toml`` < environment < its options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from burst.errors import UsageError

if TYPE_CHECKING:
    from burst.config.farm import FarmSettings


def farm_settings(
    state_dir: Path | None = None,
    workers: int | None = None,
    blender: str | None = None,
    storage: str | None = None,
) -> FarmSettings:
    """Load what the command needs to know of the farm.

    Raises:
        ConfigError: a setting is wrong.
    """
    from burst.config.farm import FarmSettings
    from burst.config.load import load

    given = {
        "state_dir": state_dir,
        "workers": workers,
        "blender": blender_typed(blender),
        "storage_url": storage_typed(storage),
    }
    return load(FarmSettings, given).settings


def blender_typed(blender: str | None) -> str | None:
    """Return ``--blender`` for whoever runs elsewhere: paths made absolute, names as they are."""
    if blender is None:
        return None
    programs = blender.split(os.pathsep)
    return os.pathsep.join(
        str(Path(program).expanduser().absolute()) if "/" in program else program
        for program in programs
    )


def storage_typed(storage: str | None) -> str | None:
    """Return ``--storage`` for whoever runs elsewhere: a path made absolute, a URL as it is."""
    if storage is None or "://" in storage.removeprefix("file://"):
        return storage
    storage = storage.removeprefix("file://")
    return str(Path(storage).expanduser().absolute())


def require_local(local: bool, command: str) -> None:
    """Refuse a command for a farm in the cloud, as none is set up.

    Raises:
        UsageError: ``--local`` was not given.
    """
    if not local:
        raise UsageError("no cloud farm is set up", hint=f"use this machine: {command} --local")
