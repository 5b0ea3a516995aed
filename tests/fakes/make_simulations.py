"""Makes a .blend with one kind of simulation, baked or not, inside a Blender.

Run as ``blender -b --factory-startup --python make_simulations.py -- BLEND CASE…`` or, with
bpy, as ``python make_simulations.py -- BLEND CASE…``. For each case a .blend is saved as
BLEND with ``CASE`` filled in for ``{}``. A case is ``kind`` or ``kind-state``, or several of
these with a ``+`` between them; see `KINDS`.
"""

from __future__ import annotations

import os
import sys

import bpy

FRAMES = 12


def main() -> None:
    """Build and save every case that is asked for."""
    pattern, *cases = sys.argv[sys.argv.index("--") + 1 :]
    for case in cases:
        path = pattern.replace("{}", case)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        set_up(scene)
        # A cache needs a place to be beside.
        bpy.ops.wm.save_as_mainfile(filepath=path)
        for part in case.split("+"):
            kind, _, state = part.partition("-")
            KINDS[kind](scene, state)
        bpy.ops.wm.save_mainfile()
    sys.stdout.flush()
    # Some builds crash when they tidy up after a fluid.
    os._exit(0)


def set_up(scene):
    """Give the scene a camera, a sun, and quick settings."""
    scene.frame_start, scene.frame_end = 1, FRAMES
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, -9, 1)
    camera.rotation_euler = (1.45, 0, 0)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.rotation_euler = (0.6, 0.3, 0)
    sun.data.energy = 4
    for thing in (camera, sun):
        scene.collection.objects.link(thing)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 48, 32
    scene.render.filepath = "//render/f_"


def add_mesh(name, primitive, **options):
    """Add a mesh of Blender's own."""
    getattr(bpy.ops.mesh, f"primitive_{primitive}_add")(**options)
    made = bpy.context.object
    made.name = name
    return made


def bake_points(owner, cache):
    """Bake one point cache."""
    scene = bpy.context.scene
    cache.frame_start, cache.frame_end = scene.frame_start, scene.frame_end
    with override(scene=scene, active_object=owner, object=owner, point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)


def override(**context):
    """Return a context in which an operator finds what it works on."""
    return bpy.context.temp_override(**context)


def bake_if(state, owner, cache):
    """Bring a point cache into a state."""
    if "disk" in state:
        cache.use_disk_cache = True
    if "baked" in state:
        bake_points(owner, cache)


def elsewhere(scene, _state):
    """Cloth that this scene does not show: in another scene, and in no scene at all."""
    other = bpy.data.scenes.new("Other")
    for name in ("Left over", "Of another"):
        thing = bpy.data.objects.new(name, bpy.data.meshes.new(name))
        thing.use_fake_user = True
        thing.modifiers.new("Cloth", "CLOTH")
    other.collection.objects.link(thing)
    add_mesh("Shown", "cube", size=1)


def instanced(scene, _state):
    """Cloth that is only shown by an instance of its collection."""
    cloth(scene, "")
    flag = bpy.data.objects["Flag"]
    group = bpy.data.collections.new("Flags")
    group.objects.link(flag)
    scene.collection.objects.unlink(flag)
    pole = bpy.data.objects.new("Pole", None)
    pole.instance_type, pole.instance_collection = "COLLECTION", group
    scene.collection.objects.link(pole)


def cloth(scene, state):
    """A cloth that falls over a ball."""
    flag = add_mesh("Flag", "grid", x_subdivisions=8, y_subdivisions=8, size=3, location=(0, 0, 2))
    ball = add_mesh("Ball", "uv_sphere", segments=8, ring_count=6)
    ball.modifiers.new("Hit", "COLLISION")
    modifier = flag.modifiers.new("Cloth", "CLOTH")
    modifier.settings.quality = 2
    modifier.show_render = state != "hidden"
    bake_if(state, flag, modifier.point_cache)


def softbody(scene, state):
    """A soft ball that falls."""
    jelly = add_mesh("Jelly", "uv_sphere", segments=8, ring_count=6, location=(0, 0, 2))
    modifier = jelly.modifiers.new("Soft", "SOFT_BODY")
    modifier.settings.use_goal = False
    bake_if(state, jelly, modifier.point_cache)


def particles(scene, state):
    """Particles that fall from a plane; also the kinds that are no simulation."""
    source = add_mesh("Source", "plane", location=(0, 0, 2))
    crumb = add_mesh("Crumb", "cube", size=0.4, location=(0, 0, -50))
    source.modifiers.new("Dust", "PARTICLE_SYSTEM")
    system = source.particle_systems[0]
    settings = system.settings
    settings.count, settings.frame_end, settings.lifetime = 40, 10, 30
    settings.render_type, settings.instance_object = "OBJECT", crumb
    settings.particle_size, settings.normal_factor = 1, 1
    if "hair" in state:
        settings.type, settings.render_type = "HAIR", "PATH"
        settings.child_type = "INTERPOLATED"
        settings.rendered_child_count = 4
    if "dynamic" in state:
        system.use_hair_dynamics = True
    if "still" in state:
        settings.physics_type = "NO"
    if "keyed" in state:
        settings.physics_type = "KEYED"
    bake_if(state, source, system.point_cache)


