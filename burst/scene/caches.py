"""Which files modifiers and simulations name: caches, bakes, and what deforms a mesh.

A cache that is baked must be there. One that is not baked is Blender's to fill, so that it
may be missing; `burst.scene.simulations` says what an unbaked one means for a render.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePath

from blender_asset_tracer import cdefs
from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock

from burst.scene.blend import elements, listed, number, plain_bytes, string, target_of
from burst.scene.naming import Named
from burst.scene.sequences import Many

_CACHE_BAKED = 1
"""PTCACHE_BAKED"""
_IGNORE_LIBRARY = 1 << 11
"""PTCACHE_IGNORE_LIBPATH: caches of a linked object lie beside the main .blend."""
_OF_FLUID = 1 << 12
"""PTCACHE_FAKE_SMOKE: of a fluid, which keeps its own files elsewhere."""
_FLUID_BAKED = 2 | 8 | 32 | 128
"""FLUID_DOMAIN_BAKED_DATA, _NOISE, _MESH, _PARTICLES"""
_FLUID_DOMAIN, _OLD_FLUID_DOMAIN = 1, 1 << 1
"""MOD_FLUID_TYPE_DOMAIN, OB_FLUIDSIM_DOMAIN"""


def of_modifiers(thing: BlendFileBlock) -> Iterator[Named]:
    """Yield what the modifiers of an object name, but for point caches."""
    for modifier in listed(thing, b"modifiers", (b"modifier", b"next")):
        reader = _MODIFIERS.get(number(modifier, (b"modifier", b"type")))
        if reader is not None:
            yield from reader(modifier)


def of_point_caches(blend: BlendFile, owner: str, main: str) -> Iterator[tuple[str, Named]]:
    """Yield the folders of the point caches that a .blend keeps on disk.

    Args:
        blend: main .blend or library.
        owner: path under which it is asked for.
        main: path of the main .blend.

    Yields:
        The .blend whose folder ``//`` stands for, and the name.
    """
    for block in blend.blocks:
        if block.code != b"DATA" or block.dna_type_id != b"PointCache":
            continue
        flag = number(block, b"flag")
        required = bool(flag & _CACHE_BAKED)
        if flag & _OF_FLUID and not required:
            continue
        if flag & cdefs.PTCACHE_EXTERNAL:
            yield owner, Named(string(block, b"path"), Many.POINT_CACHE, required)
        elif flag & cdefs.PTCACHE_DISK_CACHE:
            beside = main if flag & _IGNORE_LIBRARY else owner
            stem = PurePath(beside).stem.encode("utf-8", "surrogateescape")
            yield beside, Named(b"//" + cdefs.PTCACHE_PATH + stem, Many.POINT_CACHE, required)


def _mesh_cache(modifier: BlendFileBlock) -> Iterator[Named]:
    yield Named(string(modifier, b"filepath"))


def _ocean(modifier: BlendFileBlock) -> Iterator[Named]:
    if number(modifier, b"cached"):
        yield Named(string(modifier, b"cachepath"), Many.FOLDER)


def _fluid(modifier: BlendFileBlock) -> Iterator[Named]:
    domain = target_of(modifier, b"domain")
    if domain is not None and number(modifier, b"type", _FLUID_DOMAIN) == _FLUID_DOMAIN:
        is_baked = bool(number(domain, b"cache_flag") & _FLUID_BAKED)
        yield Named(string(domain, b"cache_directory"), Many.FOLDER, is_baked)


def _old_fluid(modifier: BlendFileBlock) -> Iterator[Named]:
    settings = target_of(modifier, b"fss")
    if settings is not None and number(settings, b"type") & _OLD_FLUID_DOMAIN:
        yield Named(string(settings, b"surfdataPath"), Many.FOLDER, required=False)


def _nodes(modifier: BlendFileBlock) -> Iterator[Named]:
    """Yield folders of bakes: of the modifier, or of one bake alone."""
    folder = plain_bytes(modifier, b"simulation_bake_directory") or plain_bytes(
        modifier, b"bake_directory"
    )
    if not modifier.has_field(b"bakes"):
        # Up to 4.0 there is one folder for all simulation zones.
        yield Named(folder, Many.FOLDER, required=False)
        return
    for bake in elements(target_of(modifier, b"bakes")):
        if _is_packed(modifier, bake):
            continue
        if number(bake, b"flag") & cdefs.NODES_MODIFIER_BAKE_CUSTOM_PATH:
            yield Named(plain_bytes(bake, b"directory"), Many.FOLDER, required=False)
        elif folder:
            own = str(number(bake, b"id")).encode()
            yield Named(folder.rstrip(b"/\\") + b"/" + own, Many.FOLDER, required=False)


def _is_packed(modifier: BlendFileBlock, bake: BlendFileBlock) -> bool:
    """Say whether the .blend holds what a bake made, or is to hold it."""
    target = number(bake, b"bake_target")
    if target == cdefs.NODES_MODIFIER_BAKE_TARGET_INHERIT:
        target = number(modifier, b"bake_target")
    has_data = target_of(bake, b"packed") is not None
    return has_data or target == cdefs.NODES_MODIFIER_BAKE_TARGET_PACKED


_MODIFIERS: dict[int, Callable[[BlendFileBlock], Iterator[Named]]] = {
    cdefs.eModifierType_Fluid: _fluid,
    cdefs.eModifierType_Fluidsim: _old_fluid,
    cdefs.eModifierType_MeshCache: _mesh_cache,
    cdefs.eModifierType_Nodes: _nodes,
    cdefs.eModifierType_Ocean: _ocean,
}
