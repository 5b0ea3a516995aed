"""Bring what is published of a job: from its farm's word, or from the storage alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from burst.config.farm import FarmSettings
from burst.domain.transitions import JOB_ENDED
from burst.errors import NotFound, UsageError
from burst.manager.state_dir import database_path, is_locked, lock_path
from burst.operations.connect import open_client
from burst.operations.jobs import LAST, ask_farm, find_job, has_jobs
from burst.operations.local_farm import storage_url, was_stopped
from burst.operations.published import MadeResult, RenderIndex, find_index, read_index
from burst.operations.reach import Reached, storage_from_here
from burst.operations.summary import Extent, extent
from burst.operations.watch import files_of
from burst.protocol.messages import OutputFile
from burst.storage.storage import open_storage

if TYPE_CHECKING:
    from burst.protocol.artist_messages import FrameView, JobView
    from burst.protocol.client import ManagerClient


@dataclass(frozen=True, slots=True)
class Published:
    """What is published of a job."""

    job_id: str
    name: str
    status: str | None
    """Of the job; None where that is not known."""
    output: str
    """Where its frames go, as the job says that was submitted on this machine; else empty."""
    extent: Extent
    frame_count: int
    frames_published: int
    results: Sequence[FrameView | MadeResult]
    """What command tasks made."""
    files: Sequence[OutputFile]
    storage_url: str
    list_again: Callable[[], Sequence[OutputFile]]
    """Lists the files anew: some may have been replaced since."""
    farm_runs: bool
    """A farm was asked, and goes on with the job."""

    @property
    def is_unfinished(self) -> bool:
        """Say whether there is more to come, as far as is known."""
        return self.status not in (None, *JOB_ENDED)


def find_published(
    named: str, settings: FarmSettings, tell: Callable[[str], None], *, storage_only: bool
) -> Published:
    """Return what is published of a job.

    A farm that runs knows best. Where none does, no local one is started for what the storage
    lists.

    Args:
        named: the job's id, an unambiguous beginning of it, or ``last``.
        settings: of the farm, and so of its storage.
        tell: takes a line for people when a farm has to be started.
        storage_only: whether to ask no farm at all.

    Raises:
        NotFound: there is no such job, or several.
        StorageError: the storage can't be read.
    """
    if storage_only or _is_local_and_away(settings):
        url = storage_url(settings)
        index = find_index(url, named)
        if index is not None:
            return _of_index(index, url, _output_said_here(index.job, settings))
        _complain_unless_farm_may_know(named, settings, url, storage_only=storage_only)

    def ask(farm: Reached, client: ManagerClient) -> Published:
        job = find_job(client, named)
        url = storage_from_here(settings, client.status())
        return _of_farm(job, client.frames(job.id), url, farm.console_url)

    return ask_farm(settings, tell, ask)


def _is_local_and_away(settings: FarmSettings) -> bool:
    return settings.is_local and not is_locked(lock_path(settings.state_dir))


def must_be_read_alone(settings: FarmSettings, *, is_storage_typed: bool) -> bool:
    """Say whether there is a storage but no farm to ask: none ever ran on this machine."""
    return is_storage_typed or (settings.storage_url is not None and not has_jobs(settings))


def check_ended(published: Published) -> None:
    """Refuse to follow a job by its storage alone, unless there is nothing to wait for.

    Raises:
        UsageError: it goes on.
    """
    if published.is_unfinished:
        raise UsageError(
            f"job {published.job_id} is {published.status}: to follow it takes its farm, "
            f"and {published.storage_url} is only its storage",
            hint="follow it where its farm runs, or bring what is done by now: without --follow",
        )


def _complain_unless_farm_may_know(
    named: str, settings: FarmSettings, url: str, *, storage_only: bool
) -> None:
    of_job = "of any job" if named == LAST else f"of a job {named}"
    nothing = f"nothing is published {of_job} in {url}"
    if storage_only or must_be_read_alone(settings, is_storage_typed=False):
        raise NotFound(nothing, hint="look what there is: burst ls renders")
    if has_jobs(settings) and was_stopped(settings.state_dir):
        raise NotFound(
            f"{nothing}, and the local farm was stopped",
            hint=f"go on with its queue: burst watch {named}",
        )


def _of_farm(
    job: JobView, frames: Sequence[FrameView], storage: str, console_url: str
) -> Published:
    def list_again() -> list[OutputFile]:
        with open_client(console_url) as client:
            return files_of(client.frames(job.id))

    return Published(
        job_id=job.id,
        name=job.name,
        status=str(job.status),
        output=job.output,
        extent=extent(job),
        frame_count=job.frame_count,
        frames_published=sum(1 for frame in frames if not frame.task),
        results=[frame for frame in frames if frame.task],
        files=files_of(frames),
        storage_url=storage,
        list_again=list_again,
        farm_runs=True,
    )


def _of_index(index: RenderIndex, url: str, output: str) -> Published:
    def list_again() -> list[OutputFile]:
        return read_index(open_storage(url), index.job).files

    done = Extent(len(index.published), index.frame_count, "frame")
    if not index.frame_count:
        done = Extent(index.tasks_completed, index.tasks, "task")
    return Published(
        job_id=index.job,
        name=index.name,
        status=index.status,
        output=output,
        extent=done,
        frame_count=index.frame_count,
        frames_published=len(index.published),
        results=index.results,
        files=index.files,
        storage_url=url,
        list_again=list_again,
        farm_runs=False,
    )


def _output_said_here(job_id: str, settings: FarmSettings) -> str:
    """Return where the frames of a job go that was submitted on this machine, else nothing.

    Not what the storage says: whoever may write there could have files put anywhere.
    """
    path = database_path(settings.state_dir).absolute()
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT output FROM jobs WHERE id = ?", (job_id,)).fetchone()
    except sqlite3.Error:
        # There is none, or it is another version's.
        return ""
    return str(found[0]) if found else ""
