"""Makes a tiny .blend that writes files in one of many ways: the cases of output tests.

Run like ``make_scene.py``, with the path to save to and the name of a case. All of them
write their main image to ``//render/`` and have three frames.
"""

from __future__ import annotations

import sys

import bpy

IS_5 = bpy.app.version >= (5, 0)
MULTI_LAYER = "OPEN_EXR_MULTILAYER"


def main() -> None:
    """Build and save."""
    blend, case = sys.argv[sys.argv.index("--") + 1 :]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = "Shot"
    add_content(scene)
    globals()[f"case_{case}"](scene)
    bpy.ops.wm.save_as_mainfile(filepath=blend, relative_remap=False)


# ── Parts ────────────────────────────────────────────────────────────────────────────


def add_content(scene):
    """Add a cube that moves, a sun, a camera, and settings."""
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new("Cube")
    mesh.from_pydata(corners, [], sides)
    cube = bpy.data.objects.new("Cube", mesh)
    cube.rotation_euler = (0.3, 0.4, 0.5)
    for frame in (1, 200):
        cube.location = (frame * 0.1 - 1, 0, 0)
        cube.keyframe_insert("location", frame=frame)
    scene.collection.objects.link(cube)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    scene.collection.objects.link(sun)
    scene.camera = add_camera(scene, "Camera", 8)
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = 33, 19, 100
    render.filepath = "//render/shot_####"
    set_format(render.image_settings, "PNG")
    scene.frame_start, scene.frame_end = 1, 3


def add_camera(scene, name, height):
    """Add a camera that looks down."""
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location = (0, 0, height)
    scene.collection.objects.link(camera)
    return camera


def set_format(image, name):
    """Choose a file format."""
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE" if name == MULTI_LAYER else "IMAGE"
    image.file_format = name


def add_tree(scene):
    """Switch the compositor on, and return its nodes and the render layers."""
    if IS_5:
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
    layers.scene = scene
    tree.links.new(layers.outputs["Image"], end.inputs[0])
    return tree, layers


def add_output(tree, source, folder, names, start="", file_format="PNG"):
    """Add a File Output node; ``start`` is the start of its file names, from 5.0 on."""
    node = tree.nodes.new("CompositorNodeOutputFile")
    set_format(node.format, file_format)
    if IS_5:
        node.directory, node.file_name = folder, start
        for name in names:
            node.file_output_items.new("RGBA", name)
    else:
        several = file_format == MULTI_LAYER
        node.base_path = folder + start if several else folder
        slots = node.layer_slots if several else node.file_slots
        slots.clear()
        for name in names:
            slots.new(name)
    for number in range(len(names)):
        tree.links.new(source.outputs["Image"], node.inputs[number])
    return node


# ── Cases ────────────────────────────────────────────────────────────────────────────


def case_unnumbered(scene):
    """A name with a dot and no place for the number."""
    scene.render.filepath = "//render/shot.v2 é"


def case_unnamed(scene):
    """No name at all, only a folder with a number in it that is none."""
    scene.render.filepath = "//render/take_##/"


def case_middle(scene):
    """The number in the middle."""
    scene.render.filepath = "//render/a_##_b_##_c"


def case_bare(scene):
    """No extension on any name."""
    scene.render.use_file_extension = False
    tree, layers = add_tree(scene)
    add_output(tree, layers, "//render/aux/", ["a"], "f_")


def case_nodes(scene):
    """Folders below, the same and beside; a format of its own; two nodes of one folder."""
    tree, layers = add_tree(scene)
    node = add_output(tree, layers, "//render/aux/", ["a", "b_##_x"], "f_")
    if IS_5:
        own = node.file_output_items[1]
        own.override_node_format = True
    else:
        own = node.file_slots[1]
        own.use_node_format = False
    set_format(own.format, "OPEN_EXR")
    add_output(tree, layers, "//render/aux", ["c"], "g_")
    add_output(tree, layers, "//render/", ["d", "sub/e"], "h_")
    add_output(tree, layers, "//elsewhere/pass/", ["z"], "z_")


def case_climbing(scene):
    """Names that lead to other folders."""
    tree, layers = add_tree(scene)
    add_output(tree, layers, "//render/aux/", ["../b/x", "c/../d/z"], "../q/f_")
    add_output(tree, layers, "//render/one/two/", ["../../y"], "../../y_")


def case_nameless(scene):
    """Slots and nodes without a name."""
    tree, layers = add_tree(scene)
    add_output(tree, layers, "//render/aux", [""])
    add_output(tree, layers, "//render/layers/", ["a"], "", MULTI_LAYER)


