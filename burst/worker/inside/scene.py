"""What the job changes in a Blender scene before it renders, and what follows from it."""

from __future__ import annotations

import ctypes
from typing import Any

MOVIES = ("FFMPEG", "AVI_JPEG", "AVI_RAW")
"""Formats that are one file for all frames; a farm renders PNG frames instead."""
_EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
"""One engine, named differently from 4.2 to 4.5."""
_DYNAMICS = ("CLOTH", "SOFT_BODY", "FLUID", "DYNAMIC_PAINT", "PARTICLE_SYSTEM", "EXPLODE")
"""Modifiers whose result may depend on the frames that were evaluated before."""


class Refused(Exception):
    """The scene or the request can't be rendered; the text is for the artist."""


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


def apply_settings(bpy: Any, scene: Any, settings: dict[str, Any], threads: int) -> None:
    """Set on the scene what the job asks for, and what every farm frame needs.

    Raises:
        Refused: this Blender lacks the engine or the file format.
    """
    render = scene.render
    if settings.get("engine"):
        _set_engine(bpy, render, settings["engine"])
    _set_format(render.image_settings, settings.get("file_format"))
    for key in ("resolution_x", "resolution_y", "resolution_percentage"):
        if settings.get(key):
            setattr(render, key, settings[key])
    if settings.get("samples"):
        _set_samples(scene, settings["samples"])
    render.threads_mode = "FIXED"
    render.threads = threads
    render.use_overwrite = True
    render.use_placeholder = False
    render.use_file_extension = True
    render.use_render_cache = False
    scene.frame_step = 1
    # Keeps the synchronised scene between frames, which is most of the work of a short
    # frame; where a frame's pixels could come to depend on it, it is off.
    render.use_persistent_data = render.engine == "CYCLES" and not depends_on_history(bpy)


def _set_engine(bpy: Any, render: Any, engine: str) -> None:
    for name in dict.fromkeys((engine, *(_EEVEE if engine in _EEVEE else ()))):
        try:
            render.engine = name
        except TypeError:
            continue
        return
    version = ".".join(str(part) for part in bpy.app.version)
    raise Refused(f"Blender {version} has no render engine {engine}")


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
        raise Refused(f"this Blender can't write {wanted}") from None


def _set_samples(scene: Any, samples: int) -> None:
    if scene.render.engine == "CYCLES":
        scene.cycles.samples = samples
        # Otherwise a view layer's own count wins over the one that was asked for.
        scene.cycles.use_layer_samples = "IGNORE"
    elif scene.render.engine in _EEVEE:
        scene.eevee.taa_render_samples = samples


def depends_on_history(bpy: Any) -> bool:
    """Say whether a frame's pixels may depend on what this process rendered before."""
    if any(s.render.use_motion_blur or s.rigidbody_world for s in bpy.data.scenes):
        return True
    if any(m.type in _DYNAMICS for o in bpy.data.objects for m in o.modifiers):
        return True
    return any(
        node.bl_idname == "GeometryNodeSimulationInput"
        for group in bpy.data.node_groups
        for node in group.nodes
    )


def unbaked(bpy: Any) -> list[str]:
    """Return the names of objects with a simulation that nobody baked."""
    names = []
    for thing in bpy.data.objects:
        caches = [system.point_cache for system in thing.particle_systems]
        caches += [m.point_cache for m in thing.modifiers if m.type in ("CLOTH", "SOFT_BODY")]
        if any(not (cache.is_baked or cache.use_external) for cache in caches):
            names.append(thing.name)
    worlds = [s.rigidbody_world for s in bpy.data.scenes if s.rigidbody_world]
    if any(not world.point_cache.is_baked for world in worlds):
        names.append("the rigid bodies")
    return names


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
