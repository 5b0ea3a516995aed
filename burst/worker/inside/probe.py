"""Runs inside Blender, once, in a process of its own: finds out what can render here.

Started like the driver. It says ``version`` with the engines that there are, then for each
of them ``engine`` with an empty reason or why not, and in the end ``done``. So burst knows
what was being tried when the process aborts, which is what Blender does where there are no
graphics at all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[3]))
from burst.worker.inside.channel import Channel

sys.path.pop()

_PIXELS = 4
_SOFTWARE = "needs a GPU, this machine has only software rendering"
_EEVEE = ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE")


def probe(bpy: Any, channel: Channel) -> None:
    """Try every engine that Blender itself has, the harmless one first."""
    scene = _tiny_scene(bpy)
    names = [name for name in ("CYCLES", "BLENDER_WORKBENCH", *_EEVEE) if _has(scene, name)]
    channel.send("version", version=list(bpy.app.version), engines=names)
    for name in names:
        try:
            reason = _try(bpy, scene, name)
        except RuntimeError as error:
            reason = str(error).replace("Error: ", "").strip()
        channel.send("engine", engine=name, reason=reason)
    channel.send("done")


def _tiny_scene(bpy: Any) -> Any:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.resolution_x = scene.render.resolution_y = _PIXELS
    scene.render.resolution_percentage = 100
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    return scene


def _has(scene: Any, engine: str) -> bool:
    try:
        scene.render.engine = engine
    except TypeError:
        return False
    return True


def _try(bpy: Any, scene: Any, engine: str) -> str:
    """Return why the engine can't render here, or an empty text."""
    if engine in _EEVEE:
        # Workbench went before it, so that the graphics are known. Software needs minutes
        # for the first frame and is no answer even then.
        software = _software_renderer()
        if software:
            return f"{_SOFTWARE} ({software})"
        scene.eevee.taa_render_samples = 1
    elif engine == "CYCLES":
        scene.cycles.samples = 1
        scene.cycles.use_denoising = False
    scene.render.engine = engine
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "probe.png")
        scene.render.filepath = str(image)
        bpy.ops.render.render(write_still=True)
        return "" if image.exists() else "it rendered no image"


def _software_renderer() -> str:
    """Return the name of a renderer that computes on the processor, or an empty text."""
    import gpu

    if gpu.platform.backend_type_get() == "NONE":
        # Asking further would crash.
        return "no graphics"
    if gpu.platform.device_type_get() != "SOFTWARE":
        return ""
    return str(gpu.platform.renderer_get()).split(" ")[0]


if __name__ == "__main__":
    import bpy

    pipes = Channel(*(int(number) for number in sys.argv[-2:]))
    pipes.die_with_parent()
    probe(bpy, pipes)
    os._exit(0)
