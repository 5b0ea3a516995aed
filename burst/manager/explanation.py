"""Why a job is where it is, in sentences, most important first. Pure: the index in, text out.

A job that just runs needs no explanation, and has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from burst.domain.pools import why_unfit
from burst.domain.transitions import JobStatus, TaskStatus
from burst.manager import registry, turns
from burst.manager.index import Index, JobEntry, WorkerEntry
from burst.manager.matching import find_problem, may_take, queued_kinds
from burst.protocol.artist_messages import Explanation, PoolView, Reason

TASKS_MAX = 10
"""Tasks of one kind that are told of one by one."""

JOBS_MAX = 3
"""Jobs that go first and are named."""


def explain(
    index: Index,
    job: JobEntry,
    pools: Sequence[PoolView],
    storage_trouble: str = "",
    pools_trouble: str = "",
) -> Explanation:
    """Return why a job is where it is.

    Args:
        index: the farm's.
        job: the job.
        pools: the worker pools as the autoscaler sees them.
        storage_trouble: what keeps the manager from the storage, if anything does.
        pools_trouble: what keeps the autoscaler from its work, if anything does.
    """
    reasons = [
        *(_of_job(text) for text in _status(job)),
        *(_of_job(text) for text in _troubled_tasks(job)),
        *(_of_job(text) for text in _waiting_tasks(job)),
    ]
    if not job.ended or any(True for _ in job.unpublished):
        reasons += _troubles(index, storage_trouble)
    if job.claimable and job.board.count(TaskStatus.QUEUED):
        if not (pools or index.workers):
            text = f"no worker pool is known: {pools_trouble}".rstrip(": ")
            reasons.append(Reason(subject="pools", text=text))
        reasons += _queued(index, job, pools)
    return Explanation(job_id=job.id, reasons=tuple(reasons))


def _troubles(index: Index, storage_trouble: str) -> Iterator[Reason]:
    """Say what keeps manager and workers from going on, one worker for all with the same."""
    if storage_trouble:
        yield Reason(subject="storage", text=storage_trouble)
    told: dict[str, list[str]] = {}
    for worker in sorted(index.workers.values(), key=lambda worker: worker.name):
        if worker.trouble:
            told.setdefault(worker.trouble, []).append(worker.name)
    for text, names in told.items():
        yield Reason(subject=_some(names), text=f"waits: {text}")


def _of_job(text: str) -> Reason:
    return Reason(subject="job", text=text)


def _status(job: JobEntry) -> Iterator[str]:
    if job.ended and (job.given_up or not job.status_reason):
        yield f"it is {job.status}"
    elif job.ended:
        yield f"it is {job.status}: {job.status_reason}"
    if job.status is JobStatus.PAUSED:
        yield f"it is paused; let it go on with: burst jobs resume {job.id}"
    if job.given_up:
        active = job.board.count(TaskStatus.ACTIVE)
        rest = f"; {_tasks(active)} under way to the end" if active else ""
        yield f"it was {job.status_reason}{rest}"
    if job.board.count(TaskStatus.COMPLETED) and not job.ended:
        waiting = [job.result_label(number) for number, _ in sorted(job.unpublished)]
        left = job.board.count(TaskStatus.QUEUED) + job.board.count(TaskStatus.ACTIVE)
        if waiting and not left:
            yield f"{_some(waiting)} still to be published"


def _troubled_tasks(job: JobEntry) -> Iterator[str]:
    told = [task for task in sorted(job.failures) if _is_troubled(job, task)]
    for task in told[:TASKS_MAX]:
        failures, names = job.failures[task], sorted(job.failed_on.get(task, ()))
        where = f" on {', '.join(names)}" if names else ""
        text = f"{job.task_label(task)} failed {_times(failures)}{where}"
        if job.board.status(task) is TaskStatus.FAILED:
            text += " and is not tried again"
        else:
            text += f"; it is given up after {job.retry_limit}"
        if outgrown := job.outgrown.get(task):
            text += f"; {outgrown / 2**30:.1f} GiB of memory were too little"
        yield text
    if len(told) > TASKS_MAX:
        yield f"{len(told) - TASKS_MAX} more tasks failed"


def _is_troubled(job: JobEntry, task: int) -> bool:
    return job.board.status(task) not in (TaskStatus.COMPLETED, TaskStatus.CANCELED)


def _waiting_tasks(job: JobEntry) -> Iterator[str]:
    look = turns.Look(job)
    for number, command in enumerate(job.plan.commands):
        task = job.plan.frame_task_count + number
        status = job.board.status(task)
        awaited = look.awaited(command)
        if status is TaskStatus.WAITING:
            what = ", and ".join(one.text for one in awaited if one.state != "done")
            yield f"task {command.name} waits for {what}"
        elif status is TaskStatus.FAILED and task not in job.failures and not job.given_up:
            what = ", and ".join(one.text for one in awaited if one.state == "failed")
            if what:
                yield f"task {command.name} failed: it waits for {what}"


def _queued(index: Index, job: JobEntry, pools: Sequence[PoolView]) -> list[Reason]:
    """Say why queued tasks are not handed out."""
    kinds = queued_kinds(job)
    unable: list[Reason] = []
    able: list[WorkerEntry] = []
    for worker in sorted(index.workers.values(), key=lambda worker: worker.name):
        problems = [find_problem(job, task, worker) for task in kinds]
        if all(problems):
            texts = dict.fromkeys(text for text in problems if text)
            unable.append(Reason(subject=worker.name, text=f"can't take it: {'; '.join(texts)}"))
        else:
            able.append(worker)
    is_active = job.board.count(TaskStatus.ACTIVE) > 0
    reasons = []
    if not able:
        who = "no worker that is here can take it" if unable else "no worker is here"
        reasons.append(_of_job(f"{who}; {_tasks(job.board.count(TaskStatus.QUEUED))} queued"))
    if not is_active:
        reasons += [_of_job(text) for text in _jobs_first(index, job)]
        reasons += [_busy(index, job, kinds, worker) for worker in able]
    if not (able and is_active):
        reasons += [reason for pool in pools for reason in _pool(index, job, pool)]
    return reasons + unable


def _jobs_first(index: Index, job: JobEntry) -> Iterator[str]:
    jobs = index.claimable_jobs()
    ahead = jobs[: jobs.index(job)]
    if ahead:
        names = [f"{other.id} (priority {other.priority})" for other in ahead[:JOBS_MAX]]
        more = f" and {len(ahead) - JOBS_MAX} more" if len(ahead) > JOBS_MAX else ""
        yield f"jobs that go first: {', '.join(names)}{more}"


def _busy(index: Index, job: JobEntry, kinds: list[int], worker: WorkerEntry) -> Reason:
    """Say what a worker does that could take the job."""
    if worker.draining:
        return Reason(subject=worker.name, text="could take it, but is leaving")
    if worker.attempts:
        work = [index.attempts[attempt] for attempt in sorted(worker.attempts)]
        labels = [
            f"{index.jobs[a.job_id].task_label(a.task_index, a.missing)} of {a.job_id}"
            for a in work
        ]
        return Reason(subject=worker.name, text=f"could take it, and is busy with {_some(labels)}")
    here, pools = index.workers.values(), index.open_pools()
    if not any(may_take(job, task, worker, here, pools) for task in kinds):
        return Reason(subject=worker.name, text="failed at it; another worker is to try first")
    status = registry.status_of(worker)
    return Reason(subject=worker.name, text=f"could take it, and is {status}")


def _pool(index: Index, job: JobEntry, pool: PoolView) -> Iterator[Reason]:
    entry = index.pools.get(pool.name)
    if entry and entry.trouble:
        yield Reason(subject=pool.name, text=f"can't be used: {entry.trouble}")
        return
    if entry and (problem := why_unfit(entry, job.requirements)):
        yield Reason(subject=pool.name, text=f"can't do it: {problem}")
        return
    text = f"{pool.running} workers are here, {pool.starting} start, {pool.wanted} are wanted"
    yield Reason(subject=pool.name, text=text + (f" ({pool.reason})" if pool.reason else ""))
    if pool.waiting:
        yield Reason(subject=pool.name, text=f"of those that start {pool.waiting}")
    if pool.failure:
        yield Reason(subject=pool.name, text=f"the last worker was of no use: {pool.failure}")


def _tasks(count: int) -> str:
    return f"{count} task is" if count == 1 else f"{count} tasks are"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _some(labels: Iterable[str]) -> str:
    first = [*labels]
    more = f" and {len(first) - JOBS_MAX} more" if len(first) > JOBS_MAX else ""
    return ", ".join(first[:JOBS_MAX]) + more
