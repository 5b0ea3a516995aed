"""What a scene asks of the Blender that renders it, read from its .blends without Blender.

Features that not every build of Blender has, simulations that nobody baked, and sound. The
driver decides the same inside Blender (`burst.worker.inside.simulations`); both are held
against each other in the integration tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from blender_asset_tracer import cdefs
from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock

from burst.scene.blend import listed, number, open_blend, reading, text
from burst.scene.trace import SceneTrace

_SUFFIX_FEATURES = {
    ".abc": "alembic",
    ".usd": "usd",
    ".usda": "usd",
    ".usdc": "usd",
    ".usdz": "usd",
    ".vdb": "openvdb",
}
_BAKED = 1
"""PTCACHE_BAKED"""
_RENDERED = 2
"""eModifierMode_Render"""
_HAIR = 2
"""PART_HAIR"""
_HAIR_DYNAMICS = 4
"""PSYS_HAIR_DYNAMICS"""


@dataclass(frozen=True, slots=True)
class SceneNeeds:
    """What a scene asks of the Blender that renders it."""

    features: tuple[str, ...]
    """Each a `burst.domain.workers.Feature`, sorted."""
    unbaked: tuple[str, ...]
    """Simulations without a bake, as "Cloth on 'Flag'", sorted."""
    has_sound: bool
    """Whether a strip or a speaker can be heard."""


def read_needs(traced: SceneTrace, blender_scene: str | None = None) -> SceneNeeds:
    """Read what a scene asks of its Blender. Blocks; reads every .blend of the trace.

    Args:
        traced: the scene's files.
        blender_scene: name of the data-block; None is the one that was open when saved.

    Raises:
        SceneUnreadable: a .blend can't be read.
    """
    features: set[str] = set()
    unbaked: set[str] = set()
    sound = False
    for file in traced.files:
        if file.path.suffix != ".blend":
            features |= {_SUFFIX_FEATURES.get(file.path.suffix.lower(), "")}
            continue
        with contextlib.closing(open_blend(file.path)) as blend, reading(file.path):
            unbaked |= set(_unbaked(blend))
            sound = sound or any(_is_sound(block) for block in blend.find_blocks_from_code(b"SO"))
    return SceneNeeds(tuple(sorted(features - {""})), tuple(sorted(unbaked)), sound)


def _is_sound(sound: BlendFileBlock) -> bool:
    return bool(sound.get(b"name", b""))


def _unbaked(blend: BlendFile) -> Iterator[str]:
    for block in blend.find_blocks_from_code(b"OB"):
        name = text(block.id_name)[2:]
        for modifier in listed(block, b"modifiers", (b"modifier", b"next")):
            if not number(modifier, (b"modifier", b"mode")) & _RENDERED:
                continue
            kind = number(modifier, (b"modifier", b"type"))
            if kind == cdefs.eModifierType_Cloth and not _is_baked(modifier, b"point_cache"):
                yield f"Cloth on '{name}'"
            if kind == cdefs.eModifierType_ParticleSystem:
                system = modifier.get_pointer(b"psys", None)
                if system is not None and _moves(system) and not _is_baked(system, b"pointcache"):
                    yield f"Particles on '{name}'"


def _moves(system: BlendFileBlock) -> bool:
    settings = system.get_pointer(b"part", None)
    if settings is None:
        return False
    if number(settings, b"type") == _HAIR:
        return bool(number(system, b"flag") & _HAIR_DYNAMICS)
    return number(settings, b"phystype") != 0


def _is_baked(owner: BlendFileBlock, field: bytes) -> bool:
    cache = owner.get_pointer(field, None)
    wanted = _BAKED | cdefs.PTCACHE_EXTERNAL
    return cache is not None and bool(number(cache, b"flag") & wanted)
