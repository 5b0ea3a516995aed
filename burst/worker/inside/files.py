"""Where a scene reads: what names files, and files that are not where the .blend has them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burst.worker.inside.used import node_trees


def remap_paths(bpy: Any, remap: dict[str, str]) -> None:
    """Point data-blocks that name absolute paths to the local places of those files."""
    if not remap:
        return
    while _move_one_library(bpy, remap):
        # A reloaded library may bring others that have to move, too.
        pass
    data = bpy.data
    kinds = ("images", "sounds", "fonts", "movieclips", "volumes", "cache_files")
    for block in (block for kind in kinds for block in getattr(data, kind)):
        local = find_local(remap, block.filepath)
        if local and local != block.filepath:
            block.filepath = local
    for scene in data.scenes:
        _remap_strips(remap, scene)
    for owner, name in (*_of_nodes(data), *_of_modifiers(data), *_of_blocks(data)):
        local = find_local(remap, getattr(owner, name))
        if local:
            setattr(owner, name, local)


def _move_one_library(bpy: Any, remap: dict[str, str]) -> bool:
    for library in bpy.data.libraries:
        local = find_local(remap, library.filepath)
        if local and local != library.filepath:
            library.filepath = local
            library.reload()
            return True
    return False


def _remap_strips(remap: dict[str, str], scene: Any) -> None:
    editor = scene.sequence_editor
    for strip in getattr(editor, "strips_all", getattr(editor, "sequences_all", ())):
        if strip.type == "MOVIE":
            strip.filepath = find_local(remap, strip.filepath) or strip.filepath
        elif strip.type == "IMAGE" and strip.elements:
            first = strip.directory.rstrip("/\\") + "/" + strip.elements[0].filename
            local = find_local(remap, first)
            if local:
                strip.directory = str(Path(local).parent)


def _of_nodes(data: Any) -> Iterator[tuple[Any, str]]:
    """Yield nodes that name files themselves: scripts of shaders and profiles of lights."""
    blocks = {*data.materials, *data.lights, *data.worlds, *data.node_groups}
    for tree in node_trees(blocks):
        yield from ((node, "filepath") for node in tree.nodes if names_file(node))
        for node in tree.nodes:
            yield from ((socket, "default_value") for socket in import_sockets(node))


def _of_blocks(data: Any) -> Iterator[tuple[Any, str]]:
    """Yield what else names files: layers over caches, and cameras that are shaders (5.0)."""
    for cache in data.cache_files:
        yield from ((layer, "filepath") for layer in cache.layers)
    for camera in data.cameras:
        if camera.type == "CUSTOM" and camera.custom_mode == "EXTERNAL":
            yield camera, "custom_filepath"


def import_sockets(node: Any) -> list[Any]:
    """Return where a node that reads geometry from a file has that file's name (5.0)."""
    if not node.bl_idname.startswith("GeometryNodeImport"):
        return []
    return [socket for socket in node.inputs if socket.type == "STRING" and not socket.is_linked]


def is_packed(block: Any) -> bool:
    """Say whether the .blend holds what a data-block would read from a file."""
    return bool(
        getattr(block, "packed_file", None)
        or getattr(block, "packed_files", None)
        or getattr(block, "is_archive", False)
    )


def names_file(node: Any) -> bool:
    """Say whether a node reads a file that it names itself."""
    return node.type in ("SCRIPT", "TEX_IES") and node.mode == "EXTERNAL" and bool(node.filepath)


def _of_modifiers(data: Any) -> Iterator[tuple[Any, str]]:
    """Yield what names files or folders of caches in modifiers."""
    for modifier in (modifier for thing in data.objects for modifier in thing.modifiers):
        if modifier.type in ("MESH_CACHE", "MULTIRES", "OCEAN"):
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
    """Return the local place of ``path``.

    Args:
        table: key of a path → local path.
        path: as a data-block has it.
    """
    return table.get(key_of(path))


def key_of(path: str) -> str:
    """Return what stands for a path in a manifest; the same as `burst.scene.naming.key_of`."""
    plain = path.replace("\\", "/")
    return hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()[:16]
