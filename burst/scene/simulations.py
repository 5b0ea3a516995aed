"""Which simulations of a scene nobody baked, read from its .blends without Blender.

The driver decides the same inside Blender (`burst.worker.inside.simulations`). What there
are properties are numbers here, of Blender's headers ``DNA_*_types.h``.
"""

from __future__ import annotations

from collections.abc import Iterator

from blender_asset_tracer import cdefs
from blender_asset_tracer.blendfile import BlendFileBlock

from burst.scene.blend import listed, number, text
from burst.scene.naming import resolve
from burst.scene.used import Blends

_IN_RENDERS = 2
"""eModifierMode_Render"""
_BAKED = 1
"""PTCACHE_BAKED"""
_HAIR = 2
"""PART_HAIR"""
_HAIR_DYNAMICS = 4
"""PSYS_HAIR_DYNAMICS"""
_NO_CACHE = (0, 2)
"""PART_PHYS_NO and _KEYED: they follow from the frame's number alone."""
_DOMAIN, _LIQUID, _REPLAY = 1, 1, 0
"""MOD_FLUID_TYPE_DOMAIN, FLUID_DOMAIN_TYPE_LIQUID, FLUID_DOMAIN_CACHE_REPLAY"""
_USE_NOISE, _USE_MESH = 1 << 1, 1 << 2
"""FLUID_DOMAIN_USE_…"""
_BAKED_DATA, _BAKED_NOISE, _BAKED_MESH = 1 << 1, 1 << 3, 1 << 5
"""FLUID_DOMAIN_BAKED_…"""
_SURFACE_ACTIVE, _VERTEX_SURFACE = 1, 1
"""MOD_DPAINT_ACTIVE, MOD_DPAINT_SURFACE_F_VERTEX"""
_MUTED_WORLD = 1
"""RBW_FLAG_MUTED"""
_ACTIVE_BODY, _NOT_SIMULATED = 0, 1 << 0 | 1 << 6
"""RBO_TYPE_ACTIVE; RBO_FLAG_KINEMATIC, RBO_FLAG_DISABLED"""
_ZONE = b"GeometryNodeSimulationOutput"
_CUSTOM_PATH = 2
"""NODES_MODIFIER_BAKE_CUSTOM_PATH"""


def unbaked(blends: Blends, block: BlendFileBlock) -> Iterator[str]:
    """Yield the simulations of one data-block that have no bake, as "Cloth on 'Flag'"."""
    if block.code == b"SC" and _is_unbaked_rigid(blends, block):
        yield "Rigid bodies"
    if block.code != b"OB":
        return
    for modifier in listed(block, b"modifiers", (b"modifier", b"next")):
        shown = number(modifier, (b"modifier", b"mode")) & _IN_RENDERS
        reader = _KINDS.get(modifier.dna_type_id) if shown else None
        for kind in reader(blends, block, modifier) if reader else ():
            yield f"{kind} on '{text(block.id_name)[2:]}'"


def _is_unbaked_rigid(blends: Blends, scene: BlendFileBlock) -> bool:
    world = scene.get_pointer(b"rigidbody_world", None)
    if world is None or number(world, b"flag") & _MUTED_WORLD:
        return False
    group = _local(blends, world.get_pointer(b"group", None))
    members = listed(group, b"gobject") if group is not None else ()
    bodies = (_local(blends, member.get_pointer(b"ob", None)) for member in members)
    return any(map(_is_active_body, bodies)) and not _is_baked(_shared(world))


def _is_active_body(thing: BlendFileBlock | None) -> bool:
    """Say whether an object is moved by the rules of rigid bodies, not only in the way."""
    body = thing.get_pointer(b"rigidbody_object", None) if thing is not None else None
    if body is None:
        return False
    return number(body, b"type") == _ACTIVE_BODY and not number(body, b"flag") & _NOT_SIMULATED


def _cloth(_blends: Blends, _owner: BlendFileBlock, modifier: BlendFileBlock) -> Iterator[str]:
    if not _is_baked(modifier):
        yield "Cloth"


def _soft_body(_blends: Blends, owner: BlendFileBlock, _modifier: BlendFileBlock) -> Iterator[str]:
    soft = owner.get_pointer(b"soft", None)
    if soft is not None and not _is_baked(_shared(soft)):
        yield "Soft body"


def _particles(blends: Blends, _owner: BlendFileBlock, modifier: BlendFileBlock) -> Iterator[str]:
    system = modifier.get_pointer(b"psys", None)
    settings = _local(blends, system.get_pointer(b"part", None)) if system is not None else None
    if system is None or settings is None:
        return
    if number(settings, b"type") == _HAIR:
        if number(system, b"flag") & _HAIR_DYNAMICS and not _is_baked(system):
            yield "Hair dynamics"
    elif number(settings, b"phystype") not in _NO_CACHE and not _is_baked(system):
        yield "Particles"


def _fluid(_blends: Blends, _owner: BlendFileBlock, modifier: BlendFileBlock) -> Iterator[str]:
    domain = modifier.get_pointer(b"domain", None)
    if domain is None or number(modifier, b"type") != _DOMAIN:
        return
    uses, baked = number(domain, b"flags"), number(domain, b"cache_flag")
    liquid = number(domain, b"type") == _LIQUID
    lacks = [
        number(domain, b"cache_type") == _REPLAY,
        not baked & _BAKED_DATA,
        not liquid and uses & _USE_NOISE and not baked & _BAKED_NOISE,
        liquid and uses & _USE_MESH and not baked & _BAKED_MESH,
    ]
    if any(lacks):
        yield "Fluid"


