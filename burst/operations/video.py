"""A video of a job's frames, made by the farm when somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from burst.domain.commands import VIDEO_SUFFIXES, Encode
from burst.domain.frames import FrameRange
from burst.domain.transitions import FrameStatus
from burst.domain.turns import encodes, makers
from burst.errors import JobFailed
from burst.operations.frames import FrameFolder, bring_all
from burst.operations.progress import WatchState
from burst.operations.reasons import last_reason
from burst.protocol.artist_messages import JobView, MakeVideo
from burst.protocol.client import ManagerClient


@dataclass(frozen=True, slots=True)
class OrderedVideo:
    """A video that the farm is to make."""

    job: JobView
    """The job, with the new task."""
    task: str
    """Name of the task that makes it."""
    name: str
    """Its name below the job's renders."""


@dataclass(frozen=True, slots=True)
class BroughtVideo:
    """A video that is made and at hand."""

    path: Path
    warnings: tuple[str, ...]


def order_video(client: ManagerClient, job: JobView, wanted: MakeVideo) -> OrderedVideo:
    """Have a task added to a job that makes a video of its frames.

    While the same is being made, it is that one: our first order may have come through.

    Raises:
        NotAllowed: the job is canceled, lacks frames, or has a video of that name.
        InvalidRequest: it does not render those frames, or the name is none.
    """
    known = {task.name for task in job.commands}
    changed = client.make_video(job.id, wanted)
    tasks = [changed.commands[number] for number in _made_by(changed, wanted)]
    task = max(tasks, key=lambda task: (task.name not in known, changed.commands.index(task)))
    (video,) = encodes(task)
    return OrderedVideo(changed, task.name, video.name)


def _made_by(job: JobView, wanted: MakeVideo) -> tuple[int, ...]:
    named = wanted.name is not None
    video = Encode(
        codec=wanted.codec,
        name=str(PurePosixPath(wanted.name))
        if wanted.name
        else f"-{VIDEO_SUFFIXES[wanted.codec][0]}",
        fps=wanted.fps or job.fps,
        frames=str(FrameRange.parse(wanted.frames)) if wanted.frames else job.frames,
        allow_gaps=wanted.allow_gaps,
        sound=wanted.sound,
    )
    return makers(job.commands, video, named=named)


def bring_video(ordered: OrderedVideo, state: WatchState, folder: FrameFolder) -> BroughtVideo:
    """Bring a video from the storage, when its job was watched to the end.

    Raises:
        JobFailed: it could not be made.
        StorageError: it can't be brought.
    """
    result = state.results.get(ordered.task)
    if result is None or result.status is FrameStatus.REQUEUED:
        task = next((t for t in state.attempted or () if t.name == ordered.task), None)
        reason = last_reason(task) if task else state.job.status_reason
        raise JobFailed(
            f"the video was not made: {reason or f'job {ordered.job.id} is {state.job.status}'}",
            hint=f"see what happened: burst logs {ordered.job.id}",
        )
    bring_all(folder, lambda: result.files)
    return BroughtVideo(folder.path_of(ordered.name), result.warnings)
