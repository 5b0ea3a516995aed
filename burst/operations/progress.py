"""What a watching command knows of a job: a pure reducer over events.

Events only say that something happened. Which frames are published is asked of the
manager (`frames after N`), so a missed, doubled or late event can do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from burst.domain.transitions import JOB_ENDED, JobStatus
from burst.protocol.artist_messages import (
    Event,
    FrameView,
    JobView,
    TaskView,
    WorkerView,
)

_TOLD_MOST = 200
"""Troubles that are remembered, and looked for in each that is new: each of a million frames may
have one."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, in words."""

    text: str
    kind: Literal["frame", "result", "change", "trouble"]
    """A frame is done, or the result of a command task; the job's status changed; or something
    went wrong."""


@dataclass(frozen=True, slots=True)
class WatchState:
    """One job as it is seen from outside."""

    job: JobView
    frames_seq: int = 0
    """Sequence number of the last published frame that was taken in."""
    events_seq: int = 0
    """Number of the last event that was seen; the manager answers an unknown one by `reset`."""
    workers: Mapping[str, WorkerView] = field(default_factory=dict)
    """Those that render this job at this moment."""
    results: Mapping[str, FrameView] = field(default_factory=dict)
    """What command tasks made, by their names."""
    told: tuple[str, ...] = ()
    """Troubles that were told last: a frame's come as events, and again with the frame."""
    frames_behind: bool = True
    """There may be published frames that were not asked for yet."""
    attempted: tuple[TaskView, ...] | None = None
    """Tasks of a failed job that were attempted."""
    all_behind: bool = True
    """Events were missed: everything is to be asked for anew."""

    @property
    def ended(self) -> bool:
        """Say whether there is nothing to wait for: the job has ended and all is known."""
        behind = self.frames_behind or self.all_behind or self.failures_behind
        return self.job.status in JOB_ENDED and not behind

    @property
    def failures_behind(self) -> bool:
        """Say whether the job failed, and why was not asked for yet."""
        return self.job.status is JobStatus.FAILED and self.attempted is None


def after_event(state: WatchState, event: Event) -> tuple[WatchState, tuple[Note, ...]]:
    """Return the state after an event, and what is worth telling of it."""
    state = replace(state, events_seq=event.seq)
    if event.kind == "reset":
        return replace(state, all_behind=True), ()
    if event.kind == "worker":
        return replace(state, workers=_with_worker(state, event)), ()
    if event.job_id is not None and event.job_id != state.job.id:
        return state, ()
    if event.kind == "frame":
        return replace(state, frames_behind=True), ()
    if event.kind == "job" and event.job is not None:
        return _after_job(state, event.job)
    if event.kind == "log" and event.log is not None and event.log.attempt_id is None:
        return _with_troubles(state, [event.log.text])
    return state, ()


def after_asking(
    state: WatchState, job: JobView, workers: Sequence[WorkerView]
) -> tuple[WatchState, tuple[Note, ...]]:
    """Return the state after job and workers were asked for anew."""
    busy = {worker.name: worker for worker in workers if _renders(worker, job.id)}
    state, notes = _after_job(state, job)
    return replace(state, workers=busy, all_behind=False), notes


def after_frames(
    state: WatchState, frames: Sequence[FrameView]
) -> tuple[WatchState, tuple[Note, ...]]:
    """Return the state after published frames were taken in."""
    newest = max((frame.published_seq or 0 for frame in frames), default=0)
    results = {frame.task: frame for frame in frames if frame.task}
    state = replace(
        state,
        frames_seq=max(newest, state.frames_seq),
        results={**state.results, **results},
        frames_behind=False,
    )
    notes: list[Note] = []
    for frame in frames:
        subject = frame.task or f"frame {frame.frame}"
        notes.append(_done(subject, frame))
        state, troubles = _with_troubles(state, [f"{subject}: {w}" for w in frame.warnings])
        notes += troubles
    return state, tuple(notes)


def _done(subject: str, frame: FrameView) -> Note:
    if not frame.task:
        took = f"{frame.render_seconds:.1f} s on {frame.worker}"
        return Note(f"{subject} done in {took}", "frame")
    files = ", ".join(file.name for file in frame.files)
    return Note(f"{subject}: {files} done" if files else f"{subject} done", "result")


def _with_troubles(state: WatchState, texts: Iterable[str]) -> tuple[WatchState, tuple[Note, ...]]:
    """Return what went wrong, as far as it was not told; a job repeats why it was given up."""
    new = [text for text in dict.fromkeys(texts) if not any(old in text for old in state.told)]
    if new:
        state = replace(state, told=(*state.told, *new)[-_TOLD_MOST:])
    return state, tuple(Note(text, "trouble") for text in new)


def after_losing_touch(state: WatchState) -> WatchState:
    """Return the state after the stream of events broke: nothing seen counts as current."""
    return replace(state, all_behind=True, frames_behind=True, workers={})


def _after_job(state: WatchState, job: JobView) -> tuple[WatchState, tuple[Note, ...]]:
    notes: tuple[Note, ...] = ()
    if job.status != state.job.status and job.status in (JobStatus.PAUSED, *JOB_ENDED):
        reason = job.status_reason
        for text in state.told:
            reason = reason.replace(text, "").rstrip(": ")
        said = f"job {job.id} is {job.status}"
        notes = (Note(f"{said}: {reason}" if reason else said, "change"),)
    ended_now = job.status in JOB_ENDED and state.job.status not in JOB_ENDED
    moved = job.frames_published != state.job.frames_published
    behind = state.frames_behind or ended_now or moved
    attempted = state.attempted if job.status is JobStatus.FAILED else None
    return replace(state, job=job, attempted=attempted, frames_behind=behind), notes


def _with_worker(state: WatchState, event: Event) -> dict[str, WorkerView]:
    workers = dict(state.workers)
    worker = event.worker
    if worker is not None and _renders(worker, state.job.id):
        workers[worker.name] = worker
    else:
        workers.pop(worker.name if worker is not None else event.worker_name or "", None)
    return workers


def _renders(worker: WorkerView, job_id: str) -> bool:
    return worker.progress is not None and worker.progress.job_id == job_id
