"""The life of an attempt: handed out, judged report by report, ended.

Here the attempt token is checked (`token_matches`), and only the current attempt of a task
can finish a frame of it. Each function decides on the index and returns what to write.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

from burst.domain.jobs import settled_status
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
from burst.protocol.worker_messages import (
    Assignment,
    AttemptEnded,
    FrameFinished,
    FramePublished,
    Report,
    Verdict,
)

DROP = Verdict(answer="drop")
DONE = Verdict(answer="done")


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
    return Assignment(
        attempt_id=attempt_id,
        token=token,
        job_id=job.id,
        job_name=job.name,
        task_index=task_index,
        frames=frames,
        scene=job.scene,
        settings=job.settings,
        requirements=job.requirements,
    )


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
    index: Index,
    attempt: AttemptEntry,
    outcome: AttemptStatus,
    reason: str,
    now: datetime,
    changes: Changes,
    peak_memory_bytes: int = 0,
) -> None:
    """End an attempt that has not finished all its frames, and decide on its task."""
    job = index.jobs[attempt.job_id]
    task = attempt.task_index
    failures = job.failures.get(task, 0)
    aftermath = after_attempt(outcome, failures, job.retry_limit)
    values: dict[str, object] = {"status": aftermath.status}
    if aftermath.counts_as_failure:
        job.retries += 1
        job.failures[task] = failures + 1
        job.failed_on.setdefault(task, set()).add(attempt.worker)
        job.times.peak_memory_bytes = max(job.times.peak_memory_bytes, peak_memory_bytes)
        values |= {"failures": failures + 1, "failed_on": sorted(job.failed_on[task])}
    elif outcome in (AttemptStatus.INTERRUPTED, AttemptStatus.LOST):
        job.interruptions += 1
    if job.board.status(task) is TaskStatus.ACTIVE:
        job.board.move(task, aftermath.status)
        changes.write(statements.put_task(job.id, task, **values))
    if aftermath.status is TaskStatus.QUEUED:
        changes.ready_tasks += 1
    index.drop_attempt(attempt)
    changes.write(
        statements.end_attempt(
            attempt.id, outcome, now, reason=reason, peak_memory_bytes=peak_memory_bytes
        )
    )
    changes.attempts_ended.append((job.id, attempt.id))
    changes.jobs.add(job.id)
    changes.workers.add(attempt.worker)
    level = "error" if aftermath.counts_as_failure else "warning"
    frames = _frames_text(attempt)
    changes.notes.append((job.id, level, f"{frames} {outcome} on {attempt.worker}: {reason}"))
    settle_job(index, job, now, changes)


def settle_job(index: Index, job: JobEntry, now: datetime, changes: Changes) -> None:
    """End the job if nothing of it is left to do, to publish or to wait for."""
    if job.ended or any(True for _ in job.unpublished):
        return
    board = job.board
    status = settled_status(
        board.count(TaskStatus.COMPLETED),
        board.count(TaskStatus.FAILED),
        board.count(TaskStatus.CANCELED),
        len(board),
    )
    if status is None:
        return
    job.status = check_move(JOB_MOVES, f"job {job.id}", job.status, status)
    job.ended_at = now
    failed = board.count(TaskStatus.FAILED)
    job.status_reason = f"{failed} of {len(board)} tasks failed" if failed else ""
    changes.write(
        statements.change_job(job.id, status=status, status_reason=job.status_reason, ended_at=now)
    )
    changes.jobs.add(job.id)
    changes.notes.append((job.id, "info", f"job {status}"))


def publish_frame(job: JobEntry, frame: int, index: Index, now: datetime, changes: Changes) -> None:
    """Note that a committed frame stands under its final name."""
    pending = job.pending.pop(frame)
    job.published_seq += 1
    job.published += 1
    changes.write(
        statements.put_frame(
            job.id,
            frame,
            status=FrameStatus.PUBLISHED,
            published_seq=job.published_seq,
            replaces={},
            **_frame_values(pending),
        )
    )
    changes.frames_published.append((job.id, frame))
    changes.jobs.add(job.id)
    settle_job(index, job, now, changes)


def lose_frame(
    index: Index, job: JobEntry, frame: int, reason: str, now: datetime, changes: Changes
) -> None:
    """Note that a committed frame can't be published: it has no result.

    If its task had ended well, that is open again, and it counts as a failure of it: what
    stands in the way may stand there for ever.
    """
    _take_back(job, frame, changes)
    changes.notes.append((job.id, "error", f"frame {frame} is lost: {reason}"))
    changes.jobs.add(job.id)
    task = job.plan.task_of(frame)
    if job.board.status(task) is not TaskStatus.COMPLETED:
        job.finished.get(task, set()).discard(frame)
        settle_job(index, job, now, changes)
        return
    if others := set(job.plan.frames_of(task)) - {frame}:
        job.finished[task] = others
    failures = job.failures[task] = job.failures.get(task, 0) + 1
    job.failed_on.setdefault(task, set())
    status = TaskStatus.FAILED if failures >= job.retry_limit else TaskStatus.QUEUED
    job.board.move(task, status)
    if job.status is JobStatus.CANCELED and status is TaskStatus.QUEUED:
        status = TaskStatus.CANCELED
        job.board.move(task, status)
    changes.write(statements.put_task(job.id, task, status=status, failures=failures))
    changes.ready_tasks += status is TaskStatus.QUEUED
    settle_job(index, job, now, changes)


def _take_back(job: JobEntry, frame: int, changes: Changes) -> None:
    """Undo the commit of a frame; what it was to replace is still to be replaced."""
    pending = job.pending[frame]
    if pending.replaces:
        pending.status = FrameStatus.REQUEUED
        changes.write(statements.put_frame_status(job.id, frame, pending.status, pending.replaces))
        return
    del job.pending[frame]
    changes.write(statements.delete_frame(job.id, frame))


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_matches(token_sha256: str, report: Report) -> bool:
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
    job.times.add(report.frame, report.render_seconds, report.peak_memory_bytes)
    attempt.missing.discard(report.frame)
    changes.write(
        statements.put_frame(
            job.id,
            report.frame,
            status=FrameStatus.COMMITTED,
            replaces=replaces,
            **_frame_values(pending),
        )
    )
    if worker := index.workers.get(attempt.worker):
        worker.frames_finished += 1
    for warning in report.warnings:
        changes.notes.append((job.id, "warning", f"frame {report.frame}: {warning}"))
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
    status = TaskStatus.QUEUED if job.missing_frames(task) else TaskStatus.COMPLETED
    job.board.move(task, status)
    if status is TaskStatus.COMPLETED:
        job.finished.pop(task, None)
    else:
        changes.ready_tasks += 1
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
    publish_frame(waiting[0], report.frame, index, now, changes)
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
    outcome = AttemptStatus(report.outcome)
    end(index, attempt, outcome, report.reason, now, changes, report.peak_memory_bytes)
    return DONE


def _frame_values(pending: PendingFrame) -> dict[str, object]:
    return {
        "attempt_id": pending.attempt_id,
        "worker": pending.worker,
        "files": [file.model_dump() for file in pending.files],
        "render_seconds": pending.render_seconds,
        "peak_memory_bytes": pending.peak_memory_bytes,
        "warnings": list(pending.warnings),
    }


def _frames_text(attempt: AttemptEntry) -> str:
    first, *rest = sorted(attempt.missing) or [0]
    return f"frames {first}-{rest[-1]}" if rest else f"frame {first}"
