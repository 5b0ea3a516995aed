"""The work that there is, as the policy wants to know it. Pure: the index in, figures out."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from burst.domain.pools import WorkerPool, by_choice, larger_to_come
from burst.domain.transitions import TaskStatus
from burst.manager.autoscaler.policy import Demand
from burst.manager.index import Index, JobEntry


def demand_of(index: Index, pools: Collection[WorkerPool]) -> list[Demand]:
    """Return the work of all jobs; what has outgrown a worker is told for itself."""
    return [demand for job in index.jobs.values() for demand in _of_job(job, pools)]


def _of_job(job: JobEntry, pools: Collection[WorkerPool]) -> Iterator[Demand]:
    ready = job.board.count(TaskStatus.QUEUED) if job.claimable else 0
    active = job.board.count(TaskStatus.ACTIVE)
    for outgrown_bytes, statuses in _outgrown(job, pools).items():
        grown = (
            statuses.count(TaskStatus.QUEUED) if job.claimable else 0,
            statuses.count(TaskStatus.ACTIVE),
        )
        ready, active = ready - grown[0], active - grown[1]
        yield from _demand(job, *grown, pools, outgrown_bytes)
    yield from _demand(job, ready, active, pools, 0)


def _outgrown(job: JobEntry, pools: Collection[WorkerPool]) -> dict[int, list[TaskStatus]]:
    """Return memory that was too little → statuses of the tasks that it was too little for.

    Where there is no larger worker to be had, they are like any other.
    """
    found: dict[int, list[TaskStatus]] = {}
    is_larger: dict[int, bool] = {}
    for task, outgrown_bytes in job.outgrown.items():
        status = job.board.status(task)
        if status not in (TaskStatus.QUEUED, TaskStatus.ACTIVE):
            continue
        if outgrown_bytes not in is_larger:
            is_larger[outgrown_bytes] = larger_to_come(pools, job.requirements, outgrown_bytes)
        if is_larger[outgrown_bytes]:
            found.setdefault(outgrown_bytes, []).append(status)
    return found


def _demand(
    job: JobEntry,
    ready: int,
    active: int,
    pools: Collection[WorkerPool],
    outgrown_bytes: int,
) -> Iterator[Demand]:
    if not ready and not active:
        return
    mean = job.times.mean_seconds
    yield Demand(
        tasks_ready=ready,
        tasks_active=active,
        task_seconds=mean * job.plan.chunk if mean is not None else None,
        peak_memory_bytes=max(job.times.peak_memory_bytes, job.requirements.memory_bytes),
        pools=tuple(pool.name for pool in by_choice(pools, job.requirements, outgrown_bytes)),
    )
