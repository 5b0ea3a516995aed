"""Cineon, DPX and IRIS: fixed headers that say how long the file has to be."""

from __future__ import annotations

from burst.worker.proof.reading import Reader, Shape, need

_UNDEFINED = 0xFFFFFFFF
_CINEON_BIG, _CINEON_LITTLE = b"\x80\x2a\x5f\xd7", b"\xd7\x5f\x2a\x80"
_CINEON_WIDTH_AT = 200
_DPX_WIDTH_AT = 772
_IRIS_HEADER_BYTES = 512


def check_cineon(file: Reader) -> Shape:
    """Return width and height.

    Raises:
        NotWhole: the file is shorter than its header says.
    """
    magic = file.take(4)
    need(magic in (_CINEON_BIG, _CINEON_LITTLE), "is not a Cineon")
    return _sized(file, ">" if magic == _CINEON_BIG else "<", 20, _CINEON_WIDTH_AT)


def check_dpx(file: Reader) -> Shape:
    """Return width and height.

    Raises:
        NotWhole: the file is shorter than its header says.
    """
    magic = file.take(4)
    need(magic in (b"SDPX", b"XPDS"), "is not a DPX")
    return _sized(file, ">" if magic == b"SDPX" else "<", 16, _DPX_WIDTH_AT)


def _sized(file: Reader, order: str, length_at: int, width_at: int) -> Shape:
    """Check what both kinds have: start of the pixels, length of the file, and its size."""
    (start,) = file.unpack_at(4, order + "I")
    (length,) = file.unpack_at(length_at, order + "I")
    width, height = file.unpack_at(width_at, order + "II")
    need(length not in (0, _UNDEFINED), "is damaged: it has no length")
    # No packing needs less than a byte for a pixel.
    file.need(max(length, start + width * height))
    return Shape(width, height)


def check_iris(file: Reader) -> Shape:
    """Return width and height.

    Raises:
        NotWhole: a line lies outside the file, or the file is short.
    """
    magic, packed, depth, _, width, height, channels = file.unpack(">HBBHHHH")
    need(magic == 474, "is not an IRIS image")
    lines = height * channels
    need(lines, "is damaged: it has no size")
    if not packed:
        file.need(_IRIS_HEADER_BYTES + lines * width * depth)
        return Shape(width, height)
    file.seek(_IRIS_HEADER_BYTES)
    starts = file.unpack(f">{lines}I")
    lengths = file.unpack(f">{lines}I")
    need(all(starts) and all(lengths), "is cut: a line was never written")
    file.need(max(start + length for start, length in zip(starts, lengths, strict=True)))
    return Shape(width, height)
