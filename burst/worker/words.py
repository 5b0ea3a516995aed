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
    GPU_OUT_OF_MEMORY = "GPU out of memory"
    GPU_LOST = "GPU lost"
    """A call to the GPU failed, or the device is gone."""
    DISK_FULL = "disk full"


_AILMENTS = (
    (
        r"(?i:System is out of GPU (and shared host )?memory|\bOut of memory in (cu|hip|\w+ queue)"
        r"|couldn't allocate integrator state|GPU memory was likely exceeded)"
        r"|(OUT_OF_DEVICE_MEMORY|OPTIX_ERROR_DEVICE_OUT_OF_MEMORY|CUDA_ERROR_OUT_OF_MEMORY"
        r"|hipErrorOutOfMemory|CallbackErrorOutOfMemory|GL_OUT_OF_MEMORY)\b",
        Ailment.GPU_OUT_OF_MEMORY,
    ),
    (
        r"(?i:(alloc|alloc array) returns null|bad_alloc|^(Error: )?Out of memory$)"
        r"|^MemoryError\b",
        Ailment.OUT_OF_MEMORY,
    ),
    (
        # As Cycles says it: what the driver answered "in" which call, or "in CUDA queue …".
        r"\bin (CUDA|HIP|HIPRT|OptiX|Metal) queue \w"
        r"|\bin (cu|hip|hiprt|optix)[A-Z]\w*\s*\("
        r"|\b(OPTIX_ERROR|CUDA_ERROR|UR_RESULT_ERROR|PI_ERROR|ZE_RESULT_ERROR)_[A-Z]"
        r"|\bhipError[A-Z]|\b(CUDA|HIP|OptiX) error\b"
        r"|\boneAPI .*\b(got (a )?runtime exception|error)\b"
        r"|\bCommand buffer not completed|\bkIOGPUCommandBufferCallbackError"
        r"|(?i:(?<![a-z])(device|context)[ _](was )?lost\b|fallen off the bus)"
        r"|\bFailed to \w+( up)? (a |the )?(CUDA|HIP|HIPRT|OptiX|OIDN)\b"
        r"|\bFailed loading render kernel|\bNo CUDA-capable device available",
        Ailment.GPU_LOST,
    ),
    (r"(?i:no space left on device|disk quota exceeded)", Ailment.DISK_FULL),
)
_HINTS = (
    "alloc", "command buffer", "error", "exception", "failed", "fallen off", "in cu", "in hip",
    "in optix", "lost", "memory", "no cuda", "queue", "quota", "space left",
)  # fmt: skip
"""One of these is in every line that tells a cause: most lines need no closer look."""
_PATTERNS = tuple((re.compile(pattern), cause) for pattern, cause in _AILMENTS)

_REPORT_LINES = 6
"""Of each part of Blender's crash report; the innermost frames of a backtrace come first."""


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
    lower = line.lower()
    if not any(hint in lower for hint in _HINTS):
        return None
    plain = without_prefix(line)
    return next((cause for pattern, cause in _PATTERNS if pattern.search(plain)), None)


def crash_report(text: str) -> tuple[str, ...]:
    """Return what matters of the ``.crash.txt`` that Blender wrote when it crashed.

    Its parts have headings with a ``#``: what was done last, then backtraces.
    """
    lines: list[str] = []
    part: list[str] = []
    for line in (*text.splitlines(), "#"):
        if line.startswith("#"):
            backtrace = bool(lines) and "backtrace" in lines[-1]
            lines += part[:_REPORT_LINES] if backtrace else part[-_REPORT_LINES:]
            part = []
            lines.append(line)
        elif line.strip():
            part.append(line.rstrip())
    return tuple(line for line in lines if line.strip("# "))
