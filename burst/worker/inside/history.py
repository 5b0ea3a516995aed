"""Whether keeping render data between frames could let one show in the pixels of another.

Each reason was measured against a run that keeps nothing. A simulation with a bake is none,
nor is anything else that moves, changes its shape or its colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from burst.worker.inside.used import node_trees, rendered_scenes

_HANDLERS = (
    *("frame_change_pre", "frame_change_post", "depsgraph_update_pre", "depsgraph_update_post"),
    *("render_init", "render_pre", "render_post", "render_write", "render_complete"),
)


def handlers(bpy: Any) -> list[Any]:
    """Return the functions that a scene's scripts have Blender call while it renders.

    What they change, they may change without telling Blender.
    """
    return [function for kind in _HANDLERS for function in getattr(bpy.app.handlers, kind)]


def depends_on_history(bpy: Any, scene: Any, used: set[Any]) -> bool:
    """Say whether persistent data could make a frame depend on those rendered before."""
    scenes = rendered_scenes(bpy, scene)
    if any(one.render.use_motion_blur for one in scenes):
        return True
    things = [block for block in used if block.bl_rna.identifier == "Object"]
    if any(_has_moving_hair(thing) or _is_diced(one, thing) for one in scenes for thing in things):
        return True
    return _have_lights_that_come_and_go(used, things)


def _has_moving_hair(thing: Any) -> bool:
    """Say whether hair of particles moves with its object.

    Cycles takes hair from where it is in the world, which rounds differently at each place.
    """
    hair = (
        modifier.particle_system.settings
        for modifier in thing.modifiers
        if modifier.type == "PARTICLE_SYSTEM" and modifier.show_render and modifier.particle_system
    )
    strands = any(one and one.type == "HAIR" and one.render_type == "PATH" for one in hair)
    return strands and _may_move(thing)


def _may_move(thing: Any) -> bool:
    if thing.animation_data or thing.constraints or thing.rigid_body:
        return True
    return bool(thing.parent) and _may_move(thing.parent)


def _is_diced(scene: Any, thing: Any) -> bool:
    """Say whether a mesh is cut as finely as the camera sees it, which Cycles does once."""
    # In 5.0, where a modifier has the switch, it is cut anew.
    experimental = getattr(getattr(scene, "cycles", None), "feature_set", "") == "EXPERIMENTAL"
    return experimental and getattr(thing.cycles, "use_adaptive_subdivision", False)


# ── Lights that come and go ──────────────────────────────────────────────────────────
# Which light a sample is taken from follows from the order of all lights, and a light that
# comes back stands at the end of it when the others were kept.


def _have_lights_that_come_and_go(used: set[Any], things: list[Any]) -> bool:
    lights = {thing for thing in things if _shines(thing)}
    if not lights:
        return False
    if any(_is_switched(thing) for thing in things if thing in lights or _makes_instances(thing)):
        return True
    return any(other in lights for other in _scattered(used, things))


def _shines(thing: Any) -> bool:
    if thing.type == "LIGHT":
        return True
    materials = (slot.material for slot in thing.material_slots if slot.material)
    return any(
        _emits(node)
        for material in materials
        for tree in node_trees({material})
        for node in tree.nodes
    )


def _emits(node: Any) -> bool:
    if node.type in ("EMISSION", "GROUP", "SCRIPT"):
        # What a group does in it is not looked for: too often it would be too much.
        return True
    if node.type != "BSDF_PRINCIPLED":
        return False
    strength = node.inputs["Emission Strength"]
    color = node.inputs.get("Emission Color") or node.inputs["Emission"]
    return (strength.is_linked or strength.default_value > 0) and (
        color.is_linked or any(part > 0 for part in color.default_value[:3])
    )


def _makes_instances(thing: Any) -> bool:
    kinds = {modifier.type for modifier in thing.modifiers}
    return thing.instance_type != "NONE" or bool(kinds & {"NODES", "PARTICLE_SYSTEM"})


def _scattered(used: set[Any], things: list[Any]) -> Iterator[Any]:
    """Yield objects that nodes or particles show, as many times as there are points."""
    for source in (*_sources_in_blocks(used), *_sources_in_modifiers(things)):
        kind = getattr(getattr(source, "bl_rna", None), "identifier", "")
        if kind == "Object":
            yield source
        elif kind == "Collection":
            yield from source.all_objects


def _sources_in_blocks(used: set[Any]) -> Iterator[Any]:
    for block in used:
        if block.bl_rna.identifier == "ParticleSettings":
            yield from (block.instance_object, block.instance_collection)
        elif block.bl_rna.identifier == "GeometryNodeTree":
            sockets = (socket for node in block.nodes for socket in node.inputs)
            yield from (getattr(socket, "default_value", None) for socket in sockets)


def _sources_in_modifiers(things: list[Any]) -> Iterator[Any]:
    for modifier in (modifier for thing in things for modifier in thing.modifiers):
        if modifier.type == "NODES" and modifier.node_group:
            yield from (modifier[key] for key in modifier.keys())  # noqa: SIM118 - no dict


def _is_switched(block: Any) -> bool:
    """Say whether it is shown at some frames and hidden at others."""
    return any("hide_render" in path for path in _animated(block.animation_data))


def _animated(animation: Any) -> Iterator[str]:
    if animation is None:
        return
    yield from (driver.data_path for driver in animation.drivers)
    strips = [strip for track in animation.nla_tracks for strip in track.strips]
    for action in (animation.action, *(strip.action for strip in strips)):
        if action is None:
            continue
        if hasattr(action, "fcurves"):
            yield from (curve.data_path for curve in action.fcurves)
            continue
        # Since 5.0 an action has layers.
        for layer in action.layers:
            bags = (bag for strip in layer.strips for bag in strip.channelbags)
            yield from (curve.data_path for bag in bags for curve in bag.fcurves)
