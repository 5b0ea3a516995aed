"""JPEG and JPEG 2000: markers from the first to the last."""

from __future__ import annotations

from burst.worker.proof.reading import NotWhole, Reader, need

_START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN = 0xDA
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


def check_jpeg(file: Reader) -> tuple[int, int]:
    """Return width and height.

    Raises:
        NotWhole: a marker is missing, or the end is.
    """
    need(file.take(2) == b"\xff\xd8", "is not a JPEG")
    size = None
    while True:
        mark, kind, length = file.unpack(">BBH")
        need(mark == 0xFF and length >= 2, "is damaged: a JPEG marker is missing")
        start = file.tell()
        if kind in _START_OF_FRAME:
            _, height, width = file.unpack(">BHH")
            size = width, height
        if kind == _START_OF_SCAN:
            break
        file.seek(start + length - 2)
    need(file.take_at(file.size - 2, 2) == b"\xff\xd9", "is cut: it has no end marker")
    if size is None:
        raise NotWhole("is damaged: it has pixels but no size")
    return size


def check_jpeg2000(file: Reader) -> tuple[int, int]:
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
    return right - left, bottom - top


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
