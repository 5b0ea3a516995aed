"""The farm: index, database, storage and listeners, and the one way to change it.

Every change goes the same way: a pure function decides on the index and fills a `Changes`;
`Farm.save` commits its statements, and only then tells anybody. Between the first look at
the index and the hand-over to the database nothing may wait, so that decisions reach the
disk in the order they were made.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass

from burst.domain.transitions import JobStatus
from burst.errors import DatabaseUnavailable
from burst.manager import registry, views
from burst.manager.changes import Changes
from burst.manager.clock import Clock
from burst.manager.database import statements
from burst.manager.database.database import Database
from burst.manager.events import EventHub
from burst.manager.index import Index, JobEntry
from burst.manager.joblog import JobLogs
from burst.manager.rebuild import build_index
from burst.manager.settings import ManagerSettings
from burst.manager.storing import Storing
from burst.protocol.messages import LogLine
from burst.storage.storage import Storage

log = logging.getLogger(__name__)


class WaitingRoom:
    """Workers whose claim is open, in the order they came."""

    def __init__(self) -> None:
        """Start empty."""
        self._waiting: OrderedDict[str, asyncio.Event] = OrderedDict()

    async def wait(self, worker: str, seconds: float) -> None:
        """Return when woken, or after ``seconds``."""
        event = self._waiting[worker] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            if self._waiting.get(worker) is event:
                del self._waiting[worker]

    def wake(self, count: int) -> None:
        """Wake those who wait longest, at most ``count`` of them."""
        for _ in range(min(count, len(self._waiting))):
            self._waiting.popitem(last=False)[1].set()

    def wake_all(self) -> None:
        """Wake everybody."""
        self.wake(len(self._waiting))

    def wake_worker(self, worker: str) -> None:
        """Wake one worker, if it waits."""
        if event := self._waiting.pop(worker, None):
            event.set()


@dataclass(slots=True)
class Chores:
    """Work on the storage that decisions left behind; done by the publishing loop."""

    ended_attempts: list[tuple[str, str]]
    changed_renders: set[str]
    ended_jobs: set[str]


class Farm:
    """Everything the manager's parts share."""

    def __init__(
        self, settings: ManagerSettings, database: Database, storage: Storage, clock: Clock
    ) -> None:
        """Build the index from the database."""
        self.settings = settings
        self.database = database
        self.storage = storage
        self.storing = Storing(clock)
        self.clock = clock
        self.started_at = clock.now()
        self.index: Index = build_index(database.read, clock.monotonic())
        self.logs = JobLogs(settings.state_dir / "logs", storage)
        self.hub = EventHub(clock.now, int(self.started_at.timestamp() * 1000))
        self.waiting = WaitingRoom()
        self.chores = Chores([], set(), set())
        self.chores_wanted = asyncio.Event()
        self.workers_wanted = asyncio.Event()
        """Set when there is more to do than there was."""
        self._epoch = 0
        self._statuses: dict[str, JobStatus] = {}
        """What artists were told of each job last."""

    @property
    def lease_seconds(self) -> float:
        """How long a silent worker keeps what it holds."""
        return registry.lease_length(self.settings.lease_seconds, len(self.index.workers))

    @property
    def beat_seconds(self) -> float:
        """How often workers give a sign of life at present."""
        return registry.beat_seconds(len(self.index.workers))

    async def save(self, changes: Changes) -> None:
        """Return when the changes are on disk and everybody concerned was told.

        Changes without statements wait too: what they were decided on may be another's
        change that is still on its way to the disk.

        Raises:
            DatabaseUnavailable: nothing of it is on disk, and the index is as the disk is.
        """
        epoch = self._epoch
        try:
            if changes.statements:
                await self.database.commit(changes.statements)
            else:
                await self.database.settle()
        except DatabaseUnavailable:
            self._start_over(epoch)
            raise
        self._tell(changes)
        await self.hub.flush()

    def log_line(self, job_id: str, level: str, text: str) -> None:
        """Add a line of the manager's own to a job's log."""
        line = LogLine.model_validate(
            {"at": self.clock.now(), "level": level, "text": text[:4000], "job_id": job_id}
        )
        self.add_log(job_id, [line])

    def add_log(self, job_id: str, lines: list[LogLine]) -> None:
        """Add lines to a job's log and tell the listeners."""
        self.logs.append(job_id, lines)
        for line in lines:
            if line.level != "info":
                self.hub.add("log", job_id=job_id, log=line)

    def _start_over(self, epoch: int) -> None:
        """Build the index anew, once for all requests that failed together."""
        if self._epoch != epoch:
            return
        # Should this fail too, no commit is accepted until it succeeds.
        pools = self.index.pools
        self.index = build_index(self.database.read, self.clock.monotonic())
        self.index.pools = pools
        self._epoch += 1
        self.database.renew()
        # Open claims go on with the entries of the new index.
        self.waiting.wake_all()
        log.error("a commit failed; the index was built anew from the database")

    def _tell(self, changes: Changes) -> None:
        for job_id, level, text in changes.notes:
            self.log_line(job_id, level, text)
        for job_id, frame in changes.frames_published:
            self._tell_published(job_id, frame)
        for job_id in sorted(changes.jobs):
            self._tell_job(job_id)
        for name in sorted(changes.workers):
            worker = self.index.workers.get(name)
            view = views.worker_view(worker, self.clock.monotonic()) if worker else None
            self.hub.add("worker", worker_name=name, worker=view)
        self.chores.ended_attempts.extend(changes.attempts_ended)
        if changes.attempts_ended or changes.frames_published or self.chores.ended_jobs:
            self.chores_wanted.set()
        for name in changes.wake_workers:
            self.waiting.wake_worker(name)
        if changes.ready_tasks:
            self.waiting.wake(changes.ready_tasks)
            self.workers_wanted.set()

    def _tell_published(self, job_id: str, frame: int) -> None:
        self.chores.changed_renders.add(job_id)
        job = self.index.jobs.get(job_id)
        rows = self.database.read(statements.frame_by_number(job_id, frame))
        if rows and job is not None:
            view = views.frame_view(job.plan, rows[0])
            self.hub.add("frame", job_id=job_id, frame=view)

    def _tell_job(self, job_id: str) -> None:
        job: JobEntry | None = self.index.jobs.get(job_id)
        if job is None:
            self._statuses.pop(job_id, None)
            self.hub.add("job", job_id=job_id)
            return
        self.hub.add("job", job_id=job_id, job=views.job_view(job))
        if self._statuses.get(job_id) is not job.status:
            # The list of its files says it, too.
            self._statuses[job_id] = job.status
            self.chores.changed_renders.add(job_id)
        if job.ended:
            self.chores.ended_jobs.add(job_id)