def _paint(_blends: Blends, _owner: BlendFileBlock, modifier: BlendFileBlock) -> Iterator[str]:
    canvas = modifier.get_pointer(b"canvas", None)
    for surface in listed(canvas, b"surfaces") if canvas is not None else ():
        caching = number(surface, b"format") == _VERTEX_SURFACE
        if caching and number(surface, b"flags") & _SURFACE_ACTIVE and not _is_baked(surface):
            yield "Dynamic paint"
            return


def _nodes(blends: Blends, owner: BlendFileBlock, modifier: BlendFileBlock) -> Iterator[str]:
    tree = _local(blends, modifier.get_pointer(b"node_group", None))
    if tree is None or not _has_zone(blends, tree, set()):
        return
    folder = _text_at(modifier, b"simulation_bake_directory")
    if not modifier.has_field(b"bakes"):
        # Up to 4.0 there is one folder for all.
        baked = [_holds_bake(owner, folder)]
    else:
        baked = [
            _is_zone_baked(owner, bakes, index, folder)
            for bakes, index in _bakes(modifier)
            if _is_of_zone(blends, tree, bakes.get(b"id", array_index=index))
        ]
    if not baked or not all(baked):
        yield "Simulation nodes"


_KINDS = {
    b"ClothModifierData": _cloth,
    b"DynamicPaintModifierData": _paint,
    b"FluidModifierData": _fluid,
    b"NodesModifierData": _nodes,
    b"ParticleSystemModifierData": _particles,
    b"SoftbodyModifierData": _soft_body,
}


def _shared(owner: BlendFileBlock) -> BlendFileBlock:
    """Return what has the point caches: since 2.80 a part that copies of it share."""
    shared = owner.get_pointer(b"shared", None) if owner.has_field(b"shared") else None
    return owner if shared is None else shared


def _is_baked(owner: BlendFileBlock) -> bool:
    field = b"point_cache" if owner.has_field(b"point_cache") else b"pointcache"
    cache = owner.get_pointer(field, None)
    return cache is not None and bool(number(cache, b"flag") & (_BAKED | cdefs.PTCACHE_EXTERNAL))


def _local(blends: Blends, block: BlendFileBlock | None) -> BlendFileBlock | None:
    """Return a data-block, also where it is linked."""
    return blends.linked(block) if block is not None and block.code == b"ID" else block


def _inner_tree(blends: Blends, node: BlendFileBlock) -> BlendFileBlock | None:
    inner = _local(blends, node.get_pointer(b"id", None))
    return inner if inner is not None and inner.code == b"NT" else None


def _has_zone(blends: Blends, tree: BlendFileBlock, seen: set[int]) -> bool:
    seen.add(id(tree))
    for node in listed(tree, b"nodes"):
        if node[b"idname"] == _ZONE:
            return True
        inner = _inner_tree(blends, node)
        if inner is not None and id(inner) not in seen and _has_zone(blends, inner, seen):
            return True
    return False


def _bakes(modifier: BlendFileBlock) -> Iterator[tuple[BlendFileBlock, int]]:
    """Yield the bakes of a modifier: the block of all of them, and the place of each in it."""
    bakes = modifier.get_pointer(b"bakes", None)
    if bakes is not None:
        yield from ((bakes, index) for index in range(bakes.count))


def _is_of_zone(blends: Blends, tree: BlendFileBlock, reference: int) -> bool:
    """Say whether a reference to a node, maybe of a group inside, is to a simulation."""
    table = tree.get_pointer(b"nested_node_refs", None)
    if table is None:
        return False
    for index in range(table.count):
        if table.get(b"id", array_index=index) != reference:
            continue
        number_of_node = table.get((b"path", b"node_id"), array_index=index)
        for node in listed(tree, b"nodes"):
            if number(node, b"identifier") != number_of_node:
                continue
            inner = _inner_tree(blends, node)
            if inner is None:
                return bool(node[b"idname"] == _ZONE)
            inside = table.get((b"path", b"id_in_node"), array_index=index)
            return _is_of_zone(blends, inner, inside)
    return False


def _is_zone_baked(owner: BlendFileBlock, bakes: BlendFileBlock, index: int, folder: str) -> bool:
    """Say whether there is data: inside the .blend, or in a folder of its own."""
    if bakes.has_field(b"packed") and bakes.get(b"packed", array_index=index):
        return True
    if bakes.get(b"flag", array_index=index) & _CUSTOM_PATH:
        own = bakes.bfile.block_from_addr.get(bakes.get(b"directory", array_index=index))
        return _holds_bake(owner, _plain_text(own))
    number_of_bake = bakes.get(b"id", array_index=index)
    return _holds_bake(owner, f"{folder}/{number_of_bake}" if folder else "")


def _holds_bake(owner: BlendFileBlock, folder: str) -> bool:
    if not folder:
        return False
    return any(resolve(folder.encode(), owner.bfile.filepath).glob("meta/*.json"))


def _text_at(owner: BlendFileBlock, field: bytes) -> str:
    return _plain_text(owner.get_pointer(field, None) if owner.has_field(field) else None)


def _plain_text(block: BlendFileBlock | None) -> str:
    return text(block.raw_data().partition(b"\0")[0]) if block is not None else ""
