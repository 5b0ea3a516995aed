"""How many workers each pool should have. Pure: figures in, figures out.

A worker leaves by itself when it finds nothing to claim, so the policy mostly says how many
there should be at least, and nothing that is busy is killed to shrink. Workers are drained
only where the frames have turned out to need more memory than was thought, or where there may
be fewer than there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MEMORY_SHARE = 0.85
"""Part of the machine's memory that renders may take together."""

UNMEASURED_MEMORY_BYTES = 1 << 30
"""What a render is taken to need before the first frame was measured."""

RETRY_FIRST_SECONDS = 2.0
RETRY_LAST_SECONDS = 120.0
"""Workers that can't start are tried again after 2, 4, 8 … seconds, at most every 2 minutes."""

FAILED_STARTS_PASSED_ON = 3
"""After so many in a row the next pool is to do the work: it is not chance any more."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Work of one job that can be handed out or is under way, and needs the same of a worker."""

    tasks_ready: int
    tasks_active: int
    task_seconds: float | None
    """Mean time of a task; None before the first is done."""
    peak_memory_bytes: int
    """Most that a frame of it took, or what the job asks for; 0 if neither is known."""
    pools: tuple[str, ...] | None = None
    """Names of the pools that can do it, the one to use first at the front; None: all."""

    @property
    def tasks(self) -> int:
        """Return how many workers could be busy with it."""
        return self.tasks_ready + self.tasks_active

    def suits(self, pool: str) -> bool:
        """Say whether a pool can do it."""
        return self.pools is None or pool in self.pools


@dataclass(frozen=True, slots=True)
class Pool:
    """One worker pool, as it is."""

    name: str
    maximum: int
    workers: int
    """Workers that are here and not draining."""
    starting: int
    """Workers that were started and have not registered."""
    leaving: int
    """Workers that are draining: they still take memory."""
    cores: float
    memory_bytes: int
    boot_seconds: float
    """From start to first claim."""
    failed_starts: int
    """Workers in a row that ended before they registered, or came for nothing."""
    last_failure_at: float
    """Monotonic time of the last of them."""
    is_shared: bool = True
    """The workers share cores and memory; else each has its own."""
    minimum: int = 0
    scale: int | None = None
    """As many as this, whatever there is to do; set by hand."""
    idle: int = 0
    """Of the workers that are here, those that have had nothing to do for long."""
    out_of_stock_until: float = 0.0
    """Monotonic time until which no machine is asked for."""
    trouble: str = ""
    """Why no worker can be started at all."""
    in_doubt: bool = False
    """The last that were made came to nothing: each may cost a machine, and many many."""


@dataclass(frozen=True, slots=True)
class Resize:
    """What a pool should come to."""

    pool: str
    wanted: int
    """Workers that there should be, counting those that start."""
    start: int
    """How many to start now."""
    drain: int
    """How many are to finish what they hold, and leave."""
    threads: int
    """CPU threads for each that is started."""
    reason: str
    release: int = 0
    """How many of the idle ones are to leave."""
    surplus: int = 0
    """How many of those that start nobody needs any more."""


def decide(demand: Sequence[Demand], pools: Sequence[Pool], now: float) -> list[Resize]:
    """Return what every pool should come to, one entry a pool.

    Those who are here, or start, do what they can; for the rest workers are started in the
    pools that each job can use, in its order.

    Args:
        demand: the work.
        pools: what there is to do it, the one to use first at the front.
        now: monotonic time, on the clock of `Pool.last_failure_at`.
    """
    shares = {pool.name: _Share.of(pool, demand) for pool in pools}
    # What can be done in few places is shared out first: those who do it are not free then.
    jobs = sorted(demand, key=lambda job: len(shares) if job.pools is None else len(job.pools))
    lefts = [_hand_out(job, shares) for job in jobs]
    seconds = _seconds_left(jobs, shares)
    for job, left in zip(jobs, lefts, strict=True):
        names = _names(job, shares)
        for name in names:
            if left:
                too_late = seconds[names] < shares[name].pool.boot_seconds
                left = shares[name].take(left, now, too_late=too_late)
    return [share.resize(now) for share in shares.values()]


def retry_seconds(failed_starts: int) -> float:
    """Return how long to wait after so many failed starts in a row."""
    if failed_starts == 0:
        return 0.0
    return min(RETRY_LAST_SECONDS, RETRY_FIRST_SECONDS * 2.0 ** min(failed_starts - 1, 16))


