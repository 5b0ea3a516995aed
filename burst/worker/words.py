"""What Blender's words mean: progress, and the causes of failures it only prints.

Pure functions over lines of Blender 3.4 to 5.x. Progress comes as ``Fra:…`` lines, or as
the text that 5.x gives to a handler; the same parser reads both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_LOG_PREFIX = re.compile(r"^\d\d:\d\d(?::\d\d)?\.\d{3}\s+\S+\s+\|\s+")
"""Time and topic, which 5.x puts before every line."""
_PROGRESS = re.compile(r"^Fra: ?-?\d+\s")
_SAMPLE = re.compile(r"\b(?:Sample|Rendering) (\d+) ?/ ?(\d+)")
_FIGURES = re.compile(r"(Fra|Mem|Time|Remaining|Peak)\b.*")


class Ailment(Enum):
    """A cause that Blender prints but does not report."""

    OUT_OF_MEMORY = "out of memory"
    DISK_FULL = "disk full"


_AILMENTS = (
    (re.compile(r"alloc( array)? returns null|bad_alloc", re.IGNORECASE), Ailment.OUT_OF_MEMORY),
    (re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE), Ailment.DISK_FULL),
)


@dataclass(frozen=True, slots=True)
class Step:
    """Where a render stands."""

    sample: int
    samples: int
    """0 when the engine does not say."""
    words: str
    """Blender's own, without figures."""


def without_prefix(line: str) -> str:
    """Return a line without the time and topic that newer Blenders put before it."""
    return _LOG_PREFIX.sub("", line)


def is_progress(line: str) -> bool:
    """Say whether a printed line is about progress only."""
    return bool(_PROGRESS.match(without_prefix(line)))


def parse_progress(text: str) -> Step:
    """Read a progress line, or a handler's text."""
    parts = [part.strip() for part in without_prefix(text).split("|")]
    match = _SAMPLE.search(text)
    words = " | ".join(part for part in parts if part and not _FIGURES.match(part))
    if match:
        return Step(int(match[1]), int(match[2]), words)
    return Step(0, 0, words)


def ailment(line: str) -> Ailment | None:
    """Return the cause of failure that a printed line tells, if it tells one."""
    return next((cause for pattern, cause in _AILMENTS if pattern.search(line)), None)
