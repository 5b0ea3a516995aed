"""Waiting for a job on the terminal: watch it, sum it up, or leave it running."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from burst.cli import console, words
from burst.cli.bringing import folder_notes
from burst.cli.coming import telling_who_comes
from burst.cli.live import job_view
from burst.cli.settings import where_typed
from burst.config.farm import FarmSettings
from burst.domain.transitions import JobStatus
from burst.operations.frames import FrameFolder
from burst.operations.summary import Summary, error_of, extent, summarize
from burst.operations.watch import Touch, watch_job
from burst.protocol.artist_messages import JobView
from burst.storage.storage import open_storage


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for, and where it is."""

    job: JobView
    settings: FarmSettings
    url: str
    """Of the manager."""
    storage_url: str
    output: Path
    """Where its frames go."""
    state_dir: Path | None
    """As it was typed."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else ``--json`` prints."""


def wait_for(wait: Wait, *, json: bool) -> None:
    """Watch a job to its end, bring its frames, and say how it went.

    Ctrl-C leaves the job to itself and says how to come back.

    Raises:
        JobFailed: the job failed.
        JobCanceled: the job was canceled.
    """
    job = wait.job
    storage, state_dir = open_storage(wait.storage_url), wait.settings.state_dir
    if job.status is JobStatus.PAUSED:
        console.tell(f"note: the job is paused, go on with it: burst jobs resume {job.id}")
    try:
        with job_view() as view:
            folder = FrameFolder(wait.output, storage, job.id, state_dir, view.bring)
            touch = Touch(wait.settings, wait.url)
            # Workers of this machine are there at once.
            comers = (
                nullcontext() if wait.settings.is_local else telling_who_comes(job, touch, view)
            )
            with comers:
                state = watch_job(job, touch, folder, view)
    except KeyboardInterrupt:
        console.tell()
        console.tell(f"left: job {job.id} goes on in the background")
        console.ways_back(job.id, where_typed(wait.settings, wait.state_dir))
        if json:
            left = summarize(job, (), wait.output).as_json()
            console.emit({**left, **wait.extra, "detached": True})
        return
    results = state.results.values()
    summary = summarize(state.job, state.attempted or (), wait.output, results)
    for note in folder_notes(folder):
        console.tell(f"note: {note}")
    finish(replace(summary, beside=folder.beside), wait.extra, json=json)


def finish(summary: Summary, extra: Mapping[str, Any], *, json: bool) -> None:
    """Say how a job went.

    Raises:
        JobFailed: the job failed.
        JobCanceled: the job was canceled.
    """
    if json:
        console.emit({**summary.as_json(), **extra})
    for line in summary_lines(summary):
        console.tell(line)
    error = error_of(summary)
    if error is not None:
        raise error


def summary_lines(summary: Summary) -> list[str]:
    """Return the last words on a job."""
    job = summary.job
    took = "" if summary.seconds is None else f" in {words.duration(summary.seconds)}"
    lines = [f"{extent(job)}{took}"]
    if job.mean_frame_seconds is not None:
        lines[0] += f", {words.duration(job.mean_frame_seconds)} a frame"
    if job.slowest_frame is not None and job.frame_count > 1:
        slowest = words.duration(job.slowest_frame_seconds)
        lines[0] += f", slowest frame {job.slowest_frame} with {slowest}"
    troubles = words.troubles(job)
    if troubles:
        lines.append(", ".join(troubles))
    if summary.output is None:
        return lines
    if job.frames_published:
        lines.append(f"frames are in {summary.output}")
    for result in summary.results:
        lines += [f"{result.task}: {summary.path_of(file)}" for file in result.files]
    return lines