def rigid(scene, state):
    """Boxes that fall."""
    ground = add_mesh("Ground", "plane", size=8, location=(0, 0, -1))
    boxes = [add_mesh(f"Box {n}", "cube", location=(n * 0.4, 0, n * 2 + 1)) for n in range(3)]
    bpy.ops.rigidbody.world_add()
    for thing in (ground, *boxes):
        with override(active_object=thing, object=thing, selected_objects=[thing]):
            bpy.ops.rigidbody.object_add(type="PASSIVE" if thing is ground else "ACTIVE")
    if "off" in state:
        scene.rigidbody_world.enabled = False
    if "passive" in state:
        for thing in boxes:
            thing.rigid_body.type = "PASSIVE"
    if "baked" in state:
        bake_points(ground, scene.rigidbody_world.point_cache)


def paint(scene, state):
    """A brush that paints on a canvas."""
    canvas = add_mesh("Canvas", "grid", x_subdivisions=20, y_subdivisions=20, size=4)
    canvas.rotation_euler = (0.8, 0, 0)
    brush = add_mesh("Brush", "cube", size=1)
    for frame in (1, FRAMES):
        brush.location = (frame * 0.3 - 2, 0, 0)
        brush.keyframe_insert("location", frame=frame)
    with override(active_object=brush, object=brush):
        modifier = brush.modifiers.new("Paint", "DYNAMIC_PAINT")
        modifier.ui_type = "BRUSH"
        bpy.ops.dpaint.type_toggle(type="BRUSH")
    with override(active_object=canvas, object=canvas):
        modifier = canvas.modifiers.new("Paint", "DYNAMIC_PAINT")
        modifier.ui_type = "CANVAS"
        bpy.ops.dpaint.type_toggle(type="CANVAS")
    surface = modifier.canvas_settings.canvas_surfaces[0]
    surface.surface_type = "WAVE" if "wave" in state else "DISPLACE"
    brush.hide_render = True
    if "baked" in state:
        bake_points(canvas, surface.point_cache)


def fluid(scene, state):
    """Smoke or a liquid in a small box."""
    domain = add_mesh("Tank", "cube", size=4)
    flow = add_mesh("Flow", "uv_sphere", segments=8, ring_count=6)
    flow.modifiers.new("Fluid", "FLUID").fluid_type = "FLOW"
    flow.modifiers["Fluid"].flow_settings.flow_type = "SMOKE"
    modifier = domain.modifiers.new("Fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    settings = modifier.domain_settings
    settings.domain_type = "GAS"
    settings.resolution_max = 8
    settings.cache_frame_start, settings.cache_frame_end = 1, FRAMES
    settings.cache_type = (
        "ALL" if "baked" in state else "MODULAR" if "modular" in state else "REPLAY"
    )
    settings.cache_directory = "//fluid_" + (state or "none")
    if "baked" in state:
        with override(scene=scene, active_object=domain, object=domain):
            bpy.ops.fluid.bake_all()


def zone(scene, state):
    """A simulation zone of geometry nodes (3.6 and newer)."""
    thing = add_mesh("Grower", "cube", size=0.5)
    tree = bpy.data.node_groups.new("Grow", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    nodes, links = tree.nodes, tree.links
    first, last = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    enter, leave = (
        nodes.new("GeometryNodeSimulationInput"),
        nodes.new("GeometryNodeSimulationOutput"),
    )
    enter.pair_with_output(leave)
    move = nodes.new("GeometryNodeTransform")
    move.inputs["Translation"].default_value = (0.2, 0, 0.1)
    links.new(first.outputs[0], enter.inputs["Geometry"])
    links.new(enter.outputs["Geometry"], move.inputs["Geometry"])
    links.new(move.outputs["Geometry"], leave.inputs["Geometry"])
    links.new(leave.outputs["Geometry"], last.inputs[0])
    modifier = thing.modifiers.new("Grow", "NODES")
    modifier.node_group = tree
    modifier.bake_target = "DISK" if "disk" in state else "PACKED"
    if "baked" in state:
        bpy.ops.wm.save_mainfile()
        bpy.ops.object.geometry_node_bake_single(
            session_uid=thing.session_uid, modifier_name="Grow", bake_id=modifier.bakes[0].bake_id
        )


KINDS = {
    "cloth": cloth,
    "softbody": softbody,
    "particles": particles,
    "rigid": rigid,
    "paint": paint,
    "fluid": fluid,
    "zone": zone,
    "elsewhere": elsewhere,
    "instanced": instanced,
}
main()
