"""``burst init``: a burst.toml for a farm on Google Cloud, by asking or from options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options
from burst.errors import BurstError, UsageError

if TYPE_CHECKING:
    from burst.operations.init import Wishes

Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="ID",
        help="Project of Google Cloud that pays. [default: asked for]",
        show_default=False,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="NAME",
        help="Region there, such as europe-west4, in place of a zone of it.",
        show_default=False,
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone",
        metavar="NAME",
        help="Zone there, such as europe-west4-a. [default: asked for, or b of the region]",
        show_default=False,
    ),
]
Pools = Annotated[
    list[str] | None,
    typer.Option(
        "--pool",
        metavar="NAME",
        help="cpu-small, cpu-large, cpu-memory, cpu-steady, gpu-l4 or gpu-l4-large; may be given "
        "again. [default: cpu-small]",
        show_default=False,
    ),
]

_FARM = "burst"
_REGION = "europe-west4"


def init(
    project: Project = None,
    region: Region = None,
    zone: Zone = None,
    farm: options.FarmName = None,
    pool: Pools = None,
) -> None:
    """Write a burst.toml for a farm on Google Cloud, with words about every line.

    It asks for what no option says; without a terminal --project and --zone or --region have to be
    given. A burst.toml that is there is never touched.
    """
    from burst.config.load import FILE_NAME
    from burst.operations.init import Wishes, burst_toml, find_preset, find_zone, write_new

    path = Path.cwd() / FILE_NAME
    if path.exists():
        raise UsageError(
            f"{path} is there already, and stays as it is", hint="edit it, or move it away first"
        )
    place = zone or region
    if zone and region and not zone.startswith(f"{region}-"):
        raise UsageError(f"zone {zone} is not in region {region}", hint="one of them is enough")
    if not sys.stdin.isatty() and (project is None or place is None):
        raise UsageError(
            "there is no terminal to ask on",
            hint="say it by options: --project ID --zone europe-west4-a --pool cpu-small",
        )
    for name in pool or ():
        find_preset(name)
    if sys.stdin.isatty():
        wishes = _asked(project, place, farm, pool)
    else:
        zone = find_zone(place or "")
        wishes = Wishes(project or "", zone, farm or _FARM, tuple(pool or _usual()))
    write_new(path, burst_toml(wishes))
    console.tell(f"wrote {path}")
    console.tell("  look whether all is ready:  burst doctor")
    console.tell("  see the plan and its price: burst up --plan")
    console.tell("  make the farm:              burst up")


def _asked(
    project: str | None, place: str | None, farm: str | None, pool: list[str] | None
) -> Wishes:
    from burst.operations.init import (
        Wishes,
        checked_farm,
        checked_project,
        find_preset,
        find_zone,
        preset_lines,
    )

    usual = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    project = project or _ask("project (its id)", usual, checked_project)
    zone = find_zone(place or _ask("region or zone", _REGION, find_zone))
    farm = farm or _ask("name of the farm", _FARM, checked_farm)
    if pool is None:
        console.tell("pools of machines:")
        for line in preset_lines():
            console.tell(line)

        def check_pools(text: str) -> None:
            for name in text.split():
                find_preset(name)

        pool = _ask("pools, with spaces between", " ".join(_usual()), check_pools).split()
    return Wishes(project, zone, farm, tuple(pool))


def _usual() -> list[str]:
    from burst.domain.presets import USUAL

    return [USUAL]


def _ask(what: str, default: str, check: Callable[[str], object]) -> str:
    """Ask until the answer makes sense; an empty one is the default."""
    while True:
        sys.stderr.write(f"{what}{f' [{default}]' if default else ''}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise BurstError("nothing was written")
        text = line.strip() or default
        if not text:
            continue
        try:
            check(text)
        except BurstError as error:
            console.tell(f"{error.message}{f'; {error.hint}' if error.hint else ''}")
            continue
        return text
