"""Walking a .blend and its libraries, with blender-asset-tracer 1.23.

The library knows how one .blend links another; what a data-block needs in turn is found
here, since its own list of that has holes: of a file of 5.0 or later it never followed the
node trees of linked materials (1100 files of 1600 were found in one project), it knows no
parents, constraints or hair curves, and it stops at files from before 2.50. Blender itself
loads whatever a linked data-block points to, and so does `pointed_to`.
"""

from __future__ import annotations

import contextlib
import logging
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock
from blender_asset_tracer.blendfile.dna import Struct
from blender_asset_tracer.bpathlib import make_absolute
from blender_asset_tracer.trace import file2blocks

from burst.scene.blend import READ_ERRORS, open_blend, reading, text
from burst.scene.naming import Named, names_of, names_of_caches, resolve

_log = logging.getLogger(__name__)

_HAS_POINTERS: WeakKeyDictionary[Struct, bool] = WeakKeyDictionary()
_KINDS = {
    "bNodeTree": "Node group",
    "bSound": "Sound",
    "CacheFile": "Cache file",
    "Lamp": "Light",
    "MovieClip": "Movie clip",
    "VFont": "Font",
}
"""Struct of a data-block → its name for people, where that is another."""
_RAW_DATA = 0
"""Index of the struct that Blender gives for bytes without one: arrays of numbers, and small
arrays of pointers."""
_RAW_DATA_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Use:
    """A .blend names files."""

    owner: Path
    """The .blend, main or library."""
    named: Named
    path: Path
    """Where the name points to."""
    by: str
    """The data-block that has the name, for people."""


class Walk(file2blocks.BlockIterator):
    """One walk over a .blend and the parts of its libraries that it links.

    Attributes:
        notes: what could not be looked into, in sentences.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self._main: BlendFile | None = None
        self._files: dict[Path, BlendFile] = {}
        self._open_files = contextlib.ExitStack()

    def uses(self, main: Path) -> Iterator[Use]:
        """Yield what ``main`` and its libraries name, libraries after those who link them.

        Raises:
            SceneUnreadable: ``main`` or a library is damaged.
        """
        with self._open_files:
            self._main = self.open_blendfile(main)
            blocks = self.iter_blocks(self._main)
            while True:
                with reading(main):
                    block = next(blocks, None)
                if block is None:
                    break
                yield from self._uses_of(block)
            for path, blend in self._files.items():
                with reading(path):
                    for named in names_of_caches(blend):
                        yield Use(path, named, resolve(named.name, path), "a point cache")

    def open_blendfile(self, path: Path) -> BlendFile:
        """Open each .blend once; all are closed at the end of the walk.

        In place of the library's own, which keeps files open until the program ends.
        """
        path = make_absolute(path)
        if path not in self._files:
            blend = open_blend(path)
            self._open_files.callback(blend.close)
            self._files[path] = blend
        return self._files[path]

    def _uses_of(self, block: BlendFileBlock) -> Iterator[Use]:
        if len(block.code) != 2 or block.code == b"ID":
            return
        owner: Path = block.bfile.filepath
        try:
            # Data packed into this file (5.0) still counts from its library's folder.
            library = block.get_pointer((b"id", b"lib"), None)
            base = owner if library is None else resolve(library[b"name"], owner)
            for named in names_of(block):
                yield Use(owner, named, resolve(named.name, base), shown(block))
        except READ_ERRORS as error:
            by = shown(block)
            self.notes.append(f"can't look into {by} of {owner}, which may need further files")
            _log.debug("%s: %r", self.notes[-1], error)

    def _queue_dependencies(self, block: BlendFileBlock) -> None:
        # All of the main file is looked at anyway; of libraries, what is linked.
        if block.bfile is not self._main:
            for needed in pointed_to(block):
                self.to_visit.put(needed)


def shown(block: BlendFileBlock) -> str:
    """Return a data-block's kind and name for people, such as ``Image wood``."""
    name = text(block.id_name)
    kind = text(block.dna_type_id)
    return f"{_KINDS.get(kind, kind)} {name[2:]}" if name else kind


def pointed_to(block: BlendFileBlock) -> Iterator[BlendFileBlock]:
    """Yield the data-blocks that one points to, also by way of its own data.

    Any number in it that is the address of a data-block is taken for a pointer, as a garbage
    collector would that does not know the program.
    """
    seen = {block.addr_old}
    queue = [block]
    while queue:
        for address in _addresses(queue.pop()):
            target = block.bfile.block_from_addr.get(address)
            if target is None or address in seen:
                continue
            seen.add(address)
            if target.code == b"DATA":
                queue.append(target)
            elif len(target.code) == 2:
                yield target


def _addresses(block: BlendFileBlock) -> set[int]:
    raw_data = block.sdna_index == _RAW_DATA
    if block.size > _RAW_DATA_BYTES if raw_data else not _has_pointers(block.dna_type):
        return set()
    header = block.bfile.header
    # A data-block begins with its neighbours in the list of all of its kind.
    start = 0 if block.code == b"DATA" else 2 * header.pointer_size
    end = block.size - block.size % header.pointer_size
    numbers = array("Q" if header.pointer_size == 8 else "I", block.raw_data()[start:end])
    if not header.is_little_endian:
        numbers.byteswap()
    return set(numbers)


def _has_pointers(struct: Struct) -> bool:
    known = _HAS_POINTERS.get(struct)
    if known is None:
        known = any(f.name.is_pointer or _has_pointers(f.dna_type) for f in struct.fields)
        _HAS_POINTERS[struct] = known
    return known
