"""What every generated scene of `make_dependencies.py` is built from; runs inside Blender.

A case is a folder with a .blend and files that it names. Whatever is rendered shows what
its files hold: a plane that fills the camera's view, as bright as its images.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import wave
import zlib
from pathlib import Path

import bpy

PIXELS = 16


class Case:
    """A case in the making, and what is expected of it."""

    def __init__(self, folder: Path, *, is_absolute: bool = False) -> None:
        self.top = folder
        self.is_absolute = is_absolute
        """Whether the main .blend names everything by its absolute path."""
        self.main = "film/shot/main.blend"
        self.frames = [1]
        self.how: dict[str, bool] = {}
        """How to save; empty for whatever this Blender does by itself."""
        self.needed: list[str] = []
        self.missing: list[str] = []
        self.superfluous: dict[str, str] = {}

    def name(self, place: str) -> str:
        """Return what the main .blend calls a place: relatively, or by its absolute path."""
        path = str(self.top / place)
        if not self.is_absolute:
            path = "//" + os.path.relpath(path, (self.top / self.main).parent)
        # A folder of strips ends so.
        return path + "/" if place.endswith("/") else path

    def path(self, place: str) -> Path:
        """Return the path of a place, with its folder made."""
        path = self.top / place
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def need(self, place: str, *, spare: str = "") -> Path:
        """Say that a scene needs a file; ``spare`` is why no render opens it all the same."""
        self.needed.append(place)
        if spare:
            self.superfluous[place] = spare
        return self.path(place)

    def png(self, place: str, *, spare: str = "", needed: bool = True) -> Path:
        """Write a picture of its own colour."""
        path = self.need(place, spare=spare) if needed else self.path(place)
        path.write_bytes(png_bytes(zlib.crc32(place.encode())))
        return path

    def wav(self, place: str, *, spare: str = "") -> Path:
        """Write a short sound."""
        path = self.need(place, spare=spare)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            samples = (int(9000 * math.sin(i / 9)) for i in range(800))
            file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
        return path

    def text(self, place: str, content: str, *, spare: str = "") -> Path:
        """Write a text file."""
        path = self.need(place, spare=spare)
        path.write_text(content, encoding="utf-8")
        return path

    def movie(self, place: str) -> Path:
        """Write a movie of some frames, by Blender."""
        start()
        scene = bpy.context.scene
        settings = scene.render.image_settings
        if hasattr(settings, "media_type"):
            settings.media_type = "VIDEO"
        settings.file_format = "FFMPEG"
        scene.render.ffmpeg.format = "MPEG4"
        scene.render.ffmpeg.codec = "MPEG4"
        scene.frame_start, scene.frame_end = 1, 4
        path = self.need(place)
        scene.render.filepath = str(path.with_name("making_"))
        bpy.ops.render.render(animation=True)
        (made,) = path.parent.glob("making_*")
        return made.rename(path)

    def save(self, place: str) -> None:
        """Save what is open as one of the scene's .blends."""
        path = self.need(place)
        bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False, **self.how)

    def save_main(self) -> None:
        """Save what is open as the scene, and write down what is expected."""
        scene = bpy.context.scene
        scene.frame_start, scene.frame_end = self.frames[0], self.frames[-1]
        self.save(self.main)

    def write(self) -> None:
        """Write down what is expected."""
        expected = {
            "main": self.main,
            "frames": self.frames,
            "needed": sorted(set(self.needed)),
            "missing": self.missing,
            "superfluous": self.superfluous,
        }
        self.path("expected.json").write_text(json.dumps(expected, indent=1), encoding="utf-8")


