"""Where each file of a scene lies in it: decided from names alone.

Files that are named relatively keep their places towards the .blend that names them, below
one root. What is named absolutely and lies elsewhere goes to ``outside/<hash of its
folder>/``, together with what it names relatively in turn (a library, and its textures), so
that an artist's folder names stay on the artist's machine and nothing clashes. Where the
root belongs to the machine instead of to a project, and outside, folders that are only
climbed through lose their names, too.

Paths are those under which files are asked for, as strings: absolute, without ``..``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_OF_MACHINE = re.compile(
    r"/[^/]*"
    r"|/(home|Users|mnt|media|Volumes|run/media|export|net)/[^/]+"
    r"|/(run/)?media/[^/]+/[^/]+"
    r"|/(mnt/)?[a-z]/(Users|Documents and Settings)(/[^/]+)?"
)
"""Folders that every machine has, or that bear its user's name: no project's own."""
_NAMELESS = "_"


def is_of_machine(folder: str) -> bool:
    """Say whether a folder is of the machine or its user instead of a project."""
    return _OF_MACHINE.fullmatch(folder) is not None


class Claim(NamedTuple):
    """A .blend names files, and these are they."""

    owner: str
    named: str
    """Where the name points to; a pattern or folder for many."""
    absolute: str | None
    """The name itself, if it is an absolute one."""
    files: tuple[str, ...]
    up: int = 0
    """How many folders a relative name climbs before it goes down."""


@dataclass(slots=True)
class Placed:
    """The plan: relative places, all ``/``-separated."""

    root: Path
    files: dict[str, str] = field(default_factory=dict)
    """Place → path of the file."""
    outside: dict[str, str] = field(default_factory=dict)
    """Absolute name → the place to use instead."""

    def places(self) -> dict[str, str]:
        """Return the first place of each file."""
        return {path: where for where, path in reversed(self.files.items())}


def place(main: str, claims: Sequence[Claim]) -> Placed:
    """Decide the root and where every file goes.

    Args:
        main: the .blend.
        claims: all that it and its libraries name.
    """
    neighbours = _Neighbours(claims)
    members, root = _main_tree(main, claims, neighbours)
    tree = _Tree(root, members, neighbours.named if is_of_machine(root) else None)
    placed = Placed(Path(root))
    above = _lay(tree, members, neighbours, "", placed)
    for claim in claims:
        if claim.absolute is None or not claim.files or claim.absolute in placed.outside:
            continue
        if members.issuperset(claim.files) and _is_below(claim.named, root):
            placed.outside[claim.absolute] = above + tree.place(claim.named)
        else:
            _place_outside(claim, claim.absolute, neighbours, placed)
    return placed


def _main_tree(main: str, claims: Sequence[Claim], neighbours: _Neighbours) -> tuple[set[str], str]:
    """Return what lies below the root, and the root.

    Whatever is named absolutely but lies below the root belongs there, and may name further
    files relatively, which may push the root up.
    """
    absolute = [claim for claim in claims if claim.absolute is not None]
    seeds = {main}
    while True:
        members = neighbours.closure(seeds)
        root = neighbours.common_folder(members)
        if is_of_machine(root):
            return members, root
        inside = {
            path for claim in absolute if _is_below(claim.named, root) for path in claim.files
        }
        if inside <= members:
            return members, root
        seeds |= inside


def _place_outside(claim: Claim, name: str, neighbours: _Neighbours, placed: Placed) -> None:
    members = neighbours.closure(set(claim.files))
    folder = neighbours.common_folder({claim.named, *members})
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    own = (_folders_between(_folder(claim.named), _folder(path)) for path in claim.files)
    named = neighbours.named.union(*own)
    tree = _Tree(folder, {claim.named, *members}, named)
    prefix = f"outside/{digest}/"
    above = _lay(tree, members, neighbours, prefix, placed)
    placed.outside[name] = above + tree.place(claim.named)


def _lay(
    tree: _Tree, members: set[str], neighbours: _Neighbours, prefix: str, placed: Placed
) -> str:
    """Give all members of a tree their places, and return what these begin with."""
    # Names may climb on at the top of the disk, where there is no further up.
    beyond = [claim for claim in neighbours.beyond if claim.owner in members]
    deepest = max(map(_beyond, beyond), default=0)
    step = _free(set().union(*(path.split("/") for path in members)) if beyond else set()) + "/"
    above = prefix + step * deepest
    placed.files |= {above + tree.place(path): path for path in members}
    for claim in beyond:
        higher = prefix + step * (deepest - _beyond(claim))
        placed.files |= {higher + tree.place(path): path for path in claim.files}
    return above


class _Neighbours:
    """Which files keep their places towards each other."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        self._of: dict[str, set[str]] = defaultdict(set)
        self._climbed_to: dict[str, set[str]] = defaultdict(set)
        self.named: set[str] = set()
        """Folders that are named by name, so that they must keep it."""
        self.beyond = [claim for claim in claims if _beyond(claim)]
        ways: set[tuple[str, str]] = set()
        for claim in claims:
            if claim.absolute is None and claim.files:
                self._of[claim.owner].update(claim.files)
                start = _folder(claim.owner)
                for _ in range(claim.up):
                    start = _folder(start)
                self._climbed_to[claim.owner].add(start)
                ways.update((start, _folder(path)) for path in claim.files)
        for start, folder in ways:
            self.named.update(_folders_between(start, folder))

    def closure(self, seeds: set[str]) -> set[str]:
        """Return the seeds with all that they name relatively, over any number of steps."""
        found = set(seeds)
        queue = list(seeds)
        while queue:
            for path in self._of.get(queue.pop(), ()):
                if path not in found:
                    found.add(path)
                    queue.append(path)
        return found

    def common_folder(self, members: Iterable[str]) -> str:
        """Return the deepest folder that holds all members, and where their names climb to."""
        folders = {_folder(path) or "/" for path in members}
        for path in members:
            folders |= {folder or "/" for folder in self._climbed_to.get(path, ())}
        return os.path.commonpath(folders)


