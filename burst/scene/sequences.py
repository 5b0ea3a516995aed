"""One name in a .blend, many files on disk: numbered frames, UDIM tiles, cache folders.

Names are taken literally but for their number or tile mark, so a folder called ``[old]`` is
no pattern. Ships the whole run that a name is of: which frames a shot shows depends on
offsets and drivers.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from pathlib import Path


class Many(Enum):
    """How a name stands for files."""

    ONE = "one"
    """It is the file."""
    FRAMES = "frames"
    """It is one file of a numbered run, a pattern of UDIM tiles, or a folder of files."""
    FOLDER = "folder"
    """It is a folder; everything below it belongs to it."""
    POINT_CACHE = "point_cache"
    """It is a folder; the point caches right in it belong to it."""


_TILE_MARKS = {"<UDIM>": r"\d{4}", "<UVTILE>": r"u\d+_v\d+"}
_NUMBER = re.compile(r"(.*?)(\d+)([^\d/]*)\Z", re.DOTALL)
_POINT_CACHE_SUFFIXES = (".bphys", ".vdb", ".pc2")


def expand(path: Path, many: Many) -> list[Path]:
    """Return the files that are there for a name, in the order of their names."""
    if many is Many.ONE:
        return [path] if path.is_file() else []
    if many is Many.POINT_CACHE:
        return [file for file in _files_in(path) if file.suffix in _POINT_CACHE_SUFFIXES]
    if path.is_dir():
        return _files_below(path)
    return [] if many is Many.FOLDER else _run_of(path)


def _run_of(path: Path) -> list[Path]:
    pattern = _tile_pattern(path.name) or _number_pattern(path)
    if pattern is None:
        return [path] if path.is_file() else []
    return [file for file in _files_in(path.parent) if pattern.fullmatch(file.name)]


def _tile_pattern(name: str) -> re.Pattern[str] | None:
    for mark, digits in _TILE_MARKS.items():
        if mark in name:
            return re.compile(digits.join(map(re.escape, name.split(mark))))
    return None


def _number_pattern(path: Path) -> re.Pattern[str] | None:
    """Return what Blender takes for the same run: the last number before the suffix varies."""
    match = _NUMBER.match(path.stem)
    if match is None:
        return None
    head, number, tail = match.groups()
    # Padded numbers grow past their width: shot_999, shot_1000.
    digits = rf"(\d{{{len(number)}}}|[1-9]\d{{{len(number)},}})"
    return re.compile(re.escape(head) + digits + re.escape(tail + path.suffix))


def _files_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_file())
    except OSError:
        return []


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        file
        for parent, _, names in os.walk(folder)
        for file in (Path(parent) / name for name in names)
        if file.is_file()
    )
