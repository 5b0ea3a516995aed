"""Where a scene writes: the main image and File Output nodes, below one folder a frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SEPARATORS = re.compile(r"[/\\]+")


def base_name(path: str) -> str:
    """Return the file name part of the artist's output path, which may be empty."""
    name = re.split(r"[/\\]", path)[-1]
    return "" if name in (".", "..") else name


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
