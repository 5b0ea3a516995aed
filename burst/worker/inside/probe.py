"""Runs inside Blender, in a process that is thrown away: finds out what works here.

Started like the driver. It says ``version`` with what this build was made with, then
answers one question after the other with ``tried``:

- ``{"try": "render", "engine": …, "device": …, "denoise": …}``: an empty reason if a tiny
  image came out, else why not;
- ``{"try": "devices", "kind": …}``: the names of the GPUs that Cycles can compute on.

A question may take the process down: Blender aborts where there are no graphics at all,
and GPU drivers crash. Who asks knows what was being tried.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[3]))
from burst.worker.inside import devices
from burst.worker.inside.channel import Channel

sys.path.pop()

_PIXELS = 4
_SOFTWARE = "needs a GPU, this machine has only software rendering"
_NOT_BUILT = "this Blender was built without it"
_EEVEE = ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE")
_BUILD_OPTIONS = {"alembic": "alembic", "usd": "usd", "openvdb": "openvdb", "osl": "cycles_osl"}
"""Feature → its name in ``bpy.app.build_options``."""


def answer_questions(bpy: Any, channel: Channel) -> None:
    """Say what this Blender is, then try what is asked for until burst hangs up."""
    scene = _tiny_scene(bpy)
    options = bpy.app.build_options
    channel.send(
        "version",
        version=list(bpy.app.version),
        # The harmless one first; EEVEE after Workbench, so that the graphics are known.
        engines=[name for name in ("CYCLES", "BLENDER_WORKBENCH", *_EEVEE) if _has(scene, name)],
        features={
            feature: "" if getattr(options, name, False) else _NOT_BUILT
            for feature, name in _BUILD_OPTIONS.items()
        },
    )
    for question in channel.received():
        reason, found = "", []
        try:
            if question["try"] == "devices":
                found = devices.find_devices(bpy, question["kind"])
            else:
                reason = _render(bpy, scene, question)
        except (RuntimeError, TypeError, devices.NoSuchDevice) as error:
            reason = str(error).replace("Error: ", "").strip()
        channel.send("tried", reason=reason, found=found)


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


def _render(bpy: Any, scene: Any, question: dict[str, Any]) -> str:
    """Return why the engine can't render here, or an empty text."""
    engine = question["engine"]
    if engine in _EEVEE:
        # Software needs minutes for the first frame and is no answer even then.
        software = _software_renderer()
        if software:
            return f"{_SOFTWARE} ({software})"
        scene.eevee.taa_render_samples = 1
    elif engine == "CYCLES":
        scene.cycles.samples = 1
        devices.use_device(bpy, scene, question["device"])
        scene.cycles.use_denoising = question["denoise"]
        if question["denoise"] and not _choose_denoiser(scene):
            return _NOT_BUILT
    scene.render.engine = engine
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "probe.png")
        scene.render.filepath = str(image)
        bpy.ops.render.render(write_still=True)
        return "" if image.exists() and image.stat().st_size else "it rendered no image"


def _choose_denoiser(scene: Any) -> bool:
    try:
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError:
        return False
    return True


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
    answer_questions(bpy, pipes)
    os._exit(0)
