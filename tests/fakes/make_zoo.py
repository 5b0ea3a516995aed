"""Makes a .blend in which everything moves, in ways that Blender computes differently.

Run as ``blender -b --factory-startup --python make_zoo.py -- BLEND FEATURE…`` or, with bpy,
as ``python make_zoo.py -- BLEND FEATURE…``; no feature means all of `ANIMALS`, in one picture.
`SHY` are those that render data must not be kept for, `BROKEN` have something wrong with them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy

FRAMES = 10


def main() -> None:
    """Build and save."""
    blend, *names = sys.argv[sys.argv.index("--") + 1 :]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    set_up(scene)
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    for number, name in enumerate(names or ANIMALS):
        place = (number % 5 * 2 - 4, number // 5 * 2 - 3, 0)
        {**ANIMALS, **SHY, **SCRIPTS, **BROKEN}[name](scene, place)
    bpy.ops.wm.save_mainfile()
    sys.stdout.flush()
    # Some builds crash when they tidy up.
    os._exit(0)


def set_up(scene):
    """Give the scene a camera above it, a sun, and quick settings."""
    scene.frame_start, scene.frame_end = 1, FRAMES
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, 0, 14)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.rotation_euler = (0.6, 0.3, 0)
    sun.data.energy = 3
    for thing in (camera, sun):
        scene.collection.objects.link(thing)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("World")
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 64, 48
    scene.render.filepath = "//render/f_"


def add_mesh(name, primitive, place, **options):
    """Add a mesh of Blender's own."""
    getattr(bpy.ops.mesh, f"primitive_{primitive}_add")(location=place, **options)
    made = bpy.context.object
    made.name = name
    return made


