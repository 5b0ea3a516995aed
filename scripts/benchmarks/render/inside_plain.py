"""Runs under the bpy wheel: what ``blender -b scene -t … -o … -s … -e … -a`` does in a binary.

Called with the .blend, threads, output path, first and last frame, and persistent data as
0 or 1.
"""

from __future__ import annotations

import sys
from typing import Any


def render(bpy: Any, arguments: list[str]) -> None:
    """Open the scene and render its frames as one animation."""
    blend, threads, output, first, last, persistent = arguments
    bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=False)
    scene = bpy.context.scene
    scene.render.threads_mode = "FIXED"
    scene.render.threads = int(threads)
    scene.render.filepath = output
    scene.frame_start, scene.frame_end = int(first), int(last)
    scene.render.use_persistent_data = persistent == "1"
    bpy.ops.render.render(animation=True)


if __name__ == "__main__":
    import bpy

    render(bpy, sys.argv[-6:])
