"""Where a scene reads and writes: moved paths, what is missing, and where output goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SEPARATORS = re.compile(r"[/\\]+")
_FROM_FILE = ("FILE", "SEQUENCE", "MOVIE", "TILED")
"""Image sources that are read from disk."""


def base_name(path: str) -> str:
    """Return the file name part of the artist's output path, which may be empty."""
    name = re.split(r"[/\\]", path)[-1]
    return "" if name in (".", "..") else name


# ── Output ───────────────────────────────────────────────────────────────────────────


class Output:
    """Makes a scene and its File Output nodes write below a folder, and nowhere else."""

    def __init__(self, bpy: Any, scene: Any) -> None:
        """Remember how the artist named things, before anything is redirected."""
        self._bpy = bpy
        self._scene = scene
        path = scene.render.filepath
        self._base = base_name(path)
        self._nodes = list(_output_nodes(scene))
        bases = [_node_base(node) for node in self._nodes]
        chosen = subfolders(bases, path[: len(path) - len(re.split(r"[/\\]", path)[-1])])
        self._subfolders = [chosen[base] for base in bases]

    def redirect(self, folder: Path) -> None:
        """Send the next frame's files below ``folder``, an absolute path."""
        self._scene.render.filepath = f"{self._literal(folder)}/{self._base}"
        for node, subfolder in zip(self._nodes, self._subfolders, strict=True):
            target = folder / subfolder
            target.mkdir(parents=True, exist_ok=True)
            _set_node_folder(node, self._literal(target))

    def main_path(self, frame: int) -> str:
        """Return where Blender puts the main image of a frame, without its extension."""
        return str(Path(self._scene.render.frame_path(frame=frame)).with_suffix(""))

    def _literal(self, folder: Path) -> str:
        # From 5.0 on braces in a path are a template, and doubled ones are braces.
        if self._bpy.app.version < (5, 0):
            return str(folder)
        return str(folder).replace("{", "{{").replace("}", "}}")


def _output_nodes(scene: Any) -> Iterator[Any]:
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    waiting, seen = [tree] if tree else [], set()
    while waiting:
        tree = waiting.pop()
        if tree.name_full in seen:
            continue
        seen.add(tree.name_full)
        for node in tree.nodes:
            if node.type == "OUTPUT_FILE":
                yield node
            elif node.type == "GROUP" and node.node_tree:
                waiting.append(node.node_tree)


def _node_base(node: Any) -> str:
    """Return the folder part of where a File Output node writes."""
    if hasattr(node, "directory"):
        return str(node.directory)
    if node.format.file_format == "OPEN_EXR_MULTILAYER":
        # Up to 4.x such a node's base path is a file's.
        return str(node.base_path)[: len(node.base_path) - len(base_name(node.base_path))]
    return str(node.base_path)


def _set_node_folder(node: Any, folder: str) -> None:
    if hasattr(node, "directory"):
        node.directory = folder
        node.file_name = _inner(node.file_name)
        for item in node.file_output_items:
            item.name = _inner(item.name)
    elif node.format.file_format == "OPEN_EXR_MULTILAYER":
        node.base_path = f"{folder}/{base_name(node.base_path)}"
    else:
        node.base_path = folder
        for slot in node.file_slots:
            slot.path = _inner(slot.path)


def _inner(name: str) -> str:
    """Return a node's file name so that it can't climb out of its folder."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts) if "/" in name or "\\" in name or ".." in name else name


def subfolders(bases: list[str], main: str) -> dict[str, str]:
    """Choose a folder below the output folder for each base path of File Output nodes.

    A path below the main output's folder keeps its place there, any other keeps its last
    part. Two different base paths never share one: their file names may be the same.

    Args:
        bases: the nodes' base paths as the artist wrote them.
        main: the folder part of the scene's output path, likewise.
    """
    chosen: dict[str, str] = {}
    root = _parts(main)
    for base in bases:
        if base in chosen:
            continue
        parts = _parts(base)
        inside = parts[: len(root)] == root
        kept = parts[len(root) :] if inside else parts[-1:]
        wanted = "/".join(part for part in kept if part != ".." and not part.endswith(":"))
        name, number = wanted, 1
        while name in chosen.values():
            number += 1
            name = f"{wanted or 'output'}-{number}"
        chosen[base] = name
    return chosen


def _parts(path: str) -> list[str]:
    return [part for part in _SEPARATORS.split(path) if part not in ("", ".")]


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
