"""Which ffmpeg is taken, and what it is told; what comes of it is in ``test_encode.py``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from burst.errors import ToolMissing
from burst.worker import ffmpeg as module
from burst.worker.ffmpeg import (
    Film,
    encode_arguments,
    exact_rate,
    ffmpeg_version,
    find_encoder,
    find_ffmpeg,
)

FILM = Film("/in/%06d.png", 48, 64, 36, Fraction(24))


@pytest.fixture(autouse=True)
def _ask_anew() -> None:
    ffmpeg_version.cache_clear()


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (24, Fraction(24)),
        (25.0, Fraction(25)),
        (12.5, Fraction(25, 2)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (24 / 1.001, Fraction(24000, 1001)),
        (24 / 1.0010000467300415, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (0.5, Fraction(1, 2)),
        (119.88, Fraction(120000, 1001)),
    ],
)
def test_a_rate_is_the_fraction_that_is_meant(fps: float, rate: Fraction) -> None:
    assert exact_rate(fps) == rate


def test_the_machines_own_ffmpeg_comes_before_the_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "ffmpeg"
    own.write_text("#!/bin/sh\necho ffmpeg version 7.1-own Copyright\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_ffmpeg() == own
    assert ffmpeg_version() == "7.1-own"
    monkeypatch.setenv("PATH", "/none")
    assert "imageio_ffmpeg" in str(find_ffmpeg())
    ffmpeg_version.cache_clear()
    assert ffmpeg_version() not in ("", "7.1-own")


def test_without_any_ffmpeg_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise RuntimeError("none")

    monkeypatch.setenv("PATH", "/none")
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    with pytest.raises(ToolMissing, match="no ffmpeg") as caught:
        find_ffmpeg()
    assert "Debian's package ffmpeg" in str(caught.value.hint)
    assert ffmpeg_version() == ""


@pytest.mark.parametrize("which", ["own", "wheel"])
@pytest.mark.parametrize("codec", ["h264", "prores", "prores4444", "av1"])
def test_both_can_do_every_codec(which: str, codec: Any) -> None:
    program = find_ffmpeg() if which == "own" else Path(imageio_ffmpeg.get_ffmpeg_exe())
    assert find_encoder(program, codec, 1920, 1080) == module._ENCODERS[codec][0]


def test_a_picture_too_small_for_one_encoder_is_made_by_another() -> None:
    program = Path(imageio_ffmpeg.get_ffmpeg_exe())
    assert find_encoder(program, "av1", 64, 36) == "libaom-av1"


def test_an_ffmpeg_without_the_encoder_is_named(tmp_path: Path) -> None:
    bare = tmp_path / "ffmpeg"
    bare.write_text("#!/bin/sh\necho ' V....D libx265 H.265'\n")
    bare.chmod(0o755)
    with pytest.raises(ToolMissing) as caught:
        find_encoder(bare, "h264", 64, 36)
    assert str(caught.value) == f"the ffmpeg here ({bare}) has no libx264, which makes h264"
    assert "imageio-ffmpeg" in str(caught.value.hint)


def test_sound_is_as_long_as_the_pictures() -> None:
    film = Film("/in/%06d.png", 48, 64, 36, Fraction(24), Path("/in/mix.wav"))
    told = " ".join(encode_arguments(film, "h264", "libx264", Path("/out/a.mp4"), 2))
    assert "-af apad=whole_dur=2.000000,atrim=end=2.000000 -c:a aac" in told
    told = " ".join(encode_arguments(film, "prores", "prores_ks", Path("/out/a.mov"), 2))
    assert "-c:a pcm_s16le" in told


@pytest.mark.parametrize(
    ("film", "codec", "laid_over_black"),
    [
        (FILM, "h264", True),
        (FILM, "prores4444", False),
        (Film("/in/%06d.jpg", 48, 64, 36, Fraction(24)), "h264", False),
    ],
)
def test_transparency_is_laid_over_black_where_it_can_not_be_kept(
    film: Film, codec: Any, laid_over_black: bool
) -> None:
    told = encode_arguments(film, codec, "x", Path("/out/a"), 2)
    assert ("premultiply" in told[told.index("-vf") + 1]) is laid_over_black


def test_an_odd_side_is_made_even() -> None:
    odd = Film("/in/%06d.jpg", 48, 63, 36, Fraction(24))
    told = encode_arguments(odd, "h264", "libx264", Path("/out/a"), 2)
    assert told[told.index("-vf") + 1].startswith("pad=ceil(iw/2)*2:ceil(ih/2)*2,scale=")
    assert "pad=" not in " ".join(encode_arguments(FILM, "h264", "libx264", Path("/out/a"), 2))
