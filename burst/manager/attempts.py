"""The life of an attempt: handed out, judged report by report, ended.

Here the attempt token is checked (`token_matches`), and only the current attempt of a task
can finish a frame of it. Each function decides on the index and returns what to write.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from burst.domain.frames import is_frame
from burst.domain.tasks import after_attempt
from burst.domain.transitions import (
    JOB_MOVES,
    AttemptStatus,
    FrameStatus,
    JobStatus,
    TaskStatus,
    check_move,
)
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.index import AttemptEntry, Index, JobEntry, PendingFrame, WorkerEntry
from burst.manager.outcomes import (
    frame_values,
    give_up_job,
    publish_frame,
    reopened,
    settle_job,
)
from burst.protocol.worker_messages import (
    AskInputs,
    Assignment,
    AttemptEnded,
    FrameFinished,
    FramePublished,
    Report,
    Verdict,
)

DROP = Verdict(answer="drop")
DONE = Verdict(answer="done")


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended that has not finished all its frames."""

    outcome: AttemptStatus
    reason: str
    peak_memory_bytes: int = 0
    gives_up: Literal["task", "job"] | None = None
    """What no other try can save; of an interruption it means nothing."""


def grant(
    index: Index,
    job: JobEntry,
    task_index: int,
    worker: WorkerEntry,
    claim: int,
    now: datetime,
    changes: Changes,
) -> Assignment:
    """Hand a queued task to a worker, as a new attempt with a token of its own."""
    attempt_id, token = secrets.token_hex(8), secrets.token_urlsafe(24)
    frames = job.missing_frames(task_index)
    entry = AttemptEntry(
        id=attempt_id,
        job_id=job.id,
        task_index=task_index,
        worker=worker.name,
        session=worker.session,
        token_sha256=digest(token),
        missing=set(frames),
        started_at=now,
        claim=claim,
    )
    index.attempts[attempt_id] = entry
    worker.attempts.add(attempt_id)
    job.board.move(task_index, TaskStatus.ACTIVE)
    changes.write(
        statements.put_task(job.id, task_index, status=TaskStatus.ACTIVE),
        statements.add_attempt(
            {
                "id": attempt_id,
                "job_id": job.id,
                "task_index": task_index,
                "worker": worker.name,
                "session": worker.session,
                "token_sha256": entry.token_sha256,
                "status": AttemptStatus.ACTIVE,
                "started_at": now,
            }
        ),
    )
    if job.status is JobStatus.QUEUED or job.started_at is None:
        # A job that was canceled before its first claim is active again by a requeue.
        if job.status is not JobStatus.ACTIVE:
            job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, JobStatus.ACTIVE)
        job.started_at = job.started_at or now
        changes.write(statements.change_job(job.id, status=job.status, started_at=job.started_at))
        changes.jobs.add(job.id)
    changes.workers.add(worker.name)
    command = job.plan.command_task(task_index)
    return Assignment(
        attempt_id=attempt_id,
        token=token,
        job_id=job.id,
        job_name=job.name,
        task_index=task_index,
        frames=_to_render(job, task_index, frames),
        scene=job.scene,
        settings=job.settings,
        requirements=job.requirements,
        task_name=command.name if command else "",
        commands=command.commands if command else (),
    )


def _to_render(job: JobEntry, task_index: int, missing: tuple[int, ...]) -> tuple[int, ...]:
    """Return what a worker renders to make frames that are missing: they, and what leads there.

    A simulation that is not baked is computed from frame to frame; a worker that began in the
    middle would make other pixels. Of frames that are there already the report is dropped.
    """
    if job.settings.unbaked != "render":
        return missing
    return tuple(frame for frame in job.plan.frames_of(task_index) if frame <= max(missing))


def judge(index: Index, report: Report, now: datetime, changes: Changes) -> Verdict | None:
    """Decide on one report.

    Returns:
        The verdict; or None where the index does not know and the database must be asked:
        the report is about a frame that may have been published long ago.
    """
    if isinstance(report, FrameFinished):
        return _finish_frame(index, report, now, changes)
    if isinstance(report, FramePublished):
        return _confirm_frame(index, report, now, changes)
    return _end_by_report(index, report, now, changes)


