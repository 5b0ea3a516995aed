"""Reading the blocks of a .blend, with the library that knows Blender's file format.

The library trusts what it reads, keeps files open when it gives up, and writes warnings to
the terminal; this module is where all of that ends. Whatever is wrong with a file leaves
here as `SceneUnreadable`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from blender_asset_tracer import blendfile
from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock, exceptions

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


def listed(block: BlendFileBlock, field: bytes) -> Iterator[BlendFileBlock]:
    """Yield the blocks of a linked list in ``block``; none if it has no such field."""
    seen = set()
    item = block.get_pointer((field, b"first"), None) if block.has_field(field) else None
    while item is not None and item.addr_old not in seen:
        seen.add(item.addr_old)
        yield item
        item = item.get_pointer(b"next")


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
