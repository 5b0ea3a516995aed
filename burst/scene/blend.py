"""Reading the blocks of a .blend, with the library that knows Blender's file format.

The library trusts what it reads, keeps files open when it gives up, and writes warnings to
the terminal; this module is where all of that ends. Whatever is wrong with a file leaves
here as `SceneUnreadable`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import logging
import os
import re
import shutil
import struct
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast

from blender_asset_tracer import blendfile
from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock, exceptions
from blender_asset_tracer.blendfile.dna import Field, FieldPath, Struct

from burst.errors import SceneUnreadable
from burst.scene.header import opened, read_version

READ_ERRORS = (
    exceptions.BlendFileError,
    exceptions.NoReaderImplemented,
    exceptions.SegmentationFault,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the library raises on bytes that no Blender wrote, or on ones it does not know."""

KNOWN_SINCE = (2, 50)
"""Blender whose files are read for certain; older ones are read as far as they go."""
_DNA_NAME = re.compile(rb"([^\[\]]|\[\d{1,9}\])*")
"""Blender 2.48 has one that is only ``[3]``. The library would search for ever for the end of
a bracket that is not closed."""

_BUFFER_BYTES = 1024 * 1024
_SPOOLED_BYTES = 64 * 1024 * 1024
"""Of a compressed file, so much stays in memory."""
_DNA_KEPT = 16
"""DNA is the same in all files of one Blender: of so many it is kept."""
_DNA: OrderedDict[tuple[bytes, int], tuple[list[Struct], dict[bytes, int]]] = OrderedDict()

logging.getLogger("blender_asset_tracer").setLevel(logging.CRITICAL)
# A pointer into nowhere is common in sound files (geometry nodes of 5.0): it is no pointer.
blendfile.set_strict_pointer_mode(False)


def open_blend(path: Path) -> BlendFile:
    """Read the blocks of a .blend; the caller closes it.

    Raises:
        SceneUnreadable: it is not a .blend, is cut off, or is damaged.
    """
    major, minor = read_version(path)
    try:
        with reading(path):
            return _Blend(path)
    except SceneUnreadable as error:
        if (major, minor) >= KNOWN_SINCE:
            raise
        raise SceneUnreadable(
            f"{path} was saved by Blender {major}.{minor:02}, which is older than burst can read",
            hint="open it in Blender 2.50 or later, and save it there",
        ) from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the library raises on a damaged file into `SceneUnreadable`."""
    try:
        yield
    except READ_ERRORS as error:
        raise SceneUnreadable(
            f"{path} is damaged or cut off",
            hint="save it again in Blender, or take an earlier save",
        ) from error
    except OSError as error:
        raise SceneUnreadable(f"can't read {path}: {error.strerror or error}") from error


def text(value: bytes | None) -> str:
    """Return bytes of a .blend as text; undecodable ones stay recognizable."""
    return (value or b"").decode("utf-8", errors="replace")


def string(block: BlendFileBlock, field: FieldPath, default: bytes = b"") -> bytes:
    """Return a text field up to its end; ``default`` if there is no such field."""
    found = _field(block, field)
    if found is None:
        return default
    block.bfile.fileobj.seek(block.file_offset + found[1])
    return bytes(block.bfile.fileobj.read(found[0].size).partition(b"\0")[0])


def plain_bytes(block: BlendFileBlock, field: FieldPath) -> bytes:
    """Return the text that a pointer leads to, such as a folder's name; empty for none."""
    target = target_of(block, field)
    return b"" if target is None else bytes(target.raw_data().partition(b"\0")[0])


def target_of(block: BlendFileBlock, field: FieldPath) -> BlendFileBlock | None:
    """Return the block that a pointer leads to; None also if there is no such field."""
    found = _field(block, field)
    if found is None or not found[0].name.is_pointer:
        return None
    address = number(block, field)
    return block.bfile.block_from_addr.get(address) if address else None


