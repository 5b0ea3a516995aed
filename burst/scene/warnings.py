"""What an artist wants to know of a scene before gigabytes of it are sent.

Nothing here forbids anything: it is said, and the upload goes on.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blender_asset_tracer.blendfile import BlendFile

from burst.errors import SceneError
from burst.scene.blend import number, reading, string, text
from burst.scene.facts import facts_of, find_scene
from burst.scene.naming import is_absolute
from burst.scene.sequences import Many
from burst.scene.simulations import unbaked
from burst.scene.tracer import Walk
from burst.scene.used import Blends, used_blocks

UNUSED_BYTES = 256 * 1024 * 1024
"""So much of a cache that no frame needs is worth a word."""
_OLDER_SECONDS = 60
"""A .blend is saved after its bake, at the earliest moments later."""
_VIDEO_FORMATS = ("AVI_JPEG", "AVI_RAW", "FFMPEG")
_SIMULATING = (
    b"ClothModifierData",
    b"DynamicPaintModifierData",
    b"FluidModifierData",
    b"NodeGeometrySimulationOutput",
    b"ParticleSystemModifierData",
    b"RigidBodyWorld",
    b"SoftbodyModifierData",
)
"""Structs of which one is in each file with a simulation."""
_DEFAULT_OUTPUTS = (b"/tmp/", b"/tmp\\", b"//")
_FRAME_NUMBERS = (
    re.compile(r"_(\d{6})_\d\d\.(?:bphys|vdb)\Z"),
    re.compile(r"_(\d{4,})\.(?:vdb|uni|raw|gz|obj|bobj\.gz|exr)\Z"),
    re.compile(r"(?:\A|/)(\d{6})(?:_\d+)?\.(?:json|blob|vdb)\Z"),
)
"""Of point caches, fluids and oceans, and bakes of nodes."""
_POINT_CACHE = re.compile(r"(.+)_\d{6}_\d\d\.(?:bphys|vdb)\Z")
_NAMED_SHOWN = 3
_MOST_FRAMES = 1048574
"""Blender's own limit."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of caches, and what of it goes with the scene."""

    owner: Path
    """The .blend that has it."""
    name: str
    """As that names it."""
    many: Many
    is_baked: bool
    files: tuple[Path, ...]


def warnings_of(
    main: Path, paths: Iterable[Path], caches: Sequence[Cache], walk: Walk
) -> Iterator[str]:
    """Yield what should be known, in sentences. Blocks.

    Args:
        main: the scene's .blend.
        paths: all files of the scene.
        caches: those of them that are caches.
        walk: has the scene's .blends open.

    Raises:
        SceneUnreadable: a .blend is damaged.
    """
    with reading(main):
        blend = walk.opened(main)
        yield from _of_output(blend, main)
        frames = _frames(blend)
    if any(_may_simulate(Path(path), walk) for path in walk.read.values()):
        for kind in _unbaked(main, paths):
            yield (
                f"{kind} is not baked: its frames can't be shared among workers; "
                "bake it in Blender and save"
            )
    for cache in caches:
        yield from _of_cache(cache, frames, walk)


def _of_output(blend: BlendFile, main: Path) -> Iterator[str]:
    try:
        facts = facts_of(blend, main)
        output = string(find_scene(blend, main, None), (b"r", b"pic"))
    except SceneError:
        return  # a library, of which nothing is rendered
    if facts.file_format in _VIDEO_FORMATS:
        yield (
            f"the output of {main.name} is a video ({facts.file_format}): workers render pictures, "
            "of which burst makes the video afterwards"
        )
    if is_absolute(output) and output not in _DEFAULT_OUTPUTS:
        yield (
            f"the output path {text(output)} of {main.name} is absolute: frames are not written "
            "there, but to the folder that is named for the download"
        )


def _frames(blend: BlendFile) -> range:
    """Return the frames that any of the Blender scenes may show, with one more at each end."""
    scenes = blend.find_blocks_from_code(b"SC")
    starts = [number(scene, (b"r", b"sfra")) for scene in scenes]
    ends = [number(scene, (b"r", b"efra")) for scene in scenes]
    return range(min(starts, default=0) - 1, max(ends, default=_MOST_FRAMES) + 2)


def _may_simulate(path: Path, walk: Walk) -> bool:
    """Say whether a .blend holds anything at all that simulates; a look at each is slower."""
    with reading(path):
        blend = walk.opened(path)
        kinds = {blend.sdna_index_from_id.get(name) for name in _SIMULATING}
        return any(block.sdna_index in kinds for block in blend.blocks)


def _unbaked(main: Path, paths: Iterable[Path]) -> list[str]:
    with Blends(paths) as blends, reading(main):
        try:
            scene = find_scene(blends.get(main), main, None)
        except SceneError:
            return []
        found = (kind for block in used_blocks(blends, scene) for kind in unbaked(blends, block))
        return sorted(set(found))


def _of_cache(cache: Cache, frames: range, walk: Walk) -> Iterator[str]:
    sizes, newest = {}, 0.0
    for path in cache.files:
        with contextlib.suppress(OSError):
            status = path.stat()
            sizes[path] = status.st_size
            newest = max(newest, status.st_mtime)
    if not sizes:
        return
    if cache.is_baked and newest < cache.owner.stat().st_mtime - _OLDER_SECONDS:
        yield (
            f"the baked cache {cache.name} is older than {cache.owner.name}: bake it again if "
            "what it simulates was changed since"
        )
    outside = sum(size for path, size in sizes.items() if _is_outside(path, frames))
    if outside >= UNUSED_BYTES:
        yield (
            f"{_size(outside)} of the cache {cache.name} are of frames outside of "
            f"{frames[1]}-{frames[-2]}: delete them if nothing needs them"
        )
    if cache.many is Many.POINT_CACHE:
        yield from _of_strangers(cache, sizes, walk)


def _is_outside(path: Path, frames: range) -> bool:
    for pattern in _FRAME_NUMBERS:
        match = pattern.search(path.name)
        if match is not None:
            return int(match[1]) not in frames
    return False


def _of_strangers(cache: Cache, sizes: dict[Path, int], walk: Walk) -> Iterator[str]:
    """Say how much of a folder of point caches is of objects that are not there any more."""
    prefixes: dict[str, int] = defaultdict(int)
    for path, size in sizes.items():
        match = _POINT_CACHE.fullmatch(path.name)
        if match is not None:
            prefixes[match[1]] += size
    with reading(cache.owner):
        known = set(_cache_names(walk.opened(cache.owner)))
    strange = {name: size for name, size in prefixes.items() if name not in known}
    total = sum(strange.values())
    if total >= UNUSED_BYTES:
        names = ", ".join(sorted(map(_readable, strange))[:_NAMED_SHOWN])
        more = len(strange) - _NAMED_SHOWN
        yield (
            f"{_size(total)} of the cache {cache.name} belong to nothing in {cache.owner.name} "
            f"({names}{f' and {more} more' if more > 0 else ''}): delete them"
        )


def _cache_names(blend: BlendFile) -> Iterator[str]:
    """Yield what the files of point caches are called before their numbers."""
    for block in blend.blocks:
        if block.code == b"DATA" and block.dna_type_id == b"PointCache":
            yield text(string(block, b"name"))
        elif block.code in (b"OB", b"SC"):
            yield string(block, (b"id", b"name"))[2:].hex().upper()


def _readable(prefix: str) -> str:
    """Return the object's name, which Blender writes in hex digits."""
    with contextlib.suppress(ValueError):
        return bytes.fromhex(prefix).decode("utf-8", errors="replace")
    return prefix


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
