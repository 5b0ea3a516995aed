"""Which place below the output folder a file has that the artist wanted somewhere else.

Nothing but paths: what Blender makes of them is in `burst.worker.inside.outputs`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_HASHES = re.compile(r"#+(?=[^#]*\Z)")
"""What Blender replaces by the frame's number: the last run of them."""
_MARKED = re.compile(r"@frame(\d+)@-?\d+@")
"""A number between marks that say how many digits it should have."""
_BLEND_FOLDER = "{blend_dir}"
"""From 5.0 on, another way to write ``//``."""
_UNNUMBERED = "####"


def split(path: str) -> tuple[str, str]:
    """Split a path with either kind of slashes into its folder and its last part."""
    name = re.split(r"[/\\]", path)[-1]
    return path[: len(path) - len(name)], name


def base_name(path: str) -> str:
    """Return the file name part of the artist's output path, which may be empty."""
    name = split(path)[1]
    return "" if name in (".", "..") else name


def places(files: Sequence[tuple[str, str]], main: str) -> list[str]:
    """Choose a place below the output folder for each file of File Output nodes.

    A file below the main output's folder keeps its place there; any other keeps the last
    part of its node's folder. Files that the artist keeps apart stay apart.

    Args:
        files: the folder of each file's node, and its name below that, as the artist wrote
            them.
        main: the scene's output path, likewise.

    Returns:
        A relative path for each file, without ``..``; it ends in ``/`` where there is no name.
    """
    root = _parts(split(main)[0])
    bases = list(dict.fromkeys(_parts(base) for base, _ in files))
    # Those that keep their place come first.
    bases.sort(key=lambda base: base[: len(root)] != root)
    folders: dict[tuple[str, ...], tuple[str, ...]] = {}
    for base in bases:
        folders[base] = _folder(base, root, folders.values())
    taken = {base_name(main): (*root, base_name(main))}
    return [_place(folders[_parts(base)], base, name, taken) for base, name in files]


def _folder(
    base: tuple[str, ...], root: tuple[str, ...], taken: Collection[tuple[str, ...]]
) -> tuple[str, ...]:
    if base[: len(root)] == root:
        return base[len(root) :]
    last = base[-1] if len(base) > 1 else ""
    wanted = "output" if last in ("", "..") or last.endswith(":") or "{blend_" in last else last
    name, number = wanted, 1
    while (name,) in taken:
        number += 1
        name = f"{wanted}-{number}"
    return (name,)


def _place(folder: tuple[str, ...], base: str, name: str, taken: dict[str, tuple[str, ...]]) -> str:
    inner, last = split(name)
    last = "" if last in (".", "..") else last
    kept = _parts("/" + "/".join((*folder, inner)))[1:]
    wanted = place = "/".join((*kept, last))
    meant = (*_parts(f"{base}/{inner}"), last)
    number = 1
    while taken.setdefault(place, meant) != meant:
        number += 1
        place = f"output-{number}/{wanted}"
    return place


def _parts(path: str) -> tuple[str, ...]:
    """Return where a path starts from, and its parts without ``.`` and ``..``."""
    path = path.replace("\\", "/")
    if path.startswith(_BLEND_FOLDER):
        path = "//" + path.removeprefix(_BLEND_FOLDER)
    anchor = "//" if path.startswith("//") else "/" if path.startswith("/") else ""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", ".") and (part, anchor) != ("..", "/"):
            parts.append(part)
    return (anchor, *parts)


def mark_number(name: str) -> str:
    """Put marks around the frame number that Blender will put into a file name."""
    match = _HASHES.search(name)
    hashes = match[0] if match else _UNNUMBERED
    marked = f"@frame{len(hashes)}@{hashes}@"
    return name[: match.start()] + marked + name[match.end() :] if match else name + marked


def replace_number(name: str, frame: int) -> str:
    """Replace a marked number, if there is one, by that of ``frame``."""
    return _MARKED.sub(lambda match: f"{frame:0{int(match[1])}d}", name)
