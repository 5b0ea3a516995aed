"""The workers that are here: they register, give signs of life, drain, leave, get lost.

Each function decides on the index and returns what to write. Leases live in memory: a
worker's attempts are leased for as long as it was heard of within `lease_seconds`, by the
manager's monotonic clock; after a restart of the manager every lease starts anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime

from burst.domain.transitions import AttemptStatus, WorkerStatus
from burst.errors import WorkerGone
from burst.manager import attempts
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import Index, WorkerEntry
from burst.protocol.worker_messages import Beat, RegisterWorker

BEATS_PER_SECOND_MAX = 200.0
"""All workers together beat at most this often; the interval grows with their number."""

LEASE_BEATS = 4
"""A lease outlives this many beats, so that a lost packet costs nothing."""


def beat_seconds(worker_count: int) -> float:
    """Return how often each of so many workers gives a sign of life."""
    return max(1.0, worker_count / BEATS_PER_SECOND_MAX)


def lease_length(setting_seconds: float, worker_count: int) -> float:
    """Return how long a silent worker keeps its attempts."""
    return max(setting_seconds, LEASE_BEATS * beat_seconds(worker_count))


def register(
    index: Index, message: RegisterWorker, now: datetime, monotonic: float, changes: Changes
) -> WorkerEntry:
    """Take a worker in; one of the same name that was known is gone."""
    if message.name in index.workers:
        remove(index, message.name, AttemptStatus.LOST, "it was started anew", now, changes)
    worker = WorkerEntry(
        name=message.name,
        session=secrets.token_hex(8),
        pool=message.pool,
        host=message.host,
        pid=message.pid,
        capabilities=message.capabilities,
        threads=message.threads,
        registered_at=now,
        seen=monotonic,
    )
    index.workers[worker.name] = worker
    changes.write(
        statements.put_worker(
            worker.name,
            session=worker.session,
            draining=False,
            facts=message.model_dump(mode="json"),
            registered_at=now,
        )
    )
    changes.workers.add(worker.name)
    return worker


def present(index: Index, name: str, session: str) -> WorkerEntry:
    """Return the worker of that session.

    Raises:
        WorkerGone: the manager does not know it, any more.
    """
    if not index.is_here(name, session):
        raise WorkerGone(f"worker {name} was given up by the manager")
    return index.workers[name]


def heard(
    index: Index,
    worker: WorkerEntry,
    message: Beat,
    now: datetime,
    monotonic: float,
    changes: Changes,
) -> None:
    """Take a sign of life, and give up attempts that the worker never received.

    Its reports must have been judged before: what they finish is not held any more.
    """
    worker.seen = monotonic
    if message.statistics is not None:
        worker.statistics = message.statistics
    if (message.progress, message.trouble) != (worker.progress, worker.trouble):
        worker.progress, worker.trouble = message.progress, message.trouble
        changes.workers.add(worker.name)
    for attempt_id in sorted(worker.attempts - set(message.holding)):
        attempt = index.attempts[attempt_id]
        if attempt.claim <= message.claims:
            reason = "the worker never received it"
            ending = attempts.Ending(AttemptStatus.INTERRUPTED, reason)
            attempts.end(index, attempt, ending, now, changes)


def stale_attempts(worker: WorkerEntry, holding: Collection[str]) -> tuple[str, ...]:
    """Return the attempts that a worker holds and should not: it is to stop rendering them.

    What it has rendered of them already is for the verdicts on its reports.
    """
    return tuple(attempt for attempt in holding if attempt not in worker.attempts)


def status_of(worker: WorkerEntry) -> WorkerStatus:
    """Return what a worker does."""
    if worker.draining:
        return WorkerStatus.DRAINING
    return WorkerStatus.BUSY if worker.attempts else WorkerStatus.IDLE


def drain(worker: WorkerEntry, changes: Changes) -> None:
    """Let a worker finish what it holds, and leave."""
    worker.draining = True
    changes.write(statements.change_worker(worker.name, draining=True))
    changes.workers.add(worker.name)
    changes.wake_workers.add(worker.name)


def remove(
    index: Index,
    name: str,
    outcome: AttemptStatus,
    reason: str,
    now: datetime,
    changes: Changes,
) -> None:
    """Forget a worker; what it held becomes ``outcome``: interrupted, lost, out of memory."""
    worker = index.workers[name]
    for attempt_id in sorted(worker.attempts):
        ending = attempts.Ending(outcome, reason)
        attempts.end(index, index.attempts[attempt_id], ending, now, changes)
    del index.workers[name]
    changes.write(statements.delete_worker(name))
    changes.workers.add(name)
    changes.wake_workers.add(name)


def lost_workers(index: Index, lease_seconds: float, monotonic: float) -> list[str]:
    """Return the workers whose last sign of life is older than their lease."""
    return [
        worker.name
        for worker in index.workers.values()
        if not worker.open_claims and monotonic - worker.seen > lease_seconds
    ]
