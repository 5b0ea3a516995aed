"""Runs inside Blender: makes the .blend that names what the benchmark uploads.

The last arguments are the .blend to save, beside which the files are, and a file with one name a
line; a name that starts with ``*`` is the first file of an image sequence.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def make(bpy: Any, path: str, names: list[str]) -> None:
    """Make a scene in which an image names each of ``names``."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    for name in names:
        image = bpy.data.images.new(Path(name).stem, 1, 1)
        image.use_fake_user = True
        image.source = "SEQUENCE" if name.startswith("*") else "FILE"
        image.filepath = f"//{name.lstrip('*')}"
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=False)


if __name__ == "__main__":
    import bpy

    blend, listed = sys.argv[-2:]
    make(bpy, blend, Path(listed).read_text(encoding="utf-8").split("\n"))
