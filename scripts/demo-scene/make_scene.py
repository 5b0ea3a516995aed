"""Make ``burst.blend``, what ``scripts/demo`` renders: a ball of beads bursts into a word.

Runs inside Blender (3.4 or newer), as ``blender -b --python make_scene.py -- OUTPUT``
or ``python make_scene.py -- OUTPUT`` where ``bpy`` is installed. The file in the
tree was saved by Blender 3.4, so that every Blender that burst drives can open it.

Everything is geometry and keyframes: no texture, no simulation, no script in the file.
The same seed makes the same scene.
"""

import math
import random
import sys

import bpy
from mathutils import Vector

FRAMES = 36
FRAMES_PER_SECOND = 24
KEY_EVERY = 2
"""Beads get a key on every second frame; the curve between them is smooth enough."""

BEADS = 150
BALL_CENTER = Vector((0.0, 0.0, 1.55))
BALL_RADIUS = 1.25
GRAVITY = 7.0
DRAG_PER_SECOND = 1.1
BOUNCE = 0.55

WORD = "burst"
LETTER_PLACES = (-2.6, -1.1, 0.25, 1.38, 2.5)
"""By eye: the letters are of different widths."""
PALETTE = {
    "amber": (0.95, 0.36, 0.02),
    "coral": (0.88, 0.10, 0.05),
    "rose": (0.75, 0.03, 0.18),
    "cream": (0.90, 0.72, 0.45),
    "teal": (0.01, 0.30, 0.34),
}


def main() -> None:
    """Build the scene and save it where the command line says."""
    output = sys.argv[sys.argv.index("--") + 1]
    random.seed(24)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = "burst"
    add_world(scene)
    set_up_render(scene)
    add_floor()
    materials = [bead_material(name, color) for name, color in PALETTE.items()]
    add_lights()
    add_beads(materials)
    add_word()
    add_camera(scene)
    bpy.ops.wm.save_as_mainfile(filepath=output, compress=True, relative_remap=False)


def set_up_render(scene: bpy.types.Scene) -> None:
    """Choose few samples and bounces: a frame takes about a second on two threads."""
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.fps = FRAMES_PER_SECOND
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = 640, 360
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.filepath = "//burst_####"
    scene.render.use_persistent_data = True
    scene.cycles.device = "CPU"
    scene.cycles.samples = 12
    scene.cycles.use_adaptive_sampling = False
    # Wider than the default: so few samples look calmer a little softer.
    scene.cycles.filter_width = 2.0
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 2
    scene.cycles.diffuse_bounces = 1
    scene.cycles.glossy_bounces = 1
    # The sky is so even that aiming at its bright parts costs more than it saves.
    scene.world.cycles.sampling_method = "NONE"
    scene.cycles.sample_clamp_indirect = 1.0
    scene.cycles.caustics_reflective = False
    scene.cycles.caustics_refractive = False
    scene.view_settings.view_transform = "Filmic"
    scene.view_settings.look = "Medium High Contrast"


def add_world(scene: bpy.types.Scene) -> None:
    """Light everything by a dusk: warm at the horizon, deep blue above."""
    world = bpy.data.worlds.new("dusk")
    scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    coordinate = nodes.new("ShaderNodeTexCoord")
    separate = nodes.new("ShaderNodeSeparateXYZ")
    ramp = nodes.new("ShaderNodeValToRGB")
    background = nodes.new("ShaderNodeBackground")
    output = nodes.new("ShaderNodeOutputWorld")
    stops = ramp.color_ramp.elements
    stops[0].position, stops[0].color = 0.0, (0.75, 0.22, 0.10, 1)
    stops[1].position, stops[1].color = 0.75, (0.012, 0.020, 0.075, 1)
    for position, color in ((0.10, (0.50, 0.11, 0.13, 1)), (0.32, (0.09, 0.04, 0.16, 1))):
        stops.new(position).color = color
    background.inputs["Strength"].default_value = 1.1
    links.new(coordinate.outputs["Generated"], separate.inputs[0])
    links.new(separate.outputs["Z"], ramp.inputs[0])
    links.new(ramp.outputs[0], background.inputs["Color"])
    links.new(background.outputs[0], output.inputs["Surface"])