def paint(thing, name):
    """Give an object a material with nodes, and return its shader."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    thing.data.materials.append(made)
    return made.node_tree.nodes["Principled BSDF"]


def animate(owner, path, first, last, index=-1):
    """Set keys on the first and the last frame."""
    for frame, value in ((1, first), (FRAMES, last)):
        if index < 0:
            setattr(owner, path, value)
        else:
            getattr(owner, path)[index] = value
        owner.keyframe_insert(path, index=index, frame=frame)


def material(_scene, place):
    """A colour that changes."""
    shader = paint(add_mesh("Chameleon", "cube", place, size=1.4), "Skin")
    animate(shader.inputs["Base Color"], "default_value", (1, 0, 0, 1), (0, 0.2, 1, 1))


def visibility(_scene, place):
    """An object that is shown at every other frame."""
    thing = add_mesh("Firefly", "cube", place, size=1.4)
    for frame in range(1, FRAMES + 1):
        thing.hide_render = frame % 2 == 0
        thing.keyframe_insert("hide_render", frame=frame)


def shape_key(_scene, place):
    """A mesh with shape keys."""
    thing = add_mesh("Pufferfish", "ico_sphere", place, subdivisions=1, radius=0.4)
    thing.shape_key_add(name="Basis")
    key = thing.shape_key_add(name="Big")
    for point in key.data:
        point.co = point.co * 2.2
    animate(key, "value", 0.0, 1.0)


def driver(_scene, place):
    """A driver that needs no Python but the frame."""
    thing = add_mesh("Pendulum", "cube", place, size=0.8)
    thing.driver_add("location", 2).driver.expression = "sin(frame) * 2"


def script_driver(_scene, place):
    """A driver that is a piece of Python."""
    thing = add_mesh("Robot", "cube", place, size=0.8)
    made = thing.driver_add("rotation_euler", 2).driver
    made.expression = "bpy.context.scene.frame_current * 0.3"


def script_handler(_scene, place):
    """A registered text that moves something before each frame."""
    add_mesh("Puppet", "cube", place, size=0.8)
    text = bpy.data.texts.new("puppet.py")
    text.use_module = True
    text.write(
        "import bpy\n"
        "def pull(scene, *rest):\n"
        "    bpy.data.objects['Puppet'].rotation_euler[1] = scene.frame_current * 0.4\n"
        "bpy.app.handlers.frame_change_pre.append(pull)\n"
    )


def broken_boot(_scene, _place):
    """A registered text that fails."""
    text = bpy.data.texts.new("boot.py")
    text.use_module = True
    text.write("raise ValueError('no such rig')\n")


def broken_driver(_scene, place):
    """A driver that fails from some frame on."""
    thing = add_mesh("Lame", "cube", place, size=0.8)
    made = thing.driver_add("location", 2).driver
    made.expression = "bpy.context.scene.frame_current if frame < 3 else [0][9]"


def lost_target(_scene, place):
    """A driver whose variable points to nothing any more."""
    driver = add_mesh("Orphan", "cube", place, size=0.8).driver_add("location", 2).driver
    driver.variables.new().name = "parent"
    driver.expression = "parent"


def broken_handler(_scene, _place):
    """A registered text that fails at one frame."""
    text = bpy.data.texts.new("handler.py")
    text.use_module = True
    text.write(
        "import bpy\n"
        "def pull(scene, *rest):\n"
        "    assert scene.frame_current != 4, 'four is too many'\n"
        "bpy.app.handlers.frame_change_pre.append(pull)\n"
    )


def images(count, name):
    """Write a sequence of images, each of one colour, and return its first as a data-block."""
    folder = Path(bpy.data.filepath).parent / "images"
    folder.mkdir(exist_ok=True)
    for number in range(1, count + 1):
        one = bpy.data.images.new("one", 2, 2)
        one.pixels[:] = [number / count, number % 3 / 2, number % 4 / 3, 1] * 4
        one.filepath_raw = str(folder / f"{name}.{number:04}.png")
        one.file_format = "PNG"
        one.save()
        bpy.data.images.remove(one)
    made = bpy.data.images.new(name, 2, 2)
    made.source = "SEQUENCE"
    made.filepath = f"//images/{name}.0001.png"
    return made


def sequence(_scene, place, name="Slides", auto=True):
    """A texture that is another image at each frame."""
    thing = add_mesh(name, "plane", place, size=1.4)
    shader = paint(thing, name)
    tree = thing.data.materials[0].node_tree
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = images(FRAMES, name.lower())
    node.image_user.frame_duration = FRAMES
    node.image_user.use_auto_refresh = auto
    socket = "Emission Color" if "Emission Color" in shader.inputs else "Emission"
    shader.inputs["Emission Strength"].default_value = 1
    tree.links.new(node.outputs["Color"], shader.inputs[socket])


def gallery(_scene, place):
    """Seven images of which there is no file, and one that nobody shows."""
    thing = add_mesh("Gallery", "plane", place)
    paint(thing, "Gallery")
    for number in range(7):
        image = bpy.data.images.new(f"lost {number}", 2, 2)
        image.source, image.filepath = "FILE", f"//lost {number}.png"
        thing.data.materials[0].node_tree.nodes.new("ShaderNodeTexImage").image = image
    unseen = bpy.data.images.new("unseen", 2, 2)
    unseen.source, unseen.filepath, unseen.use_fake_user = "FILE", "//unseen.png", True


def far_files(_scene, place):
    """Files with absolute names, of a modifier and of a lamp, that are not there."""
    thing = add_mesh("Cached", "plane", place)
    cache = thing.modifiers.new("Cache", "MESH_CACHE")
    cache.cache_format, cache.filepath = "PC2", "/nowhere/mesh.pc2"
    lamp = bpy.data.lights["Sun"]
    lamp.use_nodes = True
    node = lamp.node_tree.nodes.new("ShaderNodeTexIES")
    node.mode, node.filepath = "EXTERNAL", "/nowhere/lamp.ies"


def stubborn_sequence(scene, place):
    """The same without the switch that has it follow the frames."""
    sequence(scene, place, "Stubborn", auto=False)


def lights(scene, _place):
    """A lamp, the world and the lens."""
    animate(bpy.data.lights["Sun"], "energy", 1.0, 5.0)
    scene.world.use_nodes = True
    background = scene.world.node_tree.nodes["Background"]
    animate(background.inputs["Color"], "default_value", (0, 0, 0, 1), (0.2, 0.1, 0.4, 1))
    animate(scene.camera.data, "lens", 35.0, 45.0)


def writing(scene, place):
    """A text that grows thick."""
    curve = bpy.data.curves.new("Words", "FONT")
    curve.body = "ox"
    thing = bpy.data.objects.new("Words", curve)
    thing.location = place
    scene.collection.objects.link(thing)
    animate(curve, "extrude", 0.0, 0.5)
    animate(curve, "size", 0.6, 1.6)


def modifiers(_scene, place):
    """An array that becomes longer, on a wave that runs by itself."""
    thing = add_mesh("Caterpillar", "grid", place, x_subdivisions=6, y_subdivisions=6, size=0.8)
    animate(thing.modifiers.new("Array", "ARRAY"), "count", 1, 3)
    wave = thing.modifiers.new("Wave", "WAVE")
    wave.height, wave.width, wave.speed, wave.time_offset = 0.5, 0.6, 0.2, -20


def instances(scene, place):
    """A collection that is shown once more, and swings."""
    seed = add_mesh("Seed", "cube", (0, 0, 0), size=0.5)
    group = bpy.data.collections.new("Seeds")
    group.objects.link(seed)
    scene.collection.objects.unlink(seed)
    animate(seed, "scale", (1, 1, 1), (2, 1, 1))
    empty = bpy.data.objects.new("Tree", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", group
    empty.location = place
    scene.collection.objects.link(empty)
    animate(empty, "rotation_euler", (0, 0, 0), (0, 0, 2))


def bones(scene, place):
    """A mesh on an armature."""
    armature = bpy.data.armatures.new("Bones")
    skeleton = bpy.data.objects.new("Bones", armature)
    skeleton.location = place
    scene.collection.objects.link(skeleton)
    bpy.context.view_layer.objects.active = skeleton
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.edit_bones.new("Arm")
    bone.tail = (1, 0, 0)
    bpy.ops.object.mode_set(mode="OBJECT")
    thing = add_mesh("Arm", "cube", place, size=0.8)
    thing.vertex_groups.new(name="Arm").add(range(8), 1, "REPLACE")
    thing.modifiers.new("Armature", "ARMATURE").object = skeleton
    pose = skeleton.pose.bones["Arm"]
    pose.rotation_mode = "XYZ"
    animate(pose, "rotation_euler", (0, 0, 0), (0, 1, 1))


def new_geometry(name):
    """Make a group of geometry nodes with one way in and one way out."""
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    if hasattr(tree, "interface"):
        for way in ("INPUT", "OUTPUT"):
            tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    else:
        tree.inputs.new("NodeSocketGeometry", "Geometry")
        tree.outputs.new("NodeSocketGeometry", "Geometry")
    return tree


def nodes(_scene, place):
    """Geometry nodes that follow the scene's time."""
    thing = add_mesh("Clock", "cube", place, size=0.6)
    tree = new_geometry("Clock")
    first, last = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    time, turn = (
        tree.nodes.new("GeometryNodeInputSceneTime"),
        tree.nodes.new("GeometryNodeTransform"),
    )
    tree.links.new(first.outputs[0], turn.inputs["Geometry"])
    tree.links.new(time.outputs["Seconds"], turn.inputs["Translation"])
    tree.links.new(turn.outputs[0], last.inputs[0])
    thing.modifiers.new("Clock", "NODES").node_group = tree


