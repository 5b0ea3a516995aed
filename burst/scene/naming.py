"""Which files a data-block of a .blend names.

The library's own readers are used where they are right. Written anew here is what they get
wrong: sequencer strips (each image of a strip has a name of its own, and a folder of ``//``
lost a slash), packed images behind modifiers, movie clips and cache files that are
sequences, point caches, and files of shader nodes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from blender_asset_tracer import cdefs
from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock
from blender_asset_tracer.trace import blocks2assets, modifier_walkers

from burst.scene.blend import listed, number
from burst.scene.sequences import Many


@dataclass(frozen=True, slots=True)
class Named:
    """A name that a data-block has for files."""

    name: bytes
    """As the .blend has it: ``//`` and what follows, or an absolute path."""
    many: Many = Many.ONE
    required: bool = True
    """False for a cache that Blender fills itself when it is not there."""


_WINDOWS_DRIVE = re.compile(rb"[A-Za-z]:/")
_CLIP_SEQUENCE = 1
"""MCLIP_SRC_SEQUENCE"""
_LIBRARY_ARCHIVE = 1 << 0
"""LIBRARY_FLAG_IS_ARCHIVE: holds data that is packed into this very file (5.0)."""
_CACHE_BAKED = 1
"""PTCACHE_BAKED"""
_FLUID_BAKED = 2 | 8 | 32 | 128
"""FLUID_DOMAIN_BAKED_DATA, _NOISE, _MESH, _PARTICLES"""
_NODE_FILE_EXTERNAL = 1
"""NODE_SCRIPT_EXTERNAL and NODE_IES_EXTERNAL"""
_FILE_STRIPS = {cdefs.SEQ_TYPE_MOVIE, cdefs.SEQ_TYPE_SOUND_RAM, cdefs.SEQ_TYPE_SOUND_HD}
_POINT_CACHE_MODIFIERS = {
    cdefs.eModifierType_ParticleSystem,
    cdefs.eModifierType_Cloth,
    cdefs.eModifierType_Smokesim,
    cdefs.eModifierType_DynamicPaint,
}
"""`names_of_caches` has these, and those of soft and rigid bodies, in every file at once."""


def is_absolute(name: bytes) -> bool:
    """Say whether a name is an absolute path, here or on Windows."""
    plain = name.replace(b"\\", b"/")
    return bool(_WINDOWS_DRIVE.match(plain)) or (
        plain.startswith(b"/") and not plain.startswith(b"//")
    )


def key_of(name: str) -> str:
    """Return what stands for an absolute name in a manifest, which tells no folder's name.

    The driver makes the same of what it finds in a .blend (`burst.worker.inside.files`).
    """
    plain = name.replace("\\", "/")
    return hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def resolve(name: bytes, owner: Path) -> Path:
    """Return where a name points to: absolute, without ``..``, links not followed.

    Blender takes ``//`` for the folder of the .blend that has the name.
    """
    plain = os.fsdecode(name.replace(b"\\", b"/"))
    folder = Path("/") if is_absolute(name) else owner.parent
    return Path(os.path.normpath(folder / plain.removeprefix("//")))


def names_of(block: BlendFileBlock) -> Iterator[Named]:
    """Yield what one data-block names; empty names are left out."""
    reader = _READERS.get(block.code, _by_library)
    for named in reader(block):
        if named.name and named.name != b"<builtin>":
            yield named


def names_of_caches(blend: BlendFile) -> Iterator[Named]:
    """Yield the folders of the point caches that a .blend keeps on disk."""
    for block in blend.blocks:
        if block.code != b"DATA" or block.dna_type_id != b"PointCache":
            continue
        flag = number(block, b"flag")
        required = bool(flag & _CACHE_BAKED)
        if flag & cdefs.PTCACHE_EXTERNAL:
            yield Named(block.get(b"path", b""), Many.POINT_CACHE, required)
        elif flag & cdefs.PTCACHE_DISK_CACHE:
            folder = cdefs.PTCACHE_PATH + blend.filepath.stem.encode()
            yield Named(b"//" + folder, Many.POINT_CACHE, required)


def _by_library(block: BlendFileBlock) -> Iterator[Named]:
    for usage in blocks2assets.iter_assets(block):
        name = bytes(usage.asset_path)
        if usage.path_full_field is not None:
            # As the .blend has it; the library turns the slashes of Windows.
            name = usage.block.get(usage.path_full_field.name.name_only)
        yield Named(name, Many.FRAMES if usage.is_sequence else Many.ONE)


def _image(block: BlendFileBlock) -> Iterator[Named]:
    if block.get_pointer((b"packedfiles", b"first"), None) is not None:
        return
    yield from _by_library(block)


