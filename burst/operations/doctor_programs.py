"""Whether terraform, helm and kubectl are here and new enough, and fetching those that are not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from burst.cloud.fetching import Hear, nobody_hears
from burst.cloud.helm import MAJORS
from burst.cloud.programs import (
    NAMES,
    Found,
    fetch_program,
    find_program,
    pinned,
    this_platform,
    use_fetched,
)
from burst.cloud.terraform import OLDEST
from burst.errors import BurstError
from burst.operations.doctor import Finding
from burst.threads import start

_NEEDED: Mapping[str, Callable[[tuple[int, ...]], str]] = {
    "terraform": lambda version: "" if version >= OLDEST else f"{_dotted(OLDEST)} is needed",
    "helm": lambda version: (
        "" if version[0] in MAJORS else f"{' or '.join(map(str, MAJORS))} is needed"
    ),
    "kubectl": lambda _: "",
}
"""What is wrong with a version; nothing if it will do."""
_HINT = "burst doctor --fix fetches it"


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of fetching one program."""

    name: str
    path: Path | None
    error: BurstError | None = None


def examine_programs(environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Look at the programs that a farm on Google Cloud needs; runs each, side by side."""
    names = (*NAMES, "gcloud")
    asked: dict[str, Future[Found | None]] = {
        name: start(partial(find_program, name, environ), f"doctor {name}") for name in names
    }
    return [judge_program(name, future.result()) for name, future in asked.items()]


def judge_program(name: str, found: Found | None) -> Finding:
    """Say whether a program will do. Pure."""
    if name == "gcloud":
        # Nothing here runs it: it is how one logs in, and what hints name.
        if found is None:
            hint = "install it for logging in: https://cloud.google.com/sdk/docs/install"
            return Finding(name, "warning", "there is none", hint)
        return Finding(name, "good", f"{found.said} ({found.path})")
    if found is None:
        return Finding(name, "bad", "there is none", _HINT)
    if not found.version:
        return Finding(name, "bad", f"{found.path} does not say which version it is", _HINT)
    if wrong := _NEEDED[name](found.version):
        return Finding(name, "bad", f"{found.said} ({found.path}): {wrong}", _HINT)
    return Finding(name, "good", f"{found.said} ({found.path})")


def unfit_programs(findings: Sequence[Finding]) -> list[str]:
    """Return the programs among the findings that have to be fetched."""
    return [one.subject for one in findings if one.subject in NAMES and one.verdict == "bad"]


def fetch_programs(
    names: Sequence[str],
    cache: Path,
    *,
    mirror: str = "",
    hear: Mapping[str, Hear] | None = None,
) -> list[Mended]:
    """Fetch programs side by side, and have them found from now on; each fails alone. Blocks.

    Args:
        names: which.
        cache: the user's.
        mirror: where to fetch them, in place of where they come from.
        hear: name → is told how far that one is.
    """
    hearers = hear or {}

    def take(name: str) -> Mended:
        try:
            program = pinned(name, this_platform())
            told = hearers.get(name, nobody_hears)
            return Mended(name, fetch_program(program, cache, mirror=mirror, hear=told))
        except BurstError as error:
            return Mended(name, None, error)

    futures = [start(partial(take, name), f"fetch {name}") for name in names]
    mended = [future.result() for future in futures]
    use_fetched(cache)
    return mended


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
