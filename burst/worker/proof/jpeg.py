"""JPEG and JPEG 2000: markers from the first to the last."""

from __future__ import annotations

from burst.worker.proof.reading import HOLE, NotWhole, Reader, Shape, need

_START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL = (0xC0, 0xC1)
_START_OF_SCAN = 0xDA
_HUFFMAN_TABLES = 0xC4
_HUFFMAN_HEAD_BYTES = 17
_COLORS = {1: "BW", 3: "RGB"}
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


def check_jpeg(file: Reader) -> Shape:
    """Return what its header says.

    Raises:
        NotWhole: a marker is missing, or the end is, or there is a hole in the pixels.
    """
    need(file.take(2) == b"\xff\xd8", "is not a JPEG")
    shape, is_sequential, blank = None, False, list[bool]()
    while True:
        mark, kind, length = file.unpack(">BBH")
        need(mark == 0xFF and length >= 2, "is damaged: a JPEG marker is missing")
        start = file.tell()
        if kind in _START_OF_FRAME:
            depth, height, width, channels = file.unpack(">BHHB")
            shape = Shape(width, height, (_COLORS.get(channels, f"{channels} channels"),), depth)
            is_sequential = kind in _SEQUENTIAL
        elif kind == _HUFFMAN_TABLES:
            blank += _blank(file.take(length - 2))
        if kind == _START_OF_SCAN:
            break
        file.seek(start + length - 2)
    need(file.take_at(file.size - 2, 2) == b"\xff\xd9", "is cut: it has no end marker")
    if shape is None:
        raise NotWhole("is damaged: it has pixels but no size")
    if is_sequential and not all(blank):
        need(HOLE not in file.take_at(start, file.size - start), "is damaged: a piece is zeros")
    return shape


def _blank(tables: bytes) -> list[bool]:
    """Say of each table for details whether zeros alone mean "no more".

    If it is so in all of them, zeros may be pixels: of a flat picture whose tables were made
    for it.
    """
    found, position = [], 0
    while position + _HUFFMAN_HEAD_BYTES < len(tables):
        kind, counts = tables[position] >> 4, tables[position + 1 : position + _HUFFMAN_HEAD_BYTES]
        position += _HUFFMAN_HEAD_BYTES
        if kind == 1:
            found.append(tables[position] == 0)
        position += sum(counts)
    return found


def check_jpeg2000(file: Reader) -> Shape:
    """Return width and height of a JP2 file or a bare code stream.

    Raises:
        NotWhole: a box does not fit, or the end marker is missing.
    """
    start, end = 0, file.size
    if file.take(len(_JP2_SIGNATURE)) == _JP2_SIGNATURE:
        start, end = _code_stream(file)
    need(file.take_at(start, 4) == b"\xff\x4f\xff\x51", "is not a JPEG 2000")
    _, _, right, bottom, left, top = file.unpack(">HHIIII")
    need(file.take_at(end - 2, 2) == b"\xff\xd9", "is cut: it has no end marker")
    return Shape(right - left, bottom - top)


def _code_stream(file: Reader) -> tuple[int, int]:
    """Walk the boxes of a JP2 file and return where its code stream starts and ends."""
    offset = 0
    while offset < file.size:
        length, kind = file.unpack_at(offset, ">I4s")
        head = 8
        if length == 1:
            (length,) = file.unpack(">Q")
            head = 16
        length = length or file.size - offset
        need(length >= head, "is damaged: a box has no length")
        file.need(offset + length)
        if kind == b"jp2c":
            return offset + head, offset + length
        offset += length
    raise NotWhole("is cut: it has no pixels")
