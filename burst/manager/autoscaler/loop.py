"""The autoscaler's loop: look, decide, write down, act; twice a second, and when work comes."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from burst.domain.pools import WorkerPool
from burst.errors import BurstError, NotAllowed, NotFound, ToolError
from burst.manager.autoscaler import policy
from burst.manager.autoscaler.demand import demand_of
from burst.manager.autoscaler.departures import Departures
from burst.manager.autoscaler.pool_state import Census, PoolState, chosen
from burst.manager.autoscaler.provider import Order, StartedWorker, WorkerProvider
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.farm import Farm
from burst.manager.index import PoolChoice, WorkerEntry, WorkerStart
from burst.manager.scheduler import Scheduler
from burst.protocol.artist_messages import ChangePool, PoolView

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.5

LEAST_SECONDS = 0.1
"""Between two rounds, however much work comes."""

BATCH = 500
"""Names that are written down in one commit, and workers that the provider is told to start."""

BATCHES = 2
"""So many are started at the same time."""

START_ROUND_SECONDS = 5.0
"""How long a round may go on with starts, before it looks again at what there is."""

FIRST_LOOK_SECONDS = 5.0
"""How long a manager that starts waits to be told of its pools."""

IDLE_MARGIN_SECONDS = 5.0
"""Idle workers leave by themselves; those that don't so much later were told to stay."""


