"""Which simulations of a scene nobody baked.

Outside Blender `burst.scene.needs` reads the same from the file; a table of cases holds both
to one answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burst.worker.inside.used import rendered_scenes

_NO_CACHE = ("NO", "KEYED")
"""Particle physics that follow from the frame's number alone; there is nothing to bake."""


def unbaked(bpy: Any, scene: Any, used: set[Any]) -> list[str]:
    """Return the simulations that a scene shows and nobody baked, as "Cloth on 'Flag'", sorted."""
    things = (block for block in used if block.bl_rna.identifier == "Object")
    found = {f"{kind} on '{thing.name}'" for thing in things for kind in _of_object(bpy, thing)}
    worlds = [one.rigidbody_world for one in rendered_scenes(bpy, scene) if one.rigidbody_world]
    if any(_is_rigid(world) and not _is_baked(world.point_cache) for world in worlds):
        found.add("Rigid bodies")
    return sorted(found)


def _of_object(bpy: Any, thing: Any) -> Iterator[str]:
    """Yield the kinds of simulation on one object that have no bake."""
    for modifier in thing.modifiers:
        if modifier.show_render and modifier.type == "NODES":
            yield from _nodes(bpy, modifier)
        elif modifier.show_render and modifier.type in _KINDS:
            yield from _KINDS[modifier.type](modifier)


def _cloth(modifier: Any) -> Iterator[str]:
    if not _is_baked(modifier.point_cache):
        yield "Cloth"


def _soft_body(modifier: Any) -> Iterator[str]:
    if not _is_baked(modifier.point_cache):
        yield "Soft body"


def _particles(modifier: Any) -> Iterator[str]:
    system = modifier.particle_system
    if system is None or system.settings is None:
        return
    if system.settings.type == "HAIR":
        if system.use_hair_dynamics and not _is_baked(system.point_cache):
            yield "Hair dynamics"
    elif system.settings.physics_type not in _NO_CACHE and not _is_baked(system.point_cache):
        yield "Particles"


def _fluid(modifier: Any) -> Iterator[str]:
    domain = modifier.domain_settings if modifier.fluid_type == "DOMAIN" else None
    if domain is None:
        return
    liquid = domain.domain_type == "LIQUID"
    lacks = [
        domain.cache_type == "REPLAY",
        not domain.has_cache_baked_data,
        not liquid and domain.use_noise and not domain.has_cache_baked_noise,
        liquid and domain.use_mesh and not domain.has_cache_baked_mesh,
    ]
    if any(lacks):
        yield "Fluid"


def _paint(modifier: Any) -> Iterator[str]:
    canvas = modifier.canvas_settings
    surfaces = canvas.canvas_surfaces if canvas else ()
    # A sequence of images is written by its own bake, and read by an image texture.
    caching = [s for s in surfaces if s.is_active and s.surface_format == "VERTEX"]
    if any(not _is_baked(surface.point_cache) for surface in caching):
        yield "Dynamic paint"


def _nodes(bpy: Any, modifier: Any) -> Iterator[str]:
    if modifier.node_group is None or not _has_zone(modifier.node_group, set()):
        return
    if not hasattr(modifier, "bakes"):
        # Up to 4.0 there is one folder for all.
        folders = [modifier.simulation_bake_directory]
    else:
        bakes = [bake for bake in modifier.bakes if _is_zone(bake.node)]
        if any(hasattr(bake, "bake_target") for bake in bakes):
            # Since 4.3 the data may be inside the .blend, and Blender tells no script whether.
            return
        folders = [
            bake.directory if bake.use_custom_path else f"{modifier.bake_directory}/{bake.bake_id}"
            for bake in bakes
        ]
    if not folders or not all(_holds_bake(bpy, modifier, folder) for folder in folders):
        yield "Simulation nodes"


def _is_zone(node: Any) -> bool:
    return node is not None and node.bl_idname == "GeometryNodeSimulationOutput"


def _has_zone(tree: Any, seen: set[str]) -> bool:
    seen.add(tree.name_full)
    for node in tree.nodes:
        inner = getattr(node, "node_tree", None)
        if _is_zone(node) or (inner and inner.name_full not in seen and _has_zone(inner, seen)):
            return True
    return False


def _holds_bake(bpy: Any, modifier: Any, folder: str) -> bool:
    block = modifier.id_data
    return any(Path(bpy.path.abspath(folder, library=block.library)).glob("meta/*.json"))


_KINDS = {
    "CLOTH": _cloth,
    "SOFT_BODY": _soft_body,
    "PARTICLE_SYSTEM": _particles,
    "FLUID": _fluid,
    "DYNAMIC_PAINT": _paint,
}


def _is_rigid(world: Any) -> bool:
    """Say whether anything is moved by the rules of rigid bodies, not only in the way."""
    if not world.enabled or not world.collection:
        return False
    bodies = [thing.rigid_body for thing in world.collection.objects if thing.rigid_body]
    return any(body.type == "ACTIVE" and body.enabled and not body.kinematic for body in bodies)


def _is_baked(cache: Any) -> bool:
    return bool(cache.is_baked or cache.use_external)
