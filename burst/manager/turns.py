"""Command tasks of a job that wait: how far what they wait for is, and when their turn comes.

Each function decides on the index and returns what to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from burst.domain.commands import FRAMES, CommandTask
from burst.domain.frames import is_frame
from burst.domain.transitions import FrameStatus, TaskStatus
from burst.domain.turns import bears_gaps, dependents, in_order
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import JobEntry


@dataclass(frozen=True, slots=True)
class Awaited:
    """Something that a command task waits for."""

    state: Literal["done", "open", "failed", "canceled"]
    text: str
    """Continues ``it waits for …``."""


class Look:
    """One look at what the command tasks of a job wait for."""

    def __init__(self, job: JobEntry) -> None:
        """Look at one job, whose frames stay as they are meanwhile."""
        self._job = job
        self._positions = {task.name: number for number, task in enumerate(job.plan.commands)}
        self._frames: dict[bool, Awaited] = {}

    def awaited(self, task: CommandTask) -> tuple[Awaited, ...]:
        """Return what a command task waits for, in the order that it names them."""
        return tuple(
            self._all_frames(gaps=bears_gaps(task))
            if name == FRAMES
            else _command(self._job, self._positions[name])
            for name in task.after
        )

    def _all_frames(self, *, gaps: bool) -> Awaited:
        if gaps not in self._frames:
            self._frames[gaps] = _frames(self._job, gaps=gaps)
        return self._frames[gaps]


def first_status(task: CommandTask) -> TaskStatus:
    """Return where a command task starts; `advance` then sees whether its turn has come."""
    return TaskStatus.WAITING if task.after else TaskStatus.QUEUED


def advance(job: JobEntry, changes: Changes) -> None:
    """Queue the waiting tasks whose turn has come, and end those whose turn can't come."""
    if not job.board.count(TaskStatus.WAITING):
        return
    look = Look(job)
    for number in in_order(job.plan.commands):
        index = job.plan.frame_task_count + number
        if job.board.status(index) is not TaskStatus.WAITING:
            continue
        status, why = _turn(look.awaited(job.plan.commands[number]))
        if status is TaskStatus.WAITING:
            continue
        job.board.move(index, status)
        changes.write(statements.put_task(job.id, index, status=status))
        changes.jobs.add(job.id)
        if status is TaskStatus.QUEUED:
            changes.ready_tasks += 1
        else:
            name = job.plan.commands[number].name
            changes.notes.append((job.id, "error", f"task {name} {status}: it waits for {why}"))


def tasks_behind(job: JobEntry, tasks: list[int]) -> list[int]:
    """Return the command tasks that wait for any of ``tasks``, or for one that does."""
    commands = [job.plan.command_task(task) for task in tasks]
    names = {command.name if command else FRAMES for command in commands}
    found = dependents(job.plan.commands, names)
    return [job.plan.frame_task_count + number for number in found]


def _turn(awaited: tuple[Awaited, ...]) -> tuple[TaskStatus, str]:
    for status in (TaskStatus.FAILED, TaskStatus.CANCELED):
        for one in awaited:
            if one.state == status:
                return status, one.text
    if any(one.state == "open" for one in awaited):
        return TaskStatus.WAITING, ""
    return TaskStatus.QUEUED, ""


def _frames(job: JobEntry, *, gaps: bool) -> Awaited:
    published, total = job.published, len(job.frames)
    if published == total:
        return Awaited("done", f"the {total} frames, which are published")
    failed = job.frame_tasks(TaskStatus.FAILED)
    left = job.frame_tasks(TaskStatus.QUEUED) + job.frame_tasks(TaskStatus.ACTIVE)
    coming = left > 0 or any(is_frame(number) for number, _ in job.unpublished)
    if coming and (gaps or not failed):
        return Awaited("open", f"the frames, of which {published} of {total} are published")
    if gaps:
        return Awaited("done", f"the frames, of which {published} of {total} are published")
    if failed:
        which = job.task_label(job.first_frame_task(TaskStatus.FAILED))
        return Awaited("failed", f"the frames, of which {which} failed")
    canceled = job.frame_tasks(TaskStatus.CANCELED)
    return Awaited("canceled", f"the frames, of which {canceled} tasks are canceled")


def _command(job: JobEntry, number: int) -> Awaited:
    index = job.plan.frame_task_count + number
    status, name = job.board.status(index), job.plan.commands[number].name
    if status is TaskStatus.FAILED:
        return Awaited("failed", f"task {name}, which failed")
    if status is TaskStatus.CANCELED:
        return Awaited("canceled", f"task {name}, which is canceled")
    (result,) = job.plan.frames_of(index)
    pending = job.pending.get(result)
    if status is TaskStatus.COMPLETED and pending is None:
        return Awaited("done", f"task {name}, which is completed")
    if pending is not None and pending.status is FrameStatus.COMMITTED:
        return Awaited("open", f"task {name}, whose result is being published")
    return Awaited("open", f"task {name}, which is {status}")
