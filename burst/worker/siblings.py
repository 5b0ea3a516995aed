"""Tells which files a frame lacks that another frame of its job has.

A File Output node may skip a frame without a word. Names differ in the frame's number only,
which may be any of the numbers in a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"\d+")


class Siblings:
    """The files of the first frame that was seen of a job; one job at a time."""

    def __init__(self) -> None:
        """Know no job yet."""
        self._first: tuple[str, int, tuple[str, ...]] | None = None

    def lacking(self, job_id: str, frame: int, names: Sequence[str]) -> tuple[str, ...]:
        """Return a sentence for each file that the job's first frame has and this one has not."""
        if self._first is None or self._first[0] != job_id:
            self._first = job_id, frame, tuple(names)
        _, first, theirs = self._first
        present = set(names)
        return tuple(
            f"there is no {_renumbered(name, first, frame)[0]}, but frame {first} has {name}"
            for name in theirs
            if present.isdisjoint(_renumbered(name, first, frame))
        )


def _renumbered(name: str, first: int, frame: int) -> list[str]:
    """Return what a file of the first frame may be called in another, the likeliest first.

    The number may follow another that belongs to the name: ``take10001.png`` is frame 1.
    """
    places = [
        (start, match.end())
        for match in _NUMBER.finditer(name)
        for start in range(*match.span())
        if int(name[start : match.end()]) == first
    ]
    places.sort(key=lambda place: place[1] - place[0], reverse=True)
    names = [f"{name[:start]}{frame:0{end - start}d}{name[end:]}" for start, end in places]
    return names or [name]
