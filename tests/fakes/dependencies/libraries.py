"""Cases of .blends that link others; runs inside Blender."""

from __future__ import annotations

import bpy
from dependencies.scenery import Case, glow, image, link, quad, show, start, strips


def nested(case: Case) -> None:
    """An object links its material from a library, whose group of nodes is in a third one."""
    start()
    case.png("assets/deep/tex/group.png")
    group = bpy.data.node_groups.new("deep", "ShaderNodeTree")
    node = group.nodes.new("ShaderNodeTexImage")
    node.image = image("//tex/group.png")
    output = group.nodes.new("NodeGroupOutput")
    if hasattr(group, "interface"):
        group.interface.new_socket("Color", in_out="OUTPUT", socket_type="NodeSocketColor")
    else:
        group.outputs.new("NodeSocketColor", "Color")
    group.links.new(node.outputs["Color"], output.inputs[0])
    group.use_fake_user = True
    case.save("assets/deep/groups.blend")

    start()
    case.png("assets/skin/skin.png")
    case.save("assets/skin/materials.blend")
    material = bpy.data.materials.new("skin")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.image = image("//skin.png")
    inner = tree.nodes.new("ShaderNodeGroup")
    path = case.top / "assets/deep/groups.blend"
    inner.node_tree = link(path, "node_groups", "deep", "//../deep/groups.blend")
    glow(tree, [picture.outputs["Color"], inner.outputs[0]])
    material.use_fake_user = True
    case.save("assets/skin/materials.blend")

    start()
    case.png("assets/props/by nobody.png", needed=False)
    case.save("assets/props/props.blend")
    thing = quad("prop")
    path = case.top / "assets/skin/materials.blend"
    thing.data.materials[0] = link(path, "materials", "skin", "//../skin/materials.blend")
    quad("bystander", image("//by nobody.png"))
    case.save("assets/props/props.blend")

    start()
    case.save_main()
    path = case.top / "assets/props/props.blend"
    show(link(path, "objects", "prop", "//../../assets/props/props.blend"))
    case.save_main()


def collection(case: Case) -> None:
    """An instance of a linked collection, and an override of it."""
    start()
    case.png("film/props/tree.png")
    group = bpy.data.collections.new("forest")
    thing = quad("tree", image("//tree.png"))
    bpy.context.scene.collection.objects.unlink(thing)
    group.objects.link(thing)
    group.use_fake_user = True
    case.save("film/props/trees.blend")
    start()
    case.save_main()
    path = case.top / "film/props/trees.blend"
    linked = link(path, "collections", "forest", "//../props/trees.blend")
    empty = bpy.data.objects.new("instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", linked
    show(empty)
    case.save_main()


def linked_scene(case: Case) -> None:
    """A scene of a library as a background, with a world whose picture lies beside that."""
    start()
    case.png("film/set/sky.png")
    case.png("film/set/floor.png")
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    node = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = image("//sky.png")
    background = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
    world.node_tree.links.new(node.outputs["Color"], background.inputs["Color"])
    bpy.context.scene.world = world
    bpy.context.scene.name = "set"
    quad("floor", image("//floor.png"))
    case.save("film/set/set.blend")
    start()
    case.save_main()
    path = case.top / "film/set/set.blend"
    behind = link(path, "scenes", "set", "//../set/set.blend")
    bpy.context.scene.background_set = behind
    bpy.context.scene.world = behind.world
    case.save_main()


def packed(case: Case) -> None:
    """A picture, a sound, and where Blender can a library, all inside of the .blend."""
    start()
    case.save_main()
    picture = case.png("film/shot/packed.png", needed=False)
    sound = case.wav("film/shot/packed.wav")
    case.needed.remove("film/shot/packed.wav")
    inside = image("//packed.png")
    inside.pack()
    quad("quad", inside)
    made = strips().new_sound("sound", str(sound), 1, 1)
    made.sound.pack()
    made.sound.filepath = "//packed.wav"
    made.mute = True
    bpy.context.scene.render.use_sequencer = False
    case.save_main()
    picture.unlink()
    sound.unlink()


def packed_library(case: Case) -> bool | None:
    """Linked data that 5.0 packs into the .blend; its picture is packed or stays outside."""
    if not hasattr(bpy.types.Library.bl_rna, "properties") or bpy.app.version < (5, 0):
        return False
    start()
    case.png("film/props/tree.png")
    quad("tree", image("//tree.png"))
    case.save("film/props/trees.blend")
    case.needed.remove("film/props/trees.blend")
    start()
    case.save_main()
    path = str(case.top / "film/props/trees.blend")
    with bpy.data.libraries.load(path, link=True, pack=True, relative=True) as (_, into):
        into.objects = ["tree"]
    show(into.objects[0])
    case.save_main()
    return None


CASES = (nested, collection, linked_scene, packed, packed_library)
