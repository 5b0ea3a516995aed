"""OpenEXR: every chunk that the offset tables name is there, in its place, inside the file.

Single- and multi-part, scan lines, tiles, deep data. An encoder writes the tables last, over
zeros, so that a file whose writer died or ran out of disk shows it here. Pixels are not
decoded; what is inside the chunks is looked at by `burst.worker.proof.exr_chunks`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from burst.worker.proof.exr_chunks import B44, B44A, DEFLATED, check_data, need_data
from burst.worker.proof.reading import Reader, Shape, need

_TILED, _DEEP, _MULTI_PART = 0x200, 0x800, 0x1000
_LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256, 10: 256, 11: 32}
"""Compression → scan lines in a chunk."""
_PIXEL_BYTES = {0: 4, 1: 2, 2: 4}
_HALF = 1
_IN_BLOCKS = (B44, B44A)
"""Packings that leave values which are not halfs as they are."""
_DEPTHS = {1: 16, 2: 32}
_TEXT_LIMIT = 256
_COLORS = {"BGR": ("RGB",), "ABGR": ("RGBA", "BW"), "V": ("BW",), "Y": ("BW",)}
"""Channels → what may have been asked for; up to 4.x black and white has all four."""


@dataclass(slots=True)
class _Part:
    """What one header says."""

    compression: int = 0
    window: tuple[int, int, int, int] = (0, 0, -1, -1)
    tiles: tuple[int, int, int] | None = None
    kind: str = ""
    chunk_count: int = 0
    channels: list[tuple[str, int, int, int]] = field(default_factory=list)
    """Name, pixel type and sampling of each."""

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

    def plain_bytes(self, left: int, top: int, width: int, height: int) -> int:
        """Return how many bytes the pixels of a chunk are before they are packed."""
        found = 0
        for _, kind, across, down in self.channels:
            columns = (left + width - 1) // across - (left - 1) // across
            rows = (top + height - 1) // down - (top - 1) // down
            found += columns * rows * _PIXEL_BYTES.get(kind, 0)
        return found

    def shape(self) -> Shape:
        """Return what Blender can have been asked for to write this part."""
        # Layers, passes and eyes are before the last dot.
        kinds = {name.rpartition(".")[2]: kind for name, kind, _, _ in self.channels}
        letters = {letter for letter in kinds if letter in ("R", "G", "B", "A", "V", "Y")}
        depths = {_DEPTHS.get(kinds[letter], 0) for letter in letters}
        depth = depths.pop() if len(depths) == 1 else 0
        layered = any("." in name for name, _, _, _ in self.channels)
        # Layers have the channels of their passes, whatever was asked for.
        colors = () if layered else _COLORS.get("".join(sorted(letters)), ("other channels",))
        return Shape(self.width, self.height, colors, depth)


def check_exr(file: Reader, *, thorough: bool = False) -> Shape:
    """Return what the first part is.

    Args:
        file: the file, at its start.
        thorough: unpack every chunk that has a checksum.

    Raises:
        NotWhole: a chunk is missing, out of place or damaged.
    """
    parts, is_multi_part = _headers(file)
    tables = [_table(file, part) for part in parts]
    start = file.tell()
    last = max(offset for table in tables for offset in table)
    reach = start
    for number, (part, table) in enumerate(zip(parts, tables, strict=True)):
        walk = _Walk(file, part, start, number if is_multi_part else None)
        for index, offset in enumerate(table):
            end = walk.check(index, offset, thorough=thorough or offset == last)
            reach = max(reach, end)
    need(reach == file.size, f"has {file.size} bytes, its chunks end at {reach}")
    return parts[0].shape()


def has_checksums(file: Reader) -> bool:
    """Say whether all pixels of the file are packed in a way that ends in a checksum."""
    return all(part.compression in DEFLATED and not part.deep for part in _headers(file)[0])


def _headers(file: Reader) -> tuple[list[_Part], bool]:
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
    return parts, bool(version & _MULTI_PART)


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


def _channels(value: bytes) -> list[tuple[str, int, int, int]]:
    found, position = [], 0
    while value[position] != 0:
        end = value.index(b"\0", position)
        name, position = value[position:end].decode("utf-8", "replace"), end + 1
        kind, _, across, down = struct.unpack_from("<iIii", value, position)
        found.append((name, kind, max(1, across), max(1, down)))
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


@dataclass(frozen=True, slots=True)
class _Walk:
    """One part's way through the file."""

    file: Reader
    part: _Part
    start: int
    """Where the chunks of all parts begin."""
    number: int | None
    """Of the part, where each chunk says it."""

    def check(self, index: int, offset: int, *, thorough: bool) -> int:
        """Check one chunk and return where it ends."""
        file, part = self.file, self.part
        need(offset >= self.start, f"is cut: chunk {index} was never written")
        file.seek(offset)
        if self.number is not None:
            (number,) = file.unpack("<i")
            need(number == self.number, f"is damaged: chunk {index} is out of place")
        plain_bytes = self._tile_bytes(index) if part.tiles else self._lines_bytes(index)
        if part.deep:
            samples, deep_bytes, _ = file.unpack("<QQQ")
            end = file.tell() + int(samples) + int(deep_bytes)
            file.need(end)
            return end
        (length,) = file.unpack("<i")
        need(length > 0, f"is damaged: chunk {index} is empty")
        packed = file.take(length)
        if part.lines() and not (part.compression in _IN_BLOCKS and not self._all_half()):
            need_data(index, check_data(part.compression, packed, plain_bytes, thorough=thorough))
        return file.tell()

    def _all_half(self) -> bool:
        return all(kind == _HALF for _, kind, _, _ in self.part.channels)

    def _tile_bytes(self, index: int) -> int:
        part = self.part
        assert part.tiles is not None  # noqa: S101 - asked before
        column, row, level_x, level_y = self.file.unpack("<4i")
        need(min(column, row, level_x, level_y) >= 0, f"is damaged: tile {index} is out of place")
        across, down, mode = part.tiles
        widths = _levels(part.width, part.width, part.height, mode)
        heights = _levels(part.height, part.width, part.height, mode)
        left, top = column * across, row * down
        width = min(across, widths[level_x] - left)
        height = min(down, heights[level_y] - top)
        need(width > 0 and height > 0, f"is damaged: tile {index} is out of place")
        return part.plain_bytes(left, top, width, height)

    def _lines_bytes(self, index: int) -> int:
        part, first = self.part, self.part.window[1]
        (line,) = self.file.unpack("<i")
        wanted = first + index * part.lines()
        need(
            line == wanted if part.lines() else line >= first,
            f"is damaged: the chunk for line {wanted} is out of place",
        )
        lines = min(part.lines(), part.window[3] + 1 - line)
        return part.plain_bytes(part.window[0], line, part.width, lines)
