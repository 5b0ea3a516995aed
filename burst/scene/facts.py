"""What a .blend says about how it wants to be rendered, read without Blender.

Values are those that Blender shows after it opened the file: an old format's number or a
retired engine is given as what Blender makes of it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock

from burst.errors import SceneError, UsageError
from burst.protocol.artist_messages import SceneFacts
from burst.scene.blend import listed, number, open_blend, reading, text
from burst.scene.header import read_version

_FORMATS = {
    0: "TARGA",
    1: "IRIS",
    4: "JPEG",
    7: "IRIS",
    14: "TARGA_RAW",
    15: "AVI_RAW",
    16: "AVI_JPEG",
    17: "PNG",
    18: "FFMPEG",
    19: "FFMPEG",
    20: "BMP",
    21: "HDR",
    22: "TIFF",
    23: "OPEN_EXR",
    24: "FFMPEG",
    26: "CINEON",
    27: "DPX",
    28: "OPEN_EXR_MULTILAYER",
    29: "DDS",
    30: "JPEG2000",
    31: "FFMPEG",
    32: "FFMPEG",
    33: "FFMPEG",
    35: "WEBP",
    36: "FFMPEG",
}
"""R_IMF_IMTYPE_* of DNA_scene_types.h → the name that Blender's Python knows."""

_FORMAT_UNKNOWN = "PNG"
_FPS_DEFAULT = 24
_ENGINE_FALLBACK = "BLENDER_EEVEE"
_ENGINES = {
    "CYCLES": "CYCLES",
    "BLENDER_WORKBENCH": "BLENDER_WORKBENCH",
    "BLENDER_WORKBENCH_NEXT": "BLENDER_WORKBENCH",
    "BLENDER_OPENGL": "BLENDER_WORKBENCH",
    "HYDRA_STORM": "HYDRA_STORM",
}
"""Engines that come with Blender. Without its add-on any other one becomes EEVEE in Blender."""

_DO_SEQUENCER = 0x0001
"""R_DOSEQ: render what the sequencer shows."""


def read_facts(path: Path, blender_scene: str | None = None) -> SceneFacts:
    """Read how a Blender scene wants to be rendered.

    Args:
        path: the .blend.
        blender_scene: name of the data-block; None is the one that was open when saved.

    Raises:
        SceneUnreadable: the file can't be read as a .blend.
        SceneError: it holds no Blender scene.
        UsageError: it holds none of that name.
    """
    with contextlib.closing(open_blend(path)) as blend, reading(path):
        return facts_of(blend, path, blender_scene)


def facts_of(blend: BlendFile, path: Path, blender_scene: str | None = None) -> SceneFacts:
    """Read the same from an opened .blend; see `read_facts`.

    Raises:
        SceneError: it holds no Blender scene.
        UsageError: it holds none of that name.
    """
    scene = find_scene(blend, path, blender_scene)
    names = tuple(_name(block) for block in blend.find_blocks_from_code(b"SC"))
    return _facts(read_version(path), _name(scene), names, scene)


def find_scene(blend: BlendFile, path: Path, blender_scene: str | None) -> BlendFileBlock:
    """Return a Blender scene of an opened .blend; see `read_facts`.

    Raises:
        SceneError: it holds no Blender scene.
        UsageError: it holds none of that name.
    """
    scenes = {_name(block): block for block in blend.find_blocks_from_code(b"SC")}
    if not scenes:
        raise SceneError(
            f"{path} holds no Blender scene to render", hint="name the .blend that links it"
        )
    name = blender_scene if blender_scene is not None else _active(blend, scenes)
    if name not in scenes:
        raise UsageError(
            f"{path} has no Blender scene named {name!r}",
            hint="it has " + ", ".join(sorted(scenes)),
        )
    return scenes[name]


def _name(scene: BlendFileBlock) -> str:
    return text(scene.id_name)[2:]


def _active(blend: BlendFile, scenes: dict[str, BlendFileBlock]) -> str:
    for block in blend.find_blocks_from_code(b"GLOB"):
        current = block.get_pointer(b"curscene", None)
        for name, scene in scenes.items():
            if current is not None and scene.addr_old == current.addr_old:
                return name
    # Blender takes the first one when the file does not say (before 2.43, or a linked one).
    return next(iter(scenes))


def _facts(
    version: tuple[int, int], name: str, names: tuple[str, ...], scene: BlendFileBlock
) -> SceneFacts:
    def render(field: bytes, default: int = 0) -> int:
        return number(scene, (b"r", field), default)

    fps_base = scene.get((b"r", b"frs_sec_base"), 1.0) or 1.0
    return SceneFacts(
        blender=version,
        blender_scene=name,
        blender_scenes=names,
        engine=engine_name(text(scene.get((b"r", b"engine"), b""))),
        frame_start=render(b"sfra"),
        frame_end=render(b"efra"),
        frame_step=render(b"frame_step", 1) or 1,
        fps=(render(b"frs_sec") or _FPS_DEFAULT) / fps_base,
        resolution_x=render(b"xsch"),
        resolution_y=render(b"ysch"),
        resolution_percentage=render(b"size") or 100,
        file_format=_file_format(scene),
        output_name=text(scene.get((b"r", b"pic"))).replace("\\", "/").rpartition("/")[2],
        has_camera=_has_camera(scene),
    )


def engine_name(engine: str) -> str:
    """Return the engine that Blender renders with when a file names ``engine``.

    EEVEE has had three spellings; here it has one.
    """
    return _ENGINES.get(engine, _ENGINE_FALLBACK)


def _file_format(scene: BlendFileBlock) -> str:
    # Since 2.61 in a struct of its own; the old field was kept and means nothing there.
    old = number(scene, (b"r", b"imtype"))
    return _FORMATS.get(number(scene, (b"r", b"im_format", b"imtype"), old), _FORMAT_UNKNOWN)


def _has_camera(scene: BlendFileBlock) -> bool:
    if scene.get(b"camera"):
        return True
    if any(marker.get(b"camera", 0) for marker in listed(scene, b"markers")):
        return True
    editor = scene.get_pointer(b"ed", None)
    if editor is None or not number(scene, (b"r", b"scemode")) & _DO_SEQUENCER:
        return False
    return bool(editor.get((b"seqbase", b"first"), 0))