def hair(_scene, place):
    """Hair that does not move by itself, with children, on something that does."""
    thing = add_mesh("Bear", "ico_sphere", place, subdivisions=1, radius=0.4)
    thing.modifiers.new("Hair", "PARTICLE_SYSTEM")
    settings = thing.particle_systems[0].settings
    settings.type, settings.count, settings.hair_length = "HAIR", 20, 0.5
    settings.child_type = "INTERPOLATED"
    settings.rendered_child_count = 3
    animate(thing, "rotation_euler", (0, 0, 0), (0, 2, 1))


def volume(_scene, place):
    """A cloud whose density changes."""
    thing = add_mesh("Cloud", "cube", place, size=1.2)
    shader = paint(thing, "Cloud")
    tree = thing.data.materials[0].node_tree
    cloud = tree.nodes.new("ShaderNodeVolumePrincipled")
    tree.nodes.remove(shader)
    tree.links.new(cloud.outputs[0], tree.nodes["Material Output"].inputs["Volume"])
    animate(cloud.inputs["Density"], "default_value", 0.5, 6.0)


def seed(scene, _place):
    """Another noise at each frame."""
    scene.cycles.use_animated_seed = True


def cameras(scene, _place):
    """Two more cameras, which markers switch to."""
    for number, frame in enumerate((4, 7)):
        made = bpy.data.objects.new(f"View {number}", bpy.data.cameras.new(f"View {number}"))
        made.location = (number - 0.5, -4, 12)
        made.rotation_euler = (0.3, 0, 0)
        scene.collection.objects.link(made)
        scene.timeline_markers.new(f"View {number}", frame=frame).camera = made


def compositor(scene, _place):
    """Two view layers, mixed and tinted by the compositor, by a share that changes."""
    far = bpy.data.collections.new("Far")
    scene.collection.children.link(far)
    moon = add_mesh("Moon", "ico_sphere", (3, 3, -3), subdivisions=1, radius=2)
    scene.collection.objects.unlink(moon)
    far.objects.link(moon)
    second = scene.view_layers.new("Second")
    second.layer_collection.children["Far"].exclude = True
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
    layers = [tree.nodes.new("CompositorNodeRLayers") for _ in range(2)]
    layers[1].layer = "Second"
    over = tree.nodes.new("CompositorNodeAlphaOver")
    pictures = [socket for socket in over.inputs if socket.type == "RGBA"]
    for layer, socket in zip(layers, pictures, strict=True):
        tree.links.new(layer.outputs["Image"], socket)
    tree.links.new(over.outputs[0], end.inputs[0])
    share = next(socket for socket in over.inputs if socket.type == "VALUE")
    animate(share, "default_value", 0.2, 0.8)


