"""Where a scene reads: moved paths, and what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_FROM_FILE = ("FILE", "SEQUENCE", "MOVIE", "TILED")
"""Image sources that are read from disk."""


# ── Moved paths ──────────────────────────────────────────────────────────────────────


def remap_paths(bpy: Any, remap: dict[str, str]) -> None:
    """Point data-blocks that name absolute paths to the local places of those files."""
    if not remap:
        return
    table = {_plain(path): local for path, local in remap.items()}
    while _move_one_library(bpy, table):
        # A reloaded library may bring others that have to move, too.
        pass
    data = bpy.data
    kinds = ("images", "sounds", "fonts", "movieclips", "volumes", "cache_files")
    for block in (block for kind in kinds for block in getattr(data, kind)):
        local = find_local(table, block.filepath)
        if local and local != block.filepath:
            block.filepath = local
    for scene in data.scenes:
        _remap_strips(table, scene)


def _move_one_library(bpy: Any, table: dict[str, str]) -> bool:
    for library in bpy.data.libraries:
        local = find_local(table, library.filepath)
        if local and local != library.filepath:
            library.filepath = local
            library.reload()
            return True
    return False


def _remap_strips(table: dict[str, str], scene: Any) -> None:
    editor = scene.sequence_editor
    for strip in getattr(editor, "strips_all", getattr(editor, "sequences_all", ())):
        if strip.type == "MOVIE":
            strip.filepath = find_local(table, strip.filepath) or strip.filepath
        elif strip.type == "IMAGE" and strip.elements:
            first = strip.directory.rstrip("/\\") + "/" + strip.elements[0].filename
            local = find_local(table, first)
            if local:
                strip.directory = str(Path(local).parent)


def find_local(table: dict[str, str], path: str) -> str | None:
    """Return the local place of ``path``, which may name UDIM tiles by a pattern.

    Args:
        table: path with ``/`` only → local path.
        path: as a data-block has it.
    """
    plain = _plain(path)
    if plain in table:
        return table[plain]
    pattern = _tile_pattern(plain)
    if pattern:
        for known, local in table.items():
            if pattern.fullmatch(known):
                return str(Path(local).with_name(plain.rpartition("/")[2]))
    return None


def _plain(path: str) -> str:
    return path.replace("\\", "/")


def _tile_pattern(path: str) -> re.Pattern[str] | None:
    if "<UDIM>" not in path and "<UVTILE>" not in path:
        return None
    escaped = re.escape(path)
    return re.compile(escaped.replace("<UDIM>", r"\d{4}").replace("<UVTILE>", r"u\d+_v\d+"))


# ── What is missing ──────────────────────────────────────────────────────────────────


def missing_files(bpy: Any) -> list[str]:
    """Return a sentence for each image, library or other file in use that is not there.

    Blender itself says nothing (3.4) or little about them and renders on.
    """
    found = [
        f"library {library.filepath} is missing"
        for library in bpy.data.libraries
        # Also a library of a library has its path relative to the opened file.
        if not _is_packed(library) and not _there(bpy, library.filepath, None)
    ]
    for image in bpy.data.images:
        if image.users and image.source in _FROM_FILE and not _is_packed(image):
            found += _missing_image(bpy, image)
    kinds = ("sounds", "fonts", "movieclips", "volumes", "cache_files")
    for kind in kinds:
        for block in getattr(bpy.data, kind):
            path = block.filepath
            if path in ("", "<builtin>") or not block.users or _is_packed(block):
                continue
            if not _there(bpy, path, block.library) and not getattr(block, "is_sequence", False):
                found.append(f"{kind.rstrip('s').replace('_', ' ')} {path} is missing")
    return found


def _missing_image(bpy: Any, image: Any) -> list[str]:
    path = image.filepath
    if not path:
        return [f"image {image.name} names no file"]
    absolute = bpy.path.abspath(path, library=image.library)
    if image.source == "TILED":
        tiles = [Path(_tile_path(absolute, tile.number)) for tile in image.tiles]
        lacking = [tile.name for tile in tiles if not tile.exists()]
        return [f"image {path} lacks {', '.join(lacking)}"] if lacking else []
    if Path(absolute).exists():
        return []
    if image.source == "SEQUENCE" and _has_sibling(Path(absolute)):
        return []
    return [f"image {path} is missing"]


def _tile_path(pattern: str, number: int) -> str:
    column, row = (number - 1001) % 10 + 1, (number - 1001) // 10 + 1
    return pattern.replace("<UDIM>", str(number)).replace("<UVTILE>", f"u{column}_v{row}")


def _has_sibling(path: Path) -> bool:
    """Say whether any frame of the image sequence that ``path`` is one of is there."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.name)
    if not match or not path.parent.is_dir():
        return False
    frame = re.compile(re.escape(match[1]) + r"\d+" + re.escape(match[3]))
    return any(frame.fullmatch(other.name) for other in path.parent.iterdir())


def _there(bpy: Any, path: str, library: Any) -> bool:
    return Path(bpy.path.abspath(path, library=library)).exists()


def _is_packed(block: Any) -> bool:
    return bool(
        getattr(block, "packed_file", None)
        or getattr(block, "packed_files", None)
        or getattr(block, "is_archive", False)
    )
