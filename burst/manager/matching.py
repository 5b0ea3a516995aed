"""Which worker may do which task: what it can do at all, and whether another should."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from burst.domain.pools import WorkerPool, larger_to_come
from burst.domain.transitions import TaskStatus
from burst.domain.turns import encodes
from burst.domain.workers import check_fit
from burst.errors import BurstError, ToolMissing
from burst.manager.index import JobEntry, WorkerEntry


def check_task(job: JobEntry, task: int, worker: WorkerEntry) -> None:
    """Check that a worker can do a task.

    To render it must have a Blender that fits, and to make a video of a scene's frames too:
    the sound is in the scene. Any other command needs no more than the program that it runs.

    Raises:
        BurstError: it can't; the message says why.
    """
    command = job.plan.command_task(task)
    if command is None:
        check_fit(job.requirements, worker.capabilities)
    elif encodes(command):
        if not worker.capabilities.ffmpeg:
            raise ToolMissing(f"task {command.name} makes a video, and the worker has no ffmpeg")
        if job.scene is not None:
            check_fit(job.requirements, worker.capabilities)


def find_problem(job: JobEntry, task: int, worker: WorkerEntry) -> str:
    """Return why a worker can't do a task; empty if it can."""
    try:
        check_task(job, task, worker)
    except BurstError as error:
        return error.message
    return ""


def can_do(job: JobEntry, task: int, worker: WorkerEntry) -> bool:
    """Say whether a worker can do a task."""
    return not find_problem(job, task, worker)


def can_render(job: JobEntry, worker: WorkerEntry) -> bool:
    """Say whether a worker can render frames of a job."""
    return job.plan.frame_task_count > 0 and can_do(job, 0, worker)


def next_task(
    job: JobEntry,
    worker: WorkerEntry,
    workers: Collection[WorkerEntry],
    pools: Collection[WorkerPool] = (),
) -> int | None:
    """Return the queued task of a job that a worker should be given, or None."""
    if can_render(job, worker):
        return job.board.next_queued(lambda task: may_take(job, task, worker, workers, pools))
    # There may be many frames that it can't render, and there are few commands.
    queued = job.command_tasks(TaskStatus.QUEUED)
    return next((task for task in queued if may_take(job, task, worker, workers, pools)), None)


def may_take(
    job: JobEntry,
    task: int,
    worker: WorkerEntry,
    workers: Iterable[WorkerEntry],
    pools: Iterable[WorkerPool] = (),
) -> bool:
    """Say whether a worker should be given a task that was touched before.

    One that failed goes to a worker that has not failed at it, if there is one that can do
    it; and after it ran out of memory, to one with more, if there is one, or can be started
    in one of ``pools``.
    """
    if not can_do(job, task, worker):
        return False
    failed_on = job.failed_on.get(task)
    if not failed_on:
        return True
    able = [w for w in workers if not w.draining and can_do(job, task, w)]
    others = [w for w in able if w.name not in failed_on]
    outgrown = job.outgrown.get(task, 0)
    is_small = 0 < outgrown >= worker.capabilities.memory_bytes
    if is_small and larger_to_come(pools, job.requirements, outgrown):
        return False
    larger = [w for w in others if w.capabilities.memory_bytes > outgrown] if outgrown else []
    return worker.name in {w.name for w in larger or others or able}


def queued_kinds(job: JobEntry) -> list[int]:
    """Return one queued task of each kind: those that render need the same of a worker."""
    queued = job.board.with_status(TaskStatus.QUEUED)
    first = next(queued, job.plan.frame_task_count)
    frames = [first] if first < job.plan.frame_task_count else []
    return [*frames, *job.command_tasks(TaskStatus.QUEUED)]


def why_useless(jobs: Iterable[JobEntry], worker: WorkerEntry) -> str:
    """Return why a worker can do nothing of what is queued; empty if it can, or nothing is."""
    reasons = []
    for job in jobs:
        for task in queued_kinds(job):
            problem = find_problem(job, task, worker)
            if not problem:
                return ""
            reasons.append(f"it can't take {job.task_label(task)} of {job.id}: {problem}")
    return reasons[0] if reasons else ""