def add_floor() -> None:
    """Lay a dark floor that mirrors a little and fades into the horizon."""
    mesh = bpy.data.meshes.new("floor")
    size = 120
    corners = [(-size, -size, 0), (size, -size, 0), (size, size, 0), (-size, size, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.materials.append(
        principled("floor", base=(0.020, 0.018, 0.040), roughness=0.10, specular=0.5)
    )
    link(bpy.data.objects.new("floor", mesh))


def add_lights() -> None:
    """Add a large key light from the left, and a cool rim from behind."""
    area("key", Vector((-6, -6, 8)), (1.0, 0.86, 0.70), watts=900, size=2.5, mirrored=True)
    # Mirrored by the floor it would be a white patch in front of the word.
    area("rim", Vector((7, 6, 5)), (0.45, 0.65, 1.0), watts=500, size=2, mirrored=False)


def area(
    name: str,
    position: Vector,
    color: tuple[float, float, float],
    *,
    watts: float,
    size: float,
    mirrored: bool,
) -> None:
    """Add an area light that looks at the middle of the word."""
    light = bpy.data.lights.new(name, "AREA")
    light.energy, light.size, light.color = watts, size, color
    lamp = bpy.data.objects.new(name, light)
    lamp.visible_glossy = mirrored
    lamp.location = position
    lamp.rotation_euler = (BALL_CENTER - position).to_track_quat("-Z", "Y").to_euler()
    link(lamp)


def add_beads(materials: list[bpy.types.Material]) -> None:
    """Throw beads outwards from a ball; they fall, bounce and roll out."""
    meshes = [bead_mesh(material) for material in materials]
    for number in range(BEADS):
        across = 1 - 2 * (number + 0.5) / BEADS
        turn = number * math.pi * (3 - math.sqrt(5))
        ring = math.sqrt(1 - across * across)
        outward = Vector((ring * math.cos(turn), ring * math.sin(turn), across))
        radius = random.choice((0.10, 0.14, 0.14, 0.18, 0.18, 0.25))
        bead = bpy.data.objects.new(f"bead {number + 1}", random.choice(meshes))
        bead.scale = (radius,) * 3
        link(bead)
        throw(bead, outward, radius)


def throw(bead: bpy.types.Object, outward: Vector, radius: float) -> None:
    """Keep the flight of one bead as keys; nothing is left to simulate at render time."""
    steps = 8
    seconds = 1 / FRAMES_PER_SECOND / steps
    position = BALL_CENTER + outward * (BALL_RADIUS - radius * 0.5)
    velocity = outward * random.uniform(2.2, 6.4) + Vector((0, 0, random.uniform(1.0, 3.0)))
    velocity.y = velocity.y * 0.9 + 0.6
    for frame in range(1, FRAMES + KEY_EVERY):
        if frame % KEY_EVERY == 1:
            bead.location = position
            bead.keyframe_insert("location", frame=frame)
        for _ in range(steps):
            velocity.z -= GRAVITY * seconds
            velocity *= 1 - DRAG_PER_SECOND * seconds
            position = position + velocity * seconds
            if position.z < radius:
                position.z = radius
                velocity.z = abs(velocity.z) * BOUNCE


def bead_mesh(material: bpy.types.Material) -> bpy.types.Mesh:
    """Make a smooth unit sphere that all beads of one color share."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=40, ring_count=20, radius=1)
    made = bpy.context.object
    mesh = made.data
    mesh.name = f"bead, {material.name}"
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    mesh.materials.append(material)
    bpy.data.objects.remove(made)
    return mesh


def add_word() -> None:
    """Let the letters pop out of the ball, one after the other, and land on the floor."""
    white = principled("letters", base=(0.86, 0.80, 0.72), roughness=0.35, specular=0.25)
    for number, letter in enumerate(WORD):
        curve = bpy.data.curves.new(letter, "FONT")
        curve.body = letter
        curve.size, curve.extrude, curve.bevel_depth, curve.bevel_resolution = 2.9, 0.26, 0.05, 3
        curve.align_x = "CENTER"
        text = bpy.data.objects.new(letter, curve)
        link(text)
        mesh = bpy.data.meshes.new_from_object(
            text.evaluated_get(bpy.context.evaluated_depsgraph_get())
        )
        bpy.data.objects.remove(text)
        bpy.data.curves.remove(curve)
        mesh.name = f"letter {letter}"
        mesh.materials.clear()
        mesh.materials.append(white)
        shape = bpy.data.objects.new(f"letter {number + 1}", mesh)
        link(shape)
        pop(shape, x=LETTER_PLACES[number], first_frame=1 + 2 * number)


def pop(shape: bpy.types.Object, *, x: float, first_frame: int) -> None:
    """Fly one letter from the middle of the ball to its place, turning, with an overshoot."""
    upright = math.pi / 2
    keys = (
        (first_frame, 0.0, 0.05, 1.5, 0.9),
        (first_frame + 8, 0.85, 0.95, 1.1, 0.35),
        (first_frame + 13, 1.04, 1.08, 0.35, -0.08),
        (first_frame + 18, 1.0, 0.97, 0.0, 0.02),
        (first_frame + 23, 1.0, 1.0, 0.04, 0.0),
    )
    for frame, way, scale, height, turn in keys:
        shape.location = (x * way, 0, max(height, 0.0) + 0.05)
        shape.scale = (scale,) * 3
        shape.rotation_euler = (upright, 0, turn * (1 if x <= 0 else -1))
        for path in ("location", "scale", "rotation_euler"):
            shape.keyframe_insert(path, frame=frame)


def add_camera(scene: bpy.types.Scene) -> None:
    """Move a low camera along an arc; it never stands still, so all frames differ."""
    camera_data = bpy.data.cameras.new("camera")
    camera_data.lens = 38
    camera = bpy.data.objects.new("camera", camera_data)
    link(camera)
    scene.camera = camera
    target = Vector((0, 0, 1.35))
    for frame in range(1, FRAMES + 1, 5):
        way = (frame - 1) / (FRAMES - 1)
        angle = math.radians(-20 + 32 * way)
        distance = 11.2 - 1.5 * way
        camera.location = (
            math.sin(angle) * distance,
            -math.cos(angle) * distance,
            1.0 + 1.1 * way,
        )
        camera.rotation_euler = (target - camera.location).to_track_quat("-Z", "Y").to_euler()
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)


def bead_material(name: str, color: tuple[float, float, float]) -> bpy.types.Material:
    """Make a glossy lacquer of one color."""
    return principled(name, base=color, roughness=0.10, specular=0.6)


def principled(
    name: str, *, base: tuple[float, float, float], roughness: float, specular: float
) -> bpy.types.Material:
    """Make a material of Blender's all-purpose shader."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    inputs = material.node_tree.nodes["Principled BSDF"].inputs
    inputs["Base Color"].default_value = (*base, 1)
    inputs["Roughness"].default_value = roughness
    # Blender 4 renamed the input.
    level = inputs.get("Specular") or inputs["Specular IOR Level"]
    level.default_value = specular
    return material


def link(thing: bpy.types.Object) -> None:
    """Put an object into the scene."""
    bpy.context.scene.collection.objects.link(thing)


main()