def end(
    index: Index, attempt: AttemptEntry, ending: Ending, now: datetime, changes: Changes
) -> None:
    """End an attempt that has not finished all its frames, and decide on its task."""
    job = index.jobs[attempt.job_id]
    task = attempt.task_index
    failures = job.failures.get(task, 0)
    given_up = ending.gives_up is not None
    aftermath = after_attempt(ending.outcome, failures, job.retry_limit, given_up=given_up)
    status = aftermath.status if aftermath.status is not TaskStatus.QUEUED else reopened(job)
    values: dict[str, object] = {"status": status}
    if aftermath.counts_as_failure:
        job.retries += 1
        job.times.peak_memory_bytes = max(job.times.peak_memory_bytes, ending.peak_memory_bytes)
        values |= _note_failure(index, job, attempt, ending.outcome)
    elif ending.outcome in (AttemptStatus.INTERRUPTED, AttemptStatus.LOST):
        job.interruptions += 1
    if job.board.status(task) is TaskStatus.ACTIVE:
        job.board.move(task, status)
        changes.write(statements.put_task(job.id, task, **values))
    if status is TaskStatus.QUEUED:
        changes.ready_tasks += 1
    level = "error" if aftermath.counts_as_failure else "warning"
    text = _close(index, attempt, ending, level, now, changes)
    if aftermath.status is TaskStatus.FAILED and (ending.gives_up == "job" or job.fail_fast):
        give_up_job(job, text, changes)
    settle_job(job, now, changes)


def withdraw(
    index: Index, attempt: AttemptEntry, reason: str, now: datetime, changes: Changes
) -> None:
    """Take a command task away from its worker: its turn is to come again."""
    job = index.jobs[attempt.job_id]
    job.board.move(attempt.task_index, TaskStatus.WAITING)
    changes.write(
        statements.put_task(job.id, attempt.task_index, status=TaskStatus.WAITING),
    )
    changes.wake_workers.add(attempt.worker)
    _close(index, attempt, Ending(AttemptStatus.CANCELED, reason), "warning", now, changes)


def _note_failure(
    index: Index, job: JobEntry, attempt: AttemptEntry, outcome: AttemptStatus
) -> dict[str, object]:
    """Remember that a task failed where it did, and return the columns that say so."""
    task = attempt.task_index
    job.failures[task] = job.failures.get(task, 0) + 1
    job.failed_on.setdefault(task, set()).add(attempt.worker)
    values: dict[str, object] = {
        "failures": job.failures[task],
        "failed_on": sorted(job.failed_on[task]),
    }
    worker = index.workers.get(attempt.worker)
    if outcome is AttemptStatus.OUT_OF_MEMORY and worker is not None:
        pool = index.pools.get(worker.pool)
        # A worker may say a little less than its pool: the next class is larger than both.
        memory_bytes = max(
            worker.capabilities.memory_bytes,
            pool.memory_bytes if pool and not pool.is_shared else 0,
        )
        job.outgrown[task] = max(job.outgrown.get(task, 0), memory_bytes)
        values["outgrown_bytes"] = job.outgrown[task]
    return values


def _close(
    index: Index,
    attempt: AttemptEntry,
    ending: Ending,
    level: str,
    now: datetime,
    changes: Changes,
) -> str:
    """Write down how an attempt ended, and return it in a sentence."""
    job = index.jobs[attempt.job_id]
    index.drop_attempt(attempt)
    changes.write(
        statements.end_attempt(
            attempt.id,
            ending.outcome,
            now,
            reason=ending.reason,
            peak_memory_bytes=ending.peak_memory_bytes,
        )
    )
    changes.attempts_ended.append((job.id, attempt.id))
    changes.jobs.add(job.id)
    changes.workers.add(attempt.worker)
    label = job.task_label(attempt.task_index, attempt.missing)
    outcome = ending.outcome.replace("_", " ")
    text = f"{label} {outcome} on {attempt.worker}: {ending.reason}"
    changes.notes.append((job.id, level, text))
    return text


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_matches(token_sha256: str, report: Report | AskInputs) -> bool:
    """Say whether a report shows the token that its attempt was handed out with."""
    return hmac.compare_digest(token_sha256, digest(report.token))


