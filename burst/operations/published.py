"""What a storage says of its jobs by itself: their published files, without any farm.

By ``renders/<job>/index.json``, which the manager writes when files are published and when a
job ends (`burst.manager.renders`). A job of which nothing is published yet has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from burst.errors import NotFound, StorageError, storage_error
from burst.operations.jobs import LAST
from burst.protocol.messages import OutputFile
from burst.storage import layout
from burst.storage.files import in_parallel
from burst.storage.filesystem import open_files
from burst.storage.items import Stored
from burst.storage.storage import Storage, open_storage

_THREADS = 16
"""Questions at once; each waits for its answer most of the time."""

_NAMED = 5
"""Jobs that a message names."""

_JOB_ID = re.compile("[A-Za-z0-9_-]+")
"""What burst makes of any name (`burst.domain.jobs.new_job_id`). Anything else is somebody
else's, and nothing to be told as a word of a command."""

_SKEW_SECONDS = 3600.0
"""What the clocks of a manager and of a storage may differ."""


class _Read(BaseModel):
    # Whatever another version of burst has added is its own business.
    model_config = ConfigDict(frozen=True, extra="ignore")


class MadeFiles(_Read):
    """Files of one frame."""

    files: tuple[OutputFile, ...]


class MadeResult(MadeFiles):
    """Files of a command task."""

    task: str


class RenderIndex(_Read):
    """What is published of a job, as the storage has it: whoever may write there wrote it."""

    job: str
    name: str
    status: str | None = Field(None, pattern="^[a-z]+$")
    """Of the job when this was written; None was not written down then."""
    created_at: AwareDatetime = datetime.min.replace(tzinfo=UTC)
    frame_count: int = 0
    tasks: int = 0
    tasks_completed: int = 0
    published: tuple[MadeFiles, ...]
    """One for each frame."""
    results: tuple[MadeResult, ...] = ()

    @property
    def files(self) -> list[OutputFile]:
        """All published files."""
        return [file for made in (*self.published, *self.results) for file in made.files]


def read_index(storage: Storage, job_id: str) -> RenderIndex:
    """Return what is published of a job.

    Raises:
        StorageError: there is no such list, or it can't be read.
    """
    name = layout.render_index(job_id)
    content = storage.get_bytes(name)
    try:
        index = RenderIndex.model_validate_json(content)
    except ValidationError as error:
        raise StorageError(f"{name} in the storage is no list of files") from error
    if index.job != job_id:
        raise StorageError(f"{name} in the storage is no list of files of this job")
    return index


def find_index(url: str, named: str) -> RenderIndex | None:
    """Return the list of a job, found in the storage alone; None if it has none like that.

    Args:
        url: of the storage; a folder that is not there has no jobs.
        named: the job's id, an unambiguous beginning of it, or ``last``: of those of which
            anything is published, the one that was submitted last.

    Raises:
        NotFound: several jobs begin like that.
        StorageError: the storage can't be read.
    """
    if "://" not in url and not Path(url).is_dir():
        return None
    storage = open_storage(url)
    if named == LAST:
        return _newest(storage, url)
    if not _JOB_ID.fullmatch(named):
        return None
    if storage.identity(layout.render_index(named)) is not None:
        return read_index(storage, named)
    found = sorted(job for job, _ in _indexed(storage, url, named))
    if len(found) > 1:
        names = ", ".join(found[:_NAMED])
        raise NotFound(f"{named} may be several jobs", hint=f"one of {names}")
    return read_index(storage, found[0]) if found else None


def _newest(storage: Storage, url: str) -> RenderIndex | None:
    """Return the list of the job that was submitted last.

    A list is written after its job was submitted: those that are older than the newest job so
    far need not be read.
    """
    newest: RenderIndex | None = None
    for job, changed in sorted(_indexed(storage, url, ""), key=lambda found: -found[1]):
        if newest is not None and changed < newest.created_at.timestamp() - _SKEW_SECONDS:
            break
        index = read_index(storage, job)
        if newest is None or index.created_at > newest.created_at:
            newest = index
    return newest


def _indexed(storage: Storage, url: str, beginning: str) -> Iterator[tuple[str, float]]:
    """Yield every job that has a list and an id that begins so, and when that was written."""
    try:
        folders = open_files(url).ls("renders", detail=False)
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error(error, f"can't list the jobs in {url}") from error
    jobs = (Path(folder).name for folder in folders)

    def look(job: str) -> list[Stored]:
        name = layout.render_index(job)
        return [stored for stored in storage.scan(name) if stored.name == name]

    named = [job for job in jobs if job.startswith(beginning) and _JOB_ID.fullmatch(job)]
    for job, found in in_parallel(look, named, _THREADS):
        yield from ((job, stored.changed) for stored in found)
