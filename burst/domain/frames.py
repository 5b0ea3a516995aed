"""Frame ranges and how a range is cut into the tasks of a job.

A frame range is kept as a few arithmetic segments, never as a list: a job of a million
frames costs as much memory as a job of one. Frames are ascending and unique.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from burst.domain.commands import CommandTask
from burst.errors import UsageError

FRAME_MIN = -1_048_574
FRAME_MAX = 1_048_574
"""Blender's own limits (MINAFRAME, MAXFRAME in DNA_scene_types.h)."""

RESULT_MIN = FRAME_MAX + 1
"""The result of a task without frames is numbered like a frame, from here on."""

_PART = re.compile(r"(-?\d{1,9})(?:\s*-\s*(-?\d{1,9})(?:\s*x\s*(\d{1,9}))?)?\Z", re.ASCII)
_EXAMPLE = "frames look like 1-48, or 1,3,7-20x2"


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames ``first``, ``first + step``, … ``last``; ``last`` is one of them."""

    first: int
    last: int
    step: int = 1

    def __len__(self) -> int:
        return (self.last - self.first) // self.step + 1

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}-{self.last}" + (f"x{self.step}" if self.step != 1 else "")


class FrameRange:
    """An ascending set of frame numbers, held as segments that do not overlap."""

    __slots__ = ("_starts", "segments")

    def __init__(self, segments: Iterable[Segment]) -> None:
        """Take segments that are ascending and disjoint; use `parse` or `of` otherwise."""
        self.segments: tuple[Segment, ...] = tuple(segments)
        starts = [0]
        for segment in self.segments:
            starts.append(starts[-1] + len(segment))
        self._starts = starts

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Read ``1-48``, ``1,3,7-20x2`` or ``-5--1``.

        Raises:
            UsageError: the text is no range, is empty, runs backwards, or leaves
                Blender's limits.
        """
        parts = [part.strip() for part in text.split(",")]
        segments = sorted((_parse_part(part, text) for part in parts), key=lambda s: s.first)
        if all(a.last < b.first for a, b in itertools.pairwise(segments)):
            return cls(segments)
        return cls.of(frame for s in segments for frame in range(s.first, s.last + 1, s.step))

    @classmethod
    def restore(cls, text: str) -> FrameRange:
        """Read what `str` made of a range, which is nothing where there are no frames.

        Raises:
            UsageError: as `parse`.
        """
        return cls.parse(text) if text else cls(())

    @classmethod
    def of(cls, frames: Iterable[int]) -> FrameRange:
        """Compress any frame numbers into the fewest runs of equal step that greed finds."""
        ordered = sorted(set(frames))
        segments: list[Segment] = []
        position = 0
        while position < len(ordered):
            end = position + 1
            step = ordered[end] - ordered[position] if end < len(ordered) else 1
            while end < len(ordered) and ordered[end] - ordered[end - 1] == step:
                end += 1
            if end - position == 2 and step != 1:
                # Two frames with a gap read better apart, and the second may start a run.
                end -= 1
            last = ordered[end - 1]
            segments.append(Segment(ordered[position], last, step if end - position > 1 else 1))
            position = end
        return cls(segments)

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[int]:
        for segment in self.segments:
            yield from range(segment.first, segment.last + 1, segment.step)

    def __str__(self) -> str:
        return ",".join(str(segment) for segment in self.segments)

    def __repr__(self) -> str:
        return f"FrameRange({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameRange) and self.segments == other.segments

    def __hash__(self) -> int:
        return hash(self.segments)

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self._find(frame) is not None

    def frame_at(self, position: int) -> int:
        """Return the frame at ``position``, counted from 0.

        Raises:
            IndexError: the range has no such position.
        """
        if not 0 <= position < len(self):
            raise IndexError(position)
        which = bisect.bisect_right(self._starts, position) - 1
        segment = self.segments[which]
        return segment.first + (position - self._starts[which]) * segment.step

    def position_of(self, frame: int) -> int:
        """Return where ``frame`` stands, counted from 0.

        Raises:
            ValueError: the frame is not in the range.
        """
        position = self._find(frame)
        if position is None:
            raise ValueError(frame)
        return position

    def _find(self, frame: int) -> int | None:
        which = bisect.bisect_right([s.first for s in self.segments], frame) - 1
        if which < 0:
            return None
        segment = self.segments[which]
        if frame > segment.last or (frame - segment.first) % segment.step:
            return None
        return self._starts[which] + (frame - segment.first) // segment.step


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """The tasks of a job: frame tasks by arithmetic, and behind them the command tasks.

    Task ``i`` renders the ``i``-th chunk; a command task has one numbered result instead.
    """

    frames: FrameRange
    chunk: int = 1
    commands: tuple[CommandTask, ...] = ()

    @property
    def frame_task_count(self) -> int:
        """How many tasks render frames."""
        return -(-len(self.frames) // self.chunk)

    @property
    def task_count(self) -> int:
        """How many tasks the job has."""
        return self.frame_task_count + len(self.commands)

    def frames_of(self, task_index: int) -> tuple[int, ...]:
        """Return the frames of one task, ascending; or the number of a command task's result."""
        number = task_index - self.frame_task_count
        if number >= 0:
            return (RESULT_MIN + number,)
        first = task_index * self.chunk
        last = min(first + self.chunk, len(self.frames))
        return tuple(self.frames.frame_at(position) for position in range(first, last))

    def task_of(self, frame: int) -> int:
        """Return the task that renders ``frame``, or that has the result of that number.

        Raises:
            ValueError: the job does not render that frame.
        """
        if frame >= RESULT_MIN:
            if frame - RESULT_MIN >= len(self.commands):
                raise ValueError(frame)
            return self.frame_task_count + frame - RESULT_MIN
        return self.frames.position_of(frame) // self.chunk

    def command_task(self, task_index: int) -> CommandTask | None:
        """Return the command task of that index, or None where frames are rendered."""
        number = task_index - self.frame_task_count
        return self.commands[number] if number >= 0 else None

    def result_name(self, number: int) -> str:
        """Return the name of the command task that has the result of that number, or nothing."""
        return "" if is_frame(number) else self.commands[number - RESULT_MIN].name


def is_frame(number: int) -> bool:
    """Say whether a number is that of a frame, and not of a command task's result."""
    return number < RESULT_MIN


def _parse_part(part: str, text: str) -> Segment:
    match = _PART.match(part)
    if match is None:
        raise UsageError(f"{text!r} is not a frame range", hint=_EXAMPLE)
    first = int(match[1])
    last = int(match[2]) if match[2] is not None else first
    step = int(match[3]) if match[3] is not None else 1
    if step == 0:
        raise UsageError(f"{part!r} has a step of 0", hint=_EXAMPLE)
    if last < first:
        raise UsageError(f"{part!r} runs backwards and holds no frame", hint=f"try {last}-{first}")
    if first < FRAME_MIN or last > FRAME_MAX:
        raise UsageError(f"{part!r} leaves Blender's limits of {FRAME_MIN} to {FRAME_MAX}")
    last -= (last - first) % step
    return Segment(first, last, step if last != first else 1)
