"""What an artist asks for, put together with what the .blend says: pure decisions.

`burst.operations.check` gathers the facts from disk and from Blender, and calls these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from burst.domain.commands import FRAMES, Codec, CommandTask, Encode, video_name
from burst.domain.frames import FrameRange
from burst.domain.jobs import PRIORITY_DEFAULT, RETRY_LIMIT_DEFAULT, RenderSettings
from burst.domain.workers import DeviceChoice
from burst.errors import SceneError, UsageError
from burst.operations.assignments import parse_assignments
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
"""What a .blend may say instead; a farm renders frames, and encodes them when all are there."""

VIDEO_TASK = "video"
"""Name of the task that encodes the frames of a render."""

_FORMAT_NICKNAMES = {
    "JPG": "JPEG",
    "EXR": "OPEN_EXR",
    "EXR_MULTILAYER": "OPEN_EXR_MULTILAYER",
    "TIF": "TIFF",
    "TGA": "TARGA",
    "JP2": "JPEG2000",
}

_ENGINE_NICKNAMES = {"EEVEE": "BLENDER_EEVEE", "WORKBENCH": "BLENDER_WORKBENCH"}

_RESOLUTION = re.compile(r"(?:(\d{1,5})\s*%|(\d{1,5})\s*[xX×]\s*(\d{1,5}))\Z")
_RESOLUTION_EXAMPLE = "a resolution looks like 50%, or 1920x1080"

_MEMORY = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*([KMGT])(?:i?B)?\Z", re.ASCII | re.IGNORECASE)
_MEMORY_EXAMPLE = "an amount of memory looks like 8G, or 500M"
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

_MOVIE_SUFFIX = re.compile(r"\.(avi|dv|flv|m4v|mkv|mov|mp4|mpe?g|ogv|webm)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """What was typed; None means: as the .blend has it."""

    scene: Path
    frames: str | None = None
    output: Path | None = None
    blender_scene: str | None = None
    camera: str | None = None
    resolution: str | None = None
    samples: int | None = None
    file_format: str | None = None
    video: Codec | Literal["none"] | None = None
    engine: str | None = None
    device: DeviceChoice = "auto"
    denoiser: Literal["off", "oidn", "optix"] | None = None
    assign: Sequence[str] | None = None
    """Each ``property=value``."""
    keep_metadata: bool = False
    trust_scripts: bool = False
    allow_missing: bool = False
    force: bool = False
    """Render what is not baked."""
    name: str | None = None
    priority: int = PRIORITY_DEFAULT
    chunk: int = 1
    memory: str | None = None
    retries: int = RETRY_LIMIT_DEFAULT
    fail_fast: bool = False
    new: bool = False


def choose_frames(typed: str | None, facts: SceneFacts) -> FrameRange:
    """Return the frames to render.

    Raises:
        UsageError: what was typed is no frame range, or not all of it can be rendered.
        SceneError: the scene's own range holds no frame.
    """
    if typed is not None:
        return _from_0(FrameRange.parse(typed))
    step = f"x{facts.frame_step}" if facts.frame_step > 1 else ""
    text = f"{facts.frame_start}-{facts.frame_end}{step}"
    try:
        return FrameRange.parse(text)
    except UsageError as error:
        raise SceneError(
            f"the scene's own frame range, {text}, can't be rendered", hint="name one with --frames"
        ) from error


def _from_0(frames: FrameRange) -> FrameRange:
    """Refuse frames that a scene can show, and Blender's render would take for frame 0."""
    first = frames.segments[0].first
    if first < 0:
        raise UsageError(
            f"frame {first} can't be rendered: no render of Blender begins before 0",
            hint="render from frame 0 on; what is before it has to be moved in Blender",
        )
    return frames


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
        raise UsageError(
            f"{wanted} is a video format, a farm renders frames",
            hint="have a video made of the frames: --video h264",
        )
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


def choose_engine(typed: str | None, facts: SceneFacts) -> str:
    """Return the engine to render with, as Blender spells it.

    EEVEE keeps whichever of its two names it was given by: a worker knows that of its Blender.
    """
    if typed is None:
        return facts.engine
    wanted = typed.strip().upper()
    return _ENGINE_NICKNAMES.get(wanted, wanted)


