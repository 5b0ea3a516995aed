"""What the stamps of one run, and the runs of a benchmark, come to: pure functions."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class NotMeasured(Exception):
    """The stamps are not those of the run that was meant."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """When one Blender process started each frame and had it written, in seconds."""

    started: float
    pre: tuple[float, ...]
    written: tuple[float, ...]

    @property
    def idles(self) -> tuple[float, ...]:
        """Seconds from each frame's file to the start of the next frame."""
        return tuple(b - a for a, b in zip(self.written, self.pre[1:], strict=False))


@dataclass(frozen=True, slots=True)
class Run:
    """One side rendered the frames once."""

    frames: int
    start_seconds: float
    """From the first command typed to the start of the first frame."""
    steady_seconds: float
    """From the start of the first frame to the last one being finished."""
    idles: tuple[float, ...]

    @property
    def frame_seconds(self) -> float:
        """Steady seconds a frame."""
        return self.steady_seconds / self.frames


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of what was measured several times."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.least:.3f} to {self.most:.3f})"


def parse_stamps(text: str) -> Stamps:
    """Read the stamps of one process.

    Raises:
        NotMeasured: a line is torn, or the process never said that it started.
    """
    times: dict[str, list[float]] = {"started": [], "pre": [], "written": []}
    for line in text.splitlines():
        try:
            stamp = json.loads(line)
            times[stamp["event"]].append(stamp["at"])
        except (ValueError, KeyError, TypeError) as error:
            raise NotMeasured(f"this is no stamp: {line!r}") from error
    if not times["started"]:
        raise NotMeasured("a Blender did not say when it started")
    return Stamps(times["started"][0], tuple(times["pre"]), tuple(times["written"]))


def the_renderer(processes: Iterable[Stamps], frames: int) -> Stamps:
    """Return the one process that rendered all the frames, each once.

    Raises:
        NotMeasured: there is none, so the frames were rendered by several or more than once.
    """
    processes = list(processes)
    found = [p for p in processes if len(p.pre) == len(p.written) == frames]
    if len(found) != 1:
        counts = ", ".join(f"{len(p.written)} of {len(p.pre)}" for p in processes) or "none"
        raise NotMeasured(f"no single Blender rendered just {frames} frames: {counts}")
    return found[0]


def measure(stamps: Stamps, begun: float, finished: float | None) -> Run:
    """Return one run.

    Args:
        stamps: of the process that rendered.
        begun: when the command was typed.
        finished: when the last frame was published; None counts it when it is written.
    """
    end = stamps.written[-1] if finished is None else finished
    first = stamps.pre[0]
    return Run(len(stamps.pre), first - begun, end - first, stamps.idles)


def spread(values: Sequence[float]) -> Spread:
    """Return median and range."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(over: Sequence[Run], under: Sequence[Run]) -> Spread:
    """Compare seconds a frame, each run with the one that was measured right after it."""
    pairs = zip(over, under, strict=True)
    return spread([a.frame_seconds / b.frame_seconds for a, b in pairs])


def median_idle_ms(runs: Iterable[Run]) -> float:
    """Return the median pause between two frames, over all runs."""
    return statistics.median([idle for run in runs for idle in run.idles]) * 1000