def case_multilayer(scene):
    """Multi-layer files by a node and as the main image, of two view layers."""
    scene.view_layers[0].use_pass_z = True
    scene.view_layers.new("Second").use_pass_normal = True
    set_format(scene.render.image_settings, MULTI_LAYER)
    tree, layers = add_tree(scene)
    second = tree.nodes.new("CompositorNodeRLayers")
    second.scene, second.layer = scene, "Second"
    add_output(tree, layers, "//render/all/", ["one", "two"], "layers_", MULTI_LAYER)
    add_output(tree, second, "//render/", ["second"], "s_##", "OPEN_EXR")


def case_group(scene):
    """Nodes in a group that is used twice, one of them muted."""
    tree, layers = add_tree(scene)
    group = bpy.data.node_groups.new("Group", "CompositorNodeTree")
    if IS_5:
        group.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    else:
        group.inputs.new("NodeSocketColor", "Image")
    start = group.nodes.new("NodeGroupInput")
    add_output(group, start, "//render/aux/", ["a"], "f_")
    add_output(group, start, "//render/muted/", ["b"], "f_").mute = True
    for _ in range(2):
        user = tree.nodes.new("CompositorNodeGroup")
        user.node_tree = group
        tree.links.new(layers.outputs["Image"], user.inputs[0])


def case_eyes(scene):
    """A file for each eye."""
    set_stereo(scene, "INDIVIDUAL", "PNG")


def case_both(scene):
    """Both eyes in one image."""
    set_stereo(scene, "STEREO_3D", "PNG")
    scene.render.image_settings.stereo_3d_format.display_mode = "TOPBOTTOM"


def case_multiview(scene):
    """Both eyes in one OpenEXR."""
    set_stereo(scene, "MULTIVIEW", "OPEN_EXR")


def case_multiview_layers(scene):
    """Both eyes in one multi-layer OpenEXR."""
    set_stereo(scene, "MULTIVIEW", MULTI_LAYER)


def set_stereo(scene, views_format, file_format):
    """Render both eyes, to the main image and to nodes of both kinds."""
    scene.render.use_multiview = True
    image = scene.render.image_settings
    set_format(image, file_format)
    image.views_format = views_format
    tree, layers = add_tree(scene)
    node = add_output(tree, layers, "//render/aux/", ["a"], "f_", file_format)
    node.format.views_format = views_format
    add_output(tree, layers, "//render/", ["a", "b"], "layers_", MULTI_LAYER)


def case_views(scene):
    """Three views of cameras with names of their own, one of them off."""
    scene.render.use_multiview = True
    scene.render.views_format = "MULTIVIEW"
    for number, suffix in enumerate(("_far", ".near")):
        view = scene.render.views.new(suffix)
        view.camera_suffix = view.file_suffix = suffix
        add_camera(scene, f"Camera{suffix}", 9 + number)
    add_camera(scene, "Camera_L", 8)
    scene.camera = bpy.data.objects["Camera_L"]
    scene.render.views["right"].use = False
    scene.render.filepath = "//render/shot"


def case_cameras(scene):
    """Markers that switch between two cameras."""
    for frame, height in ((1, 8), (2, 12), (3, 6)):
        marker = scene.timeline_markers.new(f"cut{frame}", frame=frame)
        marker.camera = add_camera(scene, f"Cut{frame}", height)


def case_borrowed(scene):
    """The compositor asks for another Blender scene's render layers."""
    other = bpy.data.scenes.new("Other")
    add_content(other)
    inner, own = add_tree(other)
    add_output(inner, own, "//render/never/", ["x"])
    tree, layers = add_tree(scene)
    layers.scene = other
    add_output(tree, layers, "//render/aux/", ["a"], "f_")


def case_strip(scene):
    """A scene strip, which starts with the job's first frame."""
    add_scene_strip(scene, first=1)


def case_shifted_strip(scene):
    """A scene strip whose frames are others than the job's, and that stands still in the end."""
    add_scene_strip(scene, first=101)


def add_scene_strip(scene, first):
    """Show another scene, with a compositor and a File Output node, by the sequencer."""
    inner = bpy.data.scenes.new("Inner")
    add_content(inner)
    tree, layers = add_tree(inner)
    add_output(tree, layers, "//render/inner/", ["in", "in_##_x"], "f_")
    inner.frame_start, inner.frame_end = first, first + 1
    editor = scene.sequence_editor_create()
    strips = editor.strips if IS_5 else editor.sequences
    strips.new_scene("Inner", inner, 1, 1).frame_final_end = 4


def case_templates(scene):
    """Names with fields to fill in, from 5.0 on."""
    scene.render.filepath = "//render/{blend_name}_{resolution_x}_##"
    tree, layers = add_tree(scene)
    add_output(tree, layers, "//render/{scene_name}/", ["a_{node_name}"], "{camera_name}_")
    add_output(tree, layers, "{blend_dir}/render/dir", ["a"], "{{f}}_")


main()
