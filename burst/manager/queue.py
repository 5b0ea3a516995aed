"""The artists' side of the farm: jobs are submitted, steered, requeued, deleted, looked at.

The calls of the artists' API that change something end here, one method each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from burst.domain.frames import FrameRange
from burst.domain.transitions import FrameStatus
from burst.errors import InvalidRequest, NotAllowed, UsageError
from burst.manager import jobs, renders, requeue, videos, views
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.farm import Farm
from burst.manager.index import JobEntry, PendingFrame
from burst.manager.publishing import Publishing
from burst.manager.rebuild import pending_frame
from burst.manager.state_dir import bind_storage, bound_storage
from burst.protocol.artist_messages import JobView, MakeVideo, SubmitJob, Submitted, TaskView
from burst.storage import layout

LOOK_SECONDS = 600.0
"""What a requeue has for looking at the files of its frames; there may be a million."""


class Queue:
    """The jobs of one farm."""

    def __init__(self, farm: Farm, publishing: Publishing) -> None:
        """Queue for one farm."""
        self._farm = farm
        self._publishing = publishing

    async def submit(self, message: SubmitJob) -> Submitted:
        """Add a job, or find the unfinished one that does the same work.

        Raises:
            InvalidRequest: the frames are no range, the commands make no sense, or the scene
                was not uploaded.
        """
        farm = self._farm
        if message.frames:
            _parse_frames(message.frames)
        await asyncio.to_thread(jobs.check_submission, message)
        if scene := message.scene:
            name = layout.manifest(scene.name, scene.version)
            if await farm.storing.answer(lambda: farm.storage.missing([name])):
                raise InvalidRequest(
                    f"scene {scene.name} {scene.version} is not in the storage",
                    hint="upload it first: burst upload",
                )
        if bound_storage(farm.settings.state_dir) != farm.storage.url:
            # Before the job is: one that can't find its files is worse than none.
            bind_storage(farm.settings.state_dir, farm.storage.url)
        changes = Changes()
        job, resumed = jobs.submit(farm.index, message, farm.clock.now(), changes)
        await farm.save(changes)
        return Submitted(job=views.job_view(job), resumed=resumed)

    async def act(self, job_id: str, action: Literal["cancel", "pause", "resume"]) -> JobView:
        """Cancel, pause or resume a job."""
        farm, changes = self._farm, Changes()
        job = farm.index.job(job_id)
        if action == "cancel":
            jobs.cancel(farm.index, job, farm.clock.now(), changes)
        elif action == "pause":
            jobs.pause(job, changes)
        else:
            jobs.resume(job, changes)
        return await self._saved(job, changes)

    async def set_priority(self, job_id: str, priority: int) -> JobView:
        """Change which jobs go first."""
        job, changes = self._farm.index.job(job_id), Changes()
        jobs.set_priority(job, priority, changes)
        return await self._saved(job, changes)

    async def requeue(self, job_id: str, frames: str | None) -> JobView:
        """Render frames of a job again, or what failed or was canceled."""
        wanted = _parse_frames(frames) if frames is not None else None
        job = self._farm.index.job(job_id)
        published: dict[int, PendingFrame] = {}
        async for _ in self._looks(job):
            again = requeue.tasks_to_requeue(job, wanted)
            tasks = [*again.tasks, *again.behind]
            published = await asyncio.to_thread(self._published_frames, job, tasks)
            await self._note_files(job, published)
        self._check_stays(job)
        farm, changes = self._farm, Changes()
        requeue.requeue(farm.index, job, wanted, published, farm.clock.now(), changes)
        return await self._saved(job, changes)

    async def make_video(self, job_id: str, message: MakeVideo) -> JobView:
        """Add a task to a job that makes a video of its frames.

        Raises:
            InvalidRequest: the job does not render these frames, or the name is no file name.
            NotAllowed: the job is canceled, or lacks frames.
        """
        farm, changes = self._farm, Changes()
        job = farm.index.job(job_id)
        published: set[int] = set()
        async for _ in self._looks(job):
            rows = await asyncio.to_thread(farm.database.read, statements.published_numbers(job.id))
            published = {row["frame"] for row in rows}
        self._check_stays(job)
        videos.add_video(job, message, published, farm.clock.now(), changes)
        return await self._saved(job, changes)

    async def _looks(self, job: JobEntry) -> AsyncIterator[None]:
        """Let the caller look at a job's rows until they are what the index knows.

        Raises:
            NotAllowed: the job was deleted, or the index built anew.
        """
        seen = None
        while seen != (now := (job.published_seq, job.published)):
            seen = now
            # What the index knows may still be on its way to the disk.
            await self._farm.save(Changes())
            yield
            if self._farm.index.jobs.get(job.id) is not job:
                raise NotAllowed(f"job {job.id} has changed meanwhile", hint="try again")

    async def delete(self, job_id: str) -> None:
        """Forget an ended job, with everything that the storage holds of it.

        The files go first: a job whose deletion was cut short can be deleted again.
        """
        farm, changes = self._farm, Changes()
        job = farm.index.job(job_id)
        jobs.check_deletable(job)
        self._check_stays(job)
        self._publishing.deleting.add(job.id)
        try:
            await self._publishing.delete_files(job.id)
            jobs.delete(farm.index, farm.index.job(job.id), changes)
        finally:
            self._publishing.deleting.discard(job.id)
        await farm.save(changes)

    def tasks(self, job_id: str) -> tuple[TaskView, ...]:
        """Return the tasks of a job that were attempted. Blocks."""
        job, read = self._farm.index.job(job_id), self._farm.database.read
        tasks = read(statements.tasks_of_job(job.id))
        return views.task_views(job, tasks, read(statements.attempts_of_job(job.id)))

    def _check_stays(self, job: JobEntry) -> None:
        """Refuse what would have a job go on whose files are half gone."""
        if job.id in self._publishing.deleting:
            raise NotAllowed(f"job {job.id} is being deleted")

    async def _saved(self, job: JobEntry, changes: Changes) -> JobView:
        await self._farm.save(changes)
        return views.job_view(job)

    def _published_frames(self, job: JobEntry, tasks: list[int]) -> dict[int, PendingFrame]:
        """Return the published frames of tasks, to be rendered again. Blocks."""
        numbers = [frame for task in tasks for frame in job.plan.frames_of(task)]
        found = {}
        for row in self._farm.database.read(statements.frames_with_tokens(job.id, numbers)):
            if row["status"] != FrameStatus.PUBLISHED:
                continue
            pending = pending_frame(row)
            pending.status = FrameStatus.REQUEUED
            found[row["frame"]] = pending
        return found

    async def _note_files(self, job: JobEntry, published: dict[int, PendingFrame]) -> None:
        """Note which very files of frames may be replaced: those that are there now."""
        names = {file.name for pending in published.values() for file in pending.files}
        storage = self._farm.storage
        found = await self._farm.storing.answer(
            lambda: renders.identities(storage, job.id, names), LOOK_SECONDS
        )
        for pending in published.values():
            pending.replaces = {
                file.name: found[file.name] for file in pending.files if file.name in found
            }


def _parse_frames(text: str) -> FrameRange:
    try:
        return FrameRange.parse(text)
    except UsageError as error:
        raise InvalidRequest(error.message, hint=error.hint) from error
