"""OpenEXR: every chunk that the offset tables name is there, in its place, inside the file.

Single- and multi-part, scan lines, tiles, deep data. An encoder writes the tables last, over
zeros, so that a file whose writer died or ran out of disk shows it here. Pixels are not
decoded; only the last chunk is inflated where it is deflated, for files with a zeroed tail.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from burst.worker.proof.reading import Reader, need

_TILED, _DEEP, _MULTI_PART = 0x200, 0x800, 0x1000
_LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256, 10: 256, 11: 32}
"""Compression → scan lines in a chunk."""
_DEFLATED = (2, 3, 5)
_LOSSY = 5
"""PXR24: deflated too, but not to the length of the pixels."""
_PIXEL_BYTES = {0: 4, 1: 2, 2: 4}
_TEXT_LIMIT = 256


@dataclass(slots=True)
class _Part:
    """What one header says."""

    compression: int = 0
    window: tuple[int, int, int, int] = (0, 0, -1, -1)
    tiles: tuple[int, int, int] | None = None
    kind: str = ""
    chunk_count: int = 0
    channels: list[tuple[int, int, int]] = field(default_factory=list)
    """Pixel type and sampling of each."""

    @property
    def width(self) -> int:
        return self.window[2] - self.window[0] + 1

    @property
    def height(self) -> int:
        return self.window[3] - self.window[1] + 1

    @property
    def deep(self) -> bool:
        return self.kind.startswith("deep")

    def lines(self) -> int:
        """Return scan lines per chunk; an unknown compression is one of the future."""
        return _LINES.get(self.compression, 0)


def check_exr(file: Reader) -> tuple[int, int]:
    """Return width and height of the first part.

    Raises:
        NotWhole: a chunk is missing or out of place.
    """
    magic, version = file.unpack("<II")
    need(magic == 20000630, "is not an OpenEXR")
    parts = [_header(file)]
    if version & _MULTI_PART:
        while file.take(1) != b"\0":
            file.seek(file.tell() - 1)
            parts.append(_header(file))
    elif version & _DEEP and not parts[0].deep:
        parts[0].kind = "deeptile" if version & _TILED else "deepscanline"
    if not version & _TILED and not version & _MULTI_PART and "tile" not in parts[0].kind:
        parts[0].tiles = None
    tables = [_table(file, part) for part in parts]
    start = file.tell()
    reach = start
    for number, (part, table) in enumerate(zip(parts, tables, strict=True)):
        prefix = number if version & _MULTI_PART else None
        reach = max(reach, _check_chunks(file, part, table, start, prefix))
    need(reach == file.size, f"has {file.size} bytes, its chunks end at {reach}")
    return parts[0].width, parts[0].height


def _header(file: Reader) -> _Part:
    part = _Part()
    while name := _text(file):
        _text(file)
        (length,) = file.unpack("<i")
        need(length >= 0, "is damaged: an attribute has a negative length")
        _note(part, name, file.take(length))
    need(part.width > 0 and part.height > 0, "is damaged: it has no size")
    return part


def _text(file: Reader) -> str:
    data = bytearray()
    while (byte := file.take(1)) != b"\0":
        data += byte
        need(len(data) < _TEXT_LIMIT, "is damaged: a name in its header has no end")
    return data.decode("utf-8", "replace")


def _note(part: _Part, name: str, value: bytes) -> None:
    try:
        if name == "compression":
            part.compression = value[0]
        elif name == "dataWindow":
            left, top, right, bottom = struct.unpack("<4i", value)
            part.window = left, top, right, bottom
        elif name == "tiles":
            width, height, mode = struct.unpack("<IIB", value)
            part.tiles = width, height, mode
        elif name == "type":
            part.kind = value.decode("latin-1")
        elif name == "chunkCount":
            (part.chunk_count,) = struct.unpack("<i", value)
        elif name == "channels":
            part.channels = _channels(value)
    except (struct.error, IndexError):
        need(False, f"is damaged: header attribute {name} is malformed")


def _channels(value: bytes) -> list[tuple[int, int, int]]:
    found, position = [], 0
    while value[position] != 0:
        position = value.index(b"\0", position) + 1
        kind, _, across, down = struct.unpack_from("<iIii", value, position)
        found.append((kind, across, down))
        position += 16
    return found


def _table(file: Reader, part: _Part) -> tuple[int, ...]:
    count = part.chunk_count or _count_chunks(part)
    if not count:
        # The table reaches to the first chunk.
        (first,) = file.unpack("<Q")
        file.seek(file.tell() - 8)
        count = (first - file.tell()) // 8
    need(count > 0, "is damaged: it has no chunks")
    file.need(file.tell() + 8 * count)
    return file.unpack(f"<{count}Q")


def _count_chunks(part: _Part) -> int:
    if part.tiles is None:
        lines = part.lines()
        return -(-part.height // lines) if lines else 0
    across, down, mode = part.tiles
    need(across > 0 and down > 0, "is damaged: its tiles have no size")
    widths = _levels(part.width, part.width, part.height, mode)
    heights = _levels(part.height, part.width, part.height, mode)
    if mode & 0xF == 2:
        return sum(-(-w // across) for w in widths) * sum(-(-h // down) for h in heights)
    return sum((-(-w // across)) * (-(-h // down)) for w, h in zip(widths, heights, strict=True))


def _levels(length: int, width: int, height: int, mode: int) -> list[int]:
    """Return the length of one side at each level of detail."""
    kind, up = mode & 0xF, mode >> 4
    if kind == 0:
        return [length]
    longest = length if kind == 2 else max(width, height)
    count = (longest - 1).bit_length() + 1 if up else longest.bit_length()
    sizes = [-(-length // 2**level) if up else length // 2**level for level in range(count)]
    return [max(1, size) for size in sizes]


def _check_chunks(
    file: Reader, part: _Part, table: tuple[int, ...], start: int, number: int | None
) -> int:
    """Check every chunk of a part and return where the last one in the file ends."""
    reach, last = start, (start, 0)
    for index, offset in enumerate(table):
        need(offset >= start, f"is cut: chunk {index} was never written")
        file.seek(offset)
        if number is not None:
            need(file.unpack("<i")[0] == number, f"is damaged: chunk {index} is out of place")
        _check_place(file, part, index)
        if part.deep:
            samples, packed, _ = file.unpack("<QQQ")
            length = samples + packed
        else:
            (length,) = file.unpack("<i")
            need(length > 0, f"is damaged: chunk {index} is empty")
        end = file.tell() + length
        file.need(end)
        if end > reach:
            reach, last = end, (file.tell(), index)
    if part.tiles is None and not part.deep and part.compression in _DEFLATED:
        _check_deflated(file, part, last[0], reach, last[1])
    return reach


def _check_place(file: Reader, part: _Part, index: int) -> None:
    if part.tiles is not None:
        column, row, _, _ = file.unpack("<4i")
        need(column >= 0 and row >= 0, f"is damaged: tile {index} is out of place")
        return
    (line,) = file.unpack("<i")
    wanted = part.window[1] + index * part.lines()
    need(
        line == wanted if part.lines() else line >= part.window[1],
        f"is damaged: the chunk for line {wanted} is out of place",
    )


def _check_deflated(file: Reader, part: _Part, begin: int, end: int, index: int) -> None:
    """Inflate one chunk: its end holds a checksum of all of it."""
    if any(across != 1 or down != 1 for _, across, down in part.channels):
        return
    lines = min(part.lines(), part.height - index * part.lines())
    pixel_bytes = sum(_PIXEL_BYTES.get(kind, 0) for kind, _, _ in part.channels)
    plain_bytes = lines * part.width * pixel_bytes
    if end - begin == plain_bytes:
        # Stored as it is, where deflating did not make it smaller.
        return
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(file.take_at(begin, end - begin), plain_bytes + 1)
    except zlib.error:
        inflated = b""
    whole = inflater.eof and (part.compression == _LOSSY or len(inflated) == plain_bytes)
    need(whole, f"is damaged: chunk {index} does not inflate")
