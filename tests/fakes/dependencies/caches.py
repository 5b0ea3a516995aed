"""Cases of caches that Blender wrote itself; runs inside Blender."""

from __future__ import annotations

import bpy
from dependencies.scenery import Case, quad, sheet, start


def points(case: Case) -> None:
    """Baked particles and cloth on disk."""
    start()
    case.frames = [2, 3]
    case.save_main()
    dust = quad("dust")
    dust.modifiers.new("dust", "PARTICLE_SYSTEM")
    system = dust.particle_systems[0]
    system.settings.count, system.settings.frame_end = 5, 3
    flag = sheet("flag")
    cloth = flag.modifiers.new("cloth", "CLOTH")
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 4
    for owner, cache in ((dust, system.point_cache), (flag, cloth.point_cache)):
        cache.frame_start, cache.frame_end = 1, 4
        cache.use_disk_cache = True
        with bpy.context.temp_override(
            scene=scene, active_object=owner, object=owner, point_cache=cache
        ):
            bpy.ops.ptcache.bake(bake=True)
    case.save_main()
    _need_all(case, "film/shot/blendcache_main")


def fluid(case: Case) -> bool | None:
    """Baked smoke; 5.0 dies of it."""
    if bpy.app.version >= (5, 0):
        return False
    start()
    case.frames = [2, 3]
    case.save_main()
    bpy.ops.mesh.primitive_cube_add(size=4)
    domain = bpy.context.object
    bpy.ops.mesh.primitive_uv_sphere_add(segments=8, ring_count=6)
    flow = bpy.context.object.modifiers.new("fluid", "FLUID")
    flow.fluid_type = "FLOW"
    flow.flow_settings.flow_type = "SMOKE"
    modifier = domain.modifiers.new("fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    settings = modifier.domain_settings
    settings.resolution_max = 8
    settings.cache_frame_start, settings.cache_frame_end = 1, 4
    settings.cache_type = "ALL"
    settings.cache_directory = case.name("film/fx/smoke")
    with bpy.context.temp_override(scene=bpy.context.scene, active_object=domain, object=domain):
        bpy.ops.fluid.bake_all()
    case.save_main()
    _need_all(case, "film/fx/smoke")
    return None


def ocean(case: Case) -> None:
    """A baked ocean; `tests.fakes.made` says in the file that it is."""
    case.how = {"compress": False}
    start()
    case.frames = [1, 2]
    case.save_main()
    water = sheet("water")
    modifier = water.modifiers.new("ocean", "OCEAN")
    modifier.resolution = 2
    modifier.frame_start, modifier.frame_end = 1, 3
    modifier.filepath = case.name("film/fx/ocean")
    modifier.use_foam = True
    # Without a window Blender bakes in a thread that may never end: it only reads here.
    for kind in ("disp", "foam"):
        for frame in (1, 2, 3):
            waves = bpy.data.images.new("waves", 4, 4, float_buffer=True)
            waves.file_format = "OPEN_EXR"
            waves.filepath_raw = str(case.path(f"film/fx/ocean/{kind}_{frame:04}.exr"))
            waves.save()
            bpy.data.images.remove(waves)
    case.save_main()
    _need_all(case, "film/fx/ocean")


def baked_nodes(case: Case) -> bool | None:
    """A simulation of geometry nodes, baked on disk, and a second one to a folder of its own."""
    if not hasattr(bpy.types, "GeometryNodeBake"):
        return False
    start()
    case.frames = [2, 3]
    case.save_main()
    for own in ("", case.name("film/fx/grow")):
        thing = quad(f"grower{bool(own)}")
        tree = _growing_tree()
        modifier = thing.modifiers.new("grow", "NODES")
        modifier.node_group = tree
        modifier.bake_target = "DISK"
        bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 4
        bpy.ops.wm.save_mainfile()
        bake = modifier.bakes[0]
        if own:
            bake.use_custom_path, bake.directory = True, own
        bpy.ops.object.geometry_node_bake_single(
            session_uid=thing.session_uid, modifier_name="grow", bake_id=bake.bake_id
        )
    case.save_main()
    _need_all(case, "film/fx/grow")
    _need_all(case, "film/shot/blendcache_main")
    return None


def _growing_tree():
    tree = bpy.data.node_groups.new("grow", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    nodes, join = tree.nodes, tree.links.new
    first, last = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    enter = nodes.new("GeometryNodeSimulationInput")
    leave = nodes.new("GeometryNodeSimulationOutput")
    enter.pair_with_output(leave)
    move = nodes.new("GeometryNodeTransform")
    move.inputs["Translation"].default_value = (0.2, 0, 0.1)
    join(first.outputs[0], enter.inputs["Geometry"])
    join(enter.outputs["Geometry"], move.inputs["Geometry"])
    join(move.outputs["Geometry"], leave.inputs["Geometry"])
    join(leave.outputs["Geometry"], last.inputs[0])
    return tree


def _need_all(case: Case, folder: str) -> None:
    """Say that all files of a cache belong to the scene; which frames are read is its affair."""
    found = [path for path in case.path(folder).rglob("*") if path.is_file()]
    assert found, f"nothing was baked to {folder}"
    for path in found:
        place = path.relative_to(case.top).as_posix()
        case.need(place, spare="of a cache: which of its files are read depends on the frame")


CASES = (points, fluid, ocean, baked_nodes)