def elements(array: BlendFileBlock | None) -> Iterator[BlendFileBlock]:
    """Yield each element of an array as a block of its own."""
    if array is None:
        return
    size = array.dna_type.size
    for index in range(min(array.count, array.size // size) if size else 0):
        element = copy.copy(array)
        element.size, element.count = size, 1
        element.file_offset = array.file_offset + index * size
        yield element


def _field(block: BlendFileBlock, field: FieldPath) -> tuple[Field, int] | None:
    """Return a field and its offset, looked up once for each kind of struct."""
    bfile = block.bfile
    kind, size = bfile.structs[block.sdna_index], bfile.header.pointer_size
    known: dict[FieldPath, tuple[Field, int] | None] = kind.__dict__.setdefault("burst_fields", {})
    if field not in known:
        try:
            known[field] = kind.field_from_path(size, field)
        except KeyError:
            known[field] = None
    return known[field]


def number(block: BlendFileBlock, field: FieldPath, default: int = 0) -> int:
    """Return an integer field, of whatever width and sign the file has it.

    The library knows only the integers that Blender used when it was written.
    """
    header = block.bfile.header
    known = _field(block, field)
    if known is None:
        return default
    found, offset = known
    width = found.size // found.name.array_size
    block.bfile.fileobj.seek(block.file_offset + offset)
    raw = block.bfile.fileobj.read(width)
    kind = found.dna_type.dna_type_id
    unsigned = found.name.is_pointer or kind == b"char" or kind.startswith(b"u")
    order: Literal["little", "big"] = "little" if header.is_little_endian else "big"
    return int.from_bytes(raw, order, signed=not unsigned)


def listed(
    block: BlendFileBlock, field: bytes, next_field: FieldPath = b"next"
) -> Iterator[BlendFileBlock]:
    """Yield the blocks of a linked list in ``block``; none if it has no such field.

    Ends also where a damaged list bites its own tail.
    """
    seen = set()
    item = target_of(block, (field, b"first"))
    while item is not None and item.addr_old not in seen:
        seen.add(item.addr_old)
        yield item
        item = target_of(item, next_field)


class _Blend(BlendFile):
    """The library's reader; believes no count and no size before it is checked."""

    def __init__(self, path: Path) -> None:
        self.fileobj: Any = None
        try:
            super().__init__(path)
        except BaseException:
            if self.fileobj is not None:
                self.fileobj.close()
            raise

    def _open_file(self, path: Path, mode: str) -> IO[bytes]:
        """Give Blender's plain bytes: the file itself, or an unpacked copy without a name."""
        with path.open("rb") as packed:
            self.is_compressed = packed.read(7) != b"BLENDER"
        if not self.is_compressed:
            return path.open(mode, buffering=_BUFFER_BYTES)
        with contextlib.ExitStack() as on_failure:
            plain = on_failure.enter_context(tempfile.SpooledTemporaryFile(_SPOOLED_BYTES))
            with opened(path) as source:
                shutil.copyfileobj(source, plain, _BUFFER_BYTES)
            on_failure.pop_all()
        return cast("IO[bytes]", plain)

    def _load_blocks(self) -> None:
        """Read the chain of blocks; in place of the library's own, which would believe it.

        A negative size would send that in circles, and it reads small blocks twice.
        """
        head, fields, file = self.block_header_struct, self.block_header_fields, self.fileobj
        position = file.tell()
        end = file.seek(0, os.SEEK_END)
        while True:
            file.seek(position)
            raw = file.read(head.size)
            if raw[:4] == b"ENDB":
                break
            if len(raw) < head.size:
                raise exceptions.BlendFileError("cut off", self.filepath)
            found = fields(*head.unpack(raw))
            block = self._block(found, position + head.size)
            position += head.size + block.size
            if block.size < 0 or position > end:
                raise exceptions.BlendFileError("cut off", self.filepath)
            self.blocks.append(block)
            self.code_index[block.code].append(block)
            self.block_from_addr[block.addr_old] = block
        self._load_dna()

    def _block(self, found: Any, offset: int) -> BlendFileBlock:
        block = BlendFileBlock.__new__(BlendFileBlock)
        block.bfile, block.endian, block._id_name = self, self.header.endian, ...
        block.code = found.code.partition(b"\0")[0]
        block.size, block.addr_old = found.len, found.old
        block.sdna_index, block.count, block.file_offset = found.SDNAnr, found.nr, offset
        return block

    def _load_dna(self) -> None:
        """Read the DNA, once its counts are known to be true; or take it from another file."""
        if not self.code_index[b"DNA1"]:
            raise exceptions.NoDNA1Block("no DNA1 block", self.filepath)
        block = self.code_index[b"DNA1"][-1]
        dna = block.raw_data()
        key = hashlib.sha256(dna).digest(), self.header.pointer_size
        if key not in _DNA:
            _check_dna(dna, self.header.is_little_endian)
            self.fileobj.seek(block.file_offset)
            self.decode_structs(block)
            _DNA[key] = self.structs, self.sdna_index_from_id
            while len(_DNA) > _DNA_KEPT:
                _DNA.popitem(last=False)
        self.structs, self.sdna_index_from_id = _DNA[key]


def _check_dna(dna: bytes, is_little_endian: bool) -> None:
    """Check that lists in the DNA are as long as they say; the library would count for hours."""
    order: Literal["little", "big"] = "little" if is_little_endian else "big"

    def count_at(mark: bytes, position: int) -> int:
        if dna[position : position + 4] != mark:
            raise ValueError(f"no {mark!r} where it must be")
        count = int.from_bytes(dna[position + 4 : position + 8], order)
        if count > len(dna):
            raise ValueError(f"{mark!r} counts {count}")
        return count

    def after_names(mark: bytes, position: int) -> int:
        count = count_at(mark, position)
        position += 8
        for _ in range(count):
            end = dna.index(b"\0", position)
            if not _DNA_NAME.fullmatch(dna, position, end):
                raise ValueError(f"{dna[position:end]!r} is no name")
            position = end + 1
        return _aligned(position)

    types_at = after_names(b"NAME", 4)
    lengths_at = after_names(b"TYPE", types_at)
    if dna[lengths_at : lengths_at + 4] != b"TLEN":
        raise ValueError("no lengths of types")
    types = count_at(b"TYPE", types_at)
    count_at(b"STRC", _aligned(lengths_at + 4 + 2 * types))


def _aligned(position: int) -> int:
    return -(-position // 4) * 4
