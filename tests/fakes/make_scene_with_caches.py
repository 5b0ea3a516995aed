"""Makes a scene that reads from many places at once, when a Blender 5 runs it.

``python make_scene_with_caches.py -- FOLDER``, with the Python of a ``bpy`` wheel. Below FOLDER:
``film/shot/main.blend``, a linked library with pictures of its own, UDIM tiles, a run of
volumes, and an Alembic cache. Every one of them is seen in frames 1 to 3, and what is missing
makes another picture.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import bpy
from dependencies.scenery import (
    glow,
    image,
    link,
    material_with,
    quad,
    show,
    start,
    texture,
    tiles,
    two_tiles,
    write_vdb,
)

TOP = Path(sys.argv[sys.argv.index("--") + 1]).absolute()
FRAMES = 3
PIXELS = 512
"""Of each picture, noise: so that there is something to read."""


def noise(place: str) -> Path:
    """Write a picture of noise."""
    path = TOP / place
    path.parent.mkdir(parents=True, exist_ok=True)
    made = bpy.data.images.new("noise", PIXELS, PIXELS)
    made.pixels.foreach_set(_noise(len(made.pixels), sum(place.encode())))
    made.filepath_raw, made.file_format = str(path), "PNG"
    made.save()
    bpy.data.images.remove(made)
    return path


def _noise(count: int, seed: int) -> list[float]:
    values, state = [], seed
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(0.3 + 0.7 * state / 2**31)
    return values


def save(place: str) -> Path:
    """Save what is open."""
    path = TOP / place
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False)
    return path


def make_library() -> Path:
    """Save a collection of four quads, each with a picture."""
    start()
    forest = bpy.data.collections.new("forest")
    for number in range(4):
        noise(f"film/props/tex/bark{number}.png")
        tree = quad(f"tree{number}", image(f"//tex/bark{number}.png"), size=0.4)
        tree.location = (-1.5 + number, 1.4, 0)
        bpy.context.scene.collection.objects.unlink(tree)
        forest.objects.link(tree)
    forest.use_fake_user = True
    return save("film/props/trees.blend")


def make_alembic() -> Path:
    """Save a quad that moves and is bent."""
    start()
    thing = quad("cached", size=0.4)
    for frame in range(1, FRAMES + 1):
        thing.location = (1 + 0.2 * frame, -0.2 * frame, 0)
        thing.keyframe_insert("location", frame=frame)
    path = TOP / "film/abc/cached.abc"
    path.parent.mkdir(parents=True)
    bpy.ops.wm.alembic_export(filepath=str(path), start=1, end=FRAMES)
    return path


def add_tiles() -> None:
    """Have a quad with a picture in tiles."""
    for number in (1001, 1002, 1011, 1012):
        noise(f"film/tex/skin.{number}.png")
    skin = tiles(str(TOP / "film/tex/skin.<UDIM>.png"), 1002, 1011, 1012)
    skin.filepath = "//../tex/skin.<UDIM>.png"
    thing = quad("skin", skin, size=0.6)
    thing.location = (-1.2, 0, 0)
    two_tiles(thing)


def add_volume() -> None:
    """Have a run of volumes, each as dense as its frame's number says."""
    (TOP / "film/fx").mkdir()
    for number in range(1, FRAMES + 1):
        write_vdb(TOP / f"film/fx/smoke_{number:04}.vdb", float(number))
    data = bpy.data.volumes.new("smoke")
    data.filepath = "//../fx/smoke_0001.vdb"
    data.is_sequence, data.frame_duration = True, FRAMES
    thing = show(bpy.data.objects.new("smoke", data))
    thing.location = (-1.5, -1.8, 0)
    thing.scale = (0.5, 0.5, 0.5)
    tree = material_with(thing, "smoke")
    volume = tree.nodes.new("ShaderNodeVolumePrincipled")
    volume.inputs["Emission Strength"].default_value = 0.2
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(volume.outputs[0], output.inputs["Volume"])


def add_alembic(cache: Path) -> None:
    """Have the quad that the cache moves, with a picture."""
    bpy.ops.wm.alembic_import(filepath=str(cache), always_add_cache_reader=True)
    bpy.data.cache_files[0].filepath = "//../abc/cached.abc"
    noise("film/tex/moving.png")
    thing = next(one for one in bpy.data.objects if one.name.startswith("cached"))
    thing.data.materials.clear()
    tree = material_with(thing, "moving")
    glow(tree, [texture(tree, image("//../tex/moving.png")).outputs["Color"]])


def main() -> None:
    library, cache = make_library(), make_alembic()
    start()
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.cycles.max_bounces = scene.cycles.volume_bounces = 0
    if hasattr(scene.cycles, "volume_biased"):
        # Otherwise a few voxels take longer than all the rest.
        scene.cycles.volume_biased = True
    save("film/shot/main.blend")
    linked = link(library, "collections", "forest", "//../props/trees.blend")
    instance = bpy.data.objects.new("forest", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", linked
    show(instance)
    add_tiles()
    add_volume()
    add_alembic(cache)
    save("film/shot/main.blend")
    sys.stdout.flush()
    os._exit(0)


main()
