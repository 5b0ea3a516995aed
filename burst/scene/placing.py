"""Where each file of a scene lies in it: decided from names alone.

Files that are named relatively keep their places towards the .blend that names them, below
one root. What is named absolutely and lies elsewhere goes to ``outside/<hash of its
folder>/``, together with what it names relatively in turn (a library, and its textures), so
that an artist's folder names stay on the artist's machine and nothing clashes.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Claim:
    """A .blend names files, and these are they."""

    owner: Path
    named: Path
    """Where the name points to: absolute, without ``..``; a pattern or folder for many."""
    absolute: str | None
    """The name itself, if it is an absolute one."""
    files: tuple[Path, ...]


@dataclass(slots=True)
class Placed:
    """The plan: relative places, all ``/``-separated."""

    root: Path
    files: dict[str, Path] = field(default_factory=dict)
    """Place → file."""
    outside: dict[str, str] = field(default_factory=dict)
    """Absolute name → the place to use instead."""

    def places(self) -> dict[Path, str]:
        """Return the first place of each file."""
        return {path: where for where, path in reversed(self.files.items())}


def place(main: Path, claims: Sequence[Claim]) -> Placed:
    """Decide the root and where every file goes.

    Args:
        main: the .blend, absolute.
        claims: all that it and its libraries name.
    """
    neighbours = _Neighbours(claims)
    members, root = _main_tree(main, claims, neighbours)
    placed = Placed(root, {_below(root, path): path for path in members})
    for claim in claims:
        if claim.absolute is None or not claim.files or claim.absolute in placed.outside:
            continue
        if claim.named.is_relative_to(root):
            placed.outside[claim.absolute] = _below(root, claim.named)
        else:
            _place_outside(claim, claim.absolute, neighbours, placed)
    return placed


def _main_tree(
    main: Path, claims: Sequence[Claim], neighbours: _Neighbours
) -> tuple[set[Path], Path]:
    """Return what lies below the root, and the root.

    Whatever is named absolutely but lies below the root belongs there, and may name further
    files relatively, which may push the root up.
    """
    seeds = {main}
    while True:
        members = neighbours.closure(seeds)
        root = _common_folder(path.parent for path in members)
        inside = {
            path
            for claim in claims
            if claim.absolute is not None and claim.named.is_relative_to(root)
            for path in claim.files
        }
        if inside <= members:
            return members, root
        seeds |= inside


def _place_outside(claim: Claim, name: str, neighbours: _Neighbours, placed: Placed) -> None:
    members = neighbours.closure(set(claim.files))
    folder = _common_folder([claim.named.parent, *(path.parent for path in members)])
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    prefix = f"outside/{digest}/"
    placed.files |= {prefix + _below(folder, path): path for path in members}
    placed.outside[name] = prefix + _below(folder, claim.named)


class _Neighbours:
    """Which files keep their places towards each other."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._of: dict[Path, set[Path]] = defaultdict(set)
        for claim in claims:
            if claim.absolute is None:
                self._of[claim.owner].update(claim.files)

    def closure(self, seeds: set[Path]) -> set[Path]:
        """Return the seeds with all that they name relatively, over any number of steps."""
        found = set(seeds)
        queue = list(seeds)
        while queue:
            for path in self._of.get(queue.pop(), ()):
                if path not in found:
                    found.add(path)
                    queue.append(path)
        return found


def _common_folder(folders: Iterable[Path]) -> Path:
    return Path(os.path.commonpath(list(folders)))


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
