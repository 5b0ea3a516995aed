"""What a .blend needs: every file it names, through all its libraries, found or missing."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from burst.scene.asked import Asked
from burst.scene.blend import KNOWN_SINCE
from burst.scene.disk import Disk
from burst.scene.header import read_version
from burst.scene.naming import Named, asked_path, is_absolute, key_of, plain
from burst.scene.placing import Claim, Placed, place
from burst.scene.referred import reader_of
from burst.scene.sequences import Found, Many, expand
from burst.scene.tracer import Use, Walk
from burst.scene.warnings import Cache, warnings_of

_TILE_NUMBER = re.compile(r"(?<=[._-])\d{4}(?=[._-][^/]*\Z)")
_TILE_COLUMN = re.compile(r"u\d+_v\d+(?=[^/]*\Z)")


@dataclass(frozen=True, slots=True)
class User:
    """Who names a file."""

    blend: str
    """Place of the file that has the name, nearly always a .blend."""
    block: str
    """The data-block in it, such as ``Image wood``."""


@dataclass(frozen=True, slots=True)
class TracedFile:
    """One file of the scene."""

    relative: str
    """Its place in the scene, ``/``-separated."""
    path: Path
    """Where it is now, absolute."""
    used_by: str
    """Place of the .blend that names it; empty for the main .blend."""
    as_named: str | None = None
    """The absolute path that the .blend has for it; None when named relatively, or when it
    is one of many that a name stands for (see `SceneTrace.outside`)."""
    users: tuple[User, ...] = ()
    """All who name it; empty for the main .blend."""


@dataclass(frozen=True, slots=True)
class MissingFile:
    """A name without a file."""

    name: str
    """As the .blend has it, with the slashes of here."""
    used_by: str
    """Place of the .blend that names it."""
    blocks: tuple[str, ...] = field(default=(), compare=False)
    """The data-blocks in it that do, such as ``Image wood``."""


@dataclass(frozen=True, slots=True)
class SceneTrace:
    """All that a .blend needs, and where it goes."""

    root: Path
    """Deepest folder that holds the .blend and everything that is named relatively."""
    main: str
    """Place of the .blend."""
    files: tuple[TracedFile, ...]
    missing: tuple[MissingFile, ...]
    outside: dict[str, str] = field(default_factory=dict)
    """Absolute name → place in the scene, also of patterns and folders."""
    notes: tuple[str, ...] = ()
    """What could not be looked into, and caches that are not there, in sentences."""
    warnings: tuple[str, ...] = ()
    """What an artist wants to know before anything is sent, in sentences."""
    known: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False, compare=False)
    """Files that name others, and the paths that they name; see `names_more`."""

    @property
    def mapping(self) -> dict[str, str]:
        """Return `outside` as a manifest has it: the key of each name → place in the scene.

        Blender from 3.0 on turns the number in a name of tiles into a mark when it opens an
        older file, so that what may be such a name has a second key.
        """
        found = {}
        for name, where in self.outside.items():
            for number, mark in ((_TILE_NUMBER, "<UDIM>"), (_TILE_COLUMN, "<UVTILE>")):
                plain = name.replace("\\", "/")
                if number.search(plain):
                    found[key_of(number.sub(mark, plain))] = number.sub(mark, where)
        return found | {key_of(name): where for name, where in self.outside.items()}


def trace(blend: Path, also: Iterable[Asked] = ()) -> SceneTrace:
    """Find every file that ``blend`` needs, without Blender. Blocks; reads every library.

    Args:
        blend: the scene's main .blend.
        also: names that a Blender has for files, to be joined to those that are found.

    Raises:
        SceneUnreadable: the .blend or a library can't be read.
    """
    main = Path(os.path.normpath(blend.absolute()))
    with Walk(disk := Disk()) as walk:
        look = _Look(main, disk)
        for use in walk.uses(main):
            look.at(use)
        for use in _not_yet(look.known, also):
            look.at(use)
        look.into_files()
        paths = map(Path, look.found.values())
        warnings = tuple(dict.fromkeys(warnings_of(main, paths, look.caches, walk)))
    placed = place(str(main), look.claims)
    places = placed.places()
    missing, notes = _sort_out(look.lacking, places)
    return SceneTrace(
        root=placed.root,
        main=places[str(main)],
        files=tuple(_traced(placed, places, look)),
        missing=missing,
        outside=placed.outside,
        notes=(*_of_old_files(walk), *walk.notes, *look.notes, *notes),
        warnings=warnings,
        known=look.known,
    )


def names_more(traced: SceneTrace, also: Iterable[Asked]) -> bool:
    """Say whether `trace` would look for more if it were given these names."""
    return bool(_not_yet(traced.known, also))


class _Look:
    """Looks on the disk for what is named, once for each name of each file."""

    def __init__(self, main: Path, disk: Disk) -> None:
        self.main = str(main)
        self.disk = disk
        self.claims: list[Claim] = []
        self.lacking: list[Use] = []
        self.found: dict[str, str] = {self.main: self.main}
        """Path under which a file is asked for → where it is."""
        self.users: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
        """Path under which a file is asked for → who asks: a file, and a data-block in it."""
        self.notes: list[str] = []
        self.caches: list[Cache] = []
        self.seen: dict[tuple[str, str, Named], Iterable[Found]] = {}
        """Owner, path and name of each use → the files."""

    @property
    def known(self) -> frozenset[tuple[str, str]]:
        """Owners, and paths that they name."""
        return frozenset((owner, path) for owner, path, _ in self.seen)

    def at(self, use: Use) -> None:
        """Look for what is named."""
        key = use.owner, use.path, use.named
        if key not in self.seen:
            self.seen[key] = self._look_for(use)
        elif not self.seen[key]:
            self.lacking.append(use)
        for file in self.seen[key]:
            self.users[file.asked][use.owner, use.by] = None

    def _look_for(self, use: Use) -> Iterable[Found]:
        for path in (use.path, *use.also_at):
            files = expand(path, use.named.many, self.disk)
            if files:
                break
        else:
            self.lacking.append(use)
            return ()
        absolute = os.fsdecode(use.named.name) if is_absolute(use.named.name) else None
        if path != use.path:
            self.notes.append(f"{absolute} is not on this machine; {path} is taken for it")
        self.found.update(files)
        if use.named.many in (Many.FOLDER, Many.POINT_CACHE):
            owner, name = Path(self.found.get(use.owner, use.owner)), plain(use.named.name)
            there = tuple(Path(file.path) for file in files)
            # What nodes baked is not marked as such.
            is_baked = use.named.required or any("/meta/" in file.path for file in files)
            self.caches.append(Cache(owner, name, use.named.many, is_baked, there))
        named = tuple(file.asked for file in files)
        up = 0 if absolute else _climbs(use.named.name)
        self.claims.append(Claim(use.owner, path, absolute, named, up))
        return files

    def into_files(self) -> None:
        """Look into files that are no .blends and name others, and into those."""
        waiting, seen = [path for path in self.found if reader_of(path)], set[str]()
        while waiting:
            owner = waiting.pop()
            if owner in seen:
                continue
            seen.add(owner)
            kind, reader = reader_of(owner) or ("", None)
            by = f"{kind} {owner.rpartition('/')[2]}"
            try:
                names = list(reader(Path(self.found[owner]))) if reader else []
            except (OSError, ValueError) as error:
                self.notes.append(f"can't look into {owner}, which may need further files: {error}")
                continue
            for named in names:
                if is_absolute(named.name):
                    self._note_absolute(owner, named)
                    continue
                use = Use(owner, named, asked_path(named.name, owner.rpartition("/")[0]), by)
                self.at(use)
                waiting += (file.asked for file in self.seen[owner, use.path, named])

    def _note_absolute(self, owner: str, named: Named) -> None:
        path = asked_path(named.name, "/")
        if expand(path, named.many, self.disk):
            self.notes.append(
                f"{owner} names {path}, which is left out: only a .blend can be told of "
                "another place; make the name relative"
            )


def _climbs(name: bytes) -> int:
    """Return how many folders a relative name climbs."""
    if b".." not in name:
        return 0
    parts = os.path.normpath(plain(name).removeprefix("//")).split("/")
    return sum(part == ".." for part in parts)


def _not_yet(known: frozenset[tuple[str, str]], also: Iterable[Asked]) -> list[Use]:
    """Return what Blender names and the parser does not."""
    uses = []
    for one in also:
        owner = os.path.normpath(one.owner.absolute())
        path = asked_path(one.name, owner.rpartition("/")[0])
        if (owner, path) not in known:
            # Of folders Blender also names those that nothing was ever written to.
            required = one.many not in (Many.FOLDER, Many.POINT_CACHE)
            uses.append(Use(owner, Named(one.name, one.many, required), path, one.used_by))
    return uses


def _traced(placed: Placed, places: dict[str, str], look: _Look) -> Iterator[TracedFile]:
    named = {where: name for name, where in placed.outside.items()}
    for where, asked in sorted(placed.files.items()):
        path = look.found[asked]
        users = [
            User(places.get(owner, owner.rpartition("/")[2]), block)
            for owner, block in look.users.get(asked, ())
        ]
        used_by = users[0].blend if users and asked != look.main else ""
        yield TracedFile(where, Path(path), used_by, named.get(where), tuple(users))


def _sort_out(
    lacking: list[Use], places: dict[str, str]
) -> tuple[tuple[MissingFile, ...], tuple[str, ...]]:
    """Tell files that must be there from caches that Blender fills itself."""
    missing: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    notes: dict[str, None] = {}
    for use in lacking:
        name = use.named.name.decode("utf-8", errors="replace").replace("\\", "/")
        if use.named.required:
            missing[name, places.get(use.owner, "")][use.by] = None
        elif not use.named.is_guess:
            owner = use.owner.rpartition("/")[2]
            notes[f"the simulation cache {name} of {owner} is not there"] = None
    found = (MissingFile(name, where, tuple(by)) for (name, where), by in missing.items())
    return tuple(found), tuple(notes)


def _of_old_files(walk: Walk) -> list[str]:
    notes = []
    for path in walk.read.values():
        version = read_version(Path(path))
        if version < KNOWN_SINCE:
            notes.append(
                f"{Path(path).name} was saved by Blender {version[0]}.{version[1]:02}, which is "
                "older than burst knows: save it again in a newer Blender if files are missing"
            )
    return notes
