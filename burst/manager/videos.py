"""A task that makes a video of a job's frames, added to the job at any time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath

from burst.domain.commands import FRAMES, VIDEO_SUFFIXES, CommandTask, Encode, video_name
from burst.domain.frames import FrameRange
from burst.domain.transitions import JobStatus, TaskStatus
from burst.domain.turns import encodes, makers
from burst.errors import InvalidRequest, NotAllowed, UsageError
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import JobEntry
from burst.manager.jobs import activate, start_command
from burst.manager.outcomes import settle_job
from burst.manager.requeue import write_untouched
from burst.protocol.artist_messages import MakeVideo

_TASK_NAME = "video"
_FRAMES_NAMED_MAX = 5
"""Frames that a refusal names."""

_NOT_IN_A_NAME = re.compile(r"[^\w.() -]+")


def add_video(
    job: JobEntry, message: MakeVideo, published: Collection[int], now: datetime, changes: Changes
) -> None:
    """Add a task that encodes frames; an ended job goes on for it.

    One that is just being made is not made twice: whoever lost our answer asks again.

    Args:
        job: the job.
        message: what the artist asks for.
        published: the frames of the job that are published.
        now: the time.
        changes: what to write.

    Raises:
        InvalidRequest: the job does not render these frames, or the name is no file name.
        NotAllowed: the job is canceled, or lacks frames, or has a video of that name.
    """
    _check_status(job)
    wanted = _wanted_frames(job, message)
    _check_frames(job, message, wanted, published)
    video = Encode(
        codec=message.codec,
        name=_file_name(job, message, wanted),
        fps=message.fps or job.fps,
        frames=str(wanted),
        allow_gaps=message.allow_gaps,
        sound=message.sound,
    )
    named = message.name is not None
    if any(_is_open(job, number) for number in makers(job.plan.commands, video, named=named)):
        return
    video = video.model_copy(update={"name": _free_name(job, video.name, named=named)})
    # A part that is there can be had whatever became of the others.
    is_there = wanted != job.frames and all(frame in published for frame in wanted)
    task = CommandTask(name=_task_name(job), commands=(video,), after=() if is_there else (FRAMES,))
    write_untouched(job, changes)
    job.plan = replace(job.plan, commands=(*job.plan.commands, task))
    index = job.board.append(TaskStatus.WAITING)
    rows = [each.model_dump(mode="json") for each in job.plan.commands]
    changes.write(statements.change_job(job.id, commands=rows))
    start_command(job, index, task, changes)
    if job.status is not JobStatus.PAUSED:
        activate(job, changes)
    settle_job(job, now, changes)
    changes.jobs.add(job.id)
    changes.ready_tasks += is_there
    changes.notes.append((job.id, "info", f"task {task.name} added: {video.name}"))


def _check_status(job: JobEntry) -> None:
    if job.status is JobStatus.CANCELED:
        raise NotAllowed(f"job {job.id} is canceled", hint="requeue it first: burst jobs requeue")
    if job.given_up and not job.ended:
        raise NotAllowed(
            f"job {job.id} is given up, and some of its tasks have not ended yet", hint="try again"
        )


def _wanted_frames(job: JobEntry, message: MakeVideo) -> FrameRange:
    if not len(job.frames):
        raise NotAllowed(f"job {job.id} renders no frames to make a video of")
    if message.frames is None:
        return job.frames
    try:
        wanted = FrameRange.parse(message.frames)
    except UsageError as error:
        raise InvalidRequest(error.message, hint=error.hint) from error
    outside = set() if wanted == job.frames else set(wanted).difference(job.frames)
    if outside and not message.allow_gaps:
        raise InvalidRequest(f"job {job.id} does not render frame {min(outside)}")
    return wanted


def _check_frames(
    job: JobEntry, message: MakeVideo, wanted: FrameRange, published: Collection[int]
) -> None:
    over = (TaskStatus.FAILED, TaskStatus.CANCELED)
    lacking = [
        frame
        for frame in wanted
        if frame not in published
        and (frame not in job.frames or job.board.status(job.plan.task_of(frame)) in over)
    ]
    if len(lacking) == len(wanted):
        raise NotAllowed(f"job {job.id} has none of these frames")
    if lacking and not message.allow_gaps:
        some = ", ".join(map(str, lacking[:_FRAMES_NAMED_MAX]))
        more = len(lacking) - _FRAMES_NAMED_MAX
        raise NotAllowed(
            f"job {job.id} lacks frame {some}" + (f" and {more} more" if more > 0 else ""),
            hint=f"render what failed again: burst jobs requeue {job.id}; "
            "or show the frame before each gap: --allow-gaps",
        )


def _is_open(job: JobEntry, number: int) -> bool:
    """Say whether a command task has not come to its end, with its result published."""
    index = job.plan.frame_task_count + number
    (result,) = job.plan.frames_of(index)
    still = (TaskStatus.QUEUED, TaskStatus.WAITING, TaskStatus.ACTIVE)
    return job.board.status(index) in still or result in dict(job.unpublished)


def _file_name(job: JobEntry, message: MakeVideo, wanted: FrameRange) -> str:
    """Return what a video is to be called, if that is free."""
    if message.name is None:
        first, last = wanted.frame_at(0), wanted.frame_at(len(wanted) - 1)
        stem = _NOT_IN_A_NAME.sub("_", job.name).strip(" .") or _TASK_NAME
        return video_name(f"{stem}-", first, last, message.codec)
    path = PurePosixPath(message.name)
    leads_away = path.is_absolute() or ".." in path.parts
    if not path.parts or leads_away or {"\\", "\0"}.intersection(message.name):
        raise InvalidRequest(f"{message.name!r} is no name for a video")
    suffixes = VIDEO_SUFFIXES[message.codec]
    if path.suffix.lower() not in suffixes:
        raise InvalidRequest(f"the name of a {message.codec} video ends in {' or '.join(suffixes)}")
    return str(path)


def _free_name(job: JobEntry, name: str, *, named: bool) -> str:
    """Return a name for a video that no other of the job has."""
    taken = {video.name for task in job.plan.commands for video in encodes(task)}
    if named and name in taken:
        raise NotAllowed(f"job {job.id} has a video {name}", hint="give it another name")
    path = PurePosixPath(name)
    names = (f"{path.stem}-{number}{path.suffix}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], names) if each not in taken)


def _task_name(job: JobEntry) -> str:
    taken = {task.name for task in job.plan.commands}
    names = (f"{_TASK_NAME} {number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([_TASK_NAME], names) if each not in taken)
