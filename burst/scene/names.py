"""Which files a data-block of a .blend names.

What modifiers and caches name is in `burst.scene.caches`. Names are given as the .blend has
them, for all that Blender reads when it renders; what is packed is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from blender_asset_tracer import cdefs
from blender_asset_tracer.blendfile import BlendFileBlock

from burst.scene.blend import elements, listed, number, string, target_of
from burst.scene.caches import of_modifiers
from burst.scene.naming import Named
from burst.scene.sequences import Many
from burst.scene.views import with_views

_CLIP_SEQUENCE = 1
"""MCLIP_SRC_SEQUENCE"""
_LIBRARY_ARCHIVE = 1 << 0
"""LIBRARY_FLAG_IS_ARCHIVE: holds data that is packed into this very file (5.0)."""
_FROM_FILE = (
    cdefs.IMA_SRC_FILE,
    cdefs.IMA_SRC_SEQUENCE,
    cdefs.IMA_SRC_MOVIE,
    cdefs.IMA_SRC_TILED,
)
_EXTERNAL = 1
"""NODE_SCRIPT_EXTERNAL and NODE_IES_EXTERNAL"""
_CUSTOM_CAMERA, _CUSTOM_EXTERNAL = 3, 1
"""CAM_CUSTOM, CAM_CUSTOM_SHADER_EXTERNAL (5.0)"""
_FILE_STRIPS = {cdefs.SEQ_TYPE_MOVIE, cdefs.SEQ_TYPE_SOUND_RAM, cdefs.SEQ_TYPE_SOUND_HD}
_FILE_NODES = {b"NodeShaderTexIES", b"NodeShaderScript"}
_IMPORT_NODE = b"GeometryNodeImport"


def names_of(block: BlendFileBlock) -> Iterator[Named]:
    """Yield what one data-block names; empty names are left out."""
    reader = _READERS.get(block.code)
    for named in reader(block) if reader else ():
        if named.name and named.name != b"<builtin>":
            yield named


def _path_of(block: BlendFileBlock) -> bytes:
    return string(block, b"filepath") or string(block, b"name")


def _is_packed(block: BlendFileBlock) -> bool:
    return number(block, b"packedfile") != 0 or number(block, b"newpackedfile") != 0


def _file(block: BlendFileBlock) -> Iterator[Named]:
    if not _is_packed(block):
        yield Named(_path_of(block))


def _image(block: BlendFileBlock) -> Iterator[Named]:
    source = number(block, b"source", cdefs.IMA_SRC_FILE)
    packed = number(block, (b"packedfiles", b"first")) or _is_packed(block)
    if packed or source not in _FROM_FILE:
        return
    is_run = source in (cdefs.IMA_SRC_SEQUENCE, cdefs.IMA_SRC_TILED)
    many = Many.FRAMES if is_run else Many.ONE
    yield from with_views(block, string(block, b"name"), many)


def _library(block: BlendFileBlock) -> Iterator[Named]:
    packed = number(block, b"flag") & _LIBRARY_ARCHIVE or _is_packed(block)
    if not packed and not _is_packed_whole(block):
        yield Named(string(block, b"name"))


def _is_packed_whole(library: BlendFileBlock) -> bool:
    """Say whether all that was linked from a library is packed into this very file (5.0)."""
    archived = any(
        number(other, b"archive_parent_library") == library.addr_old
        for other in library.bfile.find_blocks_from_code(b"LI")
    )
    return archived and not any(
        number(linked, b"lib") == library.addr_old
        for linked in library.bfile.find_blocks_from_code(b"ID")
    )


def _movie_clip(block: BlendFileBlock) -> Iterator[Named]:
    many = Many.FRAMES if number(block, b"source") == _CLIP_SEQUENCE else Many.ONE
    yield Named(_path_of(block), many)


def _volume(block: BlendFileBlock) -> Iterator[Named]:
    if not _is_packed(block):
        many = Many.FRAMES if number(block, b"is_sequence") else Many.ONE
        yield Named(string(block, b"filepath"), many)


def _cache_file(block: BlendFileBlock) -> Iterator[Named]:
    many = Many.FRAMES if number(block, b"is_sequence") else Many.ONE
    yield Named(string(block, b"filepath"), many)
    for layer in listed(block, b"layers"):
        yield Named(string(layer, b"filepath"), many)


def _mesh(block: BlendFileBlock) -> Iterator[Named]:
    for layers in (b"ldata", b"fdata"):
        external = target_of(block, (layers, b"external"))
        if external is not None:
            yield Named(string(external, b"filename"))
            return


def _camera(block: BlendFileBlock) -> Iterator[Named]:
    is_custom = number(block, b"type") == _CUSTOM_CAMERA
    if is_custom and number(block, b"custom_mode") == _CUSTOM_EXTERNAL:
        yield Named(string(block, b"custom_filepath"))


def _scene(block: BlendFileBlock) -> Iterator[Named]:
    yield from _nodes(block)
    editor = target_of(block, b"ed")
    if editor is None:
        return
    for strip in strips(editor):
        kind = number(strip, b"type")
        source = target_of(strip, b"strip")
        data = target_of(source, b"stripdata") if source else None
        if source is None or data is None or kind not in {*_FILE_STRIPS, cdefs.SEQ_TYPE_IMAGE}:
            continue
        sound = target_of(strip, b"sound")
        if sound is not None and kind in _FILE_STRIPS:
            # The data-block has the name that counts, if it isn't packed or linked.
            continue
        folder = string(source, b"dir")
        names = [string(element, b"name") for element in elements(data)]
        for name in names if kind == cdefs.SEQ_TYPE_IMAGE else names[:1]:
            yield from with_views(strip, _joined(folder, name), Many.ONE)


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


def _nodes(block: BlendFileBlock) -> Iterator[Named]:
    tree = block if block.code == b"NT" else target_of(block, b"nodetree")
    if tree is None or tree.dna_type_id != b"bNodeTree":
        return
    for node in listed(tree, b"nodes"):
        storage = target_of(node, b"storage")
        if storage is not None and storage.dna_type_id in _FILE_NODES:
            if number(storage, b"mode") == _EXTERNAL:
                yield Named(string(storage, b"filepath"))
        elif string(node, b"idname").startswith(_IMPORT_NODE):
            yield from _of_import(tree, node)


def _of_import(tree: BlendFileBlock, node: BlendFileBlock) -> Iterator[Named]:
    """Yield the file that a node of geometry nodes reads (4.5), unless it is told in another way.

    A linked input keeps a value that nobody reads, so that it may be missing.
    """
    for socket in listed(node, b"inputs"):
        value = target_of(socket, b"default_value")
        if value is not None and value.dna_type_id == b"bNodeSocketValueString":
            links = listed(tree, b"links")
            is_linked = any(number(link, b"tosock") == socket.addr_old for link in links)
            name = string(value, b"value")
            yield Named(name, required=not is_linked, is_guess=is_linked)
            return


_READERS: dict[bytes, Callable[[BlendFileBlock], Iterator[Named]]] = {
    b"CA": _camera,
    b"CF": _cache_file,
    b"IM": _image,
    b"LA": _nodes,
    b"LI": _library,
    b"LS": _nodes,
    b"MA": _nodes,
    b"MC": _movie_clip,
    b"ME": _mesh,
    b"NT": _nodes,
    b"OB": of_modifiers,
    b"SC": _scene,
    b"SO": _file,
    b"TE": _nodes,
    b"VF": _file,
    b"VO": _volume,
    b"WO": _nodes,
}
