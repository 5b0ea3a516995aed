"""Where a scene reads: files that are not where the .blend has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burst.worker.inside.used import node_trees


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
    for owner, name in (*_of_nodes(data), *_of_modifiers(data)):
        local = find_local(table, getattr(owner, name))
        if local:
            setattr(owner, name, local)


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


def _of_nodes(data: Any) -> Iterator[tuple[Any, str]]:
    """Yield nodes that name files themselves: scripts of shaders and profiles of lights."""
    blocks = {*data.materials, *data.lights, *data.worlds, *data.node_groups}
    for tree in node_trees(blocks):
        yield from ((node, "filepath") for node in tree.nodes if names_file(node))


def names_file(node: Any) -> bool:
    """Say whether a node reads a file that it names itself."""
    return node.type in ("SCRIPT", "TEX_IES") and node.mode == "EXTERNAL" and bool(node.filepath)


def _of_modifiers(data: Any) -> Iterator[tuple[Any, str]]:
    """Yield what names files or folders of caches in modifiers."""
    for modifier in (modifier for thing in data.objects for modifier in thing.modifiers):
        if modifier.type in ("MESH_CACHE", "OCEAN"):
            yield modifier, "filepath"
        elif modifier.type == "FLUID" and modifier.domain_settings:
            yield modifier.domain_settings, "cache_directory"
        elif modifier.type == "NODES":
            names = ("bake_directory", "simulation_bake_directory")
            yield from ((modifier, name) for name in names if hasattr(modifier, name))
            yield from ((bake, "directory") for bake in getattr(modifier, "bakes", ()))
        elif modifier.type == "PARTICLE_SYSTEM" and modifier.particle_system:
            yield modifier.particle_system.point_cache, "filepath"
        elif modifier.type in ("CLOTH", "SOFT_BODY"):
            yield modifier.point_cache, "filepath"


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