class _Tree:
    """The folders below one, under the names that they get in the scene."""

    def __init__(self, base: str, members: Iterable[str], named: set[str] | None) -> None:
        """Name the folders of all members.

        Args:
            base: the folder that holds them all.
            members: files.
            named: folders that keep their names; None is all of them.
        """
        self._base = base.rstrip("/")
        self._places = {self._base: ""}
        taken: dict[str, set[str]] = defaultdict(set)
        folders: set[str] = set()
        for path in members:
            folder, _, name = path.rpartition("/")
            taken[folder].add(name)
            while folder != self._base and folder not in folders:
                folders.add(folder)
                folder, _, name = folder.rpartition("/")
                taken[folder].add(name)
        for folder in sorted(folders):
            parent, _, name = folder.rpartition("/")
            if named is not None and folder not in named:
                name = _free(taken[parent])
                taken[parent].add(name)
            self._places[folder] = f"{self._places[parent]}{name}/"

    def place(self, path: str) -> str:
        """Return the place of a file, or of a pattern or folder beside or above files."""
        folder, _, name = path.rpartition("/")
        if path in self._places:
            return self._places[path].rstrip("/")
        return self._places[folder] + name


def _free(taken: set[str]) -> str:
    name, number = _NAMELESS, 1
    while name in taken:
        number += 1
        name = f"{_NAMELESS}{number}"
    return name


def _beyond(claim: Claim) -> int:
    """Return how often a name climbs on at the top of the disk."""
    if claim.absolute is not None or not claim.files:
        return 0
    return max(0, claim.up - _folder(claim.owner).count("/"))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _folders_between(start: str, folder: str) -> set[str]:
    """Return a folder and those around it, up to ``start``, which is not among them."""
    found = set()
    while len(folder) > len(start):
        found.add(folder)
        folder = _folder(folder)
    return found


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
