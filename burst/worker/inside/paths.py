"""Runs inside Blender, in a process that is thrown away: which files a .blend names.

Started like the driver, with scripts off. It is told ``{"blend": …}``, opens that file, and
says ``named`` for each name: ``owner`` (the .blend whose folder ``//`` stands for), ``name``,
``many`` (how it stands for files, in the words of `burst.scene.sequences`) and ``used_by``.
``done`` is last, with a ``reason`` if the file could not be opened.

What Blender lists and nobody needs is left out, and so is what it lists wrongly: see
`_left_out`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[3]))
from burst.worker.inside.channel import Channel
from burst.worker.inside.files import import_sockets, is_packed, names_file

sys.path.pop()

ONE, FRAMES, FOLDER = "one", "frames", "folder"

_TOOLS = ("Brush", "Palette", "PaintCurve", "Screen", "WindowManager", "WorkSpace", "Text")
"""Kinds of data-blocks that no picture needs a file of: an icon, or a text that the .blend
holds itself."""
_FILES = ("images", "sounds", "fonts", "movieclips", "volumes", "cache_files")
_MADE = ("GENERATED", "VIEWER")
"""Sources of images that are not read from anywhere."""
_NAMED_WHOLE = ("Library", "Scene")
"""Kinds that Blender lists too much of: a strip keeps the name that its packed sound had."""
_CLEARED = ("PARTICLE_SYSTEM", "CLOTH", "SOFT_BODY", "FLUID", "DYNAMIC_PAINT")
"""Modifiers whose caches the tracer knows better: Blender names their folders wrongly."""
_NODE_BAKES = ("bake_directory", "simulation_bake_directory")

Name = tuple[Any, str, str]
"""A data-block, a name as it has it, and how that stands for files."""


def all_names(bpy: Any) -> dict[Name, None]:
    """Return every file that the opened .blend and its libraries name, each once."""
    found = {one: None for one in _known(bpy.data) if _is_needed(bpy, one[0], one[1])}
    seen = {(block, name) for block, name, _ in found}
    for block, name in _listed(bpy):
        is_new = (block, name) not in seen and name not in _left_out(block)
        if is_new and _is_needed(bpy, block, name):
            found[block, name, ONE] = None
    return found


def _is_needed(bpy: Any, block: Any, name: str) -> bool:
    if not name or name == "<builtin>" or block.bl_rna.identifier in _TOOLS:
        return False
    own = Path(bpy.utils.resource_path("LOCAL")), Path(bpy.utils.resource_path("SYSTEM"))
    path = _absolute(bpy, block, name)
    return not any(path.is_relative_to(folder) for folder in own if folder.is_absolute())


def _known(data: Any) -> Iterator[Name]:
    """Yield the names of kinds of data that this program knows."""
    yield from ((library, library.filepath, ONE) for library in _libraries(data))
    for kind in _FILES:
        for block in getattr(data, kind):
            if not is_packed(block) and getattr(block, "source", "") not in _MADE:
                yield block, block.filepath, _many(block)
    for cache in data.cache_files:
        yield from ((cache, layer.filepath, _many(cache)) for layer in cache.layers)
    yield from _of_shaders(data)
    for thing in data.objects:
        yield from _of_modifiers(thing)
    for scene in data.scenes:
        yield from _of_strips(scene)


def _many(block: Any) -> str:
    is_run = getattr(block, "is_sequence", False)
    return FRAMES if is_run or getattr(block, "source", "") in ("SEQUENCE", "TILED") else ONE


def _of_modifiers(thing: Any) -> Iterator[Name]:
    for modifier in thing.modifiers:
        if modifier.type == "MESH_CACHE":
            yield thing, modifier.filepath, ONE
        elif modifier.type == "OCEAN" and modifier.is_cached:
            yield thing, modifier.filepath, FOLDER
        elif modifier.type == "MULTIRES" and modifier.is_external:
            yield thing, modifier.filepath, ONE


def _libraries(data: Any) -> Iterator[Any]:
    """Yield the libraries that are read, not those whose data is packed into this file (5.0)."""
    found = [library for library in data.libraries if not is_packed(library)]
    packed = [library for library in found if getattr(library, "archive_libraries", ())]
    if packed:
        linked = {block.library for block in data.user_map()}
        found = [library for library in found if library not in packed or library in linked]
    yield from found


def _of_shaders(data: Any) -> Iterator[Name]:
    """Yield the names of files that nodes read, and a camera that is a shader (5.0)."""
    for block, tree in _trees(data):
        for node in tree.nodes:
            yield from ((block, name, ONE) for name in _of_node(node))
    for camera in data.cameras:
        if camera.type == "CUSTOM" and camera.custom_mode == "EXTERNAL":
            yield camera, camera.custom_filepath, ONE


def _of_node(node: Any) -> Iterator[str]:
    """Yield the names of files that a node reads: a script, a light profile, or geometry (5.0)."""
    if names_file(node):
        yield node.filepath
    for socket in import_sockets(node):
        yield socket.default_value


def _of_strips(scene: Any) -> Iterator[Name]:
    editor = scene.sequence_editor
    for strip in getattr(editor, "strips_all", getattr(editor, "sequences_all", ())):
        if strip.type == "MOVIE":
            yield scene, strip.filepath, ONE
        elif strip.type == "IMAGE":
            for element in strip.elements:
                yield scene, os.path.join(strip.directory, element.filename), ONE  # noqa: PTH118 - a Path would lose //


def _trees(data: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every node tree of shaders with the data-block that it belongs to."""
    for kind in ("materials", "lights", "worlds"):
        for block in getattr(data, kind):
            if block.node_tree is not None:
                yield block, block.node_tree
    for group in data.node_groups:
        yield group, group