class Autoscaler:
    """Sizes the worker pools of one provider."""

    def __init__(self, farm: Farm, scheduler: Scheduler, provider: WorkerProvider) -> None:
        """Start workers of ``provider`` for ``farm``."""
        self._farm = farm
        self._scheduler = scheduler
        self._provider = provider
        self._states: dict[str, PoolState] = {}
        self._departures = Departures(farm, self._state)
        self._idle_since: dict[str, float] = {}
        self._described: dict[str, WorkerPool] = {}
        """Pools as the provider describes them."""
        self._views: tuple[PoolView, ...] = ()
        self._trouble = ""
        self._has_more_to_start = False
        """Whether the last round ended for its length, and not because all were started."""
        self._left_behind: ToolError | None = None
        """Why some that are gone could not be removed, if so."""

    @property
    def trouble(self) -> str:
        """What keeps the autoscaler from its work; empty if nothing does."""
        return self._trouble

    @property
    def views(self) -> tuple[PoolView, ...]:
        """The pools as they were in the last round, those to be used first at the front."""
        if not self._trouble:
            return self._views
        return tuple(view.model_copy(update={"failure": self._trouble}) for view in self._views)

    def view(self, name: str) -> PoolView:
        """Return one pool.

        Raises:
            NotFound: there is none of that name.
        """
        for view in self.views:
            if view.name == name:
                return view
        names = ", ".join(view.name for view in self._views) or "none"
        raise NotFound(f"there is no worker pool {name}", hint=f"pools are: {names}")

    async def change(self, name: str, message: ChangePool) -> PoolView:
        """Set how many workers a pool has, and return it; the next round acts on it.

        Raises:
            NotFound: there is no such pool.
            NotAllowed: the least would be more than the most.
        """
        index, changes = self._farm.index, Changes()
        self.view(name)
        if name not in self._described:
            raise NotFound(f"worker pool {name} is gone")
        given = {key: getattr(message, key) for key in message.model_fields_set}
        choice = replace(index.pool_choices.get(name, PoolChoice()), **given)
        pool = chosen(self._described[name], choice)
        if pool.minimum > pool.maximum:
            raise NotAllowed(
                f"pool {name} can't have at least {pool.minimum} workers and at most {pool.maximum}"
            )
        index.pool_choices[name], index.pools[name] = choice, pool
        changes.write(statements.put_pool_choice(name, **asdict(choice)))
        await self._farm.save(changes)
        return self.view(name).model_copy(
            update={"minimum": pool.minimum, "maximum": pool.maximum, "scale": choice.scale}
        )

    async def learn_pools(self) -> None:
        """Know the pools before work is handed out.

        Who does not know of a larger one gives a task to a worker that is too small for it.
        """
        try:
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await self._pools()
        except (BurstError, TimeoutError) as error:
            log.warning("worker pools are not known yet: %s", error or "no answer")

    async def run(self) -> None:
        """Run for ever."""
        while True:
            try:
                await self.round()
            except BurstError as error:
                self._note_trouble(str(error))
            else:
                self._note_trouble("")
            if not self._has_more_to_start:
                await self._pause()

    async def _pause(self) -> None:
        """Wait until it is time for another round."""
        wanted = self._farm.workers_wanted
        await asyncio.sleep(LEAST_SECONDS)
        try:
            async with asyncio.timeout(ROUND_SECONDS - LEAST_SECONDS):
                await wanted.wait()
        except TimeoutError:
            pass
        wanted.clear()

    async def round(self) -> None:
        """Look, decide, act once.

        Raises:
            BurstError: something could not be done; whatever else was to do is.
        """
        self._has_more_to_start = False
        self._departures.note_registered()
        running = await self.clear_away()
        pools = await self._pools()
        index, now = self._farm.index, self._farm.clock.monotonic()
        self._departures.note_registered()
        figures = {pool.name: self._census(pool, running) for pool in pools}
        resizes = policy.decide(
            demand_of(index, index.open_pools()),
            [self._for_policy(pool, figures[pool.name], now) for pool in pools],
            now,
        )
        for pool, resize in zip(pools, resizes, strict=True):
            await self._start(pool, resize)
            await self._send_away(pool, resize, running)
        self._views = tuple(
            self._state(pool.name).view(pool, figures[pool.name], resize, self._scale(pool.name))
            for pool, resize in zip(pools, resizes, strict=True)
        )
        await self._let_go({pool.name for pool in pools}, running)
        if self._left_behind is not None:
            raise self._left_behind

    async def clear_away(self) -> Sequence[StartedWorker]:
        """Give up workers that have ended, remove what is left of them, and return the others."""
        workers = await asyncio.to_thread(self._provider.list)
        self._left_behind = None
        ended = [worker for worker in workers if not worker.running]
        running = [worker for worker in workers if worker.running]
        for worker in ended:
            self._departures.note_end(worker)
            reason = worker.failure or "its process has ended"
            await self._scheduler.give_up(worker.name, reason, worker.outcome)
        overdue = self._departures.overdue(running, self._scheduler.take_lost())
        gone = {worker.name for worker in ended}
        known = {worker.name for worker in workers}
        if await self._remove(gone | overdue):
            known -= gone
        await self._forget((gone - known) | (self._farm.index.starts.keys() - known))
        return [worker for worker in running if worker.name not in overdue]

    async def _remove(self, names: Collection[str]) -> bool:
        """Remove workers, and say whether all are gone; what is left is tried in the next round.

        One that can't be removed keeps nobody else from starting.
        """
        if names:
            try:
                await asyncio.to_thread(self._provider.remove, sorted(names))
            except ToolError as error:
                self._left_behind = error
                return False
        return True

    async def _pools(self) -> list[WorkerPool]:
        described = await asyncio.to_thread(self._provider.pools)
        self._described = {pool.name: pool for pool in described}
        choices = self._farm.index.pool_choices
        pools = [chosen(pool, choices.get(pool.name)) for pool in described]
        pools.sort(key=lambda pool: (pool.preference, pool.name))
        self._farm.index.pools = {pool.name: pool for pool in pools}
        await self._forget_choices()
        return pools

    async def _forget_choices(self) -> None:
        """Forget what was set by hand for pools that are gone: one that comes anew is another."""
        choices, changes = self._farm.index.pool_choices, Changes()
        for name in choices.keys() - self._described.keys():
            del choices[name]
            changes.write(statements.delete_pool_choice(name))
        if changes.statements:
            await self._farm.save(changes)

    def _census(self, pool: WorkerPool, running: Iterable[StartedWorker]) -> Census:
        index = self._farm.index
        here = [worker for worker in index.workers.values() if worker.pool == pool.name]
        begun = {start.name for start in index.starts.values() if start.pool == pool.name}
        # One that was written down by nobody starts all the same.
        begun |= {worker.name for worker in running if worker.pool == pool.name}
        starting = begun - self._departures.registered - self._departures.ended
        census = Census(
            here=len(here),
            draining=sum(worker.draining for worker in here),
            idle=len(self._idle(here)),
            starting=len(starting),
        )
        for worker in running:
            if worker.waits and worker.name in starting:
                census.waits[worker.waits] = census.waits.get(worker.waits, 0) + 1
        return census

    def _idle(self, here: Collection[WorkerEntry]) -> list[WorkerEntry]:
        """Return those that had nothing to do for longer than they would stay by themselves."""
        now = self._farm.clock.monotonic()
        limit = self._farm.settings.idle_exit_seconds + IDLE_MARGIN_SECONDS
        found = []
        for worker in here:
            if worker.attempts or worker.draining:
                self._idle_since.pop(worker.name, None)
            elif now - self._idle_since.setdefault(worker.name, now) >= limit:
                found.append(worker)
        return found

    async def _start(self, pool: WorkerPool, resize: policy.Resize) -> None:
        """Write new names down, then start workers of those names; batch by batch.

        While some are started, the next are written down, and begun: nobody waits for the last
        of a batch. Should names be of no use then, they are forgotten in the next round.
        """
        clock, left = self._farm.clock, resize.start
        deadline = clock.monotonic() + START_ROUND_SECONDS
        making, refused = deque[asyncio.Task[Mapping[str, str]]](), dict[str, str]()
        try:
            while left and not refused and (not making or clock.monotonic() < deadline):
                names = await self._write_down(pool.name, min(left, BATCH), resize.threads)
                left -= len(names)
                orders = [Order(name, pool.name, resize.threads) for name in names]
                making.append(asyncio.create_task(self._make(pool.name, orders)))
                if len(making) == BATCHES:
                    refused.update(await making.popleft())
        finally:
            # Also where the database is away: who looks meanwhile would miss those.
            for one in making:
                refused.update(await one)
        if refused:
            # One reason for all: whoever waits doubles the time at each.
            reason = next(iter(refused.values()))
            self._state(pool.name).note_refused(reason, clock.monotonic())
        else:
            self._has_more_to_start |= left > 0

    async def _make(self, pool: str, orders: Sequence[Order]) -> Mapping[str, str]:
        """Have the provider start workers, and return why which were refused."""
        try:
            return await asyncio.to_thread(self._provider.start, orders)
        except ToolError as error:
            # Asked again at once, a cluster that is busy would not come to rest.
            return {pool: str(error)}

    async def _write_down(self, pool: str, count: int, threads: int) -> list[str]:
        farm, changes = self._farm, Changes()
        now, names = farm.clock.now(), list[str]()
        for _ in range(count):
            number = farm.index.next_counter("worker")
            name = f"{pool}-{number}"
            farm.index.starts[name] = WorkerStart(name, pool, threads, now)
            names.append(name)
        changes.write(statements.add_worker_starts(names, pool, threads, now))
        changes.write(statements.put_counter("worker", farm.index.counters["worker"]))
        await farm.save(changes)
        return names

    async def _send_away(
        self, pool: WorkerPool, resize: policy.Resize, running: Iterable[StartedWorker]
    ) -> None:
        """Let workers leave that are too many, and take back those that nobody waits for."""
        here = [w for w in self._farm.index.workers.values() if w.pool == pool.name]
        here = sorted(
            (worker for worker in here if not worker.draining),
            # Whoever has nothing to do goes first, and the youngest.
            key=lambda worker: (len(worker.attempts), -worker.registered_at.timestamp()),
        )
        leave, stay = here[: resize.drain], here[resize.drain :]
        idle = {worker.name for worker in self._idle(here)}
        leave += [worker for worker in stay if worker.name in idle][: resize.release]
        await self._drain(leave)
        state, settings = self._state(pool.name), self._farm.settings
        now = self._farm.clock.monotonic()
        count = state.needless(resize, now, settings.idle_exit_seconds)
        starting = [
            worker
            for worker in running
            if worker.pool == pool.name and worker.name not in self._departures.registered
        ]
        # Those first that have not even begun.
        starting.sort(key=lambda worker: (not worker.holdup, worker.name))
        # Nothing is waited for between this look and the order: one that registers is spared.
        names = [worker.name for worker in starting if self._is_absent(worker.name)][:count]
        if names:
            log.info("%s: %d workers that start are not needed any more", pool.name, len(names))
            await self._remove(names)

    async def _let_go(self, pools: set[str], running: Iterable[StartedWorker]) -> None:
        """Let idle workers leave whose pool is gone or renamed: they may have been told to stay."""
        ours = {worker.name for worker in running if worker.pool not in pools}
        await self._drain(
            self._idle([w for w in self._farm.index.workers.values() if w.name in ours])
        )

    async def _drain(self, workers: Iterable[WorkerEntry]) -> None:
        # Together: what is decided at the same time is written in few commits.
        await asyncio.gather(*(self._scheduler.drain(worker.name) for worker in workers))

    def _is_absent(self, name: str) -> bool:
        return name not in self._farm.index.workers

    async def _forget(self, names: set[str]) -> None:
        """Forget starts whose workers are gone."""
        starts, changes = self._farm.index.starts, Changes()
        for name in sorted(names):
            self._departures.forget(name)
            self._idle_since.pop(name, None)
            if name in starts:
                del starts[name]
                changes.write(statements.delete_worker_start(name))
        if changes.statements:
            await self._farm.save(changes)

    def _state(self, pool: str) -> PoolState:
        return self._states.setdefault(pool, PoolState(pool))

    def _for_policy(self, pool: WorkerPool, census: Census, now: float) -> policy.Pool:
        return self._state(pool.name).for_policy(pool, census, self._scale(pool.name), now)

    def _scale(self, pool: str) -> int | None:
        choice = self._farm.index.pool_choices.get(pool)
        return choice.scale if choice else None

    def _note_trouble(self, text: str) -> None:
        """Remember what keeps the loop from its work, and log it once."""
        if text and text != self._trouble:
            log.warning("autoscaler: %s", text)
        self._trouble = text
