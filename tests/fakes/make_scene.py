"""Makes a tiny .blend inside a Blender: the one scene generator of all tests.

Run as ``blender -b --factory-startup --python make_scene.py -- OPTIONS`` or, with bpy, as
``python make_scene.py -- OPTIONS``; see `options` for them. A cube moves and turns over
the frames, so that no two frames look the same.
"""

from __future__ import annotations

import argparse
import sys

import bpy


def options() -> argparse.Namespace:
    """Read the command line after ``--``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("blend", help="absolute path to save to")
    parser.add_argument("--engine", default="CYCLES")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--height", type=int, default=36)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--output", default="//render/shot_####")
    parser.add_argument("--format", default="PNG")
    parser.add_argument("--no-camera", action="store_true")
    parser.add_argument("--second-scene", help="name of an empty second scene with a camera")
    parser.add_argument("--motion-blur", action="store_true")
    parser.add_argument("--crop", action="store_true", help="crop to a border of odd shares")
    parser.add_argument("--texture", help="image file for the cube's material")
    parser.add_argument("--library", help=".blend to link its Cube and Paint from")
    parser.add_argument("--linked", help="link only this object of the library")
    parser.add_argument("--relative", action="store_true", help="make all paths relative")
    parser.add_argument("--file-output", help="base path of a File Output node")
    parser.add_argument("--script", action="store_true", help="a driver that needs Python")
    parser.add_argument("--stereo", action="store_true", help="a file for each eye")
    parser.add_argument("--particles", action="store_true", help="an unbaked simulation")
    parser.add_argument("--telling", action="store_true", help="metadata with path and host")
    parser.add_argument("--extras", action="store_true", help="things that overrides can change")
    return parser.parse_args(sys.argv[sys.argv.index("--") + 1 :])


def main() -> None:
    """Build and save."""
    wanted = options()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = "Shot"
    cube = add_cube(scene, wanted)
    add_light(scene)
    if not wanted.no_camera:
        scene.camera = add_camera(scene)
    set_render(scene, wanted)
    if wanted.linked:
        link_object(scene, wanted.library, wanted.linked)
    elif wanted.library:
        link_cube(scene, cube, wanted.library)
    if wanted.second_scene:
        other = bpy.data.scenes.new(wanted.second_scene)
        other.camera = add_camera(other)
        add_light(other)
        set_render(other, wanted)
    if wanted.file_output:
        add_file_output(scene, wanted.file_output)
    if wanted.script:
        driver = cube.driver_add("location", 2).driver
        driver.expression = "bpy.context.scene.frame_current * 0.01"
    if wanted.particles:
        cube.modifiers.new("Dust", "PARTICLE_SYSTEM")
    if wanted.extras:
        add_extras(scene, cube)
    bpy.ops.wm.save_as_mainfile(filepath=wanted.blend, relative_remap=False)
    if wanted.relative:
        bpy.ops.file.make_paths_relative()
        bpy.ops.wm.save_mainfile()


def add_cube(scene, wanted):
    """Add a cube that moves and turns with the frames."""
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new("Cube")
    mesh.from_pydata(corners, [], sides)
    mesh.uv_layers.new()
    cube = bpy.data.objects.new("Cube", mesh)
    scene.collection.objects.link(cube)
    cube.data.materials.append(material(wanted.texture))
    for frame in (1, 20):
        cube.location = (frame * 0.05, 0, 0)
        cube.rotation_euler = (0, frame * 0.1, frame * 0.2)
        cube.keyframe_insert("location", frame=frame)
        cube.keyframe_insert("rotation_euler", frame=frame)
    return cube


def add_extras(scene, cube):
    """Add custom properties, and a second camera that a marker switches to."""
    cube["wear"] = 0.5
    cube["tint"] = [3, 4]
    second = add_camera(scene)
    second.name = "Second"
    second.location = (1, 0, 5)
    scene.timeline_markers.new("Cut", frame=8).camera = second


def material(texture):
    """Make a material, with an image if one is asked for."""
    made = bpy.data.materials.new("Paint")
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (0.8, 0.3, 0.1, 1)
    if texture:
        node = made.node_tree.nodes.new("ShaderNodeTexImage")
        image = bpy.data.images.new("texture", 4, 4)
        image.source = "FILE"
        image.filepath = texture
        node.image = image
        made.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    return made


def add_light(scene):
    """Add a sun."""
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = 3
    sun.rotation_euler = (0.6, 0.2, 0)
    scene.collection.objects.link(sun)


def add_camera(scene):
    """Add a camera that looks down at the middle."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, 0, 8)
    scene.collection.objects.link(camera)
    return camera


def set_render(scene, wanted):
    """Set size, engine and output."""
    render = scene.render
    render.engine = wanted.engine
    if wanted.engine == "CYCLES":
        scene.cycles.samples = wanted.samples
        scene.cycles.use_denoising = False
        scene.cycles.use_adaptive_sampling = False
    render.resolution_x, render.resolution_y = wanted.width, wanted.height
    render.resolution_percentage = 100
    render.filepath = wanted.output
    image = render.image_settings
    if hasattr(image, "media_type") and wanted.format == "FFMPEG":
        image.media_type = "VIDEO"
    elif hasattr(image, "media_type") and wanted.format == "OPEN_EXR_MULTILAYER":
        image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format = wanted.format
    render.use_motion_blur = wanted.motion_blur
    scene.frame_start, scene.frame_end = 1, 20
    render.use_stamp_filename = render.use_stamp_hostname = wanted.telling
    if wanted.crop:
        render.use_border = render.use_crop_to_border = True
        render.border_min_x, render.border_max_x = 0.1, 0.73
        render.border_min_y, render.border_max_y = 0.21, 0.9
    if wanted.stereo:
        render.use_multiview = True
        image.views_format = "INDIVIDUAL"


def link_object(scene, library, name):
    """Link one object of another .blend."""
    with bpy.data.libraries.load(library, link=True) as (_, linked):
        linked.objects = [name]
    scene.collection.objects.link(linked.objects[0])


def link_cube(scene, cube, library):
    """Link the object Cube of another .blend, and paint our own with its material."""
    with bpy.data.libraries.load(library, link=True) as (_, linked):
        linked.objects = ["Cube"]
        linked.materials = ["Paint"]
    scene.collection.objects.link(linked.objects[0])
    cube.data.materials[0] = linked.materials[0]


def add_file_output(scene, base):
    """Add a File Output node that writes the image once more."""
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        scene.compositing_node_group = tree
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeComposite")
    layers = tree.nodes.new("CompositorNodeRLayers")
    output = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(output, "directory"):
        output.directory = base
        output.file_name = "copy_"
        output.format.media_type = "IMAGE"
        output.format.file_format = "PNG"
        output.file_output_items.new("RGBA", "beauty")
        socket = output.inputs[0]
    else:
        output.base_path = base
        output.format.file_format = "PNG"
        output.file_slots[0].path = "copy_beauty"
        socket = output.inputs[0]
    tree.links.new(layers.outputs["Image"], socket)
    tree.links.new(layers.outputs["Image"], end.inputs[0])


main()
