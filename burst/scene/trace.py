"""What a .blend needs: every file it names, through all its libraries, found or missing."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from blender_asset_tracer.bpathlib import make_absolute

from burst.errors import SceneError
from burst.scene.asked import Asked
from burst.scene.naming import Named, is_absolute, key_of, resolve
from burst.scene.placing import Claim, Placed, place
from burst.scene.sequences import expand
from burst.scene.tracer import Use, Walk

_USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
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
        SceneError: a file's name can't be kept in a manifest.
    """
    main = make_absolute(blend)
    walk = Walk()
    uses = list(walk.uses(main))
    claims, lacking, users = _look_up([*uses, *_not_yet(uses, also)])
    placed = place(main, claims)
    missing, notes = _sort_out(lacking, placed)
    owners = {path: claim.owner for claim in reversed(claims) for path in claim.files}
    return SceneTrace(
        root=placed.root,
        main=placed.places()[main],
        files=tuple(_traced(placed, owners, users, main)),
        missing=missing,
        outside=placed.outside,
        notes=(*walk.notes, *notes, *_usd_notes(placed)),
    )


def _not_yet(uses: Iterable[Use], also: Iterable[Asked]) -> list[Use]:
    """Return what Blender names and the parser does not."""
    known = {(use.owner, use.path) for use in uses}
    asked = (
        Use(
            owner := make_absolute(one.owner),
            Named(one.name, one.many),
            resolve(one.name, owner),
            one.used_by,
        )
        for one in also
    )
    return [use for use in asked if (use.owner, use.path) not in known]


_Users = dict[Path, dict[tuple[Path, str], None]]
"""File → the .blends, and the data-blocks in them, that name it."""


def _look_up(uses: list[Use]) -> tuple[list[Claim], list[Use], _Users]:
    """Look on the disk for what is named; once for each name of each .blend."""
    claims: list[Claim] = []
    lacking: list[Use] = []
    found: dict[tuple[Path, Path, Named], tuple[Path, ...]] = {}
    users: _Users = defaultdict(dict)
    for use in uses:
        key = (use.owner, use.path, use.named)
        if key in found:
            for file in found[key]:
                users[file][use.owner, use.by] = None
            continue
        files = found[key] = tuple(expand(use.path, use.named.many))
        for file in files:
            users[file][use.owner, use.by] = None
        if not files:
            lacking.append(use)
        absolute = os.fsdecode(use.named.name) if is_absolute(use.named.name) else None
        claims.append(Claim(use.owner, use.path, absolute, files))
    return claims, lacking, users


def _traced(
    placed: Placed, owners: dict[Path, Path], users: _Users, main: Path
) -> list[TracedFile]:
    named = {place: name for name, place in placed.outside.items()}
    places = placed.places()
    traced = []
    for where, path in sorted(placed.files.items()):
        try:
            where.encode("utf-8")
        except UnicodeEncodeError as error:
            raise SceneError(
                f"the name of {os.fsencode(path)!r} is not UTF-8", hint="rename the file"
            ) from error
        used_by = "" if path == main else places.get(owners[path], "")
        by = tuple(
            User(places.get(owner, owner.name), block) for owner, block in users.get(path, ())
        )
        traced.append(TracedFile(where, path, used_by, named.get(where), by))
    return traced


def _sort_out(
    lacking: list[Use], placed: Placed
) -> tuple[tuple[MissingFile, ...], tuple[str, ...]]:
    """Tell files that must be there from caches that Blender fills itself."""
    missing: dict[MissingFile, None] = {}
    notes: dict[str, None] = {}
    places = placed.places()
    for use in lacking:
        name = use.named.name.decode("utf-8", errors="replace").replace("\\", "/")
        if use.named.required:
            missing[MissingFile(name, places.get(use.owner, ""))] = None
        else:
            notes[f"the simulation cache {name} of {use.owner.name} is not there"] = None
    return tuple(missing), tuple(notes)


def _usd_notes(placed: Placed) -> list[str]:
    return [
        f"{where} may name further layers or textures, which burst can't see"
        for where in sorted(placed.files)
        if where.lower().endswith(_USD_SUFFIXES)
    ]
