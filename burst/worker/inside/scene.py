"""What the job changes in a Blender scene before it renders, and what follows from it."""

from __future__ import annotations

import ctypes
import re
from typing import Any

from burst.worker.inside.devices import NoSuchDevice, use_device
from burst.worker.inside.refusals import Refused, Unfit

__all__ = ["MOVIES", "Refused", "apply_settings", "choose_scene", "final_size"]

MOVIES = ("FFMPEG", "AVI_JPEG", "AVI_RAW")
"""Formats that are one file for all frames; a farm renders PNG frames instead."""
_MOVIE_SUFFIX = re.compile(r"\.(avi|dv|flv|m4v|mkv|mov|mp4|mpe?g|ogv|webm)\Z", re.IGNORECASE)
_EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
"""One engine, named differently from 4.2 to 4.5."""
_DENOISERS = {"oidn": "OPENIMAGEDENOISE", "optix": "OPTIX"}


def choose_scene(bpy: Any, name: str | None) -> Any:
    """Return the Blender scene to render: the named one, or the one the file opened with.

    Raises:
        Refused: there is no scene of that name.
    """
    if name is None:
        return bpy.context.scene
    scene = bpy.data.scenes.get(name)
    if scene is None:
        names = ", ".join(sorted(other.name for other in bpy.data.scenes))
        raise Refused(f"the file has no scene named {name}, only {names}")
    return scene


def apply_settings(
    bpy: Any, scene: Any, settings: dict[str, Any], threads: int, device: str
) -> None:
    """Set on the scene what the job asks for, and what every farm frame needs.

    Raises:
        Refused: the scene has no such camera.
        Unfit: this Blender lacks the engine, the format, the denoiser or the device.
    """
    render = scene.render
    if settings.get("engine"):
        _set_engine(bpy, render, settings["engine"])
    own_format = render.image_settings.file_format
    if own_format in MOVIES:
        render.filepath = frames_name(render.filepath)
    _set_format(render.image_settings, settings.get("file_format"))
    for key in ("resolution_x", "resolution_y", "resolution_percentage"):
        if settings.get(key):
            setattr(render, key, settings[key])
    if settings.get("camera"):
        _set_camera(bpy, scene, settings["camera"])
    if render.engine == "CYCLES":
        _set_cycles(bpy, scene, settings, device)
    elif settings.get("samples") and render.engine in _EEVEE:
        scene.eevee.taa_render_samples = settings["samples"]
    render.threads_mode = "FIXED"
    render.threads = threads
    render.use_overwrite = True
    render.use_placeholder = False
    if render.image_settings.file_format != own_format:
        # A name that has its extension already has the wrong one.
        render.use_file_extension = True
    render.use_render_cache = False
    scene.frame_step = 1


def _set_camera(bpy: Any, scene: Any, name: str) -> None:
    cameras = {thing.name: thing for thing in bpy.data.objects if thing.type == "CAMERA"}
    # One of this scene, where a library has another of the same name.
    cameras.update({t.name: t for t in scene.objects if t.type == "CAMERA"})
    if name not in cameras:
        there = f"only {', '.join(sorted(cameras))}" if cameras else "and no other"
        raise Refused(f"the scene has no camera named {name}, {there}")
    scene.camera = cameras[name]
    for marker in scene.timeline_markers:
        # At its frame it would take another.
        marker.camera = None


def _set_cycles(bpy: Any, scene: Any, settings: dict[str, Any], device: str) -> None:
    if settings.get("samples"):
        scene.cycles.samples = settings["samples"]
        # Otherwise a view layer's own count wins over the one that was asked for.
        scene.cycles.use_layer_samples = "IGNORE"
    try:
        use_device(bpy, scene, device)
    except NoSuchDevice as error:
        # Never on the processor instead, without a word: that takes a hundred times as long.
        raise Unfit(str(error)) from None
    if settings.get("denoiser"):
        _set_denoiser(bpy, scene, settings["denoiser"])


def _set_denoiser(bpy: Any, scene: Any, denoiser: str) -> None:
    wanted = denoiser != "off"
    scene.cycles.use_denoising = wanted
    if not wanted:
        return
    for layer in scene.view_layers:
        layer.cycles.use_denoising = True
    try:
        scene.cycles.denoiser = _DENOISERS[denoiser]
    except TypeError:
        version = ".".join(map(str, bpy.app.version))
        raise Unfit(f"Blender {version} has no denoiser {_DENOISERS[denoiser]} here") from None


def _set_engine(bpy: Any, render: Any, engine: str) -> None:
    for name in dict.fromkeys((engine, *(_EEVEE if engine in _EEVEE else ()))):
        try:
            render.engine = name
        except TypeError:
            continue
        return
    version = ".".join(str(part) for part in bpy.app.version)
    raise Unfit(f"Blender {version} has no render engine {engine}")


def _set_format(image: Any, wanted: str | None) -> None:
    wanted = wanted or image.file_format
    if wanted in MOVIES:
        wanted = "PNG"
    if hasattr(image, "media_type"):
        several = wanted == "OPEN_EXR_MULTILAYER"
        image.media_type = "MULTI_LAYER_IMAGE" if several else "IMAGE"
    try:
        image.file_format = wanted
    except TypeError:
        raise Unfit(f"this Blender can't write {wanted}") from None


def frames_name(path: str) -> str:
    """Return what the frames of a movie are called: not ``shot.mp40001.png``."""
    stem = _MOVIE_SUFFIX.sub("", path)
    return stem if stem == path or "#" in stem else f"{stem}-"


def final_size(render: Any) -> tuple[int, int]:
    """Return width and height of the files that ``scene.render`` makes, as Blender counts."""
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    if render.use_border and render.use_crop_to_border:
        width = _cut(render.border_max_x, width) - _cut(render.border_min_x, width)
        height = _cut(render.border_max_y, height) - _cut(render.border_min_y, height)
    image = render.image_settings
    if render.use_multiview and image.views_format == "STEREO_3D":
        stereo = image.stereo_3d_format
        if not stereo.use_squeezed_frame:
            width *= 2 if stereo.display_mode == "SIDEBYSIDE" else 1
            height *= 2 if stereo.display_mode == "TOPBOTTOM" else 1
    return width, height


def _cut(share: float, pixels: int) -> int:
    # Blender multiplies in single precision and drops the rest.
    return int(ctypes.c_float(share * pixels).value)
