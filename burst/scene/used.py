"""What a Blender scene uses, out of all that its .blend and the libraries of that hold.

The same question as in `burst.worker.inside.used`, answered without Blender.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock

from burst.scene.blend import number, open_blend, reading
from burst.scene.disk import Disk
from burst.scene.naming import resolve
from burst.scene.tracer import pointed_to

_NOT_SHOWN = {b"BR", b"LI", b"PC", b"PL", b"SC", b"SR", b"WM", b"WS"}
"""Brushes, palettes, screens and the like, which a scene's tools point to; scenes and libraries
are told apart on their own."""
_DO_SEQUENCER = 0x0001
"""R_DOSEQ"""
_DO_COMPOSITOR = 0x0040
"""R_DOCOMP"""


class Blends(contextlib.AbstractContextManager["Blends"]):
    """The .blends of one scene, each opened once and closed at the end."""

    def __init__(self, paths: Iterable[Path], named: Mapping[str, Path] | None = None) -> None:
        """Open none yet.

        Args:
            paths: the scene's files; a library that is not among them is missing.
            named: absolute names that .blends have, and the files that they stand for.
        """
        self._known = set(paths)
        self._named = named or {}
        self._disk = Disk()
        self._open: dict[Path, BlendFile] = {}

    def __exit__(self, *_error: object) -> None:
        for blend in self._open.values():
            blend.close()

    def get(self, path: Path) -> BlendFile:
        """Return an opened .blend.

        Raises:
            SceneUnreadable: it can't be read.
        """
        if path not in self._open:
            self._open[path] = open_blend(path)
        return self._open[path]

    def linked(self, block: BlendFileBlock) -> BlendFileBlock | None:
        """Return the data-block that stands in a library for a linked one, if it is there."""
        library = block.get_pointer(b"lib", None)
        if library is None:
            return None
        path = self._named.get(os.fsdecode(library[b"name"]))
        if path is None:
            found = self._disk.find_file(str(resolve(library[b"name"], block.bfile.filepath)))
            path = Path(found or "")
        if path not in self._known:
            return None
        name = block[b"name"]
        with reading(path):
            same = self.get(path).find_blocks_from_code(name[:2])
            return next((found for found in same if found.id_name == name), None)


def rendered_scenes(scene: BlendFileBlock) -> list[BlendFileBlock]:
    """Return the scene, and others that may be rendered with it: behind, in strips, in nodes."""
    found = [scene]
    for one in found:
        behind = one.get_pointer(b"set", None)
        if behind is not None and behind.code == b"SC" and behind not in found:
            found.append(behind)
    if sequencer(scene) or compositor(scene):
        scenes = scene.bfile.find_blocks_from_code(b"SC")
        found += [other for other in scenes if other not in found]
    return found


def sequencer(scene: BlendFileBlock) -> BlendFileBlock | None:
    """Return the strips' editor of a scene, if there are any and they are rendered."""
    editor = scene.get_pointer(b"ed", None)
    if editor is None or not number(scene, (b"r", b"scemode")) & _DO_SEQUENCER:
        return None
    # A scene that was never edited may have an empty one.
    return editor if editor.get((b"seqbase", b"first"), 0) else None


def compositor(scene: BlendFileBlock) -> BlendFileBlock | None:
    """Return the compositor's node tree of a scene, if it is used."""
    if not number(scene, (b"r", b"scemode")) & _DO_COMPOSITOR:
        return None
    if scene.has_field(b"compositing_node_group"):
        group = scene.get_pointer(b"compositing_node_group", None)
        if group is not None:
            return group
    return scene.get_pointer(b"nodetree", None) if number(scene, b"use_nodes") else None


def used_blocks(blends: Blends, scene: BlendFileBlock) -> Iterator[BlendFileBlock]:
    """Yield every data-block that is rendered with a scene, also from libraries.

    Raises:
        SceneUnreadable: a library is damaged.
    """
    waiting = rendered_scenes(scene)
    seen = {(block.bfile.filepath, block.addr_old) for block in waiting}
    while waiting:
        block = waiting.pop()
        yield block
        with reading(block.bfile.filepath):
            targets = list(pointed_to(block))
        for target in targets:
            there = blends.linked(target) if target.code == b"ID" else target
            if there is None or there.code in _NOT_SHOWN:
                continue
            key = there.bfile.filepath, there.addr_old
            if key not in seen:
                seen.add(key)
                waiting.append(there)
