"""What the samples of a long run come to: pure functions."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """What a worker and its Blender held at one moment."""

    frames: int
    """Frames that were published by then."""
    agent_bytes: int
    """Resident memory of the worker's program."""
    agent_files: int
    """Its open descriptors."""
    agent_threads: int
    blender_pid: int
    blender_bytes: int
    blender_files: int
    processes: int
    """Everything below the worker's program."""
    manager_bytes: int
    manager_files: int


@dataclass(frozen=True, slots=True)
class Growth:
    """A figure early and late in the run."""

    early: float
    late: float

    @property
    def difference(self) -> float:
        """Positive if it grew."""
        return self.late - self.early

    def __str__(self) -> str:
        return f"{self.early:.1f} → {self.late:.1f}"


def growth(samples: Sequence[Sample], value: Callable[[Sample], float]) -> Growth:
    """Compare the second fifth of a run with its last: the first one is for warming up.

    Raises:
        ValueError: there are fewer than ten samples.
    """
    if len(samples) < 10:
        raise ValueError(f"{len(samples)} samples are too few")
    fifth = len(samples) // 5
    early = statistics.median(value(sample) for sample in samples[fifth : 2 * fifth])
    late = statistics.median(value(sample) for sample in samples[-fifth:])
    return Growth(early, late)


def switches(scenes: Sequence[str]) -> int:
    """Return how often the scene changed from one rendered frame to the next."""
    return sum(a != b for a, b in itertools.pairwise(scenes))
