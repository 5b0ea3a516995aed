"""Frame ranges and task plans. Leaves out how the command line words a range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.frames import FRAME_MAX, FRAME_MIN, FrameRange, Segment, TaskPlan
from burst.errors import UsageError

frame_sets = st.sets(st.integers(-300, 300), min_size=1, max_size=60)


@given(frame_sets)
def test_a_range_holds_exactly_the_frames_it_was_made_of(frames: set[int]) -> None:
    made = FrameRange.of(frames)
    assert list(made) == sorted(frames)
    assert len(made) == len(frames)


@given(frame_sets)
def test_the_text_of_a_range_reads_back_as_the_same_range(frames: set[int]) -> None:
    made = FrameRange.of(frames)
    assert FrameRange.parse(str(made)) == made
    assert hash(FrameRange.parse(str(made))) == hash(made)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 40), st.integers(1, 7)), min_size=1))
def test_parts_may_overlap_and_come_in_any_order(parts: list[tuple[int, int, int]]) -> None:
    text = ", ".join(f"{first}-{first + length}x{step}" for first, length, step in parts)
    expected = {f for first, length, step in parts for f in range(first, first + length + 1, step)}
    assert list(FrameRange.parse(text)) == sorted(expected)


@given(frame_sets)
def test_every_frame_has_a_position_and_every_position_a_frame(frames: set[int]) -> None:
    made = FrameRange.of(frames)
    for position, frame in enumerate(sorted(frames)):
        assert made.frame_at(position) == frame
        assert made.position_of(frame) == position
        assert frame in made


@given(frame_sets, st.integers(-310, 310))
def test_a_frame_that_is_not_in_the_range_has_no_position(frames: set[int], frame: int) -> None:
    made = FrameRange.of(frames - {frame})
    assert frame not in made
    with pytest.raises(ValueError, match=str(frame)):
        made.position_of(frame)


@pytest.mark.parametrize("position", [-1, 3, 100])
def test_a_position_outside_the_range_has_no_frame(position: int) -> None:
    with pytest.raises(IndexError):
        FrameRange.parse("1-3").frame_at(position)


@given(frame_sets, st.integers(1, 70))
def test_the_chunks_of_a_plan_cover_every_frame_once(frames: set[int], chunk: int) -> None:
    plan = TaskPlan(FrameRange.of(frames), chunk)
    covered = [f for task in range(plan.task_count) for f in plan.frames_of(task)]
    assert covered == sorted(frames)
    assert all(1 <= len(plan.frames_of(task)) <= chunk for task in range(plan.task_count))
    for task in range(plan.task_count):
        assert {plan.task_of(frame) for frame in plan.frames_of(task)} == {task}


def test_a_million_frames_are_one_segment() -> None:
    made = FrameRange.parse("1-1000000")
    assert made.segments == (Segment(1, 1_000_000),)
    assert len(made) == 1_000_000
    assert made.frame_at(999_999) == 1_000_000


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", [7]),
        (" 1 - 3 ", [1, 2, 3]),
        ("-5--3", [-5, -4, -3]),
        ("1-10x4", [1, 5, 9]),
        ("1-2x5", [1]),
        ("3,1,2,2", [1, 2, 3]),
        (f"{FRAME_MIN}", [FRAME_MIN]),
        (f"{FRAME_MAX}", [FRAME_MAX]),
    ],
)
def test_what_artists_type_is_understood(text: str, frames: list[int]) -> None:
    assert list(FrameRange.parse(text)) == frames


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a frame range"),
        (" ", "is not a frame range"),
        (",", "is not a frame range"),
        ("1,", "is not a frame range"),
        ("1-", "is not a frame range"),
        ("1..5", "is not a frame range"),
        ("1-5x", "is not a frame range"),
        ("1-5x-2", "is not a frame range"),
        ("one", "is not a frame range"),
        ("1.5", "is not a frame range"),
        ("٣", "is not a frame range"),
        ("9" * 5000, "is not a frame range"),
        ("1-3\n", ""),
        ("5-1", "runs backwards"),
        ("1-5x0", "step of 0"),
        (f"1-{FRAME_MAX + 1}", "leaves Blender's limits"),
        (f"{FRAME_MIN - 1}-1", "leaves Blender's limits"),
    ],
)
def test_what_is_no_range_is_refused_with_a_reason(text: str, said: str) -> None:
    if not said:
        assert list(FrameRange.parse(text)) == [1, 2, 3]
        return
    with pytest.raises(UsageError) as caught:
        FrameRange.parse(text)
    assert said in caught.value.message


def test_a_backwards_range_hints_at_the_forward_one() -> None:
    with pytest.raises(UsageError) as caught:
        FrameRange.parse("9-2")
    assert caught.value.hint == "try 2-9"


@given(st.text(max_size=20))
def test_any_text_is_a_range_or_a_usage_error(text: str) -> None:
    try:
        made = FrameRange.parse(text)
    except UsageError:
        return
    assert len(made) >= 1
    assert FRAME_MIN <= made.frame_at(0) <= made.frame_at(len(made) - 1) <= FRAME_MAX