def png_bytes(seed: int) -> bytes:
    """Return a PNG of one colour."""
    colour = bytes([60 + seed % 190, 60 + seed // 200 % 190, 60 + seed // 40000 % 190])

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + colour * 2) * 2))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def start() -> None:
    """Open an empty scene with a camera that looks along -Z, quick to render."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = PIXELS
    scene.render.resolution_percentage = 100
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    data = bpy.data.cameras.new("camera")
    data.type, data.ortho_scale = "ORTHO", 4
    camera = bpy.data.objects.new("camera", data)
    camera.location.z = 10
    show(camera)
    scene.camera = camera


def show(thing):
    """Have an object in the scene."""
    bpy.context.scene.collection.objects.link(thing)
    return thing


def image(name: str, source: str = "FILE"):
    """Have an image whose name is exactly ``name``."""
    made = bpy.data.images.new(Path(name).name, 1, 1)
    made.source = source
    made.filepath = name
    return made


def tiles(name: str, *more: int):
    """Have an image in tiles, the first of them and more."""
    first = name.replace("<UDIM>", "1001").replace("<UVTILE>", "u1_v1")
    # Loaded, not made: a tile that was made stays what it was made of.
    made = bpy.data.images.load(first)
    made.source, made.filepath = "TILED", name
    listed = {tile.number for tile in made.tiles}
    for number in more:
        if number not in listed:
            made.tiles.new(number)
    return made


def two_tiles(thing) -> None:
    """Stretch an object's picture over two tiles each way."""
    for corner in thing.data.uv_layers[0].data:
        corner.uv = corner.uv * 2


def quad(name: str, *images, size: float = 1.0):
    """Have a lit quad that is as bright as the sum of its images."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    textures = [texture(tree, one) for one in images]
    glow(tree, [node.outputs["Color"] for node in textures])
    thing = sheet(name, size)
    thing.data.materials.append(material)
    return thing


def sheet(name: str, size: float = 1.0):
    """Have a quad without a material."""
    mesh = bpy.data.meshes.new(name)
    corners = [(-size, -size, 0), (size, -size, 0), (size, size, 0), (-size, size, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.uv_layers.new(name="uv")
    for corner, uv in zip(mesh.uv_layers[0].data, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        corner.uv = uv
    return show(bpy.data.objects.new(name, mesh))


def texture(tree, one):
    """Have a node for an image, which follows the frames."""
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = one
    if one.source in ("SEQUENCE", "MOVIE"):
        node.image_user.frame_duration = 4
        node.image_user.frame_start = 1
        node.image_user.use_auto_refresh = True
    return node


def glow(tree, colours) -> None:
    """Make a material shine in the sum of colours."""
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    light = tree.nodes.new("ShaderNodeEmission")
    light.inputs["Strength"].default_value = 1 / max(1, len(colours))
    tree.links.new(light.outputs[0], output.inputs["Surface"])
    total = None
    for colour in colours:
        if total is None:
            total = colour
            continue
        adding = tree.nodes.new("ShaderNodeVectorMath")
        tree.links.new(total, adding.inputs[0])
        tree.links.new(colour, adding.inputs[1])
        total = adding.outputs[0]
    if total is not None:
        tree.links.new(total, light.inputs["Color"])


def material_with(thing, tree_name: str):
    """Give an object a material with an empty node tree, and return that."""
    material = bpy.data.materials.new(tree_name)
    material.use_nodes = True
    material.node_tree.nodes.clear()
    thing.data.materials.append(material)
    return material.node_tree


def link(path: Path, kind: str, name: str, as_named: str):
    """Link a data-block; the library's path becomes exactly ``as_named``."""
    with bpy.data.libraries.load(str(path), link=True) as (_, into):
        setattr(into, kind, [name])
    block = getattr(into, kind)[0]
    assert block is not None, f"{path} has no {name}"
    block.library.filepath = as_named
    return block


def compositing_tree():
    """Have a compositor in the scene, and return its tree."""
    scene = bpy.context.scene
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("compositor", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        return tree, tree.nodes.new("NodeGroupOutput")
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene.node_tree, scene.node_tree.nodes.new("CompositorNodeComposite")


def strips():
    """Return the strips of the scene."""
    editor = bpy.context.scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def a_font() -> Path:
    """Return one of Blender's own fonts."""
    fonts = Path(bpy.utils.system_resource("DATAFILES"), "fonts")
    found = sorted((*fonts.glob("*.ttf"), *fonts.glob("*.woff2")))
    return found[0]


def openvdb():
    """Return the module that Blender 5 carries and the wheel hides."""
    local = Path(bpy.utils.resource_path("LOCAL"), "python", "lib")
    sys.path += [str(folder) for folder in local.glob("python*/site-packages")]
    import openvdb as module

    return module


def write_vdb(path: Path, value: float) -> None:
    """Write a volume of a few voxels."""
    vdb = openvdb()
    grid = vdb.FloatGrid()
    grid.fill((0, 0, 0), (3, 3, 3), value)
    grid.name = "density"
    grid.transform = vdb.createLinearTransform(voxelSize=0.5)
    vdb.write(str(path), grids=[grid])
