"""Reading the blocks of a .blend, with the library that knows Blender's file format.

The library trusts what it reads, keeps files open when it gives up, and writes warnings to
the terminal; this module is where all of that ends. Whatever is wrong with a file leaves
here as `SceneUnreadable`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from blender_asset_tracer import blendfile
from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock, exceptions
from blender_asset_tracer.blendfile.dna import FieldPath

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

_DNA_NAME = re.compile(rb"([^\[\]]|\[\d{1,9}\])*")
"""Blender 2.48 has one that is only ``[3]``. The library would search for ever for the end of
a bracket that is not closed."""

_BUFFER_BYTES = 1024 * 1024

logging.getLogger("blender_asset_tracer").setLevel(logging.CRITICAL)
# A pointer into nowhere is common in sound files (geometry nodes of 5.0): it is no pointer.
blendfile.set_strict_pointer_mode(False)


def open_blend(path: Path) -> BlendFile:
    """Read the blocks of a .blend; the caller closes it.

    Raises:
        SceneUnreadable: it is not a .blend, is cut off, or is damaged.
    """
    read_version(path)
    with reading(path):
        return _Blend(path)


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


def number(block: BlendFileBlock, field: FieldPath, default: int = 0) -> int:
    """Return an integer field, of whatever width and sign the file has it.

    The library knows only the integers that Blender used when it was written.
    """
    header = block.bfile.header
    try:
        found, offset = block.dna_type.field_from_path(header.pointer_size, field)
    except KeyError:
        return default
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
    item = block.get_pointer((field, b"first"), None) if block.has_field(field) else None
    while item is not None and item.addr_old not in seen:
        seen.add(item.addr_old)
        yield item
        item = item.get_pointer(next_field)


class _Blend(BlendFile):
    """The library's reader; checks the chain of blocks before it is believed."""

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
            plain = on_failure.enter_context(tempfile.TemporaryFile())
            with opened(path) as source:
                shutil.copyfileobj(source, plain, _BUFFER_BYTES)
            on_failure.pop_all()
        return plain

    def _load_blocks(self) -> None:
        self._check_blocks()
        super()._load_blocks()

    def decode_structs(self, block: BlendFileBlock) -> None:
        """Read the DNA, once its counts are known to be true."""
        start = self.fileobj.tell()
        _check_dna(self.fileobj.read(block.size), self.header.is_little_endian)
        self.fileobj.seek(start)
        super().decode_structs(block)

    def _check_blocks(self) -> None:
        """Walk the chain of blocks; a negative size would send the library in circles."""
        head = self.block_header_struct
        start = position = self.fileobj.tell()
        end = self.fileobj.seek(0, os.SEEK_END)
        while True:
            self.fileobj.seek(position)
            raw = self.fileobj.read(head.size)
            if raw[:4] == b"ENDB":
                break
            if len(raw) < head.size:
                raise exceptions.BlendFileError("cut off", self.filepath)
            size = self.block_header_fields(*head.unpack(raw)).len
            position += head.size + size
            if size < 0 or position > end:
                raise exceptions.BlendFileError("cut off", self.filepath)
        self.fileobj.seek(start)


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
