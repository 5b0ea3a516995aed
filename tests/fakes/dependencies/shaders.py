"""Cases of files that shaders and nodes of geometry name; runs inside Blender."""

from __future__ import annotations

import bpy
from dependencies.scenery import Case, glow, image, material_with, quad, sheet, show, start

OSL = """#include "lib/tint.h"
shader plain(output color Col = 0) { Col = TINT; }
"""
LENS = """shader lens(
  output point position = 0, output vector direction = 0, output color throughput = 1)
{
  position = point(P[0] * 4 - 2, P[1] * 4 - 2, 0);
  direction = vector(0, 0, 1);
}
"""
IES = """IESNA:LM-63-2002
[TEST] none
TILT=NONE
1 1000 1 5 1 1 2 0 0 0
1 1 10
0 22.5 45 67.5 90
0
1000 900 600 300 100
"""


def light_profile(case: Case) -> None:
    """Lights with profiles, one in the .blend and one beside it."""
    start()
    case.text("film/lights/lamp.ies", IES)
    data = bpy.data.lights.new("lamp", "POINT")
    data.energy = 500
    data.use_nodes = True
    tree = data.node_tree
    profile = tree.nodes.new("ShaderNodeTexIES")
    profile.mode, profile.filepath = "EXTERNAL", case.name("film/lights/lamp.ies")
    light = next(node for node in tree.nodes if node.type == "EMISSION")
    tree.links.new(profile.outputs[0], light.inputs["Strength"])
    lamp = show(bpy.data.objects.new("lamp", data))
    lamp.location.z = 2
    thing = sheet("quad")
    thing.data.materials.append(bpy.data.materials.new("white"))
    case.save_main()


def script(case: Case) -> bool | None:
    """A shader script that includes another file, and one for a camera where there is one."""
    if not bpy.app.build_options.cycles_osl:
        return False
    start()
    bpy.context.scene.cycles.shading_system = True
    case.text("film/osl/plain.osl", OSL)
    case.text("film/osl/lib/tint.h", "#define TINT color(0.2, 0.5, 0.3)\n")
    tree = material_with(sheet("quad"), "scripted")
    node = tree.nodes.new("ShaderNodeScript")
    case.save_main()
    node.mode, node.filepath = "EXTERNAL", case.name("film/osl/plain.osl")
    socket = node.outputs[0] if node.outputs else node.outputs.new("NodeSocketColor", "Col")
    glow(tree, [socket])
    case.save_main()
    _forget_compiled(case)
    return None


def camera_script(case: Case) -> bool | None:
    """A camera that is a shader script (5.0)."""
    if "CUSTOM" not in bpy.types.Camera.bl_rna.properties["type"].enum_items:
        return False
    start()
    bpy.context.scene.cycles.shading_system = True
    case.save_main()
    case.text("film/osl/lens.osl", LENS)
    data = bpy.context.scene.camera.data
    data.type, data.custom_mode = "CUSTOM", "EXTERNAL"
    data.custom_filepath = case.name("film/osl/lens.osl")
    quad("quad", image(str(case.png("film/shot/quad.png"))), size=4)
    bpy.data.images["quad.png"].filepath = case.name("film/shot/quad.png")
    case.save_main()
    _forget_compiled(case)
    return None


def _forget_compiled(case: Case) -> None:
    """Remove what Cycles makes of a script, beside it, if it is not there."""
    for path in case.top.rglob("*.oso"):
        path.unlink()


def imported(case: Case) -> bool | None:
    """Nodes of geometry that read a file themselves."""
    if not hasattr(bpy.types, "GeometryNodeImportOBJ"):
        return False
    start()
    case.text("film/geo/tri.obj", "v -1 -1 0\nv 1 -1 0\nv 0 1 0\nf 1 2 3\n")
    case.save_main()
    tree = bpy.data.node_groups.new("import", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    node = tree.nodes.new("GeometryNodeImportOBJ")
    node.inputs[0].default_value = case.name("film/geo/tri.obj")
    real = tree.nodes.new("GeometryNodeRealizeInstances")
    paint = tree.nodes.new("GeometryNodeSetMaterial")
    output = tree.nodes.new("NodeGroupOutput")
    tree.links.new(node.outputs[0], real.inputs[0])
    tree.links.new(real.outputs[0], paint.inputs["Geometry"])
    tree.links.new(paint.outputs[0], output.inputs[0])
    thing = sheet("quad")
    paint.inputs["Material"].default_value = quad("far", size=0.1).data.materials[0]
    thing.modifiers.new("import", "NODES").node_group = tree
    case.save_main()
    return None


def displaced(case: Case) -> None:
    """Pictures that a modifier and a particle system's texture use, and a node of geometry."""
    start()
    case.png("film/tex/height.png")
    height = bpy.data.textures.new("height", "IMAGE")
    height.image = image(case.name("film/tex/height.png"))
    thing = quad("quad")
    thing.modifiers.new("displace", "DISPLACE").texture = height
    case.png("film/tex/field.png")
    tree = bpy.data.node_groups.new("field", "GeometryNodeTree")
    if hasattr(tree, "interface"):
        for way in ("INPUT", "OUTPUT"):
            tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    else:
        tree.inputs.new("NodeSocketGeometry", "Geometry")
        tree.outputs.new("NodeSocketGeometry", "Geometry")
    nodes, join = tree.nodes, tree.links.new
    first, last = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    move, picture = nodes.new("GeometryNodeSetPosition"), nodes.new("GeometryNodeImageTexture")
    picture.inputs["Image"].default_value = image(case.name("film/tex/field.png"))
    join(first.outputs[0], move.inputs["Geometry"])
    join(picture.outputs["Color"], move.inputs["Offset"])
    join(move.outputs[0], last.inputs[0])
    thing.modifiers.new("field", "NODES").node_group = tree
    case.save_main()


def environment(case: Case) -> None:
    """A picture of the world, and that of a lamp."""
    start()
    case.png("film/tex/sky.png")
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    node = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = image(case.name("film/tex/sky.png"))
    background = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
    world.node_tree.links.new(node.outputs[0], background.inputs["Color"])
    bpy.context.scene.world = world
    case.png("film/tex/gobo.png")
    data = bpy.data.lights.new("gobo", "SPOT")
    data.energy = 500
    data.use_nodes = True
    light = next(node for node in data.node_tree.nodes if node.type == "EMISSION")
    gobo = data.node_tree.nodes.new("ShaderNodeTexImage")
    gobo.image = image(case.name("film/tex/gobo.png"))
    data.node_tree.links.new(gobo.outputs[0], light.inputs["Color"])
    lamp = show(bpy.data.objects.new("lamp", data))
    lamp.location.z = 3
    sheet("quad").data.materials.append(bpy.data.materials.new("white"))
    case.save_main()


CASES = (light_profile, script, camera_script, imported, displaced, environment)
