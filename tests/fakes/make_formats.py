"""Writes one small picture in every format, channel and packing that this Blender has.

Run inside a Blender like ``make_scene.py``, with a folder. A file's name is its format,
channels, bits a channel, and packing, with dashes between them.
"""

from __future__ import annotations

import contextlib
import sys

import bpy

FORMATS = ("PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF", "WEBP", "BMP", "TARGA")
FORMATS += ("TARGA_RAW", "HDR", "JPEG2000", "DPX", "CINEON", "IRIS")
SUFFIXES = {"OPEN_EXR": ".exr", "OPEN_EXR_MULTILAYER": ".exr", "TARGA": ".tga", "TARGA_RAW": ".tga"}
EXR_PACKINGS = ("ZIP", "PIZ", "RLE", "ZIPS", "PXR24", "B44", "B44A", "DWAA", "DWAB", "NONE")


def main() -> None:
    """Render once, and save the result over and over."""
    folder = sys.argv[sys.argv.index("--") + 1]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.world = noisy_world()
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = 90, 70, 100
    bpy.ops.render.render()
    result = bpy.data.images["Render Result"]
    for name in FORMATS:
        for variant in variants(render.image_settings, name):
            # Some formats offer what they can't write, like WebP in black and white.
            with contextlib.suppress(RuntimeError):
                path = f"{folder}/{variant}-0001{SUFFIXES.get(name, f'.{name.lower()}')}"
                result.save_render(path, scene=scene)


def noisy_world():
    """Make a world that no packing makes much smaller."""
    world = bpy.data.worlds.new("World")
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    noise = nodes.new("ShaderNodeTexWhiteNoise")
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Window"], noise.inputs["Vector"])
    links.new(noise.outputs["Color"], nodes["Background"].inputs["Color"])
    return world


def variants(image, name):
    """Set one possible combination after the other, and yield its name."""
    try:
        if hasattr(image, "media_type"):
            several = name == "OPEN_EXR_MULTILAYER"
            image.media_type = "MULTI_LAYER_IMAGE" if several else "IMAGE"
        image.file_format = name
    except TypeError:
        return
    packings = ("exr_codec", EXR_PACKINGS)
    if not name.startswith("OPEN_EXR"):
        packings = ("tiff_codec", ("DEFLATE", "LZW", "PACKBITS", "NONE"))
    if name[:4] not in ("OPEN", "TIFF"):
        packings = ("file_format", (name,))
    for mode in ("BW", "RGB", "RGBA"):
        for depth in ("8", "10", "12", "16", "32"):
            for packing in packings[1]:
                try:
                    image.color_mode, image.color_depth = mode, depth
                    setattr(image, packings[0], packing)
                except TypeError:
                    continue
                yield f"{name}-{mode}-{depth}-{packing}"


main()
