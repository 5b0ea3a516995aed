"""PNG: every chunk with its checksum, so that no cut and no flipped bit gets through."""

from __future__ import annotations

import struct
import zlib

from burst.worker.proof.reading import Reader, Shape, need

_BLOCK_BYTES = 1024 * 1024
_COLORS = {0: "BW", 2: "RGB", 6: "RGBA"}


def check_png(file: Reader) -> Shape:
    """Return what its header says.

    Raises:
        NotWhole: a chunk is missing, cut, or fails its checksum.
    """
    need(file.take(8) == b"\x89PNG\r\n\x1a\n", "is not a PNG")
    shape: Shape | None = None
    pixels_seen = False
    while True:
        length, kind = file.unpack(">I4s")
        head = _checked(file, length, kind)
        if shape is None:
            need(kind == b"IHDR" and length == 13, "does not start with a PNG header")
            width, height, depth, color = struct.unpack(">IIBB", head[:10])
            shape = Shape(width, height, (_COLORS.get(color, f"color type {color}"),), depth)
        pixels_seen = pixels_seen or kind == b"IDAT"
        if kind == b"IEND":
            break
    need(pixels_seen, "has no pixels")
    need(file.tell() == file.size, "has something behind its end")
    return shape


def _checked(file: Reader, length: int, kind: bytes) -> bytes:
    """Read a chunk, check its sum, and return its first block."""
    file.need(file.tell() + length + 4)
    left, head = length, b""
    checksum = zlib.crc32(kind)
    while left:
        block = file.take(min(left, _BLOCK_BYTES))
        head = head or block
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
    name = kind.decode("latin-1")
    need(file.unpack(">I")[0] == checksum, f"is damaged: chunk {name!r} fails its checksum")
    return head
