"""Whose turn it is among the command tasks of a job: what each waits for, checked and ordered."""

from __future__ import annotations

import graphlib
from collections import Counter
from collections.abc import Collection, Sequence

from burst.domain.commands import FRAMES, CommandTask, Encode
from burst.domain.frames import FrameRange
from burst.errors import UsageError


def check_commands(tasks: Sequence[CommandTask], frames: FrameRange) -> None:
    """Check that every command task of a new job can have its turn one day. Takes a while.

    Raises:
        UsageError: a name is taken, a task waits for what there is not or for itself, or
            encodes frames that it can't count on.
    """
    named = Counter(task.name for task in tasks)
    for name, count in named.items():
        if name == FRAMES:
            raise UsageError(f"no task can be called {FRAMES}: that means the frames of the job")
        if count > 1:
            raise UsageError(f"{count} tasks are called {name}")
    for task in tasks:
        _check_after(task, named.keys(), frames)
    try:
        in_order(tasks)
    except graphlib.CycleError as error:
        round_trip = " → ".join(tasks[position].name for position in error.args[1])
        raise UsageError(f"tasks wait for each other: {round_trip}") from error
    behind = {tasks[number].name for number in dependents(tasks, (FRAMES,))}
    videos: set[str] = set()
    for task in tasks:
        for command in encodes(task):
            _check_encode(task, command, frames)
            if task.name not in behind:
                raise UsageError(
                    f"task {task.name} makes a video and does not wait for the frames",
                    hint=f'name "{FRAMES}" in its "after"',
                )
            if command.name in videos:
                raise UsageError(f"two tasks make a video {command.name}")
            videos.add(command.name)


def in_order(tasks: Sequence[CommandTask]) -> tuple[int, ...]:
    """Return the positions of tasks so that each comes behind those it waits for.

    Raises:
        graphlib.CycleError: there is no such order.
    """
    position = {task.name: number for number, task in enumerate(tasks)}
    graph = {
        number: [position[name] for name in task.after if name != FRAMES]
        for number, task in enumerate(tasks)
    }
    return tuple(graphlib.TopologicalSorter(graph).static_order())


def dependents(tasks: Sequence[CommandTask], names: Collection[str]) -> tuple[int, ...]:
    """Return the positions of the tasks that wait for any of these names, or for one that does."""
    behind = set(names)
    found = []
    for number in in_order(tasks):
        if behind.intersection(tasks[number].after):
            behind.add(tasks[number].name)
            found.append(number)
    return tuple(found)


def encodes(task: CommandTask) -> tuple[Encode, ...]:
    """Return the videos that a task makes."""
    return tuple(command for command in task.commands if isinstance(command, Encode))


def makers(tasks: Sequence[CommandTask], video: Encode, *, named: bool) -> tuple[int, ...]:
    """Return the positions of the tasks that make a video, and nothing else.

    Args:
        tasks: of one job.
        video: what is asked for.
        named: whether by that name; otherwise it may have any.
    """
    ignored = {} if named else {"name": video.name}
    return tuple(
        number
        for number, task in enumerate(tasks)
        if tuple(made.model_copy(update=ignored) for made in encodes(task)) == (video,)
        and len(task.commands) == 1
    )


def bears_gaps(task: CommandTask) -> bool:
    """Say whether a task is for whatever frames there are, once there won't be more."""
    videos = encodes(task)
    return bool(videos) and all(video.allow_gaps for video in videos)


def _check_after(task: CommandTask, names: Collection[str], frames: FrameRange) -> None:
    for name in task.after:
        if name == FRAMES and not len(frames):
            raise UsageError(f"task {task.name} waits for frames, and the job has none")
        if name != FRAMES and name not in names:
            raise UsageError(f"task {task.name} waits for {name}, and the job has no such task")


def _check_encode(task: CommandTask, video: Encode, frames: FrameRange) -> None:
    if not len(frames):
        raise UsageError(f"task {task.name} makes a video, and the job renders no frames")
    wanted = FrameRange.parse(video.frames)
    if video.allow_gaps or wanted == frames:
        return
    lacking = min(set(wanted).difference(frames), default=None)
    if lacking is not None:
        raise UsageError(
            f"task {task.name} makes a video with frame {lacking}, which the job does not render"
        )
