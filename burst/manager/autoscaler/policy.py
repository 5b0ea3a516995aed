"""How many workers each pool should have. Pure: figures in, figures out.

A worker leaves by itself when it finds nothing to claim, so the policy mostly says how many
there should be at least, and nothing is killed to shrink. Only where the frames have turned
out to need more memory than was thought are workers drained.
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


@dataclass(frozen=True, slots=True)
class Demand:
    """Work of one job that can be handed out or is under way."""

    tasks_ready: int
    tasks_active: int
    task_seconds: float | None
    """Mean time of a task; None before the first is done."""
    peak_memory_bytes: int
    """Most that a frame of it took, or what the job asks for; 0 if neither is known."""


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
    cores: int
    memory_bytes: int
    boot_seconds: float
    """From start to first claim."""
    failed_starts: int
    """Workers in a row that ended before they registered, or came for nothing."""
    last_failure_at: float
    """Monotonic time of the last of them."""


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


def decide(demand: Sequence[Demand], pools: Sequence[Pool], now: float) -> list[Resize]:
    """Return what every pool should come to, in the order of preference of ``pools``.

    Args:
        demand: the work, one entry a job.
        pools: what there is to do it.
        now: monotonic time, on the clock of `Pool.last_failure_at`.
    """
    left = sum(job.tasks_ready + job.tasks_active for job in demand)
    resizes = []
    for pool in pools:
        resize = _resize(demand, pool, left, now)
        resizes.append(resize)
        left = max(0, left - resize.wanted)
    return resizes


def retry_seconds(failed_starts: int) -> float:
    """Return how long to wait after so many failed starts in a row."""
    if failed_starts == 0:
        return 0.0
    return min(RETRY_LAST_SECONDS, RETRY_FIRST_SECONDS * 2.0 ** min(failed_starts - 1, 16))


def _resize(demand: Sequence[Demand], pool: Pool, left: int, now: float) -> Resize:
    wanted, reason = left, f"{left} tasks"
    if wanted > pool.maximum:
        wanted, reason = pool.maximum, f"the maximum is {pool.maximum}"
    fit = _fit_in_memory(demand, pool)
    if wanted > fit:
        wanted, reason = fit, f"memory is enough for {fit}"
    here = pool.workers + pool.starting
    # Those who leave still take memory, so nobody is started in their place yet.
    if wanted > here > 0 and _done_before_boot(demand, pool, here):
        wanted, reason = here, "a new worker would come too late"
    start = max(0, min(wanted, fit - pool.leaving) - here)
    if start and now - pool.last_failure_at < retry_seconds(pool.failed_starts):
        start, reason = 0, "the last worker was of no use; waiting before the next try"
    drain = max(0, pool.workers - fit)
    threads = max(1, pool.cores // max(1, wanted))
    return Resize(pool.name, max(wanted, here - drain), start, drain, threads, reason)


def _fit_in_memory(demand: Sequence[Demand], pool: Pool) -> int:
    """Return how many renders fit side by side; one is always tried."""
    need = max(
        (
            job.peak_memory_bytes or UNMEASURED_MEMORY_BYTES
            for job in demand
            if job.tasks_ready + job.tasks_active
        ),
        default=UNMEASURED_MEMORY_BYTES,
    )
    return max(1, math.floor(pool.memory_bytes * MEMORY_SHARE / need))


def _done_before_boot(demand: Sequence[Demand], pool: Pool, here: int) -> bool:
    """Say whether the present workers are through before another one could help."""
    if any(job.task_seconds is None for job in demand if job.tasks_ready):
        return False
    seconds = sum(job.tasks_ready * (job.task_seconds or 0.0) for job in demand)
    return seconds / here < pool.boot_seconds
