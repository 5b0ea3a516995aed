"""The ffmpeg at hand, and the arguments that make a video of numbered pictures with it.

The one on PATH, which is the machine's own, else the one that a wheel brought along. Nothing
is run here but the question for its version; `burst.worker.encode` does the rest.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from burst.domain.commands import Codec
from burst.errors import ToolMissing
from burst.worker.process import ask

VERSION_SECONDS = 20.0
AV1_SIDE_MIN = 64
"""SVT-AV1 refuses a picture with a shorter side."""

_NTSC = Fraction(1000, 1001)
_NTSC_MAX_DIFFERENCE = 0.005
"""23.98 is written for 24000/1001, which is 23.97602…"""
_WITH_ALPHA = frozenset({".png", ".tif", ".tiff", ".tga", ".webp", ".rgb", ".dpx"})
_VERSION = re.compile(r"ffmpeg version (\S+)")
_INSTALL = "install Debian's package ffmpeg, or the wheel imageio-ffmpeg"
_ENCODERS: dict[Codec, tuple[str, ...]] = {
    "h264": ("libx264",),
    "prores": ("prores_ks",),
    "prores4444": ("prores_ks",),
    "av1": ("libsvtav1", "libaom-av1"),
}
"""What each codec is made with, the better first."""
_OPTIONS = {
    "h264": ("-crf", "18", "-preset", "medium", "-pix_fmt", "yuv420p"),
    "prores": ("-profile:v", "3", "-vendor", "apl0", "-pix_fmt", "yuv422p10le"),
    "prores4444": (
        *("-profile:v", "4", "-vendor", "apl0"),
        *("-pix_fmt", "yuva444p10le", "-alpha_bits", "16"),
    ),
    "libsvtav1": ("-crf", "30", "-preset", "8", "-pix_fmt", "yuv420p10le"),
    "libaom-av1": ("-crf", "30", "-b:v", "0", "-cpu-used", "6", "-pix_fmt", "yuv420p10le"),
}


@dataclass(frozen=True, slots=True)
class Film:
    """Pictures that a video is made of."""

    pattern: str
    """Path of picture 0, 1, 2 …, with ``%06d`` for its number."""
    count: int
    width: int
    height: int
    rate: Fraction
    """Pictures a second."""
    sound: Path | None = None
    """What is heard with it, from its beginning."""


def find_ffmpeg() -> Path:
    """Return the program.

    Raises:
        ToolMissing: there is none.
    """
    own = shutil.which("ffmpeg")
    if own:
        return Path(own)
    try:
        # Here: the image of the manager, which makes no videos, has no such wheel.
        import imageio_ffmpeg

        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise ToolMissing(
            "there is no ffmpeg, which videos are made with", hint=_INSTALL
        ) from error


@functools.cache
def ffmpeg_version() -> str:
    """Return the version of the ffmpeg at hand, e.g. ``5.1.9-0+deb12u1``; empty if none runs."""
    try:
        program = find_ffmpeg()
    except ToolMissing:
        return ""
    found = _VERSION.search(_ask(program, "-version"))
    return found[1] if found else ""


def find_encoder(program: Path, codec: Codec, width: int, height: int) -> str:
    """Return ffmpeg's name of what makes this codec.

    Raises:
        ToolMissing: this ffmpeg was built without it.
    """
    listed = _ask(program, "-encoders").split()
    wanted = _ENCODERS[codec]
    for name in wanted:
        too_small = name == "libsvtav1" and min(width, height) < AV1_SIDE_MIN
        if name in listed and not too_small:
            return name
    raise ToolMissing(
        f"the ffmpeg here ({program}) has no {' or '.join(wanted)}, which makes {codec}",
        hint=f"{_INSTALL}; or choose another codec",
    )


def exact_rate(fps: float) -> Fraction:
    """Return frames a second as the fraction that is meant: 23.976 is 24000/1001."""
    whole = round(fps / float(_NTSC))
    if fps != round(fps) and abs(fps - float(whole * _NTSC)) < _NTSC_MAX_DIFFERENCE:
        return whole * _NTSC
    return Fraction(fps).limit_denominator(1001)


def encode_arguments(
    film: Film, codec: Codec, encoder: str, target: Path, threads: int
) -> list[str]:
    """Return what ffmpeg is told, after its name, to make a video of every picture.

    Colours are converted and tagged as Rec.709, which players guess wrongly otherwise. A
    picture with an odd side gets a black line more, since all these codecs but one halve the
    colours. Transparent pixels are laid over black, except where the codec keeps them.
    """
    rate = f"{film.rate.numerator}/{film.rate.denominator}"
    told = [*_QUIETLY, "-framerate", rate, "-start_number", "0", "-i", film.pattern]
    told += ["-i", str(film.sound)] if film.sound else []
    told += ["-map", "0:v:0", *(["-map", "1:a:0"] if film.sound else [])]
    # Without -frames:v, at whose end ffmpeg 5.1 drops most of the sound.
    told += ["-vf", _filters(film, codec), "-c:v", encoder]
    told += [*_OPTIONS.get(encoder, _OPTIONS.get(codec, ())), "-threads", str(threads)]
    for what in ("-colorspace", "-color_primaries", "-color_trc"):
        told += [what, "bt709"]
    told += ["-color_range", "tv"]
    if film.sound:
        seconds = float(film.count / film.rate)
        told += ["-af", f"apad=whole_dur={seconds:.6f},atrim=end={seconds:.6f}"]
        is_prores = codec.startswith("prores")
        told += ["-c:a", "pcm_s16le"] if is_prores else ["-c:a", "aac", "-b:a", "256k"]
    return [*told, "-movflags", "+faststart", str(target)]


def count_arguments(video: Path) -> list[str]:
    """Return what ffmpeg is told to decode every frame of a video, for the count alone."""
    told = [*_QUIETLY, "-i", str(video), "-map", "0:v:0", "-fps_mode", "passthrough"]
    return [*told, "-f", "null", "-"]


_QUIETLY = (
    *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-xerror", "-y"),
    *("-progress", "pipe:1"),
)
"""With its figures as ``frame=12`` on lines of their own, and an end at the first error."""


def _filters(film: Film, codec: Codec) -> str:
    steps = []
    if Path(film.pattern).suffix in _WITH_ALPHA and codec != "prores4444":
        steps += ["format=gbrap|gbrap16le", "premultiply=inplace=1"]
    if film.width % 2 or film.height % 2:
        steps.append("pad=ceil(iw/2)*2:ceil(ih/2)*2")
    steps.append("scale=in_range=full:out_range=tv:out_color_matrix=bt709:flags=accurate_rnd")
    # The encoders' own options are not enough: some go by what each picture says.
    steps.append("setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709")
    return ",".join(steps)


def _ask(program: Path, question: str) -> str:
    return ask(
        [str(program), "-hide_banner", question],
        env=_environment(os.environ),
        timeout_seconds=VERSION_SECONDS,
    )


def _environment(outer: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": outer.get("PATH", os.defpath)}
