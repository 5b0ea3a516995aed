"""Proof that a rendered file is whole, from its structure and checksums.

Blender says "Saved:" and exits 0 on a full disk, so no file is published without `prove`:
it reads a file once, in pieces, without decoding pixels, and takes a few milliseconds for
an HD frame. `deep` decodes as well. One module a family of formats. Called by the worker's
session for every output of a frame.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from burst.worker.proof.exr import check_exr
from burst.worker.proof.film import check_cineon, check_dpx, check_iris
from burst.worker.proof.jpeg import check_jpeg, check_jpeg2000
from burst.worker.proof.png import check_png
from burst.worker.proof.reading import NotWhole, Reader
from burst.worker.proof.simple import check_bmp, check_hdr, check_tga, check_webp
from burst.worker.proof.tiff import check_tiff

__all__ = ["NotWhole", "deep", "prove"]

_Check = Callable[[Reader], tuple[int, int]]

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
_PILLOW_READS = {check_png, check_jpeg, check_tiff, check_webp, check_bmp, check_tga}


def prove(
    path: Path, file_format: str | None, width: int | None, height: int | None
) -> tuple[int, int] | None:
    """Check that a file is whole.

    Args:
        path: the file.
        file_format: as Blender spells it; None goes by the file's name. Of an unknown kind
            of file it is only known that it is not empty.
        width: pixels that it must have; None is any.
        height: likewise.

    Returns:
        Its width and height in pixels; None if that kind of file is not known.

    Raises:
        NotWhole: it is not; the reason goes on after the file's name.
    """
    with Reader(path) as file:
        if file.size == 0:
            raise NotWhole("is empty")
        check = _check_for(path, file_format)
        if check is None:
            return None
        try:
            found = check(file)
        except (struct.error, ValueError, IndexError, OverflowError) as error:
            # Numbers that no writer would write.
            raise NotWhole("is damaged: its structure makes no sense") from error
    if min(found) <= 0:
        raise NotWhole("is damaged: it has no size")
    if (width or found[0], height or found[1]) != found:
        raise NotWhole(f"is {found[0]} × {found[1]} pixels, not {width} × {height}")
    return found


def deep(path: Path, file_format: str | None = None) -> None:
    """Decode all pixels, where Pillow can; a format that it can't read passes.

    Raises:
        NotWhole: the pixels can't be decoded.
    """
    if _check_for(path, file_format) not in _PILLOW_READS:
        return
    try:
        with warnings.catch_warnings():
            # A frame of a billion pixels is an artist's right.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NotWhole(f"can't be decoded: {error}") from error


def _check_for(path: Path, file_format: str | None) -> _Check | None:
    if file_format is not None:
        return _BY_FORMAT.get(file_format)
    return _BY_SUFFIX.get(path.suffix.lower())