@dataclass(slots=True)
class _Share:
    """What one pool is to do of all that there is."""

    pool: Pool
    fit: int
    """Workers that memory is enough for."""
    asked: int = 0
    """Tasks that came to this pool, done here or not."""
    busy: int = 0
    """Workers, here or starting, that there is work for."""
    wanted_more: int = 0
    """Workers beyond those, whether they may be started now or not."""
    reason: str = ""

    @classmethod
    def of(cls, pool: Pool, demand: Sequence[Demand]) -> _Share:
        return cls(pool, _fit_in_memory(demand, pool))

    @property
    def here(self) -> int:
        return self.pool.workers + self.pool.starting

    @property
    def limit(self) -> int:
        """How many there may be if some are started."""
        return 0 if self.pool.trouble else self.ceiling

    @property
    def ceiling(self) -> int:
        """How many may be here; where none can be started, those who are may stay."""
        pool = self.pool
        if pool.trouble:
            return self.fit
        return min(pool.maximum if pool.scale is None else pool.scale, self.fit)

    @property
    def leaving(self) -> int:
        """Those who leave and have a machine each, which somebody pays for until they are gone."""
        return 0 if self.pool.is_shared else self.pool.leaving

    def hand_out(self, tasks: int) -> int:
        """Give work to workers that are here, and return what is left of it."""
        taken = max(0, min(tasks, min(self.here, self.ceiling) - self.busy))
        self.busy += taken
        self.asked += taken
        return tasks - taken

    def take(self, tasks: int, now: float, *, too_late: bool) -> int:
        """Want workers for more work, and return what of it another pool has to do."""
        pool = self.pool
        self.asked += tasks
        room = max(0, self.limit - self.here - self.leaving - self.wanted_more)
        taken = min(tasks, room)
        if taken < tasks:
            self.reason = self._what_limits()
        if taken and too_late:
            self.reason = "a new worker would come too late"
            return tasks
        if taken and now < pool.out_of_stock_until:
            self.reason = self._out_of_stock(now)
            return tasks
        self.wanted_more += taken
        if _is_waiting(pool, now) and pool.failed_starts >= FAILED_STARTS_PASSED_ON:
            return tasks
        return tasks - taken

    def resize(self, now: float) -> Resize:
        """Return what becomes of the pool."""
        pool, wanted = self.pool, self.busy + self.wanted_more
        reason = self.reason or f"{self.asked} tasks"
        if pool.scale is not None:
            wanted, reason = self.limit, f"set to {pool.scale} by hand"
        elif wanted < (floor := min(pool.minimum, self.limit)):
            wanted, reason = floor, f"the minimum is {pool.minimum}"
        # Those who leave still take memory, so nobody is started in their place yet.
        most = self.fit if pool.is_shared else max(pool.maximum, pool.scale or 0)
        start = max(0, min(wanted, most - pool.leaving) - self.here)
        if start and now < pool.out_of_stock_until:
            start, reason = 0, self._out_of_stock(now)
        elif start and _is_waiting(pool, now):
            start, reason = 0, "the last worker was of no use; waiting before the next try"
        elif pool.in_doubt and start > (few := max(0, max(1, pool.workers) - pool.starting)):
            start, reason = few, "the last worker was of no use; a few are tried before many"
        drain = max(0, pool.workers - self.ceiling)
        over = max(0, self.here - drain - wanted)
        return Resize(
            pool.name,
            max(wanted, self.here - drain - over),
            start,
            drain,
            self._threads(wanted),
            pool.trouble or reason,
            release=min(pool.idle, max(0, pool.workers - drain - wanted)),
            surplus=min(pool.starting, over),
        )

    def _threads(self, wanted: int) -> int:
        cores = math.floor(self.pool.cores)
        return max(1, cores // max(1, wanted) if self.pool.is_shared else cores)

    def _what_limits(self) -> str:
        pool = self.pool
        if self.fit < (pool.maximum if pool.scale is None else pool.scale):
            return f"memory is enough for {self.fit}"
        return pool.trouble or f"the maximum is {pool.maximum}"

    def _out_of_stock(self, now: float) -> str:
        left = self.pool.out_of_stock_until - now
        return f"there was no machine to be had; tried again in {left:.0f} s"


def _names(job: Demand, shares: dict[str, _Share]) -> tuple[str, ...]:
    names = shares if job.pools is None else job.pools
    return tuple(name for name in names if name in shares)


def _hand_out(job: Demand, shares: dict[str, _Share]) -> int:
    left = job.tasks
    for name in _names(job, shares):
        left = shares[name].hand_out(left)
    return left


def _is_waiting(pool: Pool, now: float) -> bool:
    return now - pool.last_failure_at < retry_seconds(pool.failed_starts)


def _fit_in_memory(demand: Sequence[Demand], pool: Pool) -> int:
    """Return how many renders fit side by side; one is always tried."""
    if not pool.is_shared:
        return max(pool.maximum, pool.minimum, pool.scale or 0, pool.workers + pool.starting)
    need = max(
        (
            job.peak_memory_bytes or UNMEASURED_MEMORY_BYTES
            for job in demand
            if job.tasks and job.suits(pool.name)
        ),
        default=UNMEASURED_MEMORY_BYTES,
    )
    return max(1, math.floor(pool.memory_bytes * MEMORY_SHARE / need))


def _seconds_left(
    jobs: Sequence[Demand], shares: dict[str, _Share]
) -> dict[tuple[str, ...], float]:
    """Return pools → after how long those who are there are through with what is ready for them.

    Infinite where nobody is there, or nobody knows.
    """
    work: dict[tuple[str, ...], float] = {}
    for job in jobs:
        names = _names(job, shares)
        each = math.inf if job.task_seconds is None else job.task_seconds
        # Nothing is ready: nothing to wait for, however long.
        work[names] = work.get(names, 0.0) + (job.tasks_ready * each if job.tasks_ready else 0.0)
    left = {}
    for names in work:
        here = sum(shares[name].here for name in names)
        rivals = sum(seconds for others, seconds in work.items() if {*others} & {*names})
        left[names] = rivals / here if here else math.inf
    return left
