"""What a scene asks of the Blender that renders it, read from its .blends without Blender.

Features that not every build of Blender has, simulations that nobody baked, and sound. The
driver looks for simulations inside Blender, too (`burst.worker.inside.simulations`); both
are held against each other in the integration tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blender_asset_tracer.blendfile import BlendFileBlock

from burst.scene.blend import listed, number, reading, text
from burst.scene.facts import find_scene
from burst.scene.header import read_version
from burst.scene.names import strips
from burst.scene.simulations import unbaked
from burst.scene.trace import SceneTrace
from burst.scene.used import Blends, compositor, used_blocks

_SUFFIX_FEATURES = {
    ".abc": "alembic",
    ".usd": "usd",
    ".usda": "usd",
    ".usdc": "usd",
    ".usdz": "usd",
    ".vdb": "openvdb",
}
_UNSET_IS_OFF = (3, 0, 25)
"""Up to this version a scene that says nothing of denoising is not denoised."""
_OIDN = 4
"""Cycles' number for OpenImageDenoise."""
_MUTED_SPEAKER, _MUTED_STRIP = 1 << 1, 1 << 5
"""SPK_MUTED, SEQ_MUTE"""
_SOUND_STRIPS = (4, 5)
"""SEQ_TYPE_SOUND_RAM and _HD"""


@dataclass(frozen=True, slots=True)
class SceneNeeds:
    """What a scene asks of the Blender that renders it."""

    features: tuple[str, ...]
    """Each a `burst.domain.workers.Feature`, sorted; ``oidn`` for a node of the compositor."""
    denoises: bool
    """Whether Cycles, if it renders the scene, denoises with OpenImageDenoise."""
    unbaked: tuple[str, ...]
    """Simulations without a bake, as "Cloth on 'Flag'", sorted."""
    has_sound: bool
    """Whether a strip or a speaker can be heard."""


def read_needs(traced: SceneTrace, blender_scene: str | None = None) -> SceneNeeds:
    """Read what a scene asks of its Blender. Blocks; reads every .blend that it uses.

    Args:
        traced: the scene's files.
        blender_scene: name of the data-block; None is the one that was open when saved.

    Raises:
        SceneError: a .blend can't be read, or holds no scene.
        UsageError: it holds none of that name.
    """
    [main] = [file.path for file in traced.files if file.relative == traced.main]
    paths = (file.path for file in traced.files)
    named = {file.as_named: file.path for file in traced.files if file.as_named is not None}
    with Blends(paths, named) as blends, reading(main):
        blend = blends.get(main)
        scene = find_scene(blend, main, blender_scene)
        features, simulations, heard = set(_of_scene(scene)), set[str](), False
        denoises = _is_denoised(scene, main)
        script_nodes = _is_cycles(scene) and bool(_cycles(scene, (b"id",)).get("shading_system"))
        for block in used_blocks(blends, scene):
            features |= set(_of_block(block, script_nodes))
            simulations |= set(unbaked(blends, block))
            heard = heard or _is_speaker(block) or (block.code == b"SC" and _is_heard(block))
    return SceneNeeds(tuple(sorted(features)), denoises, tuple(sorted(simulations)), heard)


def _of_scene(scene: BlendFileBlock) -> Iterator[str]:
    """Yield what the compositor asks for."""
    if any(node[b"idname"] == b"CompositorNodeDenoise" for node in _nodes(compositor(scene))):
        yield "oidn"


def _is_cycles(scene: BlendFileBlock) -> bool:
    return bool(scene.get((b"r", b"engine"), b"") == b"CYCLES")


def _is_denoised(scene: BlendFileBlock, path: Path) -> bool:
    """Say whether Cycles denoises with OpenImageDenoise."""
    cycles = _cycles(scene, (b"id",))
    starts = scene.bfile.find_blocks_from_code(b"GLOB")
    saved = (*read_version(path), number(starts[0], b"subversion") if starts else 0)
    wanted = cycles.get("use_denoising", saved > _UNSET_IS_OFF)
    layers = list(listed(scene, b"view_layers"))
    shown = not layers or any(_cycles(layer, ()).get("use_denoising", 1) for layer in layers)
    return bool(wanted and shown and cycles.get("denoiser", _OIDN) == _OIDN)


def _of_block(block: BlendFileBlock, has_shading_language: bool) -> Iterator[str]:
    """Yield what one data-block asks for."""
    if block.code == b"CF":
        yield from _by_suffix(block.get(b"filepath", b""))
    elif block.code == b"VO":
        yield "openvdb"
    elif has_shading_language and block.code in (b"MA", b"LA", b"WO", b"NT"):
        tree = block if block.code == b"NT" else block.get_pointer(b"nodetree", None)
        if any(node[b"idname"] == b"ShaderNodeScript" for node in _nodes(tree)):
            yield "osl"


def _by_suffix(name: bytes) -> Iterator[str]:
    feature = _SUFFIX_FEATURES.get(Path(text(name).lower()).suffix)
    if feature:
        yield feature


def _nodes(tree: BlendFileBlock | None) -> Iterator[BlendFileBlock]:
    if tree is not None and tree.dna_type_id == b"bNodeTree":
        yield from (node for node in listed(tree, b"nodes") if node.has_field(b"idname"))


def _cycles(owner: BlendFileBlock, before: tuple[bytes, ...]) -> dict[str, int]:
    """Return what Cycles' settings of a scene or a view layer say; unset ones are left out.

    Blender keeps them with the custom properties up to 4.x, and apart from these since 5.0.
    """
    found: dict[str, int] = {}
    for field in (b"properties", b"id_properties", b"system_properties"):
        path = (*before, field)
        group = owner.get_pointer(path, None)
        for entry in _entries(group):
            if entry[b"name"] == b"cycles":
                found |= {text(e[b"name"]): e.get((b"data", b"val"), 0) for e in _entries(entry)}
    return found


def _entries(group: BlendFileBlock | None) -> Iterator[BlendFileBlock]:
    """Yield the members of a group of custom properties."""
    entry = group.get_pointer((b"data", b"group", b"first"), None) if group is not None else None
    seen: set[int] = set()
    while entry is not None and entry.addr_old not in seen:
        seen.add(entry.addr_old)
        yield entry
        entry = entry.get_pointer(b"next", None)


def _is_speaker(block: BlendFileBlock) -> bool:
    """Say whether a data-block is a speaker that can be heard."""
    if block.code != b"SK" or number(block, b"flag") & _MUTED_SPEAKER:
        return False
    return bool(block.get(b"sound", 0))


def _is_heard(scene: BlendFileBlock) -> bool:
    """Say whether a strip of a scene can be heard."""
    editor = scene.get_pointer(b"ed", None)
    return editor is not None and any(
        number(strip, b"type") in _SOUND_STRIPS
        and not number(strip, b"flag") & _MUTED_STRIP
        and strip.get(b"sound", 0)
        for strip in strips(editor)
    )
