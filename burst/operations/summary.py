"""What a watched job came to: figures for the last lines, and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from burst.domain.transitions import JobStatus, TaskStatus
from burst.errors import BurstError, JobCanceled, JobFailed
from burst.operations.reasons import last_reason, troubles

if TYPE_CHECKING:
    from burst.protocol.artist_messages import FrameView, JobView, TaskView
    from burst.protocol.messages import OutputFile

_REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """One job, as it ended or was left."""

    job: JobView
    output: Path | None
    seconds: float | None
    failed: tuple[TaskView, ...] = ()
    """Tasks that were given up."""
    results: tuple[FrameView, ...] = ()
    """What its command tasks made."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Where files lie, below ``output``, whose names other files there have."""

    def path_of(self, file: OutputFile) -> Path:
        """Return where a file was brought."""
        return (self.output or Path()) / self.beside.get(file.name, file.name)

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
            "failed": [
                {"task": task.name, "frames": task.frames, "reason": last_reason(task)}
                for task in self.failed
            ],
            "results": results_as_json(self.results),
            "output": str(self.output) if self.output is not None else None,
            "files_beside": sorted(self.beside.values()),
        }


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is to do, and how much is done: frames, or tasks where there are none."""

    done: int
    whole: int
    thing: Literal["frame", "task"]

    def __str__(self) -> str:
        return f"{self.done} of {self.whole} {self.thing}{'s' * (self.whole != 1)}"


def extent(job: JobView) -> Extent:
    """Return how far a job is."""
    if job.frame_count:
        return Extent(job.frames_published, job.frame_count, "frame")
    return Extent(job.tasks.completed, len(job.commands), "task")


class Result(Protocol):
    """What a command task made, as the manager or the storage lists it."""

    @property
    def task(self) -> str:
        """Its name."""
        ...

    @property
    def files(self) -> Sequence[OutputFile]:
        """What it published."""
        ...


def results_as_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return what command tasks made, for ``--json``."""
    return [
        {"task": result.task, "files": [file.name for file in result.files]} for result in results
    ]


def summarize(
    job: JobView,
    tasks: Iterable[TaskView],
    output: Path | None,
    results: Iterable[FrameView] = (),
) -> Summary:
    """Put together what there is to say of a job.

    Args:
        job: as it is now.
        tasks: its tasks that were attempted, for what failed.
        output: where its frames were brought.
        results: what its command tasks made.
    """
    seconds = None
    if job.started_at is not None:
        seconds = ((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds()
    failed = tuple(task for task in tasks if task.status is TaskStatus.FAILED)
    return Summary(job, output, seconds, failed, tuple(results))


def error_of(summary: Summary) -> BurstError | None:
    """Return the error that an ended job means for the one who waited, or None."""
    job = summary.job
    if job.status is JobStatus.CANCELED:
        return JobCanceled(
            f"job {job.id} was canceled, {extent(job)} are done",
            hint=f"go on with it: burst jobs requeue {job.id}",
        )
    if job.status is not JobStatus.FAILED:
        return None
    so_far = extent(job)
    if so_far.done == so_far.whole:
        lines = [f"job {job.id} failed, with all of {so_far.whole} {so_far.thing}s done"]
    else:
        lacking = f"{so_far.whole - so_far.done} of {so_far.whole} {so_far.thing}s"
        lines = [f"job {job.id} failed: {lacking} are lacking"]
    reasons = troubles((task, last_reason(task)) for task in summary.failed)
    lines += [f"  {trouble}" for trouble in reasons[:_REASONS_SHOWN]]
    if len(reasons) > _REASONS_SHOWN:
        lines.append(f"  and {len(reasons) - _REASONS_SHOWN} more reasons")
    if not reasons and job.status_reason:
        lines.append(f"  {job.status_reason}")
    again = f"try again: burst jobs requeue {job.id}"
    if job.status_reason.startswith("given up"):
        again = "mend that, and render the scene again"
    return JobFailed("\n".join(lines), hint=f"see what was said: burst logs {job.id}; {again}")
