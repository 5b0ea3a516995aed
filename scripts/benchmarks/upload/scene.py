"""The scene that is uploaded: one .blend that names image sequences and large pictures.

Made of chance, from a seed, so that nothing compresses and everybody measures the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.blend_bytes import BlendBytes

LEAST_BYTES, MOST_BYTES = 4 * 1024, 64 * 1024
LARGE_BYTES = 32 * 1024 * 1024
SEQUENCE = 100
"""Files of one image sequence."""
COPIES = 10
"""Of the small files: the same content under another name."""

_FROM_SEQUENCE = 2
"""An image's source, in Blender's numbers."""


@dataclass(frozen=True, slots=True)
class Made:
    """A scene on the disk."""

    folder: Path
    blend: Path
    files: int
    bytes: int


def make_scene(folder: Path, small: int, large: int) -> Made:
    """Make a scene with so many small and large files, ``small`` a multiple of `SEQUENCE`."""
    chance = random.Random(7)
    blend = BlendBytes()
    blend.scene()
    total, last = 0, b""
    for number in range(small):
        sequence, frame = divmod(number, SEQUENCE)
        place = folder / f"sequence_{sequence:03}" / f"plate_{frame + 1:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not (number and number <= COPIES):
            last = chance.randbytes(chance.randint(LEAST_BYTES, MOST_BYTES))
        place.write_bytes(last)
        total += len(last)
        if frame == 0:
            blend.image(f"//{place.relative_to(folder).as_posix()}", source=_FROM_SEQUENCE)
    for number in range(large):
        place = folder / "large" / f"matte_{chr(ord('a') + number)}.exr"
        place.parent.mkdir(exist_ok=True)
        with place.open("wb") as file:
            for _ in range(LARGE_BYTES // (1024 * 1024)):
                file.write(chance.randbytes(1024 * 1024))
        total += LARGE_BYTES
        blend.image(f"//{place.relative_to(folder).as_posix()}")
    path = folder / "shot.blend"
    path.write_bytes(blend.bytes())
    return Made(folder, path, small + large + 1, total + path.stat().st_size)
