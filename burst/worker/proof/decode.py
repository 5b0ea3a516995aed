"""Pixels out of rendered files: by Pillow, and by OpenEXR with numpy.

Both are imported when the first picture is decoded, not when a worker starts.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from burst.worker.proof.reading import NotWhole


def decode(path: Path) -> None:
    """Decode a picture of a format that Pillow reads.

    Raises:
        NotWhole: it can't be.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # A frame of a billion pixels is an artist's right.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NotWhole(f"can't be decoded: {error}") from error


def decode_exr(path: Path) -> None:
    """Decode every part of an OpenEXR.

    Raises:
        NotWhole: it can't be.
    """
    import OpenEXR

    try:
        with OpenEXR.File(str(path), header_only=True) as file:
            wanted = len(file.parts)
        with OpenEXR.File(str(path), separate_channels=True) as file:
            # What can't be decoded is left out, without an exception.
            found = len(file.parts)
    except (RuntimeError, ValueError, OSError) as error:
        raise NotWhole(f"can't be decoded: {error}") from error
    if found != wanted:
        raise NotWhole("can't be decoded: a part is damaged")
