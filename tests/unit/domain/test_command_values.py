"""Commands as values: what is no command is refused when it is submitted, not on a worker."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from burst.domain.commands import CommandTask, video_name


def task(**command: Any) -> CommandTask:
    return CommandTask.model_validate({"name": "one", "commands": [command]})


@pytest.mark.parametrize("name", ["a.mp4", "sub/a.MP4", "a.mov"])
def test_a_video_has_a_name_that_its_codec_fits_in(name: str) -> None:
    assert task(kind="encode", name=name, fps=24, frames="1-2")


@pytest.mark.parametrize(
    ("codec", "name", "reason"),
    [
        ("h264", "a", "ends in .mp4 or .mov"),
        ("h264", "a.avi", "ends in .mp4 or .mov"),
        ("av1", "a.mov", "ends in .mp4"),
        ("prores", "a.mp4", "ends in .mov"),
        ("h264", "../a.mp4", "no name below"),
        ("h264", "/a.mp4", "no name below"),
        ("h264", "", "no name below"),
    ],
)
def test_a_video_with_another_name_is_refused(codec: str, name: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        task(kind="encode", codec=codec, name=name, fps=24, frames="1-2")


@pytest.mark.parametrize("target", ["../a", "/tmp/a", "b/../../a", "", "a\0b"])
def test_a_copy_never_leaves_the_renders(target: str) -> None:
    with pytest.raises(ValidationError, match="no name below the job's renders"):
        task(kind="copy", source="a", target=target)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(", "is no regular expression"), (r"\d+", "has 0 groups"), ("(a)(b)(c)", "has 3 groups")],
)
def test_a_pattern_that_can_not_be_read_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        task(kind="exec", argv=["x"], progress=pattern)


@pytest.mark.parametrize("pattern", [r"(\d+) %", r"(\d+)/(\d+)"])
def test_progress_is_a_percentage_or_a_part_of_a_whole(pattern: str) -> None:
    assert task(kind="exec", argv=["x"], progress=pattern)


@pytest.mark.parametrize(
    ("stem", "first", "last", "codec", "name"),
    [
        ("shot_", 1, 48, "h264", "shot_0001-0048.mp4"),
        ("shot_####", 1, 48, "prores", "shot_0001-0048.mov"),
        ("", -5, 5, "av1", "-0005-0005.mp4"),
    ],
)
def test_a_video_is_named_as_blender_names_one(
    stem: str, first: int, last: int, codec: Any, name: str
) -> None:
    assert video_name(stem, first, last, codec) == name