def _listed(bpy: Any) -> Iterator[tuple[Any, str]]:
    """Yield what Blender lists itself, for kinds of data that are newer than this program."""
    if not hasattr(bpy.data, "file_path_map"):
        # Up to 4.x: it names no users, and there is no kind that is not known.
        return
    for block, names in bpy.data.file_path_map().items():
        if block.bl_rna.identifier not in _NAMED_WHOLE and not is_packed(block):
            yield from ((block, name) for name in sorted(names))


def _left_out(block: Any) -> set[str]:
    """Return the names of a data-block that nobody needs, or that Blender makes up.

    Where an asset was appended from once; scripts that a node has in the .blend; caches of
    points and fluids, whose folders 5.0 names wrongly, and which the tracer finds.
    """
    weak = getattr(block, "library_weak_reference", None)
    found = {weak.filepath} if weak else set()
    tree = block if hasattr(block, "nodes") else getattr(block, "node_tree", None)
    for node in tree.nodes if tree is not None else ():
        if node.type in ("SCRIPT", "TEX_IES") and not names_file(node):
            found.add(node.filepath)
    for modifier in getattr(block, "modifiers", ()):
        if modifier.type in _CLEARED:
            found |= set(_caches(modifier))
        elif modifier.type == "NODES":
            found |= {getattr(modifier, name, "") for name in _NODE_BAKES}
            found |= {bake.directory for bake in getattr(modifier, "bakes", ())}
    return found


def _caches(modifier: Any) -> Iterator[str]:
    domain = getattr(modifier, "domain_settings", None)
    if domain is not None:
        yield domain.cache_directory
    system = getattr(modifier, "particle_system", None)
    holders = [modifier, *([system] if system is not None else [])]
    for holder in holders:
        cache = getattr(holder, "point_cache", None)
        if cache is not None:
            yield cache.filepath


def _absolute(bpy: Any, block: Any, name: str) -> Path:
    return Path(os.path.normpath(bpy.path.abspath(name, library=block.library)))


def owned(bpy: Any, block: Any, name: str) -> tuple[str, str]:
    """Return the .blend whose folder a name counts from, and the name as that one has it."""
    if block.bl_rna.identifier != "Library" or block.parent is None:
        library = block.library
        owner = bpy.path.abspath(library.filepath) if library else bpy.data.filepath
        return os.path.normpath(owner), name
    # A library of a library has its path from the opened file here.
    owner = os.path.normpath(bpy.path.abspath(block.parent.filepath))
    if not name.startswith("//"):
        return owner, name
    there = os.path.normpath(bpy.path.abspath(name))
    return owner, "//" + os.path.relpath(there, os.path.dirname(owner))  # noqa: PTH120 - a string


def _answer(bpy: Any, channel: Channel, blend: str) -> str:
    """Open a .blend and say what it names; return why that did not work, or an empty text."""
    try:
        bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=False)
    except RuntimeError as error:
        return str(error).replace("Error: ", "").strip()
    for block, name, many in all_names(bpy):
        owner, written = owned(bpy, block, name)
        by = f"{block.bl_rna.name} {block.name}"
        channel.send("named", owner=owner, name=written, many=many, used_by=by)
    return ""


if __name__ == "__main__":
    import bpy

    pipes = Channel(*(int(number) for number in sys.argv[-2:]))
    pipes.die_with_parent()
    pipes.send("ready")
    for order in pipes.received():
        pipes.send("done", reason=_answer(bpy, pipes, order["blend"]))
    os._exit(0)
