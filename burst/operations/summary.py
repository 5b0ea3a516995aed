"""What a watched job came to: figures for the last lines, and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from burst.domain.transitions import JobStatus, TaskStatus
from burst.errors import BurstError, JobCanceled, JobFailed
from burst.protocol.artist_messages import JobView, TaskView

_REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that was given up."""

    frames: str
    reason: str
    """Of its last failed attempt."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One job, as it ended or was left."""

    job: JobView
    output: Path | None
    seconds: float | None
    failed: tuple[FailedTask, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        job = self.job
        return {
            "job": job.id,
            "name": job.name,
            "status": str(job.status),
            "frames": job.frames,
            "frame_count": job.frame_count,
            "frames_published": job.frames_published,
            "seconds": self.seconds,
            "seconds_per_frame": job.mean_frame_seconds,
            "slowest_frame": job.slowest_frame,
            "slowest_frame_seconds": job.slowest_frame_seconds,
            "retries": job.retries,
            "interruptions": job.interruptions,
            "failed": [{"frames": task.frames, "reason": task.reason} for task in self.failed],
            "output": str(self.output) if self.output is not None else None,
        }


def summarize(job: JobView, tasks: tuple[TaskView, ...], output: Path | None) -> Summary:
    """Put together what there is to say of a job.

    Args:
        job: as it is now.
        tasks: its tasks that were attempted, for what failed.
        output: where its frames were brought.
    """
    seconds = None
    if job.started_at is not None:
        seconds = ((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds()
    failed = tuple(
        FailedTask(task.frames, _last_reason(task))
        for task in tasks
        if task.status is TaskStatus.FAILED
    )
    return Summary(job, output, seconds, failed)


def error_of(summary: Summary) -> BurstError | None:
    """Return the error that an ended job means for the one who waited, or None."""
    job = summary.job
    if job.status is JobStatus.CANCELED:
        return JobCanceled(
            f"job {job.id} was canceled, {job.frames_published} of {job.frame_count} frames "
            "are done",
            hint=f"go on with it: burst jobs requeue {job.id}",
        )
    if job.status is not JobStatus.FAILED:
        return None
    lacking = job.frame_count - job.frames_published
    lines = [f"job {job.id} failed: {lacking} of {job.frame_count} frames are lacking"]
    lines += [f"  frame {task.frames}: {task.reason}" for task in summary.failed[:_REASONS_SHOWN]]
    if len(summary.failed) > _REASONS_SHOWN:
        lines.append(f"  and {len(summary.failed) - _REASONS_SHOWN} more")
    if not summary.failed and job.status_reason:
        lines.append(f"  {job.status_reason}")
    return JobFailed(
        "\n".join(lines),
        hint=f"see what Blender said: burst logs {job.id}; render them again: "
        f"burst jobs requeue {job.id}",
    )


def _last_reason(task: TaskView) -> str:
    reasons = [attempt.reason for attempt in task.attempts if attempt.reason]
    return reasons[-1] if reasons else "no reason was given"
