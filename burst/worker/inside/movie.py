"""What a video needs of Blender: the scene's sound in one file, and frames as one sees them.

Whatever is changed in the scene for it is put back, since the same Blender renders on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_IMAGE_SETTINGS = ("media_type", "file_format", "color_mode", "color_depth", "compression")
"""In this order: each may change what the next ones can be."""


def sounds(scene: Any, seen: frozenset[str] = frozenset()) -> bool:
    """Say whether anything is to be heard in a scene: strips, speakers, scenes in strips."""
    editor = scene.sequence_editor
    for strip in getattr(editor, "strips_all", getattr(editor, "sequences_all", ())):
        if strip.mute:
            continue
        if strip.type == "SOUND" and strip.sound:
            return True
        inner = getattr(strip, "scene", None) if strip.type == "SCENE" else None
        if inner and inner.name not in seen and sounds(inner, seen | {scene.name}):
            return True
    return any(
        thing.type == "SPEAKER" and thing.data.sound and not thing.data.muted
        for thing in scene.objects
    )


def mix_down(bpy: Any, scene: Any, target: str, first: int, last: int) -> bool:
    """Write what is heard from the first frame to the last to a WAV file.

    Returns:
        Whether there is anything to be heard; if not, there is no file.
    """
    if not sounds(scene):
        return False
    kept = scene.frame_start, scene.frame_end
    try:
        # One after the other: the start can't be set behind the end.
        scene.frame_start = scene.frame_end = first
        scene.frame_end = last
        with bpy.context.temp_override(scene=scene):
            bpy.ops.sound.mixdown(
                filepath=target,
                check_existing=False,
                relative_path=False,
                container="WAV",
                codec="PCM",
                format="S16",
            )
    finally:
        scene.frame_start = scene.frame_end = kept[0]
        scene.frame_end = kept[1]
    return True


def fps(scene: Any) -> float:
    """Return the frames a second of a scene."""
    return float(scene.render.fps / scene.render.fps_base)


def view_layers(scene: Any) -> list[str]:
    """Return the names of the view layers that are rendered, the one of the image first."""
    return [layer.name for layer in scene.view_layers if layer.use]


def convert(bpy: Any, scene: Any, pairs: list[list[str]], *, alpha: bool, deep: bool) -> None:
    """Write images as PNG in the way that the scene shows them.

    Args:
        bpy: Blender.
        scene: whose view transform is used.
        pairs: path of the image, and of the PNG.
        alpha: keep transparency; otherwise it is laid over black, as Blender's movies have it.
        deep: 16 bits a channel, else 8.
    """
    with _writing_png(scene.render, "RGBA" if alpha else "RGB", "16" if deep else "8"):
        for source, target in pairs:
            image = bpy.data.images.load(source, check_existing=False)
            try:
                _save(image, target, scene)
            finally:
                bpy.data.images.remove(image)


def _save(image: Any, target: str, scene: Any) -> None:
    try:
        image.save_render(target, scene=scene)
    except RuntimeError:
        # An image with a view for each eye is saved as a file for each, and then Blender misses
        # the one that it was told to write.
        eye = Path(target).with_suffix("")
        first = eye.with_name(f"{eye.name}{scene.render.views[0].file_suffix}.png")
        if not first.is_file():
            raise
        first.replace(target)


@contextlib.contextmanager
def _writing_png(render: Any, mode: str, depth: str) -> Iterator[None]:
    settings = render.image_settings
    kept = {name: getattr(settings, name) for name in _IMAGE_SETTINGS if hasattr(settings, name)}
    kept_views = render.use_multiview
    wanted = {
        "media_type": "IMAGE",
        "file_format": "PNG",
        "color_mode": mode,
        "color_depth": depth,
        # Read once and thrown away.
        "compression": 5,
    }
    try:
        # Otherwise one image would be written for each eye.
        render.use_multiview = False
        for name in kept:
            setattr(settings, name, wanted[name])
        yield
    finally:
        for name, value in kept.items():
            setattr(settings, name, value)
        render.use_multiview = kept_views
