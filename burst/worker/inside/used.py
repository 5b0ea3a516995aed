"""What the rendered scenes use, out of all that a .blend holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

_TOOLS = ("Brush", "Palette", "PaintCurve", "Screen", "WindowManager", "WorkSpace")
"""Kinds of data-blocks that a scene points to and no picture shows."""


def rendered_scenes(bpy: Any, scene: Any) -> list[Any]:
    """Return the scene, and others that may be rendered with it: behind, in strips, in nodes."""
    found = [scene]
    for one in found:
        if one.background_set and one.background_set not in found:
            found.append(one.background_set)
    if strips(scene) or (scene.render.use_compositing and compositing(scene)):
        found += [other for other in bpy.data.scenes if other not in found]
    return found


def strips(scene: Any) -> list[Any]:
    """Return the strips of a scene that are rendered, also those inside others."""
    editor = scene.sequence_editor if scene.render.use_sequencer else None
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def compositing(scene: Any) -> Any:
    """Return the compositor's node tree of a scene, or None."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def used_blocks(bpy: Any, scene: Any) -> set[Any]:
    """Return every data-block that the rendered scenes use, directly or by others."""
    used_by = defaultdict(list)
    for block, users in bpy.data.user_map().items():
        for user in users:
            used_by[user].append(block)
    found = set(rendered_scenes(bpy, scene))
    waiting = list(found)
    while waiting:
        for block in used_by[waiting.pop()]:
            if block not in found and block.bl_rna.identifier not in (*_TOOLS, "Scene"):
                found.add(block)
                waiting.append(block)
    return found


def node_trees(used: set[Any]) -> Iterator[Any]:
    """Yield the node trees among data-blocks, and those that are part of one."""
    for block in used:
        if hasattr(block, "nodes"):
            yield block
        elif tree := getattr(block, "node_tree", None):
            yield tree
