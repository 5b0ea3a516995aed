"""TIFF: every directory, every value it points to, every strip and tile inside the file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from burst.worker.proof.reading import HOLE, NotWhole, Reader, Shape, need

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_LETTERS = {3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _DEPTH, _PACKING, _CHANNELS = 256, 257, 258, 259, 277
_COLORS = {1: "BW", 3: "RGB", 4: "RGBA"}
_PLAIN, _LZW, _PACKED_BITS, _DEFLATED = 1, 5, 32773, (8, 32946)
_OFFSETS, _COUNTS = (273, 324), (279, 325)
"""Of strips and of tiles."""
_KEPT = (_WIDTH, _HEIGHT, _DEPTH, _PACKING, _CHANNELS, *_OFFSETS, *_COUNTS)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written in this file."""

    order: str
    big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def entry(self) -> str:
        return self.order + ("HHQ" if self.big else "HHI")


def check_tiff(file: Reader) -> Shape:
    """Return what the first image says.

    Raises:
        NotWhole: something that a directory names lies outside the file.
    """
    order = {b"II": "<", b"MM": ">"}.get(file.take(2))
    if order is None:
        raise NotWhole("is not a TIFF")
    (version,) = file.unpack(order + "H")
    need(version in (42, 43), "is not a TIFF")
    layout = _Layout(order, version == 43)
    if layout.big:
        file.take(4)
    (offset,) = file.unpack(layout.offset)
    shape, seen = None, set()
    while offset:
        need(offset not in seen, "is damaged: its directories go in a circle")
        seen.add(offset)
        tags, offset = _directory(file, layout, offset)
        found = _check_image(file, tags)
        shape = shape or found
    if shape is None:
        raise NotWhole("is cut: it has no image")
    return shape


def _directory(
    file: Reader, layout: _Layout, offset: int
) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return the whole numbers of one directory by tag, and where the next one is."""
    (count,) = file.unpack_at(offset, layout.order + ("Q" if layout.big else "H"))
    need(0 < count < 4096, "is damaged: a directory has no entries")
    tags = {}
    room = 8 if layout.big else 4
    for _ in range(count):
        tag, kind, length = file.unpack(layout.entry)
        back = file.tell() + room
        byte_count = _SIZES.get(kind, 1) * length
        if byte_count > room:
            (place,) = file.unpack(layout.offset)
            file.need(place + byte_count)
            file.seek(place)
        if kind in _LETTERS and tag in _KEPT:
            tags[tag] = file.unpack(f"{layout.order}{length}{_LETTERS[kind]}")
        file.seek(back)
    (following,) = file.unpack(layout.offset)
    return tags, following


def _check_image(file: Reader, tags: dict[int, tuple[int, ...]]) -> Shape:
    need(_WIDTH in tags and _HEIGHT in tags, "is damaged: an image has no size")
    pieces = 0
    packing = tags.get(_PACKING, (_PLAIN,))[0]
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        need(len(tags.get(offsets, ())) == len(tags.get(counts, ())), "is damaged: strips differ")
        for offset, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=True):
            need(offset > 0 and count > 0, "is cut: a strip was never written")
            file.need(offset + count)
            _check_strip(file.take_at(offset, count), packing)
            pieces += 1
    need(pieces, "is cut: it has no pixels")
    channels = tags.get(_CHANNELS, (1,))[0]
    colors = (_COLORS.get(channels, f"{channels} channels"),)
    return Shape(tags[_WIDTH][0], tags[_HEIGHT][0], colors, tags.get(_DEPTH, (1,))[0])


def _check_strip(packed: bytes, packing: int) -> None:
    """Look for zeros where there can be none; deflated data ends in a checksum."""
    if packing in _DEFLATED and (HOLE in packed or packed.endswith(bytes(4))):
        try:
            zlib.decompress(packed)
        except zlib.error:
            raise NotWhole("is damaged: a strip does not inflate") from None
    elif packing in (_LZW, _PACKED_BITS):
        need(HOLE not in packed, "is damaged: a piece is zeros")