def motion_blur(scene, place):
    """Something fast, smeared."""
    thing = add_mesh("Swallow", "cube", place, size=0.8)
    animate(thing, "location", place, (place[0] + 4, place[1], 0))
    scene.render.use_motion_blur = True


def lantern(scene, place):
    """Two lamps, of which one is on at a time."""
    for number in range(2):
        lamp = bpy.data.objects.new(f"Lantern {number}", bpy.data.lights.new("Lantern", "POINT"))
        lamp.data.energy, lamp.location = 400, (place[0], place[1] + number * 2, 3)
        scene.collection.objects.link(lamp)
        for frame in range(1, FRAMES + 1):
            lamp.hide_render = (frame + number) % 2 == 0
            lamp.keyframe_insert("hide_render", frame=frame)


def fireflies(scene, place):
    """A shining thing that nodes show more and more of."""
    spark = add_mesh("Spark", "ico_sphere", (0, 0, -60), subdivisions=1, radius=0.2)
    shader = paint(spark, "Spark")
    color = shader.inputs.get("Emission Color") or shader.inputs["Emission"]
    color.default_value = (1, 0.8, 0.3, 1)
    shader.inputs["Emission Strength"].default_value = 30
    swarm = add_mesh("Swarm", "grid", place, x_subdivisions=3, y_subdivisions=3, size=3)
    swarm.modifiers.new("Build", "BUILD").frame_duration = FRAMES
    tree = new_geometry("Swarm")
    first, last = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    spread = tree.nodes.new("GeometryNodeInstanceOnPoints")
    source = tree.nodes.new("GeometryNodeObjectInfo")
    source.inputs["Object"].default_value = spark
    tree.links.new(first.outputs[0], spread.inputs["Points"])
    tree.links.new(source.outputs["Geometry"], spread.inputs["Instance"])
    tree.links.new(spread.outputs[0], last.inputs[0])
    swarm.modifiers.new("Swarm", "NODES").node_group = tree


def mosaic(scene, _place):
    """A surface that is cut as finely as the camera sees it, while that comes nearer."""
    thing = add_mesh("Mosaic", "grid", (0, 0, -2), x_subdivisions=3, y_subdivisions=3, size=8)
    modifier = thing.modifiers.new("Subdivision", "SUBSURF")
    if hasattr(modifier, "use_adaptive_subdivision"):
        modifier.use_adaptive_subdivision = True
    else:
        scene.cycles.feature_set = "EXPERIMENTAL"
        thing.cycles.use_adaptive_subdivision = True
    paint(thing, "Mosaic")
    painted = thing.data.materials[0]
    tree = painted.node_tree
    noise = tree.nodes.new("ShaderNodeTexNoise")
    bumps = tree.nodes.new("ShaderNodeDisplacement")
    tree.links.new(noise.outputs[0], bumps.inputs["Height"])
    tree.links.new(bumps.outputs[0], tree.nodes["Material Output"].inputs["Displacement"])
    owner = painted if hasattr(painted, "displacement_method") else painted.cycles
    owner.displacement_method = "BOTH"
    animate(scene.camera, "location", (0, 0, 20), (0, 0, 7))


SCRIPTS = {"script_driver": script_driver, "script_handler": script_handler}
BROKEN = {
    "broken_boot": broken_boot,
    "broken_driver": broken_driver,
    "broken_handler": broken_handler,
    "gallery": gallery,
    "far_files": far_files,
    "lost_target": lost_target,
}
SHY = {
    "motion_blur": motion_blur,
    "hair": hair,
    "lantern": lantern,
    "fireflies": fireflies,
    "mosaic": mosaic,
}
ANIMALS = {
    "material": material,
    "visibility": visibility,
    "shape_key": shape_key,
    "driver": driver,
    "sequence": sequence,
    "stubborn_sequence": stubborn_sequence,
    "lights": lights,
    "writing": writing,
    "modifiers": modifiers,
    "instances": instances,
    "bones": bones,
    "nodes": nodes,
    "volume": volume,
    "seed": seed,
    "cameras": cameras,
    "compositor": compositor,
}
main()
