"""Small pictures of frames, and what looks wrong in them. Called by the finisher.

A frame is decoded once, for both. Whatever can't be decoded has no preview and no doubts: a
preview is a courtesy, and files are proven elsewhere.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burst.worker.linear import LinearPicture, read_exr, read_hdr

_QUALITY = 85
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".tga"})
_BY_CONTENT = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")
_WITH_ALPHA = ("RGBA", "LA", "PA")
_BACKGROUND = (64, 64, 64)
"""Behind transparent pixels: neither black nor white, both of which occur in frames."""
_SAMPLES = 2
"""Pixels of the frame, across and down, that a pixel of the preview is the mean of."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What was seen of a frame."""

    jpeg: bytes | None
    doubts: tuple[str, ...] = ()
    """What looks wrong, though it may be meant, each as a sentence for the artist."""


NOTHING = Preview(None)
BLACK = "every pixel is black"
TRANSPARENT = "every pixel is transparent"


def make_preview(source: Path, width: int = 320) -> Preview:
    """Look at a picture.

    Args:
        source: a whole image.
        width: of the JPEG, in pixels; a smaller image is not enlarged.

    Returns:
        Nothing but doubts if the format can't be decoded here.
    """
    try:
        return _reader(source)(source, width)
    # Decoders raise whatever they like over a file that surprises them.
    except (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, ValueError):
        return NOTHING
    except (SyntaxError, TypeError):
        return NOTHING


def _reader(source: Path) -> Callable[[Path, int], Preview]:
    suffix = source.suffix.lower()
    if suffix in _SUFFIXES:
        return _from_pillow
    with source.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"\x76\x2f\x31\x01"):
        return _from_exr
    if start.startswith((b"#?RADIANCE", b"#?RGBE")):
        return _from_hdr
    return _from_pillow if start.startswith(_BY_CONTENT) else lambda *_: NOTHING


# ── Eight bits ───────────────────────────────────────────────────────────────────────


def _from_pillow(source: Path, width: int) -> Preview:
    from PIL import Image

    with warnings.catch_warnings():
        # A frame of a billion pixels is an artist's right.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(source) as image:
                image.draft("RGB", (_SAMPLES * width, _SAMPLES * width))
                return Preview(_jpeg(_small(image, width)), _doubts(image))
        except Image.DecompressionBombError:
            return NOTHING


def _small(image: Any, width: int) -> Any:
    """Return the image smaller, with eight bits a channel and without transparency."""
    from PIL import Image

    size = min(width, image.width), max(1, round(image.height * min(1, width / image.width)))
    if image.width > _SAMPLES * size[0]:
        # Most pixels are left out first: to look at each takes longer than all else here.
        image = image.resize((_SAMPLES * size[0], _SAMPLES * size[1]), Image.Resampling.NEAREST)
    if image.mode in _DEEP_MODES:
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    elif image.mode == "F":
        image = image.point(lambda value: value * 255).convert("L")
    if image.mode not in _WITH_ALPHA and "transparency" not in image.info:
        return image.convert("RGB").resize(size, Image.Resampling.BOX)
    small = image.convert("RGBA").resize(size, Image.Resampling.BOX)
    return Image.alpha_composite(Image.new("RGBA", size, (*_BACKGROUND, 255)), small).convert("RGB")


def _doubts(image: Any) -> tuple[str, ...]:
    """Look for a picture that shows nothing; most are cleared by a few pixels."""
    few = image.resize((min(16, image.width), min(16, image.height)), 0)
    if _emptiness(few) is None:
        return ()
    found = _emptiness(image)
    return (found,) if found else ()


def _emptiness(image: Any) -> str | None:
    if image.mode in ("1", "P", "PA"):
        image = image.convert("RGBA")
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    colors = bands
    if image.mode in _WITH_ALPHA:
        *colors, (least, most) = bands
        if most == 0:
            return TRANSPARENT
        if least < most:
            return None
    return BLACK if all(most == 0 for _, most in colors) else None


def _jpeg(image: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=_QUALITY)
    return sink.getvalue()


# ── Floating point ───────────────────────────────────────────────────────────────────


def _from_exr(source: Path, width: int) -> Preview:
    return _from_linear(read_exr(source, width), width)


def _from_hdr(source: Path, width: int) -> Preview:
    return _from_linear(read_hdr(source, width), width)


def _from_linear(read: LinearPicture | None, width: int) -> Preview:
    from PIL import Image

    if read is None:
        return NOTHING
    doubts = []
    if read.not_numbers:
        plural = "s are not numbers" if read.not_numbers > 1 else " is not a number"
        doubts.append(f"{read.not_numbers} pixel{plural}")
    if read.is_transparent:
        doubts.append(TRANSPARENT)
    elif read.is_black:
        doubts.append(BLACK)
    shown = Image.fromarray(read.srgb(_BACKGROUND))
    return Preview(_jpeg(_small(shown, width)), tuple(doubts))
