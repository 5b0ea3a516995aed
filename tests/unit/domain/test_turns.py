"""Which command tasks make sense together, in which order they come, what waits for what."""

from __future__ import annotations

import pytest

from burst.domain.commands import CommandTask, Echo, Encode
from burst.domain.frames import RESULT_MIN, FrameRange, TaskPlan, is_frame
from burst.domain.turns import bears_gaps, check_commands, dependents, encodes, in_order
from burst.errors import UsageError

FRAMES = FrameRange.parse("1-10")
NONE = FrameRange.restore("")


def _task(name: str, *after: str) -> CommandTask:
    return CommandTask(name=name, commands=(Echo(text=name),), after=after)


def _video(
    name: str = "video", *after: str, frames: str = "1-10", gaps: bool = False
) -> CommandTask:
    encode = Encode(name=f"{name}.mp4", fps=24, frames=frames, allow_gaps=gaps)
    return CommandTask(name=name, commands=(encode,), after=after or ("frames",))


@pytest.mark.parametrize(
    ("tasks", "frames", "sentence"),
    [
        ([_task("frames")], FRAMES, "no task can be called frames"),
        ([_task("a"), _task("a")], FRAMES, "2 tasks are called a"),
        ([_task("a", "b")], FRAMES, "task a waits for b, and the job has no such task"),
        ([_task("a", "frames")], NONE, "task a waits for frames, and the job has none"),
        ([_task("a", "a")], FRAMES, "tasks wait for each other: a → a"),
        ([_task("a", "b"), _task("b", "a")], FRAMES, "tasks wait for each other"),
        ([_video("v", "a"), _task("a")], FRAMES, "task v makes a video and does not wait"),
        ([_video(frames="1-11")], FRAMES, "with frame 11, which the job does not render"),
        ([_video(frames="0-3")], FRAMES, "with frame 0, which the job does not render"),
        ([_video(frames="x")], FRAMES, "x"),
        ([_video("v", "a"), _task("a")], NONE, "task v makes a video, and the job renders no"),
        ([_video(), _task("b"), _video("w").model_copy(update={"commands": _video().commands})],
         FRAMES, "two tasks make a video video.mp4"),
    ],
)  # fmt: skip
def test_commands_that_make_no_sense_are_refused_in_a_sentence(
    tasks: list[CommandTask], frames: FrameRange, sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_commands(tasks, frames)
    assert sentence in caught.value.message


def test_commands_that_make_sense_are_let_through() -> None:
    check_commands([], NONE)
    check_commands([_task("a", "b"), _task("b")], NONE)
    check_commands([_video(frames="2-4"), _task("tell", "video", "frames")], FRAMES)
    check_commands([_video("v", "a"), _task("a", "frames")], FRAMES)
    check_commands([_video(frames="1-99", gaps=True)], FRAMES)


def test_each_task_comes_behind_those_it_waits_for() -> None:
    tasks = [_task("c", "b", "frames"), _task("b", "a"), _task("a"), _task("d")]
    order = in_order(tasks)
    assert sorted(order) == [0, 1, 2, 3]
    assert order.index(2) < order.index(1) < order.index(0)


def test_what_waits_for_what_waits_counts_too() -> None:
    tasks = [_task("c", "b"), _task("b", "a"), _task("a"), _task("d", "frames"), _task("e", "d")]
    assert set(dependents(tasks, ["a"])) == {0, 1}
    assert dependents(tasks, ["frames"]) == (3, 4)
    assert dependents(tasks, ["c", "e"]) == ()


def test_a_task_bears_gaps_only_if_all_its_videos_do() -> None:
    both = (*_video(gaps=True).commands, *_video("w").commands)
    assert bears_gaps(_video(gaps=True))
    assert not bears_gaps(_video())
    assert not bears_gaps(_task("a"))
    assert not bears_gaps(CommandTask(name="two", commands=both))
    assert [video.name for video in encodes(CommandTask(name="two", commands=both))] == [
        "video.mp4",
        "w.mp4",
    ]


def test_results_are_numbered_behind_all_frames() -> None:
    plan = TaskPlan(FRAMES, 4, (_task("a"), _task("b")))
    assert (plan.frame_task_count, plan.task_count) == (3, 5)
    assert plan.frames_of(2) == (9, 10)
    assert plan.frames_of(4) == (RESULT_MIN + 1,)
    assert plan.task_of(RESULT_MIN + 1) == 4
    assert [plan.command_task(task) for task in (2, 3)] == [None, plan.commands[0]]
    assert (plan.result_name(10), plan.result_name(RESULT_MIN)) == ("", "a")
    assert (is_frame(10), is_frame(RESULT_MIN)) == (True, False)
    with pytest.raises(ValueError, match=str(RESULT_MIN + 2)):
        plan.task_of(RESULT_MIN + 2)


def test_a_job_without_frames_has_only_its_commands() -> None:
    plan = TaskPlan(FrameRange.restore(""), 1, (_task("a"),))
    assert (plan.frame_task_count, plan.task_count, str(plan.frames)) == (0, 1, "")
    assert plan.frames_of(0) == (RESULT_MIN,)
    assert repr(NONE) == "FrameRange()"
    assert FrameRange.restore(str(FRAMES)) == FRAMES
