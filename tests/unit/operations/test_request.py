"""Putting together what was typed and what the .blend says; reading a .blend is not here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from burst.domain.commands import Encode
from burst.domain.jobs import RenderSettings
from burst.errors import SceneError, UsageError
from burst.operations.request import (
    IMAGE_FORMATS,
    RenderRequest,
    choose_engine,
    choose_format,
    choose_frames,
    choose_memory,
    choose_resolution,
    plan_job,
    without_sound,
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


@pytest.mark.parametrize("text", ["-5", "-3-2", "1-4,-1"])
def test_frames_that_blender_would_render_as_others_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="before 0") as caught:
        choose_frames(text, facts())
    assert "Blender" in (caught.value.hint or "")


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


def test_a_video_format_is_refused_with_the_option_that_makes_a_video() -> None:
    with pytest.raises(UsageError) as caught:
        choose_format("FFMPEG", facts())
    assert "--video" in (caught.value.hint or "")


@pytest.mark.parametrize("typed", ["gif", ""])
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


def test_engines_go_by_the_names_that_people_use() -> None:
    assert choose_engine("eevee", facts()) == "BLENDER_EEVEE"
    assert choose_engine("cycles", facts()) == "CYCLES"
    assert choose_engine(None, facts(engine="LUXCORE")) == "LUXCORE"


def test_nothing_typed_changes_nothing_in_the_scene() -> None:
    plan = plan_job(RenderRequest(Path("a.blend")), facts(), "a")
    assert plan.settings == RenderSettings()
    assert (str(plan.frames), plan.chunk, plan.commands, plan.notes) == ("1-10", 1, (), ())


def test_what_was_typed_is_recorded_with_the_job() -> None:
    request = RenderRequest(
        Path("a.blend"),
        camera="Close",
        engine="workbench",
        samples=8,
        device="cuda",
        denoiser="off",
        assign=["scene.cycles.max_bounces=4", "world.color=[1, 0.5, 0]"],
        keep_metadata=True,
        trust_scripts=True,
        allow_missing=True,
        force=True,
    )
    assert plan_job(request, facts(), "a").settings == RenderSettings(
        camera="Close",
        engine="BLENDER_WORKBENCH",
        samples=8,
        device="cuda",
        denoiser="off",
        properties={"scene.cycles.max_bounces": 4, "world.color": (1, 0.5, 0)},
        keep_metadata=True,
        trust_scripts=True,
        missing="warn",
        unbaked="render",
    )


def test_by_force_the_whole_range_is_one_task() -> None:
    request = RenderRequest(Path("a.blend"), frames="1-20x2", force=True)
    assert plan_job(request, facts(), "a").chunk == 10


def test_by_force_chunks_make_no_sense() -> None:
    request = RenderRequest(Path("a.blend"), force=True, chunk=4)
    with pytest.raises(UsageError, match="--chunk"):
        plan_job(request, facts(), "a")


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        (None, 0),
        ("8G", 8 * 2**30),
        ("1.5g", 3 * 2**29),
        ("500M", 500 * 2**20),
        ("64 GiB", 64 * 2**30),
        ("2TB", 2 * 2**40),
    ],
)
def test_memory_is_counted_in_powers_of_1024(typed: str | None, count: int) -> None:
    assert choose_memory(typed) == count


@pytest.mark.parametrize("typed", ["", "8", "G", "-1G", "8X", "8GG", "lots"])
def test_what_is_no_amount_of_memory_is_refused(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_memory(typed)
    assert "8G" in (caught.value.hint or "")


def video_of(typed: Any, **changes: Any) -> Encode | None:
    """Return what a render is asked to encode, if anything."""
    request = RenderRequest(Path("a.blend"), frames=changes.pop("frames", None), video=typed)
    commands = plan_job(request, facts(**changes), "my/shot").commands
    if not commands:
        return None
    (task,) = commands
    assert (task.name, task.after) == ("video", ("frames",))
    (encode,) = task.commands
    assert isinstance(encode, Encode)
    return encode


def test_a_scene_that_is_silent_has_no_sound_mixed() -> None:
    plan = plan_job(RenderRequest(Path("a.blend"), video="h264"), facts(), "a")
    (task,) = without_sound(plan).commands
    (encode,) = task.commands
    assert isinstance(encode, Encode)
    assert not encode.sound
    assert encode.model_copy(update={"sound": True}) == plan.commands[0].commands[0]


def test_a_scene_set_to_a_video_format_gets_one_unless_it_was_said_otherwise() -> None:
    encode = video_of(None, file_format="FFMPEG", output_name="shot_", fps=25)
    assert encode == Encode(codec="h264", name="shot_0001-0010.mp4", fps=25, frames="1-10")
    assert encode.sound
    assert video_of("none", file_format="FFMPEG") is None
    assert video_of(None, file_format="PNG") is None


@pytest.mark.parametrize(
    ("output_name", "codec", "name"),
    [
        ("shot_####", "h264", "shot_0003-0007.mp4"),
        ("shot_####.png", "av1", "shot_0003-0007.mp4"),
        ("shot.mp4", "prores", "shot-0003-0007.mov"),
        ("", "prores4444", "my-shot-0003-0007.mov"),
        ("####", "h264", "my-shot-0003-0007.mp4"),
    ],
)
def test_a_video_is_named_like_the_scenes_output(output_name: str, codec: Any, name: str) -> None:
    encode = video_of(codec, output_name=output_name, frames="3-7x2")
    assert encode is not None
    assert (encode.name, encode.codec, encode.frames) == (name, codec, "3-7x2")
