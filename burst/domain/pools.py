"""What the workers of a worker pool are like, and which work can go there before one is here.

A pool knows less than its workers: what a Blender was built with shows when one has started.
So a job that no worker of a pool could do is kept out here as far as the pool says, and told
by the worker itself for the rest (`burst.domain.workers`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from burst.domain.workers import BlenderVersion, Requirements

GIB = 2**30


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """One worker pool, as whoever runs the machines describes it."""

    name: str
    maximum: int
    """Most workers at a time."""
    cores: float
    """CPU cores of a worker, or of the machine that they share."""
    memory_bytes: int
    """Memory that a worker may take, or what they share; 0 is unknown."""
    boot_seconds: float
    """From the decision to start a worker to its first claim."""
    start_seconds: float
    """A worker that has not come after so long is given up."""
    minimum: int = 0
    """Workers that stay though there is nothing to do."""
    preference: int = 0
    """Pools with a smaller number are used first."""
    memory_class: int = 0
    """A larger one has more memory; work that outgrew a pool goes to the next class."""
    device: str = "auto"
    """``cpu`` or ``gpu``; ``auto``: the workers know."""
    blender: tuple[BlenderVersion, ...] = ()
    """Versions at a worker's hand; empty: the workers know."""
    spot: bool = False
    stock_out_seconds: float = 0.0
    """How long a pool is left alone when there was no machine to be had."""
    is_shared: bool = False
    """The workers share one machine's cores and memory; else each has its own."""
    trouble: str = ""
    """Why no worker can be started here, in a sentence; empty if they can."""


def why_unfit(pool: WorkerPool, needs: Requirements, outgrown_bytes: int = 0) -> str:
    """Return why no worker of a pool can do what a job needs; empty if one may.

    Args:
        pool: the pool.
        needs: of the job.
        outgrown_bytes: memory of the largest worker that was too small for it.
    """
    if needs.device != "auto" and pool.device != "auto":
        wanted = "cpu" if needs.device == "cpu" else "gpu"
        if wanted != pool.device:
            return f"its workers compute on {pool.device}, the job asks for {needs.device}"
    if pool.blender and not any(version >= needs.blender for version in pool.blender):
        saved, newest = (".".join(map(str, v)) for v in (needs.blender, max(pool.blender)))
        return f"the scene was saved by Blender {saved}, the newest there is {newest}"
    if pool.is_shared:
        return ""
    if 0 < pool.memory_bytes < needs.memory_bytes:
        asked, there = needs.memory_bytes / GIB, pool.memory_bytes / GIB
        return f"the job asks for {asked:.1f} GiB of memory, its workers have {there:.1f}"
    if outgrown_bytes and pool.memory_bytes <= outgrown_bytes:
        return f"{outgrown_bytes / GIB:.1f} GiB of memory were too little"
    return ""


def by_choice(
    pools: Iterable[WorkerPool], needs: Requirements, outgrown_bytes: int = 0
) -> list[WorkerPool]:
    """Return the pools that can do what a job needs, the one to use first at the front.

    Work that has outgrown a worker goes to the next memory class, not to the largest.
    """
    fit = [pool for pool in pools if not why_unfit(pool, needs, outgrown_bytes)]
    if outgrown_bytes:
        return sorted(fit, key=lambda pool: (pool.memory_class, pool.preference, pool.name))
    return sorted(fit, key=lambda pool: (pool.preference, pool.name))


def larger_to_come(pools: Iterable[WorkerPool], needs: Requirements, outgrown_bytes: int) -> bool:
    """Say whether a worker with more memory than was too little can be started somewhere."""
    return any(
        pool.maximum > 0 and not pool.trouble and not pool.is_shared
        for pool in by_choice(pools, needs, outgrown_bytes)
    )