def choose_memory(typed: str | None) -> int:
    """Return how many bytes a worker must have; 0 is any. ``G`` is 2^30.

    Raises:
        UsageError: it is no amount of memory.
    """
    if typed is None:
        return 0
    match = _MEMORY.match(typed.strip())
    if match is None:
        raise UsageError(f"{typed!r} is no amount of memory", hint=_MEMORY_EXAMPLE)
    return int(float(match[1]) * _UNITS[match[2].upper()])


def choose_codec(typed: Codec | Literal["none"] | None, facts: SceneFacts) -> Codec | None:
    """Return what a video is to be encoded with, or None for no video.

    A scene that is set to a video format gets one, unless it was said otherwise.
    """
    if typed is None:
        return "h264" if facts.file_format in VIDEO_FORMATS else None
    return None if typed == "none" else typed


def video_task(codec: Codec, facts: SceneFacts, frames: FrameRange, name: str) -> CommandTask:
    """Return the task that makes a video of all the frames, when they are published.

    Args:
        codec: what it is encoded with.
        facts: what the .blend says: how fast, and how its output is called.
        frames: the frames of the job.
        name: of the job, for a scene whose output has no name.
    """
    numbers = frames.segments[0].first, frames.segments[-1].last
    encode = Encode(
        codec=codec,
        name=video_name(_video_stem(facts.output_name, name), *numbers, codec),
        fps=facts.fps,
        frames=str(frames),
    )
    return CommandTask(name=VIDEO_TASK, commands=(encode,), after=(FRAMES,))


def without_sound(plan: JobPlan) -> JobPlan:
    """Return a plan whose videos mix no sound in: to find that there is none takes a Blender."""
    quiet = tuple(
        task.model_copy(
            update={
                "commands": tuple(
                    command.model_copy(update={"sound": False})
                    if isinstance(command, Encode)
                    else command
                    for command in task.commands
                )
            }
        )
        for task in plan.commands
    )
    return replace(plan, commands=quiet)


def _video_stem(output_name: str, name: str) -> str:
    """Return what comes before the frame numbers in a video's name."""
    stem = output_name.partition("#")[0]
    return _MOVIE_SUFFIX.sub("-", stem) or f"{name.replace('/', '-')}-"


def choose_chunk(request: RenderRequest, frames: FrameRange) -> int:
    """Return how many frames a task has: all of them, where each depends on those before it.

    Raises:
        UsageError: another number was asked for.
    """
    if not request.force:
        return request.chunk
    if request.chunk != 1:
        raise UsageError("--force renders the whole range as one task, leave out --chunk")
    return len(frames)


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What a job does, as far as it follows from what was typed and what the .blend says."""

    frames: FrameRange
    chunk: int
    settings: RenderSettings
    commands: tuple[CommandTask, ...]
    notes: tuple[str, ...]
    """For people."""


def plan_job(request: RenderRequest, facts: SceneFacts, name: str) -> JobPlan:
    """Return what the job does.

    Raises:
        UsageError: a value makes no sense.
        SceneError: the scene's own values can't be rendered.
    """
    frames = choose_frames(request.frames, facts)
    file_format, note = choose_format(request.file_format, facts)
    settings = RenderSettings(
        blender_scene=request.blender_scene,
        camera=request.camera,
        engine=choose_engine(request.engine, facts) if request.engine else None,
        file_format=file_format,
        samples=request.samples,
        denoiser=request.denoiser,
        device=None if request.device == "auto" else request.device,
        properties=parse_assignments(request.assign or ()),
        keep_metadata=request.keep_metadata,
        trust_scripts=request.trust_scripts,
        missing="warn" if request.allow_missing else "fail",
        unbaked="render" if request.force else "refuse",
        **choose_resolution(request.resolution),
    )
    codec = choose_codec(request.video, facts)
    return JobPlan(
        frames=frames,
        chunk=choose_chunk(request, frames),
        settings=settings,
        commands=(video_task(codec, facts, frames, name),) if codec else (),
        notes=(note,) if note else (),
    )
