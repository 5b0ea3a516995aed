"""One name in a .blend, many files on disk: numbered frames, UDIM tiles, cache folders.

Names are taken literally but for their number or tile mark, so a folder called ``[old]`` is
no pattern. Ships the whole run that a name is of: which frames a shot shows depends on
offsets and drivers.
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePath
from typing import NamedTuple

from burst.scene.disk import Disk, loosely


class Many(Enum):
    """How a name stands for files."""

    ONE = "one"
    """It is the file."""
    FRAMES = "frames"
    """It is one file of a numbered run, or a pattern of UDIM tiles."""
    FOLDER = "folder"
    """It is a folder; everything below it belongs to it."""
    POINT_CACHE = "point_cache"
    """It is a folder; the point caches right in it belong to it."""


class Found(NamedTuple):
    """A file that is there."""

    asked: str
    """The path under which it is asked for."""
    path: str
    """Where it is; another spelling of the same, mostly not."""


_TILE_MARKS = {"<UDIM>": r"\d{4}", "<UVTILE>": r"u\d+_v\d+"}
_NUMBER = re.compile(r"(.*?)(\d+)([^\d/]*)\Z", re.DOTALL)
POINT_CACHE_SUFFIXES = (".bphys", ".vdb", ".pc2")


def expand(path: str, many: Many, disk: Disk) -> list[Found]:
    """Return the files that are there for a name, in the order of their names."""
    if many is Many.FOLDER:
        folder = disk.find_folder(path)
        names = disk.files_below(folder) if folder is not None else []
        return [Found(f"{path}/{name}", f"{folder}/{name}") for name in names]
    if many is Many.POINT_CACHE:
        folder = disk.find_folder(path)
        names = disk.files_in(folder) if folder is not None else []
        caches = [name for name in names if name.endswith(POINT_CACHE_SUFFIXES)]
        return [Found(f"{path}/{name}", f"{folder}/{name}") for name in caches]
    if many is Many.FRAMES:
        pattern = _run_pattern(path.rpartition("/")[2])
        if pattern is not None:
            return _run_of(path, pattern, disk)
    file = disk.find_file(path)
    return [] if file is None else [Found(path, file)]


class _Pattern(NamedTuple):
    """The names of one run: what stands between ``parts`` varies."""

    parts: list[str]
    varies: str

    def of(self, parts: list[str]) -> re.Pattern[str]:
        return re.compile(f"({self.varies})".join(map(re.escape, parts)))


def _run_pattern(name: str) -> _Pattern | None:
    for mark, digits in _TILE_MARKS.items():
        if mark in name:
            return _Pattern(name.split(mark), digits)
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    match = _NUMBER.match(stem)
    if match is None:
        return None
    # What Blender takes for the same run: the last number before the suffix varies.
    head, number, tail = match.groups()
    # Padded numbers grow past their width: shot_999, shot_1000.
    return _Pattern([head, tail + suffix], rf"\d{{{len(number)}}}|[1-9]\d{{{len(number)},}}")


def _run_of(path: str, pattern: _Pattern, disk: Disk) -> list[Found]:
    asked_folder = path.rpartition("/")[0]
    folder = disk.find_folder(asked_folder)
    names = disk.files_in(folder) if folder is not None else []
    exactly = pattern.of(pattern.parts)
    found = [
        Found(f"{asked_folder}/{name}", f"{folder}/{name}")
        for name in names
        if exactly.fullmatch(name)
    ]
    if found:
        return found
    # A mark's own letters were cut out of the name before: only the rest is compared loosely.
    match_loosely = pattern.of([_loose_part(part) for part in pattern.parts])
    for name in names:
        match = match_loosely.fullmatch(loosely(name))
        if match is not None:
            asked = _with_numbers(pattern.parts, match.groups())
            found.append(Found(f"{asked_folder}/{asked}", f"{folder}/{name}"))
    return found


def _loose_part(part: str) -> str:
    return loosely(part + "x")[:-1]


def _with_numbers(parts: list[str], numbers: tuple[str, ...]) -> str:
    return parts[0] + "".join(
        number + part for number, part in zip(numbers, parts[1:], strict=True)
    )
