"""Keeping the .blend's path and the host's name out of the files that Blender writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

_DPX_NAME = slice(36, 136)
"""Where a DPX file has its own name, in 5.0 with the folder that it was written to."""
_TELLING = ("use_stamp_filename", "use_stamp_hostname")
_BURNT_IN = {"use_stamp_filename": "the .blend's path", "use_stamp_hostname": "the host's name"}


def strip(bpy: Any) -> list[str]:
    """Switch off, in every Blender scene, what would tell where it was rendered.

    What an artist burns into the picture stays, since it is part of the pixels.

    Returns:
        A sentence for each such wish.
    """
    doubts = []
    for scene in bpy.data.scenes:
        render = scene.render
        for name in _TELLING:
            if render.use_stamp and getattr(render, name):
                doubts.append(f"{_BURNT_IN[name]} is burnt into the picture, as the scene asks")
            else:
                setattr(render, name, False)
    return list(dict.fromkeys(doubts))


def blank_names(paths: Iterable[str]) -> None:
    """Take the folder out of files that name it themselves, whatever Blender is told."""
    for path in paths:
        if path.lower().endswith(".dpx"):
            with Path(path).open("r+b") as file:
                file.seek(_DPX_NAME.start)
                file.write(bytes(_DPX_NAME.stop - _DPX_NAME.start))
