"""Makes .blends that each ask something of the Blender that renders them, inside a Blender.

Run as ``blender -b --factory-startup --python make_needs.py -- FOLDER`` or, with bpy, as
``python make_needs.py -- FOLDER``. For each of `NEEDS` a .blend of its name is saved there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy


def main():
    """Save every case."""
    folder = Path(sys.argv[-1])
    for name, make in NEEDS.items():
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.context.scene.render.engine = "CYCLES"
        make(bpy.context.scene)
        bpy.ops.wm.save_as_mainfile(filepath=str(folder / f"{name}.blend"))
    sys.stdout.flush()
    os._exit(0)


def add(scene, name, data):
    """Show some data in the scene."""
    thing = bpy.data.objects.new(name, data)
    scene.collection.objects.link(thing)
    return thing


def denoised(scene):
    """As a new scene is."""


def switched_off(scene):
    """Not denoised, by the scene's own switch."""
    scene.cycles.use_denoising = False


def off_in_layers(scene):
    """Not denoised, by the switch of its only view layer."""
    scene.view_layers[0].cycles.use_denoising = False


def shading_language(scene, on=True):
    """A material with a script, and the switch that has Cycles run it."""
    scene.cycles.shading_system = on
    mesh = bpy.data.meshes.new("Mesh")
    material = bpy.data.materials.new("Scripted")
    material.use_nodes = True
    material.node_tree.nodes.new("ShaderNodeScript")
    mesh.materials.append(material)
    add(scene, "Scripted", mesh)


def shading_language_off(scene):
    """The same without the switch."""
    shading_language(scene, on=False)


def alembic(scene):
    """A mesh from a cache, of which there is no file."""
    bpy.ops.cachefile.open(filepath="/nowhere/cache.abc")
    thing = add(scene, "Cached", bpy.data.meshes.new("Mesh"))
    modifier = thing.modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file = bpy.data.cache_files[0]


def volume(scene):
    """A volume from a file."""
    data = bpy.data.volumes.new("Smoke")
    data.filepath = "/nowhere/smoke.vdb"
    add(scene, "Smoke", data)


def denoise_node(scene):
    """A compositor that denoises."""
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        scene.compositing_node_group = tree
    else:
        scene.use_nodes = True
        tree = scene.node_tree
    tree.nodes.new("CompositorNodeDenoise")


def speaker(scene):
    """A speaker with a sound."""
    data = bpy.data.speakers.new("Speaker")
    data.sound = sound()
    add(scene, "Speaker", data)


def muted_speaker(scene):
    """One that is muted."""
    speaker(scene)
    bpy.data.speakers[0].muted = True


def strip(scene):
    """A strip with a sound."""
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    return strips.new_sound("Beep", sound().filepath, 1, 1)


def muted_strip(scene):
    """One that is muted."""
    strip(scene).mute = True


def sound():
    """Make a sound; of a file that is not there, which Blender does not mind."""
    return bpy.data.sounds.load("/nowhere/beep.wav")


NEEDS = {
    made.__name__: made
    for made in (
        *(denoised, switched_off, off_in_layers, shading_language, shading_language_off),
        *(alembic, volume, denoise_node, speaker, muted_speaker, strip, muted_strip),
    )
}
main()
