"""Where a scene writes: the main image and File Output nodes, below one folder a frame.

A file gets the name that a plain run would give it, relative to the artist's output folder.
Two frames never write the same name: Blender puts the frame's number into each. Only files
of another Blender scene, which a scene strip renders, would have that scene's number, or
none (5.0); they get the number of the job's frame here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from burst.worker.inside.places import base_name, mark_number, places, replace_number, split

_PROBE_FRAME = 987_654
"""A frame whose number is in no file name otherwise."""


class Output:
    """Makes a scene and all File Output nodes write below a folder, and nowhere else."""

    def __init__(self, bpy: Any, scene: Any) -> None:
        """Choose a place for every file, before anything is redirected."""
        self._bpy = bpy
        self._scene = scene
        main = str(scene.render.filepath)
        self._base = base_name(main)
        own = _reached([scene])
        others = _reached(other for other in bpy.data.scenes if other != scene)
        groups = (g for g in bpy.data.node_groups if g.bl_idname == "CompositorNodeTree")
        # What no scene uses has the last choice.
        trees = dict.fromkeys((*own, *others, *groups))
        found = [(_adapt(node), tree) for tree in trees for node in _file_outputs(tree)]
        self._nodes = [node for node, _ in found]
        chosen = iter(places([file for node in self._nodes for file in node.files()], main))
        for node, tree in found:
            count = len(node.files())
            node.aim(list(islice(chosen, count)), marked=tree in others or tree not in own)
        for scene in bpy.data.scenes:
            _keep_no_strips(scene.sequence_editor)

    def redirect(self, folder: Path) -> None:
        """Send the next frame's files below ``folder``, an absolute path."""
        target = str(folder)
        if self._bpy.app.version >= (5, 0):
            # There braces in a path are a template, and doubled ones are braces.
            target = target.replace("{", "{{").replace("}", "}}")
        self._scene.render.filepath = f"{target}/{self._base}"
        for node in self._nodes:
            node.redirect(target)

    def settle(self, frame: int, written: Iterable[str]) -> tuple[list[str], int]:
        """Give the files of a rendered frame the names of that frame.

        Args:
            frame: its number.
            written: absolute paths of all files that it made.

        Returns:
            Paths of all files, those of the main image first, and how many these are.

        Raises:
            RuntimeError: a file of the main image is not among them.
        """
        paths = {_renumbered(Path(path), frame) for path in sorted(written)}
        main = [self._main_file(frame, view, paths) for view in self._views()]
        rest = sorted(paths.difference(main))
        return [str(path) for path in (*main, *rest)], len(main)

    def _main_file(self, frame: int, view: str, paths: set[Path]) -> Path:
        wanted = self._frame_path(frame, view)
        if wanted in paths:
            return wanted
        # A scene strip whose scene has a compositor leaves its own frame number behind, and
        # Blender names the main image by that.
        probe = re.escape(str(self._frame_path(_PROBE_FRAME, view)))
        before, _, after = probe.rpartition(str(_PROBE_FRAME))
        like = re.compile(rf"{before}-?\d+{after}")
        found = sorted(path for path in paths if like.fullmatch(str(path)))
        if not before or not found:
            raise RuntimeError(f"Blender wrote no main image, no {wanted.name}")
        paths.remove(found[0])
        paths.add(found[0].rename(wanted))
        return wanted

    def _frame_path(self, frame: int, view: str) -> Path:
        return Path(self._scene.render.frame_path(frame=frame, view=view))

    def _views(self) -> list[str]:
        """Return the views of the main image that get a file each; "" if it has only one."""
        render = self._scene.render
        if not render.use_multiview or render.image_settings.views_format != "INDIVIDUAL":
            return [""]
        eyes = ("left", "right") if render.views_format == "STEREO_3D" else None
        names = [v.name for v in render.views if v.use and (eyes is None or v.name in eyes)]
        return names or [""]


def _renumbered(path: Path, frame: int) -> Path:
    name = replace_number(path.name, frame)
    if name == path.name:
        return path
    target, count = path.with_name(name), 1
    while target.exists():
        # The same strip's scene twice in one frame.
        count += 1
        target = path.with_name(f"{Path(name).stem}-{count}{Path(name).suffix}")
    return path.rename(target)


# ── File Output nodes ────────────────────────────────────────────────────────────────


class _Items:
    """From 5.0 on: a folder, the start of a file name, and items that add to it."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._folder = ""

    def files(self) -> list[tuple[str, str]]:
        return [(str(self._node.directory), str(self._node.file_name))]

    def aim(self, chosen: Sequence[str], *, marked: bool) -> None:
        node = self._node
        self._folder, name = split(chosen[0])
        several = node.format.file_format == "OPEN_EXR_MULTILAYER"
        if marked and (several or "#" in name):
            name = mark_number(name)
        elif marked:
            for item in node.file_output_items:
                item.name = mark_number(item.name)
        node.file_name = name

    def redirect(self, folder: str) -> None:
        self._node.directory = f"{folder}/{self._folder}"


class _Layers:
    """Up to 4.x: a multi-layer file, whose base path is a file's."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._place = ""

    def files(self) -> list[tuple[str, str]]:
        return [split(str(self._node.base_path))]

    def aim(self, chosen: Sequence[str], *, marked: bool) -> None:
        self._place = mark_number(chosen[0]) if marked else chosen[0]

    def redirect(self, folder: str) -> None:
        self._node.base_path = f"{folder}/{self._place}"


class _Slots:
    """Up to 4.x: a folder, and a file for each slot."""

    def __init__(self, node: Any) -> None:
        self._node = node

    def files(self) -> list[tuple[str, str]]:
        base = str(self._node.base_path)
        # A slot without a name makes a file beside the folder, named like it.
        unnamed = split(base.rstrip("/\\"))
        paths = [str(slot.path) for slot in self._node.file_slots]
        return [(base, path) if path.strip("/\\") else unnamed for path in paths]

    def aim(self, chosen: Sequence[str], *, marked: bool) -> None:
        slots = self._node.file_slots
        for number, slot in enumerate(slots):
            # Blender changes a path that another slot has at this moment.
            slot.path = f"@{number}@"
        for slot, place in zip(slots, chosen, strict=True):
            slot.path = mark_number(place) if marked else place

    def redirect(self, folder: str) -> None:
        self._node.base_path = folder


def _keep_no_strips(editor: Any) -> None:
    """Have each frame render the scenes of its strips: else it may lack their files."""
    for cache in ("raw", "preprocessed", "composite", "final"):
        if hasattr(editor, f"use_cache_{cache}"):
            setattr(editor, f"use_cache_{cache}", False)


_FileOutput = _Items | _Layers | _Slots


def _adapt(node: Any) -> _FileOutput:
    if hasattr(node, "directory"):
        return _Items(node)
    several = node.format.file_format == "OPEN_EXR_MULTILAYER"
    return _Layers(node) if several else _Slots(node)


def _reached(scenes: Iterable[Any]) -> list[Any]:
    """Return every node tree that these scenes' compositors use."""
    trees = [
        getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
        for scene in scenes
    ]
    found = [tree for tree in trees if tree]
    for tree in found:
        groups = (node.node_tree for node in tree.nodes if node.type == "GROUP")
        found += dict.fromkeys(group for group in groups if group and group not in found)
    return list(dict.fromkeys(found))


def _file_outputs(tree: Any) -> Iterator[Any]:
    return (node for node in tree.nodes if node.type == "OUTPUT_FILE")
