"""Makes a .blend that needs many files, when a Blender runs it.

``blender -b --factory-startup --python make_scene_with_files.py -- FOLDER``, or with the
Python of a ``bpy`` wheel. Below FOLDER: the scene ``shot/main.blend`` and, all around it,
linked libraries, textures named relatively and absolutely, UDIM tiles, image sequences,
strips, a font, a sound, and a particle cache on disk. ``expected.json`` says what is needed
(paths below FOLDER), what is missing, and which names are absolute.
"""

from __future__ import annotations

import json
import math
import struct
import sys
import wave
import zlib
from pathlib import Path

import bpy

TOP = Path(sys.argv[sys.argv.index("--") + 1]).absolute()
NEEDED = []
ABSOLUTE = []


def make_png(place):
    """Write a PNG of one pixel below the top, and say that it is needed."""
    path = TOP / place
    path.parent.mkdir(parents=True, exist_ok=True)

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\xff\x80\0"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))
    NEEDED.append(place)
    return path


def make_sound(place):
    path = TOP / place
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        samples = (int(9000 * math.sin(i / 9)) for i in range(800))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    NEEDED.append(place)
    return path


def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def save(place):
    path = TOP / place
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)
    NEEDED.append(place)


def textured_object(name, paths):
    """Make a quad whose material has an image texture for each path."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    for path in paths:
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image_at(path)
    mesh.materials.append(material)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def image_at(path):
    """Load an image; its name becomes exactly ``path``."""
    image = bpy.data.images.new(Path(path).name, 1, 1)
    image.source = "FILE"
    image.filepath = path
    return image


def link(library, name, relative=True):
    path = str(TOP / library)
    if relative:
        path = bpy.path.relpath(path)
    with bpy.data.libraries.load(str(TOP / library), link=True) as (_, into):
        into.objects = [name]
    thing = into.objects[0]
    thing.library.filepath = path
    bpy.context.scene.collection.objects.link(thing)
    return thing


def make_nested_library():
    """A library that is linked by a library, with a texture only reached through both."""
    empty()
    make_png("lib/tex/deep skin.png")
    textured_object("deep", ["//tex/deep skin.png"])
    save("lib/deep.blend")
    empty()
    make_png("lib/tex/Skin.png")
    make_png("lib/tex/skin.png")
    bpy.ops.wm.save_as_mainfile(filepath=str(TOP / "lib/props.blend"))
    prop = textured_object("prop", ["//tex/Skin.png", "//tex/skin.png"])
    prop.parent = link("lib/deep.blend", "deep")
    textured_object("bystander", ["//tex/needed by nobody.png"])
    save("lib/props.blend")


def make_outside_library():
    """A library far away, named absolutely, that names its texture relatively."""
    empty()
    make_png("far away/tex/bärk.png")
    textured_object("tree", ["//tex/bärk.png"])
    save("far away/tree.blend")


def add_textures():
    make_png("textures/wood.png")
    make_png("elsewhere/metal.png")
    absolute = str(TOP / "elsewhere/metal.png")
    ABSOLUTE.append(absolute)
    textured_object("quad", ["//../textures/wood.png", absolute, "//../textures/gone.png"])
    for tile in (1001, 1002, 1011):
        make_png(f"textures/tiles.{tile}.png")
    make_png("textures/tiles.small.1001.png")
    NEEDED.remove("textures/tiles.small.1001.png")
    tiled = image_at("//../textures/tiles.<UDIM>.png")
    tiled.source = "TILED"
    for frame in range(1, 4):
        make_png(f"textures/run [a]/f_{frame:04}_left.png")
    make_png("textures/run [a]/f_0001_right.png")
    NEEDED.remove("textures/run [a]/f_0001_right.png")
    run = image_at("//../textures/run [a]/f_0001_left.png")
    run.source = "SEQUENCE"
    for image in (tiled, run):
        node = bpy.data.materials["quad"].node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image
    source = make_png("shot/packed.png")
    packed = bpy.data.images.load(str(source))
    packed.pack()
    packed.filepath_raw = "//packed.png"
    source.unlink()
    NEEDED.remove("shot/packed.png")
    bpy.data.materials["quad"].node_tree.nodes.new("ShaderNodeTexImage").image = packed


def add_strips():
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    for name in ("one.png", "another.png"):
        make_png(f"shot/{name}")
    images = strips.new_image("images", "//one.png", 1, 1)
    images.directory = "//"
    images.elements.append("another.png")
    make_sound("shot/beep.wav")
    strips.new_sound("sound", "//beep.wav", 2, 1)


def add_particles():
    """A particle system with a disk cache, one stale file of which is there."""
    thing = bpy.data.objects["quad"]
    thing.modifiers.new("dust", "PARTICLE_SYSTEM")
    cache = thing.particle_systems[0].point_cache
    cache.use_disk_cache = True
    stale = TOP / "shot/blendcache_main/7175616400_000001_00.bphys"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_bytes(b"BPHYSICS" + bytes(64))
    NEEDED.append("shot/blendcache_main/7175616400_000001_00.bphys")


def make_main():
    empty()
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    (TOP / "shot").mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(TOP / "shot/main.blend"))
    add_textures()
    add_strips()
    link("lib/props.blend", "prop")
    link("far away/tree.blend", "tree", relative=False)
    ABSOLUTE.append(str(TOP / "far away/tree.blend"))
    # Last: with a disk cache Blender makes the folder when it saves.
    bpy.ops.wm.save_as_mainfile(filepath=str(TOP / "shot/main.blend"))
    add_particles()
    save("shot/main.blend")


make_nested_library()
make_outside_library()
make_main()
TOP.joinpath("expected.json").write_text(
    json.dumps(
        {
            "needed": sorted(set(NEEDED)),
            "missing": ["//../textures/gone.png"],
            "absolute": sorted(ABSOLUTE),
        }
    ),
    encoding="utf-8",
)
