"""``burst doctor``: what prevents a farm, here and on Google Cloud, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options
from burst.cli.settings import farm_settings
from burst.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from burst.config.google import GoogleFarm
    from burst.operations.doctor import Finding

_MARKS = {"good": "ok", "warning": "!", "bad": "FAIL"}

Fix = Annotated[
    bool,
    typer.Option("--fix", help="Fetch terraform, helm and kubectl where they are missing or old."),
]
Leftover = Annotated[
    bool,
    typer.Option("--leftovers", help="List what is left of the farm on Google Cloud, no more."),
]


def doctor(
    blender: options.Blender = None,
    state_dir: options.StateDir = None,
    project: options.Project = None,
    zone: options.Zone = None,
    farm: options.FarmName = None,
    fix: Fix = False,
    leftovers: Leftover = False,
    json: options.Json = False,
) -> None:
    """Look whether this machine can render, and whether the farm can be put on Google Cloud.

    Exit 1 if something prevents it. What costs money is only looked at.
    """
    from burst.cli.google import google_farm
    from burst.cli.progress import after_a_while
    from burst.cloud.programs import use_fetched
    from burst.config.farm import default_cache_dir
    from burst.operations.doctor import examine

    use_fetched(default_cache_dir())
    place = google_farm(state_dir, project, zone=zone, farm=farm)
    if leftovers:
        _leftovers(state_dir, project, farm, json=json)
        return
    settings = farm_settings(state_dir, blender=blender, attach=False)
    with after_a_while("trying what can be rendered here and made there"):
        findings = examine(settings)
        if place is not None or fix:
            findings = _with_cloud(findings, place, fix=fix)
    able = all(finding.verdict != "bad" for finding in findings)
    if json:
        console.emit(
            {
                "able": able,
                "findings": [
                    {
                        "subject": finding.subject,
                        "blender": finding.blender,
                        "verdict": finding.verdict,
                        "text": finding.text,
                        "hint": finding.hint,
                    }
                    for finding in findings
                ],
            }
        )
    else:
        _print(findings)
    if not able:
        raise typer.Exit(EXIT_FAILURE)


def _with_cloud(
    findings: Sequence[Finding], place: GoogleFarm | None, *, fix: bool
) -> list[Finding]:
    """Return what is found here, as it counts for a farm elsewhere, and what is found there."""
    from burst.operations.doctor_farm import examine_farm, for_the_cloud
    from burst.operations.doctor_programs import examine_programs, unfit_programs

    programs = examine_programs()
    if fix and (unfit := unfit_programs(programs)):
        _fetch(unfit, place)
        programs = examine_programs()
    if place is None:
        return [*findings, *programs]
    return [*for_the_cloud(findings), *programs, *examine_farm(place)]


def _fetch(names: Sequence[str], place: GoogleFarm | None) -> None:
    """Fetch programs; what can't be had is said, and found missing then."""
    from burst.config.farm import default_cache_dir
    from burst.config.google import GoogleSettings
    from burst.config.load import load
    from burst.operations.doctor_programs import fetch_programs

    google = place.google if place else load(GoogleSettings, {}).settings
    console.tell(f"fetching {', '.join(names)} …")
    cache = default_cache_dir()
    for mended in fetch_programs(names, cache, mirror=google.tools_mirror or ""):
        if mended.error is None:
            console.tell(f"fetched {mended.path}")
        else:
            console.tell(f"{mended.name}: {mended.error.message}")
            if mended.error.hint:
                console.tell(f"hint: {mended.error.hint}")


def _leftovers(
    state_dir: options.StateDir, project: str | None, farm: str | None, *, json: bool
) -> None:
    from burst.cli.google import find_google_farm
    from burst.cli.progress import after_a_while
    from burst.operations.doctor_farm import look_for_leftovers
    from burst.operations.google_farm import open_site

    with after_a_while("looking for what is left"):
        found = look_for_leftovers(open_site(find_google_farm(state_dir, project, farm)))
    if json:
        console.emit(found.as_json())
    else:
        for line in found.lines():
            console.say(line)
    if not found.is_zero:
        raise typer.Exit(EXIT_FAILURE)


def _print(findings: Sequence[Finding]) -> None:
    subjects = [f"  {one.subject}" if one.blender else one.subject for one in findings]
    width = max(len(subject) for subject in subjects)
    for subject, finding in zip(subjects, findings, strict=True):
        console.say(f"{_MARKS[finding.verdict]:<5}{subject:<{width}}  {finding.text}")
        if finding.hint and finding.verdict != "good":
            console.say(f"{'':<{5 + width}}  hint: {finding.hint}")
