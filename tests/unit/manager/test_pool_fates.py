"""Whatever befalls a farm's pools, its work is done afterwards, and then nobody is left.

Random fates of workers, pools, the cluster and the manager; each kind has tests of its own in
``test_pools.py`` and ``test_pool_troubles.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manager_kit import Manager, Worker, capabilities
from test_pool_troubles import Stubborn
from test_pools import GPU, LARGE, SMALL, Pools3

from burst.domain.transitions import AttemptStatus, JobStatus
from burst.errors import BurstError
from burst.protocol.artist_messages import ChangePool

POOLS = (SMALL, LARGE, GPU)
ENDS: tuple[dict[str, Any], ...] = (
    {},
    {"failure": "killed by SIGKILL"},
    {"failure": "no Blender", "gave_up": True},
    {"failure": "preempted", "outcome": AttemptStatus.INTERRUPTED},
    {"failure": "its memory ran out", "outcome": AttemptStatus.OUT_OF_MEMORY},
)
HOLDUPS = (("node", "none fits"), ("broken", "ErrImagePull"), ("start", "FailedMount"), ("", ""))

number = st.integers(0, 20)
step = st.one_of(
    st.tuples(st.just("submit"), st.integers(1, 6)),
    st.tuples(st.just("come"), number),
    st.tuples(st.just("work"), number),
    st.tuples(st.just("take"), number),
    st.tuples(st.just("end"), number, st.sampled_from(ENDS)),
    st.tuples(st.just("hold_up"), number, st.sampled_from(HOLDUPS)),
    st.tuples(st.just("freeze"), number),
    st.tuples(st.just("vanish"), number),
    st.tuples(st.just("away"), st.booleans()),
    st.tuples(st.just("close"), st.sampled_from(["small", "large", ""])),
    st.tuples(st.just("pass_time"), st.sampled_from([0.5, 3.0, 31.0, 130.0, 310.0])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("describe"), st.lists(st.sampled_from(POOLS), unique=True)),
    st.tuples(st.just("change"), st.sampled_from(["minimum", "maximum", "scale"]), number),
)


BEGIN: tuple[tuple[Any, ...], ...] = (
    ("submit", 6),
    ("come", 0),
    ("come", 1),
    ("come", 4),
    ("work", 1),
    ("take", 0),
    ("take", 4),
)
"""Workers of two pools are busy, and others start."""


class Fates:
    """A farm to which things happen."""

    def __init__(self, folder: Path) -> None:
        self.manager = Manager(folder)
        self.pools = Pools3(self.manager, *POOLS)
        self.pools.provider = self.provider = Stubborn(*POOLS)
        self.pools.restart()
        self.here: dict[str, Worker] = {}
        self.is_changed = False

    async def look(self, seconds: float = 0.0) -> None:
        """Let time pass, signs of life come, and the autoscaler look."""
        self.manager.clock.advance(seconds)
        for name, worker in list(self.here.items()):
            started = self.provider.workers.get(name)
            if started is None or not started.running:
                del self.here[name]
                continue
            with contextlib.suppress(BurstError):
                await worker.beat()
        await self.manager.scheduler.give_up_lost()
        with contextlib.suppress(BurstError):
            await self.pools.autoscaler.round()
        self.check()

    def check(self) -> None:
        """There are never more than there may be, unless somebody has changed that."""
        if self.is_changed:
            return
        for pool in POOLS:
            running = [w for w in self.provider.workers.values() if w.running]
            assert sum(w.pool == pool.name for w in running) <= pool.maximum

    def _one(self, number: int) -> str:
        names = sorted(name for name, w in self.provider.workers.items() if w.running)
        return names[number % len(names)] if names else ""

    async def submit(self, frames: int) -> None:
        first = 100 * len(self.manager.farm.index.jobs) + 1
        await self.manager.submit(f"{first}-{first + frames - 1}")

    async def come(self, number: int) -> None:
        name = self._one(number)
        if name and name not in self.here and not self.provider.workers[name].holdup:
            pool = next(pool for pool in POOLS if pool.name == name.rpartition("-")[0])
            does = capabilities(memory_bytes=pool.memory_bytes)
            self.here[name] = await self.manager.worker(name, pool=pool.name, capabilities=does)

    async def take(self, number: int) -> None:
        if worker := self.here.get(self._one(number)):
            with contextlib.suppress(BurstError):
                await worker.claim()

    async def work(self, number: int) -> None:
        worker = self.here.get(self._one(number))
        if worker is None:
            return
        try:
            assignment = next(iter(worker.held.values()), None) or (await worker.claim()).assignment
            if assignment is not None:
                await worker.finish(assignment)
        except (AssertionError, BurstError):
            worker.held.clear()  # it was given up meanwhile

    async def end(self, number: int, how: dict[str, Any]) -> None:
        if name := self._one(number):
            self.provider.end(name, **how)
            self.here.pop(name, None)

    async def hold_up(self, number: int, holdup: tuple[str, str]) -> None:
        name = self._one(number)
        if name and name not in self.here:
            self.provider.hold_up(name, *holdup)

    async def freeze(self, number: int) -> None:
        self.here.pop(self._one(number), None)

    async def vanish(self, number: int) -> None:
        """Somebody deletes a worker with all that is left of it."""
        if name := self._one(number):
            del self.provider.workers[name]
            self.here.pop(name, None)

    async def away(self, is_away: bool) -> None:
        self.provider.is_away = is_away

    async def close(self, pool: str) -> None:
        self.provider.closed = {pool}

    async def pass_time(self, seconds: float) -> None:
        await self.look(seconds)

    async def restart(self) -> None:
        self.pools.restart()

    async def describe(self, pools: list[Any]) -> None:
        self.provider.described = list(pools)
        self.is_changed = True

    async def change(self, what: str, number: int) -> None:
        with contextlib.suppress(BurstError):
            await self.pools.autoscaler.change("small", ChangePool(**{what: number % 6}))
            self.is_changed = True

    async def heal(self) -> None:
        """Let all be well again, as somebody would who was told."""
        self.provider.is_away, self.provider.closed = False, set()
        self.provider.described = list(POOLS)
        await self.look(0.5)
        choice = ChangePool(minimum=None, maximum=None, scale=None)
        await self.pools.autoscaler.change("small", choice)
        for name, worker in self.provider.workers.items():
            self.provider.workers[name] = replace(worker, holdup="", waits="")


async def _befall(folder: Path, steps: list[tuple[Any, ...]]) -> None:
    fates = Fates(folder)
    try:
        for name, *values in (*BEGIN, *steps):
            await getattr(fates, name)(*values)
            await fates.look(0.5)
        await fates.heal()
        await _all_is_done(fates)
        await _nobody_is_left(fates)
    finally:
        fates.manager.close()


async def _all_is_done(fates: Fates) -> None:
    jobs = fates.manager.farm.index.jobs
    for _ in range(400):
        if all(job.ended for job in jobs.values()):
            break
        for number in range(len(fates.provider.workers)):
            await fates.come(number)
            await fates.work(number)
        await fates.look(5.0)
        jobs = fates.manager.farm.index.jobs
    assert {job.status for job in jobs.values()} <= {JobStatus.COMPLETED, JobStatus.FAILED}


async def _nobody_is_left(fates: Fates) -> None:
    idle = fates.manager.settings.idle_exit_seconds
    for _ in range(400):
        if not fates.provider.workers and not fates.manager.farm.index.starts:
            break
        await fates.look(idle)
        for name, worker in list(fates.here.items()):
            # As it leaves by itself, having nothing to do.
            with contextlib.suppress(BurstError):
                await worker.sign_off()
            if name in fates.provider.workers:
                fates.provider.end(name)
    assert (fates.provider.workers, fates.manager.farm.index.starts) == ({}, {})
    assert fates.manager.farm.index.workers == {}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(step, min_size=8, max_size=40))
def test_afterwards_all_work_is_done_and_nobody_is_left(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_befall(Path(folder), steps))
