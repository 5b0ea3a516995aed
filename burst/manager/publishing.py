"""Chores on the storage: finish publishing for dead workers, keep indexes, clear up.

A worker publishes its own frames. Where one died between the commit and the final name,
the sweep here does it. Everything in this module may be repeated after a crash.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial

from burst.domain.transitions import FrameStatus
from burst.errors import (
    DatabaseUnavailable,
    StorageAway,
    StorageConflict,
    StorageDenied,
    StorageError,
)
from burst.manager import outcomes, renders
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.farm import Farm
from burst.manager.index import JobEntry, PendingFrame
from burst.storage import layout
from burst.threads import side_by_side

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0

PUBLISH_SECONDS = 60.0
"""What a living worker has to publish a committed frame, before the manager does it."""

INDEX_SECONDS = 2.0
"""The index of a job that goes on is written anew at most so often: a bucket takes about one
change of an object a second."""

INDEX_SECONDS_A_FRAME = 0.005
"""The same for each frame that it lists."""

PAUSE_SECONDS_MAX = 30.0
"""Longest pause between two tries while the storage is away or refuses: it doubles up to here."""

DELETE_SECONDS = 3600.0
"""What the files of a job have for being deleted; there may be a million."""

GIVE_UP_SECONDS = 600.0
"""A storage that failed for so long keeps nobody from leaving; the next manager's start does
what is left undone."""


class Publishing:
    """The publishing loop of one farm."""

    def __init__(self, farm: Farm) -> None:
        """Work for one farm; what an earlier manager may have left undone is done first."""
        self._farm = farm
        self._index_written: dict[str, float] = {}
        self.deleting: set[str] = set()
        """Jobs whose files are just being deleted: nothing of them is written any more."""
        self._writing = asyncio.Lock()
        """Held while files of a job are written that no attempt has made."""
        self._waiting_since: dict[tuple[str, int, str], float] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do, or nothing can be done."""
        chores, trouble = self._farm.chores, self._farm.storing.trouble
        if not (chores.ended_attempts or chores.changed_renders or chores.ended_jobs):
            return True
        now = self._farm.clock.now()
        return trouble is not None and (now - trouble.since).total_seconds() > GIVE_UP_SECONDS

    async def run(self) -> None:
        """Do chores for ever, about once a second and whenever something ended."""
        chores, pause = [self._look_back, *self._chores()], ROUND_SECONDS
        while True:
            self._farm.chores_wanted.clear()
            if await self._try_all(chores):
                # Not at once when something ends: that would not end the trouble. Of many
                # managers not all at the same moment.
                pause = min(PAUSE_SECONDS_MAX, 2 * pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
                continue
            pause = ROUND_SECONDS
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._farm.chores_wanted.wait()
            except TimeoutError:
                continue

    async def _try_all(self, chores: list[Callable[[], Awaitable[None]]]) -> bool:
        """Do chores, and say whether the storage is away or refuses; note when that changes."""
        before, is_bad = self._farm.storing.trouble, False
        for chore in list(chores):
            try:
                await chore()
            except (StorageError, DatabaseUnavailable) as error:
                log.warning("a chore is put off: %s", error)
                is_bad = is_bad or isinstance(error, (StorageAway, StorageDenied))
                if isinstance(error, StorageAway):
                    # Each would wait for nothing. Of any other trouble the next chore may be
                    # the cure: it may free the space that this one lacks.
                    break
            else:
                if chore == self._look_back:
                    chores.remove(chore)
        now = self._farm.storing.trouble
        if (now is None) != (before is None):
            self._tell_jobs(now.text if now else None)
        return is_bad

    def _tell_jobs(self, trouble: str | None) -> None:
        """Write into the log of each job that goes on what its storage does."""
        for job in self._farm.index.jobs.values():
            if job.ended and not any(True for _ in job.unpublished):
                continue
            if trouble:
                self._farm.log_line(job.id, "warning", f"storage: {trouble}")
            else:
                self._farm.log_line(job.id, "info", "storage: it works again")

    async def round(self) -> None:
        """Do what there is to do now.

        Raises:
            StorageError: a chore could not be done; those after it were not tried.
            DatabaseUnavailable: the same.
        """
        for chore in self._chores():
            await chore()

    def _chores(self) -> list[Callable[[], Awaitable[None]]]:
        return [self._clear_attempts, self._sweep_frames, self._write_indexes, self._close_jobs]

    async def _look_back(self) -> None:
        await self._farm.storing.ask(self._find_left_undone)

    def _find_left_undone(self) -> None:
        """Look for what an earlier manager was killed before doing."""
        farm = self._farm
        farm.storage.sweep()
        jobs = list(farm.index.jobs.values())
        logs = {job.id: layout.job_log(job.id) for job in jobs if job.ended}
        unlogged = farm.storage.missing(logs.values())
        # One listing for all: of many jobs most have left nothing.
        uploaded = {
            layout.job_of_attempt(name) for name in farm.storage.list(layout.all_attempts())
        }
        for job in jobs:
            if not job.ended or job.id in uploaded or logs[job.id] in unlogged:
                farm.chores.changed_renders.add(job.id)
                farm.chores.ended_jobs.add(job.id)

    async def _sweep_frames(self) -> None:
        """Give committed frames their final names whose workers did not."""
        orphans = self._orphans()
        if orphans:
            # The index may be ahead of the disk: nothing becomes visible before its commit.
            await self._farm.save(Changes())
        trouble: StorageError | None = None
        for job, frame, pending in orphans:
            if not self._is_pending(job, frame, pending):
                continue
            try:
                await self._farm.storing.ask(self._publish, job.id, pending)
            except StorageConflict as error:
                await self._render_again(job, frame, pending, str(error))
            except StorageAway:
                raise
            except StorageError as error:
                trouble = error
            else:
                await self._note_published(job, frame, pending)
        if trouble is not None:
            raise trouble

    def _is_pending(self, job: JobEntry, frame: int, pending: PendingFrame) -> bool:
        """Say whether a frame still waits for its name: others go on while we wait."""
        is_same = self._farm.index.jobs.get(job.id) is job and job.pending.get(frame) is pending
        return is_same and pending.status is FrameStatus.COMMITTED

    def _orphans(self) -> list[tuple[JobEntry, int, PendingFrame]]:
        """Return committed frames whose worker is gone, or has not managed for a minute."""
        index, now = self._farm.index, self._farm.clock.monotonic()
        waiting = [
            (job, frame, pending)
            for job in index.jobs.values()
            for frame, pending in job.unpublished
        ]
        keys = [(job.id, frame, pending.attempt_id) for job, frame, pending in waiting]
        self._waiting_since = {key: self._waiting_since.get(key, now) for key in keys}
        return [
            found
            for found, key in zip(waiting, keys, strict=True)
            if not index.is_here(found[2].worker, found[2].session)
            or now - self._waiting_since[key] > PUBLISH_SECONDS
        ]

    def _publish(self, job_id: str, pending: PendingFrame) -> None:
        side_by_side(
            [
                partial(
                    self._farm.storage.publish,
                    layout.attempt(job_id, pending.attempt_id, file.name),
                    layout.render(job_id, file.name),
                    file.sha256,
                    pending.replaces.get(file.name),
                )
                for file in pending.files
            ]
        )

    async def _note_published(self, job: JobEntry, frame: int, pending: PendingFrame) -> None:
        farm, changes = self._farm, Changes()
        if not self._is_pending(job, frame, pending):
            return
        outcomes.publish_frame(job, frame, farm.clock.now(), changes)
        label = job.result_label(frame)
        changes.notes.append((job.id, "info", f"{label} published for {pending.worker}"))
        await farm.save(changes)

    async def _render_again(
        self, job: JobEntry, frame: int, pending: PendingFrame, reason: str
    ) -> None:
        """A committed frame whose upload is gone, or whose name is taken, has no result."""
        farm, changes = self._farm, Changes()
        if not self._is_pending(job, frame, pending):
            return
        outcomes.lose_frame(job, frame, reason, farm.clock.now(), changes)
        await farm.save(changes)

    async def _clear_attempts(self) -> None:
        """Delete what attempts uploaded that did not complete, but for committed frames."""
        chores = self._farm.chores
        while chores.ended_attempts:
            job_id, attempt_id = chores.ended_attempts[0]
            job = self._farm.index.jobs.get(job_id)
            if job is None or all(p.attempt_id != attempt_id for p in job.pending.values()):
                folder = layout.attempt(job_id, attempt_id)
                await self._farm.storing.ask(self._farm.storage.delete, folder)
            chores.ended_attempts.pop(0)

    async def _write_indexes(self) -> None:
        chores = self._farm.chores
        for job_id in sorted(chores.changed_renders):
            job = self._farm.index.jobs.get(job_id)
            if job is None or not (job.published_seq or job.ended):
                chores.changed_renders.discard(job_id)
                continue
            if not self._is_index_due(job):
                continue
            # Before, not after: a frame that is published meanwhile adds the job again.
            chores.changed_renders.discard(job_id)
            try:
                async with self._writing:
                    if self._stays(job_id):
                        await self._farm.storing.ask(self._write_index, job)
                    else:
                        # It is done if the deletion fails.
                        chores.changed_renders.add(job_id)
            except (StorageError, DatabaseUnavailable):
                chores.changed_renders.add(job_id)
                raise

    def _stays(self, job_id: str) -> bool:
        """Say whether a job is neither deleted nor just being so; others go on while we wait."""
        return job_id not in self.deleting and job_id in self._farm.index.jobs

    def _is_index_due(self, job: JobEntry) -> bool:
        """Say whether the index may be written now; of a job that has ended it always may."""
        now = self._farm.clock.monotonic()
        rest = max(INDEX_SECONDS, INDEX_SECONDS_A_FRAME * job.published)
        if not job.ended and now - self._index_written.get(job.id, -rest) < rest:
            return False
        self._index_written[job.id] = now
        return True

    def _write_index(self, job: JobEntry) -> None:
        """List a job's published files beside them, so that no farm is needed to fetch them."""
        rows = self._farm.database.read(statements.frames_published_after(job.id, 0))
        content = renders.index_content(job, rows)
        self._farm.storage.put_bytes(content, layout.render_index(job.id))

    async def _close_jobs(self) -> None:
        """Put the logs of ended jobs into the storage and clear what attempts left."""
        chores = self._farm.chores
        for job_id in sorted(chores.ended_jobs):
            # Before, not after: a job that ends again meanwhile is added again.
            chores.ended_jobs.discard(job_id)
            job = self._farm.index.jobs.get(job_id)
            if job is None or not job.ended or any(True for _ in job.unpublished):
                continue
            try:
                async with self._writing:
                    if self._stays(job_id):
                        await self._close_job(job)
                    else:
                        chores.ended_jobs.add(job_id)
            except (StorageError, DatabaseUnavailable):
                chores.ended_jobs.add(job_id)
                raise

    async def _close_job(self, job: JobEntry) -> None:
        uploaded = await self._farm.storing.ask(self._archive, job.id)
        # It may have been requeued while we looked: what is under way now stays.
        current = {a.id for a in self._farm.index.attempts.values() if a.job_id == job.id}
        current |= {pending.attempt_id for pending in job.pending.values()}
        for attempt_id in sorted(uploaded - current):
            folder = layout.attempt(job.id, attempt_id)
            await self._farm.storing.ask(self._farm.storage.delete, folder)

    def _archive(self, job_id: str) -> set[str]:
        """Put a job's log into the storage, and return the attempts that left uploads."""
        self._farm.logs.archive(job_id)
        self._farm.storage.sweep()
        prefix = layout.attempts(job_id)
        names = self._farm.storage.list(prefix)
        return {name.removeprefix(prefix).partition("/")[0] for name in names}

    async def delete_files(self, job_id: str) -> None:
        """Delete everything the storage holds of a job that is in `deleting`.

        Raises:
            StorageError: the storage failed; what is left of the job can be deleted again.
        """
        async with self._writing:
            # What is being written of it has come to its end, and nothing more is begun. Not
            # held while files are deleted, which may take long: other jobs' chores go on.
            pass
        await self._farm.storing.answer(lambda: self._delete_files(job_id), DELETE_SECONDS)

    def _delete_files(self, job_id: str) -> None:
        storage = self._farm.storage
        for folder in (
            layout.attempts(job_id),
            layout.render(job_id),
            layout.previews(job_id),
            layout.job_logs(job_id),
        ):
            storage.delete(folder)
        self._farm.logs.delete(job_id)
