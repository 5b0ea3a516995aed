"""Which files a scene uses and does not find: for all frames, and for one.

Blender itself says nothing (3.4) or little about them and renders on, in pink.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burst.worker.inside.files import is_packed, names_file
from burst.worker.inside.used import node_trees, rendered_scenes, strips

NAMED = 5
"""How many missing files a sentence names."""

_FROM_FILE = ("FILE", "SEQUENCE", "MOVIE", "TILED")
"""Image sources that are read from disk."""
_KINDS = {
    "Sound": "sound",
    "VectorFont": "font",
    "MovieClip": "movie clip",
    "Volume": "volume",
    "CacheFile": "cache file",
}
_NODES = {"SCRIPT": "shader script", "TEX_IES": "light profile"}


def missing_files(bpy: Any, scene: Any, used: set[Any]) -> list[str]:
    """Return a name for each file that the rendered scenes use and that is not there."""
    libraries = dict.fromkeys(block.library for block in used if block.library)
    found = [
        f"library {library.filepath}"
        for library in libraries
        # Also a library of a library has its path relative to the opened file.
        if not is_packed(library) and not _there(bpy, library.filepath, None)
    ]
    for block in used:
        kind = block.bl_rna.identifier
        if kind == "Image" and block.source in _FROM_FILE and not is_packed(block):
            found += _missing_image(bpy, block)
        elif kind in _KINDS and not is_packed(block):
            found += _missing_block(bpy, block, _KINDS[kind])
    for one in rendered_scenes(bpy, scene):
        found += _missing_strips(bpy, one)
    for tree in node_trees(used):
        for node in filter(names_file, tree.nodes):
            if not _there(bpy, node.filepath, tree.id_data.library):
                found.append(f"{_NODES[node.type]} {node.filepath}")
    return sorted(set(found))


def sentence(names: list[str], who: str = "the scene") -> str:
    """Return a sentence that names what is missing, the first few of it."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{who} needs {', '.join(names[:NAMED])}{more}, which {_be(names)} missing"


def _be(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


class Sequences:
    """Looks for the files that one frame needs of image sequences."""

    def __init__(self, bpy: Any, used: set[Any]) -> None:
        """Find the users of sequences once; to look for a frame is cheap."""
        self._users = list(_sequence_users(used))
        # Blender puts a frame's number into a name for a user that has that number.
        self._own: Any = None
        if self._users:
            self._own = bpy.data.textures.new(".burst", "IMAGE").image_user

    def missing(self, frame: int) -> list[str]:
        """Return the names of files that a frame needs and that are not there."""
        found: dict[str, None] = {}
        for image, user in self._users:
            number = frame_of(user, frame)
            if number is None:
                continue
            self._own.frame_current = number
            path = image.filepath_from_user(image_user=self._own)
            if not Path(path).exists():
                found[Path(path).name] = None
        return list(found)


def frame_of(user: Any, frame: int) -> int | None:
    """Return the number of the image that a user of a sequence shows at a frame.

    None where its range has not begun: what is missing there is not shown.
    """
    count = user.frame_duration
    step = frame - user.frame_start + 1
    if user.use_cyclic and count:
        step = step % count or count
    return min(step, count) + user.frame_offset if step > 0 and count else None


def follow_frames(used: set[Any]) -> None:
    """Have every sequence and movie follow the frames when render data is kept between them.

    Without the switch for it Blender updates nothing, and the first frame's image would stay.
    """
    for tree in node_trees(used):
        for node in tree.nodes:
            image, user = getattr(node, "image", None), getattr(node, "image_user", None)
            if user and image and image.source in ("SEQUENCE", "MOVIE"):
                user.use_auto_refresh = True


def _sequence_users(used: set[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield image sequences with whoever says which image of one is shown."""
    nodes = (node for tree in node_trees(used) for node in tree.nodes if not node.mute)
    textures = (block for block in used if block.bl_rna.identifier == "ImageTexture")
    for holder in (*nodes, *textures):
        image = getattr(holder, "image", None)
        # The compositor's node is its own user.
        user = getattr(holder, "image_user", None) or holder
        is_run = image and image.source == "SEQUENCE" and not is_packed(image)
        if is_run and hasattr(user, "frame_duration"):
            yield image, user


def _missing_image(bpy: Any, image: Any) -> list[str]:
    path = image.filepath
    if not path:
        # Never saved, or lost long ago: nothing that could be put in its place.
        return []
    absolute = bpy.path.abspath(path, library=image.library)
    if image.source == "TILED":
        tiles = [Path(_tile_path(absolute, tile.number)) for tile in image.tiles]
        return [f"tile {tile.name} of image {path}" for tile in tiles if not tile.exists()]
    if Path(absolute).exists() or (image.source == "SEQUENCE" and _has_sibling(Path(absolute))):
        return []
    return [f"image {path}"]


def _missing_block(bpy: Any, block: Any, kind: str) -> list[str]:
    path = block.filepath
    if path in ("", "<builtin>") or _there(bpy, path, block.library):
        return []
    is_run = getattr(block, "is_sequence", False) or getattr(block, "source", "") == "SEQUENCE"
    if is_run and _has_sibling(Path(bpy.path.abspath(path, library=block.library))):
        return []
    return [f"{kind} {path}"]


def _missing_strips(bpy: Any, scene: Any) -> Iterator[str]:
    for strip in strips(scene):
        if strip.mute:
            continue
        if strip.type == "IMAGE":
            names = [f"{strip.directory.rstrip('/')}/{one.filename}" for one in strip.elements]
        else:
            names = [strip.filepath] if strip.type == "MOVIE" else []
        for name in names:
            if not _there(bpy, name, scene.library):
                yield f"strip {name}"


def _tile_path(pattern: str, number: int) -> str:
    column, row = (number - 1001) % 10 + 1, (number - 1001) // 10 + 1
    return pattern.replace("<UDIM>", str(number)).replace("<UVTILE>", f"u{column}_v{row}")


def _has_sibling(path: Path) -> bool:
    """Say whether any frame of the image sequence that ``path`` is one of is there."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.name)
    if not match or not path.parent.is_dir():
        return False
    frame = re.compile(re.escape(match[1]) + r"\d+" + re.escape(match[3]))
    return any(frame.fullmatch(other.name) for other in path.parent.iterdir())


def _there(bpy: Any, path: str, library: Any) -> bool:
    return Path(bpy.path.abspath(path, library=library)).exists()
