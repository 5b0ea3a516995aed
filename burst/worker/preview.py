"""Small pictures of frames, for the console and the terminal. Called by the worker's session."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image

_QUALITY = 85
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".tga"})
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")
_BACKGROUND = (64, 64, 64)
"""Behind transparent pixels: neither black nor white, both of which occur in frames."""


def make_preview(source: Path, target: Path, width: int = 320) -> bool:
    """Write a JPEG of at most ``width`` pixels across.

    Args:
        source: a whole image.
        target: where the JPEG goes; replaced if it is there.
        width: in pixels; a smaller image is not enlarged.

    Returns:
        False if the format has no preview: OpenEXR and HDR need the scene's own view
        transform to look right, others Pillow can't read.
    """
    if source.suffix.lower() not in _SUFFIXES:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                image.draft("RGB", (width, width))
                _flat(image, width).save(target, "JPEG", quality=_QUALITY)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def _flat(image: Image.Image, width: int) -> Image.Image:
    """Return the image smaller, with eight bits a channel and without transparency."""
    if image.mode in _DEEP_MODES:
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    elif image.mode == "F":
        image = image.point(lambda value: value * 255).convert("L")
    size = min(width, image.width), max(1, round(image.height * min(1, width / image.width)))
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB").resize(size)
    small = image.convert("RGBA").resize(size)
    flat = Image.new("RGBA", size, (*_BACKGROUND, 255))
    return Image.alpha_composite(flat, small).convert("RGB")
