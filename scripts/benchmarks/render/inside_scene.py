"""Runs inside Blender: makes one of the scenes that the benchmark renders.

``heavy`` takes long to synchronise and is quick to sample: displaced, finely subdivided
objects and packed noise textures, which Blender evaluates and decodes for every frame unless
persistent data is on. ``light`` is a cube. The camera moves in both, so no two frames are
the same picture, and nothing else does.
"""

from __future__ import annotations

import random
import sys
from typing import Any

LEVELS = 6
"""Subdivisions of a displaced cube: 24 576 faces each."""
SIDE = 6
"""Cubes along each side of the square that they stand in."""
SAMPLES = {"heavy": 8, "light": 16}
"""Few, but so many that a frame takes a few tenths of a second on four cores: less is a
playblast, and no farm's work."""


def make(bpy: Any, kind: str, frames: int, path: str) -> None:
    """Make a scene of ``kind`` and save it."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    if kind == "heavy":
        _add_heavy(bpy, scene)
    else:
        _add_cube(bpy, scene, (0.0, 0.0, 0.0), None)
    _add_lamp(bpy, scene)
    _add_camera(bpy, scene, frames)
    _set_render(scene, frames, SAMPLES[kind])
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=False)


def _add_heavy(bpy: Any, scene: Any) -> None:
    noise = random.Random(1)
    materials = [_textured(bpy, noise, number) for number in range(4)]
    clouds = bpy.data.textures.new("clouds", "CLOUDS")
    for number in range(SIDE * SIDE):
        place = (number % SIDE - (SIDE - 1) / 2, number // SIDE - (SIDE - 1) / 2, 0.0)
        cube = _add_cube(bpy, scene, place, materials[number % len(materials)])
        cube.scale = (0.4, 0.4, 0.4)
        subdivision = cube.modifiers.new("subdivision", "SUBSURF")
        subdivision.levels = subdivision.render_levels = LEVELS
        displace = cube.modifiers.new("displace", "DISPLACE")
        displace.texture, displace.strength = clouds, 0.3


def _add_cube(bpy: Any, scene: Any, place: tuple[float, float, float], material: Any) -> Any:
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new("cube")
    mesh.from_pydata(corners, [], sides)
    if material is not None:
        mesh.materials.append(material)
    cube = bpy.data.objects.new("cube", mesh)
    cube.location = place
    scene.collection.objects.link(cube)
    return cube


def _textured(bpy: Any, noise: random.Random, number: int) -> Any:
    size = 1024
    image = bpy.data.images.new(f"noise-{number}", size, size)
    tile = [noise.random() for _ in range(4 * size)]
    # Rows that are shifted against each other do not compress to nothing.
    image.pixels.foreach_set([v for row in range(size) for v in tile[row:] + tile[:row]])
    image.pack()
    material = bpy.data.materials.new(f"noise-{number}")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    color = nodes["Principled BSDF"].inputs["Base Color"]
    material.node_tree.links.new(texture.outputs["Color"], color)
    return material


def _add_lamp(bpy: Any, scene: Any) -> None:
    lamp = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    lamp.rotation_euler = (0.6, 0.3, 0.0)
    scene.collection.objects.link(lamp)


def _add_camera(bpy: Any, scene: Any, frames: int) -> None:
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.rotation_euler = (0.9, 0.0, 0.0)
    for frame, x in ((1, -1.0), (max(2, frames), 1.0)):
        camera.location = (x, -8.0, 6.5)
        camera.keyframe_insert("location", frame=frame)
    scene.collection.objects.link(camera)
    scene.camera = camera


def _set_render(scene: Any, frames: int, samples: int) -> None:
    scene.frame_start, scene.frame_end = 1, frames
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = 640, 360, 100
    render.image_settings.file_format = "PNG"
    render.filepath = "//frame_####"


if __name__ == "__main__":
    import bpy

    kind, frames, path = sys.argv[-3:]
    make(bpy, kind, int(frames), path)
