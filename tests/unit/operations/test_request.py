"""Putting together what was typed and what the .blend says; reading a .blend is not here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from burst.domain.jobs import RenderSettings
from burst.errors import SceneError, UsageError
from burst.operations.request import (
    IMAGE_FORMATS,
    RenderRequest,
    choose_engine,
    choose_format,
    choose_frames,
    choose_resolution,
    choose_settings,
)
from burst.protocol.artist_messages import SceneFacts


def facts(**changes: Any) -> SceneFacts:
    values: dict[str, Any] = {
        "blender": (3, 4),
        "blender_scene": "Scene",
        "blender_scenes": ("Scene",),
        "engine": "CYCLES",
        "frame_start": 1,
        "frame_end": 10,
        "frame_step": 1,
        "fps": 24,
        "resolution_x": 1920,
        "resolution_y": 1080,
        "resolution_percentage": 100,
        "file_format": "PNG",
        "output_name": "",
        "has_camera": True,
    }
    return SceneFacts(**(values | changes))


def test_frames_are_the_scenes_own_with_their_step_unless_named() -> None:
    assert str(choose_frames(None, facts(frame_step=3))) == "1-10x3"
    assert str(choose_frames("4,2", facts())) == "2,4"


def test_a_scene_that_ends_before_it_starts_is_told_to_name_frames() -> None:
    with pytest.raises(SceneError) as caught:
        choose_frames(None, facts(frame_start=5, frame_end=2))
    assert "--frames" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["", "1-", "10-1", "1-5x0", "a"])
def test_frames_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        choose_frames(text, facts())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("png", "PNG"), ("jpg", "JPEG"), ("exr", "OPEN_EXR"), ("open-exr", "OPEN_EXR")],
)
def test_formats_go_by_the_names_that_people_use(typed: str, meant: str) -> None:
    assert choose_format(typed, facts()) == (meant, "")


@pytest.mark.parametrize("typed", IMAGE_FORMATS)
def test_every_still_format_is_taken_as_blender_spells_it(typed: str) -> None:
    assert choose_format(typed, facts()) == (typed, "")


def test_a_video_scene_is_rendered_as_png_frames_and_says_so() -> None:
    chosen, note = choose_format(None, facts(file_format="FFMPEG"))
    assert chosen == "PNG"
    assert "PNG" in note


@pytest.mark.parametrize("typed", ["FFMPEG", "gif", ""])
def test_a_format_that_is_no_still_image_is_refused_with_the_list(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_format(typed, facts())
    assert "OPEN_EXR" in (caught.value.hint or "")


def test_a_percentage_scales_and_a_size_is_meant_as_it_is() -> None:
    assert choose_resolution(None) == {}
    assert choose_resolution("50%") == {"resolution_percentage": 50}
    assert choose_resolution("1280x720") == {
        "resolution_x": 1280,
        "resolution_y": 720,
        "resolution_percentage": 100,
    }


@pytest.mark.parametrize("typed", ["", "0%", "50", "0x10", "99999x10", "40000%", "x", "-1x5"])
def test_a_resolution_that_blender_has_not_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        choose_resolution(typed)


def test_eevee_is_called_as_the_blender_at_hand_calls_it() -> None:
    new = {"CYCLES": "", "BLENDER_EEVEE_NEXT": ""}
    assert choose_engine("eevee", facts(), new) == "BLENDER_EEVEE_NEXT"
    assert choose_engine(None, facts(engine="BLENDER_EEVEE"), new) == "BLENDER_EEVEE_NEXT"
    old = {"BLENDER_EEVEE": ""}
    assert choose_engine(None, facts(engine="BLENDER_EEVEE_NEXT"), old) == "BLENDER_EEVEE"


def test_other_engines_keep_their_names() -> None:
    assert choose_engine("cycles", facts(), {}) == "CYCLES"
    assert choose_engine(None, facts(engine="LUXCORE"), {}) == "LUXCORE"


def test_nothing_typed_changes_nothing_in_the_scene() -> None:
    settings, notes = choose_settings(RenderRequest(Path("a.blend")), facts())
    assert settings == RenderSettings()
    assert notes == ()
