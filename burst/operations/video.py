"""A video of a job's frames, made by the farm when somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from burst.domain.commands import Encode
from burst.errors import JobFailed
from burst.operations.frames import FrameFolder
from burst.operations.progress import WatchState
from burst.operations.reasons import last_reason
from burst.protocol.artist_messages import JobView, MakeVideo
from burst.protocol.client import ManagerClient
from burst.storage.storage import Storage


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

    Raises:
        NotAllowed: the job is canceled, lacks frames, or has a video of that name.
        InvalidRequest: it does not render those frames, or the name is none.
    """
    known = {task.name for task in job.commands}
    changed = client.make_video(job.id, wanted)
    task = next(task for task in reversed(changed.commands) if task.name not in known)
    video = next(command for command in task.commands if isinstance(command, Encode))
    return OrderedVideo(changed, task.name, video.name)


def bring_video(
    ordered: OrderedVideo, state: WatchState, folder: Path, storage: Storage
) -> BroughtVideo:
    """Bring a video from the storage, when its job was watched to the end.

    Raises:
        JobFailed: it could not be made.
        StorageError: it can't be brought.
    """
    result = state.results.get(ordered.task)
    if result is None:
        task = next((t for t in state.attempted or () if t.name == ordered.task), None)
        reason = last_reason(task) if task else state.job.status_reason
        raise JobFailed(
            f"the video was not made: {reason or f'job {ordered.job.id} is {state.job.status}'}",
            hint=f"see what happened: burst logs {ordered.job.id}",
        )
    FrameFolder(folder, storage, ordered.job.id).bring([result])
    return BroughtVideo(folder / ordered.name, result.warnings)
