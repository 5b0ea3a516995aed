"""``burst doctor``: can this machine render, and if not, why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from burst.cli import console, options
from burst.cli.settings import farm_settings
from burst.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from burst.operations.doctor import Finding

_MARKS = {"good": "ok", "warning": "!", "bad": "FAIL"}


def doctor(
    blender: options.Blender = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Look whether this machine can render; exit 1 if something prevents it."""
    from burst.cli.progress import after_a_while
    from burst.operations.doctor import examine

    settings = farm_settings(state_dir, blender=blender)
    with after_a_while("trying what Blender can render here"):
        findings = examine(settings)
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


def _print(findings: Sequence[Finding]) -> None:
    subjects = [f"  {one.subject}" if one.blender else one.subject for one in findings]
    width = max(len(subject) for subject in subjects)
    for subject, finding in zip(subjects, findings, strict=True):
        console.say(f"{_MARKS[finding.verdict]:<5}{subject:<{width}}  {finding.text}")
        if finding.hint and finding.verdict != "good":
            console.say(f"{'':<{5 + width}}  hint: {finding.hint}")
