"""Walking a .blend and its libraries, with blender-asset-tracer 1.23, mended.

`mend_library` says what is wrong in that version and puts it right, in memory. The walk
itself keeps no file open behind the caller's back, as the library's own would.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock
from blender_asset_tracer.bpathlib import make_absolute
from blender_asset_tracer.trace import expanders, file2blocks

from burst.scene.blend import READ_ERRORS, open_blend, reading, text
from burst.scene.naming import Named, names_of, names_of_caches

_OLDEST_WITH_DATA_AS_NOW = 250

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Use:
    """A .blend names files."""

    owner: Path
    """The .blend, main or library."""
    named: Named
    by: str
    """The data-block, e.g. ``IMwood``."""


def mend_library() -> None:
    """Put right what blender-asset-tracer 1.23 gets wrong; calling it again changes nothing.

    * In a file of 5.0 or later it takes every data-block's node tree to be in the scene's
      new field ``compositing_node_group``. Materials, worlds and lights still have
      ``nodetree``, so textures of *linked* materials were never found: 1100 files of 1600.
    * Files before 2.50 have no ``adt``, and reading one was the end of the walk.
    * Hair curves, point clouds, volumes and grease pencil were unknown, so that materials of
      such objects in a library were never found.
    """
    expanders._expand_generic_nodetree_id = _expand_node_tree
    expanders._expand_generic_animdata = _expand_animation
    for code in (b"CV", b"PT", b"VO", b"GD", b"GP"):
        expanders._funcs_for_code.setdefault(code, _expand_materials)


def _expand_node_tree(block: BlendFileBlock) -> Iterator[BlendFileBlock]:
    for field in (b"nodetree", b"compositing_node_group"):
        tree = block.get_pointer(field, None)
        if tree is not None:
            yield from expanders._expand_generic_nodetree(tree)
            # A tree that is a data-block of its own is also looked into for files.
            if tree.code == b"NT":
                yield tree


def _expand_animation(block: BlendFileBlock) -> Iterator[BlendFileBlock | None]:
    animation = block.get_pointer(b"adt", None)
    if animation is not None:
        yield animation.get_pointer(b"action")


def _expand_materials(block: BlendFileBlock) -> Iterator[BlendFileBlock | None]:
    yield from _expand_animation(block)
    if block.has_field(b"mat"):
        yield from expanders._expand_generic_material(block)


class Walk(file2blocks.BlockIterator):
    """One walk over a .blend and the parts of its libraries that it links.

    Attributes:
        notes: what could not be looked into, in sentences.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self._files: dict[Path, BlendFile] = {}
        self._open_files = contextlib.ExitStack()

    def uses(self, main: Path) -> Iterator[Use]:
        """Yield what ``main`` and its libraries name, libraries after those who link them.

        Raises:
            SceneUnreadable: ``main`` or a library is damaged.
        """
        mend_library()
        with self._open_files:
            blocks = self.iter_blocks(self.open_blendfile(main))
            while True:
                with reading(main):
                    block = next(blocks, None)
                if block is None:
                    break
                yield from self._uses_of(block)
            for path, blend in self._files.items():
                with reading(path):
                    for named in names_of_caches(blend):
                        yield Use(path, named, "point cache")

    def open_blendfile(self, path: Path) -> BlendFile:
        """Open each .blend once; all are closed at the end of the walk."""
        path = make_absolute(path)
        if path not in self._files:
            blend = open_blend(path)
            self._open_files.callback(blend.close)
            self._files[path] = blend
        return self._files[path]

    def _uses_of(self, block: BlendFileBlock) -> Iterator[Use]:
        if len(block.code) != 2 or block.code == b"ID":
            return
        by = text(block.id_name) or text(block.code)
        try:
            for named in names_of(block):
                yield Use(block.bfile.filepath, named, by)
        except READ_ERRORS as error:
            self._note(block, error)

    def _queue_dependencies(self, block: BlendFileBlock) -> None:
        try:
            super()._queue_dependencies(block)
        except READ_ERRORS as error:
            self._note(block, error)

    def _note(self, block: BlendFileBlock, error: Exception) -> None:
        path: Path = block.bfile.filepath
        if block.bfile.header.version < _OLDEST_WITH_DATA_AS_NOW:
            note = f"{path} is from before Blender 2.50: files that it names may go unnoticed"
        else:
            by = text(block.id_name) or text(block.code)
            note = f"can't look into {by} of {path}: files that it names may go unnoticed"
        if note not in self.notes:
            self.notes.append(note)
            _log.debug("%s: %r", note, error)
