"""Who came, who left and why, who should have come by now; and what it says about a pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from burst.domain.transitions import AttemptStatus
from burst.manager.autoscaler.pool_state import PoolState
from burst.manager.autoscaler.provider import StartedWorker
from burst.manager.farm import Farm
from burst.manager.index import WorkerEntry
from burst.manager.matching import why_useless

START_SECONDS_MAX = 180.0
"""What a worker has from its start until it registers, where its pool does not say: to probe a
bpy wheel on a cold disk takes up to two minutes."""

ABSENT_SECONDS_MAX = 30.0
"""What a running worker has that is not registered, and is not starting either: it left and
ends, or a manager that was started again waits for it to come back."""

BROKEN_SECONDS_MAX = 30.0
"""What a worker has that can't begin, such as one without its image: registries may stumble."""


class Departures:
    """Remembers workers from their first sign of life until they are gone."""

    def __init__(self, farm: Farm, state: Callable[[str], PoolState]) -> None:
        """Watch the workers of ``farm``, and tell the state of each pool."""
        self._farm = farm
        self._state = state
        self.registered: set[str] = set()
        self._came: dict[str, WorkerEntry] = {}
        """Workers as they last were here."""
        self._rendered: set[str] = set()
        """Those that have finished a frame."""
        self.ended: set[str] = set()
        """Those whose end was told."""
        self._absent_since: dict[str, float] = {}
        self._started: dict[str, float] = {}
        """When those that are absent were started, on a clock that nobody sets."""
        self._broken_since: dict[str, float] = {}

    def note_registered(self) -> None:
        """Remember who has come; that another worker could start ends the waiting for retries.

        Where workers come and then find that they can't render, only a frame ends it.
        """
        now = self._farm.clock.monotonic()
        index = self._farm.index
        by_pool: dict[str, list[WorkerEntry]] = {name: [] for name in index.pools}
        for worker in index.workers.values():
            # Also where pools are not known yet: whoever was here has not failed to start.
            by_pool.setdefault(worker.pool, []).append(worker)
        for pool, workers in by_pool.items():
            here = {worker.name for worker in workers}
            rendered = {worker.name for worker in workers if worker.frames_finished}
            self._state(pool).note_came(
                now,
                newcomer=bool(here - self.registered),
                rendered=bool(rendered - self._rendered),
            )
            self.registered |= here
            self._rendered |= rendered
            self._came.update((worker.name, worker) for worker in workers)

    def note_end(self, worker: StartedWorker) -> None:
        """Remember why a worker ended, once."""
        if worker.name in self.ended:
            return
        self.ended.add(worker.name)
        state, now = self._state(self._pool(worker)), self._farm.clock.monotonic()
        is_new = worker.name not in self.registered
        if worker.outcome is AttemptStatus.INTERRUPTED:
            # Its machine was taken: the next one may fare better.
            if is_new:
                state.note_taken(worker.failure, now)
        elif worker.failure and is_new:
            state.note_failure(worker.failure, now)
        elif worker.gave_up:
            state.note_gave_up(worker.failure, now)
        elif reason := self._why_useless(worker.name):
            state.note_gave_up(reason, now)

    def overdue(self, running: Iterable[StartedWorker], lost: set[str]) -> set[str]:
        """Return the workers that run and are of no use: they hold memory, and a place.

        Args:
            running: all that have not ended.
            lost: those that were given up while they ran, frozen or cut off.
        """
        index = self._farm.index
        now = self._farm.clock.monotonic()
        absent = {w.name: w for w in running if w.name not in index.workers}
        self._absent_since = {name: self._absent_since.get(name, now) for name in absent}
        self._started = {
            name: self._started[name] if name in self._started else self._start_of(worker, now)
            for name, worker in absent.items()
        }
        self._broken_since = {
            name: self._broken_since.get(name, now)
            for name, worker in absent.items()
            if worker.holdup == "broken"
        }
        found = lost & absent.keys()
        for name, worker in absent.items():
            if name not in found and self._is_overdue(worker, now):
                found.add(name)
        return found

    def forget(self, name: str) -> None:
        """Forget a worker that is gone."""
        self.registered.discard(name)
        self._rendered.discard(name)
        self.ended.discard(name)
        self._came.pop(name, None)

    def _is_overdue(self, worker: StartedWorker, now: float) -> bool:
        name, entry = worker.name, self._farm.index.pools.get(self._pool(worker))
        if now - self._broken_since.get(name, math.inf) >= BROKEN_SECONDS_MAX:
            self._note_overdue(worker, now, f"{name} can't start: {worker.waits}")
            return True
        limit = entry.start_seconds if entry else START_SECONDS_MAX
        is_starting = name not in self.registered and now - self._started[name] < limit
        if is_starting or now - self._absent_since[name] < min(ABSENT_SECONDS_MAX, limit):
            return False
        why = f": {worker.waits}" if worker.waits else ""
        self._note_overdue(worker, now, f"{name} did not register within {limit:.0f} s{why}")
        return True

    def _note_overdue(self, worker: StartedWorker, now: float, reason: str) -> None:
        """Remember, once, what it says about a pool that a worker is given up before it came."""
        name, pool = worker.name, self._pool(worker)
        if name in self.registered or name in self.ended or name not in self._farm.index.starts:
            return  # of one that nobody wrote down nobody knows for how long it has waited
        self.ended.add(name)
        state, entry = self._state(pool), self._farm.index.pools.get(pool)
        if worker.outcome is AttemptStatus.INTERRUPTED:
            state.note_taken(reason, now)
        elif worker.holdup == "node" and entry:
            state.note_out_of_stock(worker.waits, now + entry.stock_out_seconds)
        else:
            state.note_failure(reason, now)

    def _start_of(self, worker: StartedWorker, now: float) -> float:
        start = self._farm.index.starts.get(worker.name)
        if start is None:
            # Made while a manager was killed. What runs would have come; others have yet to begin.
            return now if worker.holdup else -math.inf
        return now - max(0.0, (self._farm.clock.now() - start.started_at).total_seconds())

    def _pool(self, worker: StartedWorker) -> str:
        start = self._farm.index.starts.get(worker.name)
        return worker.pool or (start.pool if start else "")

    def _why_useless(self, name: str) -> str:
        """Return why a worker that left could do nothing of what is queued.

        The next one will be no better, until somebody gives the machine what is lacking.
        """
        worker = self._came.get(name)
        return why_useless(self._farm.index.claimable_jobs(), worker) if worker else ""
