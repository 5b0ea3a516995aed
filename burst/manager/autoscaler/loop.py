"""The autoscaler's loop: look, decide, write down, act; about once a second."""

from __future__ import annotations

import asyncio
import logging
import math

from burst.domain.transitions import TaskStatus
from burst.errors import BurstError, ToolError
from burst.manager.autoscaler import policy
from burst.manager.autoscaler.provider import WorkerProvider
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.farm import Farm
from burst.manager.index import WorkerEntry, WorkerStart
from burst.manager.matching import why_useless
from burst.manager.scheduler import Scheduler
from burst.protocol.artist_messages import PoolView

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.5
POOL = "local"

START_SECONDS_MAX = 180.0
"""What a worker has from its start until it registers: to probe a bpy wheel on a cold disk
takes up to two minutes."""

ABSENT_SECONDS_MAX = 30.0
"""What a running worker has that is not registered, and is not starting either: it left and
ends, or a manager that was started again waits for it to come back."""


class Autoscaler:
    """Sizes one worker pool."""

    def __init__(
        self, farm: Farm, scheduler: Scheduler, provider: WorkerProvider, maximum: int
    ) -> None:
        """Start at most ``maximum`` workers of ``provider`` for ``farm``."""
        self._farm = farm
        self._scheduler = scheduler
        self._provider = provider
        self._maximum = maximum
        self._failed_starts = 0
        self._last_failure_at = 0.0
        self._failure = ""
        self._registered: set[str] = set()
        self._came: dict[str, WorkerEntry] = {}
        """Workers as they last were here."""
        self._gave_up = 0
        """Workers in a row that came for nothing: they can't render, or nothing that is queued."""
        self._rendered: set[str] = set()
        """Those that have finished a frame."""
        self._absent_since: dict[str, float] = {}
        self._view = self._pool_view(0, 0, "")

    @property
    def view(self) -> PoolView:
        """The pool as it was in the last round."""
        return self._view

    async def run(self) -> None:
        """Run for ever."""
        while True:
            try:
                await self.round()
            except BurstError as error:
                log.warning("autoscaler: %s", error)
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Look, decide, act once."""
        self._note_registered()
        await self.clear_away()
        capacity = await asyncio.to_thread(self._provider.capacity)
        index, now = self._farm.index, self._farm.clock.monotonic()
        here = [w for w in index.workers.values() if w.pool == POOL]
        self._note_registered()
        draining = sum(worker.draining for worker in here)
        starting = len(index.starts.keys() - self._registered)
        pool = policy.Pool(
            name=POOL,
            maximum=self._maximum,
            workers=len(here) - draining,
            starting=starting,
            leaving=draining,
            cores=capacity.cores,
            memory_bytes=capacity.memory_bytes,
            boot_seconds=capacity.boot_seconds,
            failed_starts=max(self._failed_starts, self._gave_up),
            last_failure_at=self._last_failure_at,
        )
        (resize,) = policy.decide(self._demand(), [pool], now)
        for _ in range(resize.start):
            await self._start(resize.threads)
        youngest = sorted(here, key=lambda w: w.registered_at, reverse=True)
        for worker in [w for w in youngest if not w.draining][: resize.drain]:
            await self._scheduler.drain(worker.name)
        self._view = self._pool_view(len(here), starting + resize.start, resize.reason, resize)

    def _demand(self) -> list[policy.Demand]:
        jobs = []
        for job in self._farm.index.jobs.values():
            mean = job.times.mean_seconds
            ready = job.board.count(TaskStatus.QUEUED) if job.claimable else 0
            active = job.board.count(TaskStatus.ACTIVE)
            if ready or active:
                seconds = mean * job.plan.chunk if mean is not None else None
                peak = max(job.times.peak_memory_bytes, job.requirements.memory_bytes)
                jobs.append(policy.Demand(ready, active, seconds, peak))
        return jobs

    async def _start(self, threads: int) -> None:
        """Write a new name down, then start a worker of that name."""
        farm, changes = self._farm, Changes()
        number, now = farm.index.next_counter("worker"), farm.clock.now()
        name = f"{POOL}-{number}"
        farm.index.starts[name] = WorkerStart(name, POOL, threads, now)
        changes.write(
            statements.put_counter("worker", number),
            statements.add_worker_start(name, POOL, threads, now),
        )
        await farm.save(changes)
        try:
            await asyncio.to_thread(self._provider.start, name, threads)
        except ToolError as error:
            self._note_failure(error.message)

    async def clear_away(self) -> None:
        """Give up workers whose process has ended, and remove what is left of them."""
        workers = await asyncio.to_thread(self._provider.list)
        known = {worker.name for worker in workers}
        ended = [worker for worker in workers if not worker.running]
        for worker in ended:
            if worker.failure and worker.name not in self._registered:
                self._note_failure(worker.failure)
            elif worker.gave_up:
                self._note_gave_up(worker.failure)
            elif reason := self._why_useless(worker.name):
                self._note_gave_up(reason)
            await self._scheduler.give_up(worker.name, worker.failure or "its process has ended")
            await asyncio.to_thread(self._provider.remove, worker.name)
        for name in self._overdue({worker.name for worker in workers if worker.running}):
            await asyncio.to_thread(self._provider.remove, name)
        starts = self._farm.index.starts
        gone = {worker.name for worker in ended} | (starts.keys() - known)
        for name in sorted(gone & starts.keys()):
            changes = Changes()
            del starts[name]
            changes.write(statements.delete_worker_start(name))
            self._registered.discard(name)
            self._rendered.discard(name)
            self._came.pop(name, None)
            await self._farm.save(changes)

    def _overdue(self, running: set[str]) -> list[str]:
        """Return the workers that run and are of no use: they hold memory, and a place."""
        index, clock = self._farm.index, self._farm.clock
        absent = running - index.workers.keys()
        now = clock.monotonic()
        self._absent_since = {name: self._absent_since.get(name, now) for name in absent}
        # Those were given up while they ran, frozen or cut off.
        overdue = self._scheduler.take_lost() & absent
        for name in absent - overdue:
            start = index.starts.get(name)
            age = (clock.now() - start.started_at).total_seconds() if start else math.inf
            is_starting = name not in self._registered and age < START_SECONDS_MAX
            if is_starting or now - self._absent_since[name] < ABSENT_SECONDS_MAX:
                continue
            overdue.add(name)
            if name not in self._registered:
                self._note_failure(f"{name} did not register within {START_SECONDS_MAX:.0f} s")
        return sorted(overdue)

    def _note_registered(self) -> None:
        """Remember who has come; that another worker could start ends the waiting for retries.

        Where workers come and then find that they can't render, only a frame ends it.
        """
        workers = [w for w in self._farm.index.workers.values() if w.pool == POOL]
        here = {worker.name for worker in workers}
        rendered = {worker.name for worker in workers if worker.frames_finished}
        if rendered - self._rendered:
            self._gave_up = 0
        if here - self._registered:
            self._failed_starts = 0
        if not self._failed_starts and not self._gave_up:
            self._failure = ""
        self._registered |= here
        self._rendered |= rendered
        self._came.update((worker.name, worker) for worker in workers)

    def _why_useless(self, name: str) -> str:
        """Return why a worker that left could do nothing of what is queued.

        The next one will be no better, until somebody gives the machine what is lacking.
        """
        worker = self._came.get(name)
        return why_useless(self._farm.index.claimable_jobs(), worker) if worker else ""

    def _note_failure(self, reason: str) -> None:
        self._failed_starts += 1
        self._last_failure_at = self._farm.clock.monotonic()
        self._failure = reason
        log.warning("a worker could not start: %s", reason)

    def _note_gave_up(self, reason: str) -> None:
        self._gave_up += 1
        self._last_failure_at = self._farm.clock.monotonic()
        self._failure = reason
        log.warning("a worker came for nothing: %s", reason)

    def _pool_view(
        self, running: int, starting: int, reason: str, resize: policy.Resize | None = None
    ) -> PoolView:
        return PoolView(
            name=POOL,
            running=running,
            starting=starting,
            wanted=resize.wanted if resize else 0,
            maximum=self._maximum,
            reason=reason,
            failure=self._failure,
        )