def _finish_frame(
    index: Index, report: FrameFinished, now: datetime, changes: Changes
) -> Verdict | None:
    attempt = index.attempts.get(report.attempt_id)
    if (
        attempt is not None
        and token_matches(attempt.token_sha256, report)
        and report.frame in attempt.missing
    ):
        return _commit_frame(index, attempt, report, now, changes)
    if (waiting := _waiting(index, report)) is not None:
        # Our answer to the first such report was lost: say it again.
        return Verdict(answer="publish", replaces=waiting[1].replaces)
    return None


def _commit_frame(
    index: Index, attempt: AttemptEntry, report: FrameFinished, now: datetime, changes: Changes
) -> Verdict:
    job = index.jobs[attempt.job_id]
    former = job.pending.get(report.frame)
    replaces = former.replaces if former else {}
    pending = PendingFrame(
        status=FrameStatus.COMMITTED,
        attempt_id=attempt.id,
        token_sha256=attempt.token_sha256,
        worker=attempt.worker,
        session=attempt.session,
        files=report.files,
        replaces=replaces,
        render_seconds=report.render_seconds,
        peak_memory_bytes=report.peak_memory_bytes,
        warnings=report.warnings,
    )
    job.pending[report.frame] = pending
    if is_frame(report.frame):
        job.times.add(report.frame, report.render_seconds, report.peak_memory_bytes)
        if worker := index.workers.get(attempt.worker):
            worker.frames_finished += 1
    attempt.missing.discard(report.frame)
    changes.write(
        statements.put_frame(
            job.id,
            report.frame,
            status=FrameStatus.COMMITTED,
            replaces=replaces,
            **frame_values(pending),
        )
    )
    for warning in report.warnings:
        changes.notes.append((job.id, "warning", f"{job.result_label(report.frame)}: {warning}"))
    job.finished.setdefault(attempt.task_index, set()).add(report.frame)
    if not attempt.missing:
        _complete(index, job, attempt, report.peak_memory_bytes, now, changes)
    return Verdict(answer="publish", replaces=replaces)


def _complete(
    index: Index,
    job: JobEntry,
    attempt: AttemptEntry,
    peak_memory_bytes: int,
    now: datetime,
    changes: Changes,
) -> None:
    task = attempt.task_index
    # A frame of an earlier attempt may have been lost while this one went on without it.
    status = reopened(job) if job.missing_frames(task) else TaskStatus.COMPLETED
    job.board.move(task, status)
    if status is TaskStatus.COMPLETED:
        job.finished.pop(task, None)
    changes.ready_tasks += status is TaskStatus.QUEUED
    index.drop_attempt(attempt)
    changes.write(
        statements.put_task(job.id, task, status=status),
        statements.end_attempt(
            attempt.id, AttemptStatus.COMPLETED, now, peak_memory_bytes=peak_memory_bytes
        ),
    )
    changes.jobs.add(job.id)
    changes.workers.add(attempt.worker)


def _confirm_frame(
    index: Index, report: FramePublished, now: datetime, changes: Changes
) -> Verdict | None:
    waiting = _waiting(index, report)
    if waiting is None:
        return None
    publish_frame(waiting[0], report.frame, now, changes)
    return DONE


def _waiting(
    index: Index, report: FrameFinished | FramePublished
) -> tuple[JobEntry, PendingFrame] | None:
    """Find the committed frame that a report is about, if this very attempt made it."""
    job = index.jobs.get(report.job_id)
    pending = job.pending.get(report.frame) if job else None
    if (
        job is not None
        and pending is not None
        and pending.status is FrameStatus.COMMITTED
        and pending.attempt_id == report.attempt_id
        and token_matches(pending.token_sha256, report)
    ):
        return job, pending
    return None


def _end_by_report(index: Index, report: AttemptEnded, now: datetime, changes: Changes) -> Verdict:
    attempt = index.attempts.get(report.attempt_id)
    if attempt is None or not token_matches(attempt.token_sha256, report):
        return DROP
    ending = Ending(
        AttemptStatus(report.outcome), report.reason, report.peak_memory_bytes, report.gives_up
    )
    end(index, attempt, ending, now, changes)
    return DONE
