"""Names that a .blend has for files: what kinds there are, and where they point to.

Which data-block has which names is in `burst.scene.names` and `burst.scene.caches`.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from burst.scene.sequences import Many


class Named(NamedTuple):
    """A name that a data-block has for files."""

    name: bytes
    """As the .blend has it: ``//`` and what follows, or an absolute path."""
    many: Many = Many.ONE
    required: bool = True
    """False for what may be missing: a cache that Blender fills itself, or a guess."""
    is_guess: bool = False
    """Whether nothing is said of it if it is missing."""


_DRIVE = re.compile(r"([A-Za-z]):(?=/)")
_UNC = b"\\\\"


def is_absolute(name: bytes) -> bool:
    """Say whether a name is an absolute path, here or on Windows."""
    if name.startswith(b"//"):
        return False
    return name.startswith((b"/", b"\\")) or _DRIVE.match(plain(name)) is not None


def plain(name: bytes) -> str:
    """Return a name as text, with the slashes of here."""
    return os.fsdecode(name).replace("\\", "/")


def key_of(name: str) -> str:
    """Return what stands for an absolute name in a manifest, which tells no folder's name.

    The driver makes the same of what it finds in a .blend (`burst.worker.inside.files`).
    """
    same = name.replace("\\", "/")
    return hashlib.sha256(same.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def asked_path(name: bytes, folder: str) -> str:
    """Return where Blender looks for a name: absolute, without ``..``, links not followed.

    It takes ``//`` for the folder of the .blend that has the name, and on anything but
    Windows drive ``C:`` for the folder ``/c``.
    """
    path = plain(name)
    if name.startswith(b"//"):
        return "/" + os.path.normpath(f"{folder}/{path[2:]}").lstrip("/")
    if name.startswith(_UNC):
        return os.path.normpath(path)
    path = _DRIVE.sub(lambda match: "/" + match[1].lower(), path, count=1)
    if not is_absolute(name):
        path = f"{folder}/{path}"
    return "/" + os.path.normpath(path).lstrip("/")


def resolve(name: bytes, owner: Path) -> Path:
    """Return where the .blend ``owner`` has Blender look for a name."""
    return Path(asked_path(name, str(owner.parent)))


def moved_path(name: bytes, saved_as: bytes, folder: str) -> str | None:
    """Return where a file that is named absolutely should be by now.

    A .blend that came from another machine with the files around it names them where they
    were; it also says where it was itself.

    Args:
        name: the absolute name.
        saved_as: path under which the .blend was saved last.
        folder: where the .blend is now.
    """
    there, then = plain(name).split("/"), plain(saved_as).split("/")[:-1]
    if not is_absolute(saved_as):
        return None
    shared = 0
    for one, other in zip(there[:-1], then, strict=False):
        if one.lower() != other.lower():
            break
        shared += 1
    # The first part is a drive, or empty before the first slash: to have that alone in
    # common says nothing.
    up = len(then) - shared
    if shared < 2 or up > folder.count("/"):
        return None
    moved = os.path.normpath("/".join([folder, *[".."] * up, *there[shared:]]))
    return None if moved == asked_path(name, folder) else moved
