"""What an artist asks for, put together with what the .blend says: pure decisions.

`burst.operations.check` gathers the facts from disk and from Blender, and calls these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from burst.domain.frames import FrameRange
from burst.domain.jobs import PRIORITY_DEFAULT, RETRY_LIMIT_DEFAULT, RenderSettings
from burst.errors import SceneError, UsageError
from burst.protocol.artist_messages import SceneFacts

IMAGE_FORMATS = (
    "PNG",
    "JPEG",
    "OPEN_EXR",
    "OPEN_EXR_MULTILAYER",
    "TIFF",
    "WEBP",
    "BMP",
    "TARGA",
    "TARGA_RAW",
    "HDR",
    "JPEG2000",
    "DPX",
    "CINEON",
    "IRIS",
)
"""Still image formats, as Blender spells them."""

VIDEO_FORMATS = ("FFMPEG", "AVI_JPEG", "AVI_RAW")
"""What a .blend may say instead; a farm renders frames, each by itself."""

_FORMAT_NICKNAMES = {
    "JPG": "JPEG",
    "EXR": "OPEN_EXR",
    "EXR_MULTILAYER": "OPEN_EXR_MULTILAYER",
    "TIF": "TIFF",
    "TGA": "TARGA",
    "JP2": "JPEG2000",
}

_EEVEE = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
"""EEVEE's two names: Blender 4.2 to 4.4 has the second, the others the first."""

_ENGINE_NICKNAMES = {"EEVEE": "BLENDER_EEVEE", "WORKBENCH": "BLENDER_WORKBENCH"}

_RESOLUTION = re.compile(r"(?:(\d{1,5})\s*%|(\d{1,5})\s*[xX×]\s*(\d{1,5}))\Z")
_RESOLUTION_EXAMPLE = "a resolution looks like 50%, or 1920x1080"


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """What was typed; None means: as the .blend has it."""

    scene: Path
    frames: str | None = None
    output: Path | None = None
    blender_scene: str | None = None
    engine: str | None = None
    file_format: str | None = None
    resolution: str | None = None
    samples: int | None = None
    name: str | None = None
    priority: int = PRIORITY_DEFAULT
    chunk: int = 1
    retries: int = RETRY_LIMIT_DEFAULT
    allow_missing: bool = False
    new: bool = False


def choose_frames(typed: str | None, facts: SceneFacts) -> FrameRange:
    """Return the frames to render.

    Raises:
        UsageError: what was typed is no frame range.
        SceneError: the scene's own range holds no frame.
    """
    if typed is not None:
        return FrameRange.parse(typed)
    step = f"x{facts.frame_step}" if facts.frame_step > 1 else ""
    text = f"{facts.frame_start}-{facts.frame_end}{step}"
    try:
        return FrameRange.parse(text)
    except UsageError as error:
        raise SceneError(
            f"the scene's own frame range, {text}, can't be rendered", hint="name one with --frames"
        ) from error


def choose_format(typed: str | None, facts: SceneFacts) -> tuple[str | None, str]:
    """Return the format to set (None: the scene's own will do) and a note for people.

    Raises:
        UsageError: the format is unknown, or is a video.
    """
    if typed is None:
        if facts.file_format in VIDEO_FORMATS:
            return "PNG", "the scene is set to a video format; its frames are rendered as PNG"
        return None, ""
    wanted = typed.strip().upper().replace("-", "_")
    wanted = _FORMAT_NICKNAMES.get(wanted, wanted)
    if wanted in IMAGE_FORMATS:
        return wanted, ""
    formats = f"formats are {', '.join(IMAGE_FORMATS)}"
    if wanted in VIDEO_FORMATS:
        raise UsageError(f"{wanted} is a video format, a farm renders frames", hint=formats)
    raise UsageError(f"{typed!r} is no image format of Blender's", hint=formats)


def choose_resolution(typed: str | None) -> dict[str, int]:
    """Return the resolution as fields of `RenderSettings`.

    A size in pixels is meant as it is, so the scene's percentage does not scale it.

    Raises:
        UsageError: it is neither a percentage nor a size.
    """
    if typed is None:
        return {}
    match = _RESOLUTION.match(typed.strip())
    if match is None:
        raise UsageError(f"{typed!r} is no resolution", hint=_RESOLUTION_EXAMPLE)
    if match[1]:
        fields = {"resolution_percentage": int(match[1])}
        most = 32767
    else:
        fields = {"resolution_x": int(match[2]), "resolution_y": int(match[3])}
        most = 65536
    if not all(1 <= value <= most for value in fields.values()):
        raise UsageError(f"{typed} is outside of what Blender can render: 1 to {most}")
    return fields if match[1] else {**fields, "resolution_percentage": 100}


def choose_engine(typed: str | None, facts: SceneFacts, engines: Mapping[str, str]) -> str:
    """Return the engine by the name that the Blender at hand has for it.

    Args:
        typed: what was asked for.
        facts: what the .blend says.
        engines: the engines of the Blender at hand.
    """
    wanted = typed.strip().upper() if typed is not None else facts.engine
    wanted = _ENGINE_NICKNAMES.get(wanted, wanted)
    if wanted in _EEVEE:
        return next((name for name in _EEVEE if name in engines), wanted)
    return wanted


def choose_settings(
    request: RenderRequest, facts: SceneFacts
) -> tuple[RenderSettings, tuple[str, ...]]:
    """Return what the job changes in the scene, but for the engine, and notes for people.

    Raises:
        UsageError: a value makes no sense.
    """
    file_format, note = choose_format(request.file_format, facts)
    settings = RenderSettings(
        blender_scene=request.blender_scene,
        file_format=file_format,
        samples=request.samples,
        **choose_resolution(request.resolution),
    )
    return settings, (note,) if note else ()
