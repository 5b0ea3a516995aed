"""Proof that a rendered file is whole, from its structure and checksums.

Blender says "Saved:" and exits 0 on a full disk, so no file is published without `prove`:
it reads a file once, in pieces, without decoding pixels, and takes a few milliseconds for
an HD frame. `deep` decodes as well. One module a family of formats. Called by the worker's
session for every output of a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from burst.worker.proof import decode
from burst.worker.proof.exr import check_exr, has_checksums
from burst.worker.proof.film import check_cineon, check_dpx, check_iris
from burst.worker.proof.jpeg import check_jpeg, check_jpeg2000
from burst.worker.proof.png import check_png
from burst.worker.proof.reading import NotWhole, Reader, Shape
from burst.worker.proof.simple import check_bmp, check_hdr, check_tga, check_webp
from burst.worker.proof.tiff import check_tiff

__all__ = ["Color", "NotWhole", "deep", "prove"]

_Check = Callable[[Reader], Shape]

_BY_FORMAT: dict[str, _Check] = {
    "PNG": check_png,
    "JPEG": check_jpeg,
    "OPEN_EXR": check_exr,
    "OPEN_EXR_MULTILAYER": check_exr,
    "TIFF": check_tiff,
    "WEBP": check_webp,
    "BMP": check_bmp,
    "TARGA": check_tga,
    "TARGA_RAW": check_tga,
    "HDR": check_hdr,
    "JPEG2000": check_jpeg2000,
    "DPX": check_dpx,
    "CINEON": check_cineon,
    "IRIS": check_iris,
}
_BY_SUFFIX: dict[str, _Check] = {
    ".png": check_png,
    ".jpg": check_jpeg,
    ".jpeg": check_jpeg,
    ".exr": check_exr,
    ".tif": check_tiff,
    ".tiff": check_tiff,
    ".webp": check_webp,
    ".bmp": check_bmp,
    ".tga": check_tga,
    ".hdr": check_hdr,
    ".jp2": check_jpeg2000,
    ".j2c": check_jpeg2000,
    ".dpx": check_dpx,
    ".cin": check_cineon,
    ".rgb": check_iris,
    ".bw": check_iris,
}
_BY_CONTENT: dict[bytes, _Check] = {
    b"\x89PNG\r\n\x1a\n": check_png,
    b"\xff\xd8\xff": check_jpeg,
    b"\x76\x2f\x31\x01": check_exr,
    b"II*\0": check_tiff,
    b"MM\0*": check_tiff,
}
"""First bytes of the formats that a name without an extension may hide."""
_PILLOW_READS = {check_png, check_jpeg, check_tiff, check_webp, check_bmp, check_tga}


@dataclass(frozen=True, slots=True)
class Color:
    """The channels that a picture was asked to have."""

    mode: str
    """``BW``, ``RGB`` or ``RGBA``."""
    depth: int
    """Bits a channel."""


def prove(
    path: Path,
    file_format: str | None,
    width: int | None,
    height: int | None,
    color: Color | None = None,
) -> tuple[int, int] | None:
    """Check that a file is whole, and that it is what was asked for.

    Args:
        path: the file.
        file_format: as Blender spells it; None goes by the file's name, or its first bytes.
            Of an unknown kind of file it is only known that it is not empty.
        width: pixels that it must have; None is any.
        height: likewise.
        color: channels that it must have; None is any.

    Returns:
        Its width and height in pixels; None if that kind of file is not known.

    Raises:
        NotWhole: it is not; the reason goes on after the file's name.
    """
    with Reader(path) as file:
        if file.size == 0:
            raise NotWhole("is empty")
        check = _check_for(path, file_format) or _check_by_content(file)
        if check is None:
            return None
        found = _examine(check, file)
    if (width or found.width, height or found.height) != (found.width, found.height):
        size = f"{found.width} × {found.height}"
        raise NotWhole(f"is {size} pixels, not {width} × {height}")
    if color is not None:
        _check_color(found, color)
    return found.width, found.height


def deep(path: Path, file_format: str | None = None) -> None:
    """Decode all pixels; a format that can't be decoded here passes.

    Raises:
        NotWhole: the pixels can't be decoded.
    """
    with Reader(path) as file:
        check = _check_for(path, file_format) or _check_by_content(file)
        if check is check_exr:
            _examine(partial(check_exr, thorough=True), file)
            file.seek(0)
            if not has_checksums(file):
                decode.decode_exr(path)
    if check in _PILLOW_READS:
        decode.decode(path)


def _examine(check: _Check, file: Reader) -> Shape:
    try:
        found = check(file)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        # Numbers that no writer would write.
        raise NotWhole("is damaged: its structure makes no sense") from error
    if min(found.width, found.height) <= 0:
        raise NotWhole("is damaged: it has no size")
    return found


def _check_color(found: Shape, wanted: Color) -> None:
    if found.colors and wanted.mode not in found.colors:
        raise NotWhole(f"is {found.colors[0]}, not {wanted.mode}")
    if found.depth and found.depth != wanted.depth:
        raise NotWhole(f"has {found.depth} bits a channel, not {wanted.depth}")


def _check_by_content(file: Reader) -> _Check | None:
    start = file.take(min(file.size, max(map(len, _BY_CONTENT))))
    file.seek(0)
    return next((check for mark, check in _BY_CONTENT.items() if start.startswith(mark)), None)


def _check_for(path: Path, file_format: str | None) -> _Check | None:
    if file_format is not None:
        return _BY_FORMAT.get(file_format)
    return _BY_SUFFIX.get(path.suffix.lower())