def _library(block: BlendFileBlock) -> Iterator[Named]:
    if not number(block, b"flag") & _LIBRARY_ARCHIVE and not _is_packed_whole(block):
        yield from _by_library(block)


def _is_packed_whole(library: BlendFileBlock) -> bool:
    """Say whether all that was linked from a library is packed into this very file (5.0)."""
    archived = any(
        other.get(b"archive_parent_library", 0) == library.addr_old
        for other in library.bfile.find_blocks_from_code(b"LI")
    )
    return archived and not any(
        linked.get(b"lib", 0) == library.addr_old
        for linked in library.bfile.find_blocks_from_code(b"ID")
    )


def _movie_clip(block: BlendFileBlock) -> Iterator[Named]:
    many = Many.FRAMES if number(block, b"source") == _CLIP_SEQUENCE else Many.ONE
    yield Named(block[b"name"], many)


def _cache_file(block: BlendFileBlock) -> Iterator[Named]:
    many = Many.FRAMES if number(block, b"is_sequence") else Many.ONE
    yield Named(block[b"filepath"], many)
    for layer in listed(block, b"layers"):
        yield Named(layer[b"filepath"], many)


def _scene(block: BlendFileBlock) -> Iterator[Named]:
    editor = block.get_pointer(b"ed", None)
    if editor is None:
        return
    for strip in strips(editor):
        kind = number(strip, b"type")
        source = strip.get_pointer(b"strip")
        data = source.get_pointer(b"stripdata") if source else None
        if source is None or data is None or kind not in {*_FILE_STRIPS, cdefs.SEQ_TYPE_IMAGE}:
            continue
        folder = source[b"dir"]
        count = min(data.count, data.size // data.dna_type.size)
        for index in range(count if kind == cdefs.SEQ_TYPE_IMAGE else 1):
            yield Named(_joined(folder, data.get(b"name", array_index=index)))


def strips(holder: BlendFileBlock, seen: set[int] | None = None) -> Iterator[BlendFileBlock]:
    """Yield the strips of an editor, also those inside meta strips."""
    seen = set() if seen is None else seen
    for strip in listed(holder, b"seqbase"):
        strip.refine_type(b"Sequence")
        if strip.addr_old in seen:
            continue
        seen.add(strip.addr_old)
        yield strip
        if number(strip, b"type") == cdefs.SEQ_TYPE_META:
            yield from strips(strip, seen)


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + name if folder.endswith((b"/", b"\\")) else folder + b"/" + name


def _object(block: BlendFileBlock) -> Iterator[Named]:
    context = modifier_walkers.ModifierContext(owner=block)
    for modifier in listed(block, b"modifiers", (b"modifier", b"next")):
        kind = number(modifier, (b"modifier", b"type"))
        handler = modifier_walkers.modifier_handlers.get(kind)
        if handler is None or kind in _POINT_CACHE_MODIFIERS:
            continue
        for usage in handler(context, modifier, b"modifier"):
            yield from _of_modifier(usage.block, bytes(usage.asset_path), kind)


def _of_modifier(block: BlendFileBlock, name: bytes, kind: int) -> Iterator[Named]:
    if block.code == b"ID":
        return  # stands for a data-block of a library, which is read there
    if block.code == b"IM":
        yield from _image(block)
    elif block.code == b"CF":
        yield from _cache_file(block)
    elif kind == cdefs.eModifierType_Fluid:
        yield Named(name, Many.FOLDER, bool(number(block, b"cache_flag") & _FLUID_BAKED))
    elif kind in (cdefs.eModifierType_Nodes, cdefs.eModifierType_Fluidsim):
        yield Named(name, Many.FOLDER, required=False)
    else:
        yield Named(name, Many.FOLDER if kind == cdefs.eModifierType_Ocean else Many.ONE)


def _nodes(block: BlendFileBlock) -> Iterator[Named]:
    tree = block if block.code == b"NT" else block.get_pointer(b"nodetree", None)
    if tree is None or tree.dna_type_id != b"bNodeTree":
        return
    for node in listed(tree, b"nodes"):
        storage = node.get_pointer(b"storage")
        if storage is None or storage.dna_type_id not in {b"NodeShaderTexIES", b"NodeShaderScript"}:
            continue
        if number(storage, b"mode") == _NODE_FILE_EXTERNAL:
            yield Named(storage[b"filepath"])


_READERS: dict[bytes, Callable[[BlendFileBlock], Iterator[Named]]] = {
    b"CF": _cache_file,
    b"IM": _image,
    b"LA": _nodes,
    b"LI": _library,
    b"MA": _nodes,
    b"MC": _movie_clip,
    b"NT": _nodes,
    b"OB": _object,
    b"SC": _scene,
    b"WO": _nodes,
}
