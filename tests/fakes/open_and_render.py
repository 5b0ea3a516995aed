"""Opens .blends in a Blender and renders frames of them, small and quick, one after the other.

The one option after ``--`` is a JSON file, a list of ``{"blend", "remap", "frames", "target"}``:
absolute names and where they are now, as a worker has them (none in a plain opening), frame
numbers (none: see `some_frames`), and where pictures go. Prints a line
for each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import bpy

sys.path.append(str(Path(__file__).parents[2]))
from burst.worker.inside.files import remap_paths

FRAMES = 4
WIDTH = 32


def main() -> None:
    for job in json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8")):
        try:
            bpy.ops.wm.open_mainfile(filepath=job["blend"], load_ui=False, use_scripts=False)
        except RuntimeError as error:
            print("refused", job["blend"], error, flush=True)
            continue
        remap_paths(bpy, job["remap"])
        try:
            render(bpy.context.scene, job)
        except RuntimeError as error:
            print("unrendered", job["blend"], error, flush=True)
            continue
        print("rendered", job["blend"], flush=True)
    # Some builds crash when they tidy up after a fluid.
    os._exit(0)


def render(scene, job) -> None:
    quicken(scene)
    for frame in job["frames"] or some_frames(scene):
        scene.frame_start = scene.frame_end = frame
        scene.render.filepath = f"{job['target']}{frame:04}-####"
        bpy.ops.render.render(animation=True)


def some_frames(scene) -> list[int]:
    """Return the first frame, one in the middle, and where some strips begin."""
    first, last = scene.frame_start, scene.frame_end
    editor = scene.sequence_editor
    strips = getattr(editor, "strips_all", getattr(editor, "sequences_all", ()))
    starts = [int(strip.frame_final_start) for strip in strips][:FRAMES]
    return sorted({first, (first + last) // 2, *starts})


def quicken(scene) -> None:
    """Render what shows the same files in little time."""
    settings, size = scene.render.image_settings, scene.render
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    size.resolution_percentage = max(1, min(100, 100 * WIDTH // size.resolution_x))
    size.threads_mode, size.threads = "FIXED", 2
    size.use_overwrite = True
    if scene.camera is None:
        camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        camera.location.z = 10
        scene.collection.objects.link(camera)
        scene.camera = camera
    size.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False


main()
