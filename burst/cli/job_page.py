"""How one job reads: what it was asked to do, how far it is, and what went wrong."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator

from burst.cli import console, words
from burst.domain.commands import CommandTask, Copy, Echo, Encode, Exec, TaskCommand
from burst.domain.jobs import RenderSettings
from burst.domain.workers import FEATURE_NAMES, Requirements
from burst.operations.reasons import attempt_troubles, last_reason, subject_of
from burst.operations.summary import extent
from burst.protocol.artist_messages import JobView, TaskView

_REASON_WIDTH = 60


def print_job(job: JobView, tasks: Iterable[TaskView]) -> None:
    """Write all there is to say of a job to stdout."""
    reason = f" ({job.status_reason})" if job.status_reason else ""
    slowest = ""
    if job.slowest_frame is not None:
        slowest = f"{job.slowest_frame}, {words.duration(job.slowest_frame_seconds)}"
    rows = {
        "job": [job.id],
        "name": [job.name],
        "status": [f"{job.status}{reason}"],
        "frames": [job.frames],
        "done": [str(extent(job))],
        "scene": [f"{job.scene.name} {job.scene.version[:12]}" if job.scene else ""],
        "needs": [needs(job.requirements) if job.scene else ""],
        "changes": list(changes(job.settings)),
        "then" if job.scene else "does": [task_words(task) for task in job.commands],
        "priority": [str(job.priority)],
        "fails": ["with the first frame that is given up" if job.fail_fast else ""],
        "per frame": [words.duration(job.mean_frame_seconds, unknown="")],
        "slowest": [slowest],
        "eta": [words.duration(job.eta_seconds, unknown="")],
        "attempts": [", ".join(words.troubles(job))],
        "output": [job.output],
        "went wrong": [f"{status}: {one}" for status, one in attempt_troubles(tasks)],
    }
    for key, values in rows.items():
        label = f"{key}:"
        for value in filter(None, values):
            console.say(f"{label:<15}{value}")
            label = ""


def print_tasks(tasks: Iterable[TaskView]) -> None:
    """Write a line for each task that was attempted to stdout."""
    rows = []
    for task in tasks:
        last = task.attempts[-1] if task.attempts else None
        failed = str(task.status) == "failed"
        reason = last_reason(task) if failed else last.reason if last else ""
        rows.append(
            (
                str(task.index + 1),
                subject_of([task]),
                str(task.status),
                str(len(task.attempts)),
                last.worker if last else "-",
                _shortened(reason),
            )
        )
    console.table(("TASK", "WHAT", "STATUS", "TRIES", "WORKER", "REASON"), rows)


def needs(requirements: Requirements) -> str:
    """Return what a job asks of a worker."""
    parts = [requirements.engine, f"Blender {'.'.join(map(str, requirements.blender))}"]
    parts += [FEATURE_NAMES.get(feature, feature) for feature in requirements.features]
    if requirements.device != "auto":
        parts.append(f"on {requirements.device}")
    if requirements.memory_bytes:
        parts.append(f"{words.binary_size(requirements.memory_bytes)} of memory")
    return ", ".join(parts)


def changes(settings: RenderSettings) -> Iterator[str]:
    """Yield what a job changes in its scene, in the order in which it does."""
    for name, value in settings.model_dump(exclude_defaults=True, exclude={"properties"}).items():
        text = "" if value is True else f" {value}"
        yield f"{name.replace('_', ' ')}{text}"
    for path, value in settings.properties.items():
        yield f"{path} = {json.dumps(value, ensure_ascii=False)}"


def task_words(task: CommandTask) -> str:
    """Return what a command task does, and after what."""
    after = f", after {' and '.join(task.after)}" if task.after else ""
    return f"{task.name}: {'; '.join(map(command_words, task.commands))}{after}"


def command_words(command: TaskCommand) -> str:
    """Return one command for people."""
    if isinstance(command, Encode):
        return f"encode {command.name} ({command.codec}, {command.fps:g} frames a second)"
    if isinstance(command, Exec):
        return f"exec {shlex.join(command.argv)}"
    if isinstance(command, Copy):
        return f"copy {command.source} to {command.target}"
    if isinstance(command, Echo):
        return f"echo {command.text}"
    return f"sleep {command.seconds:g} s"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _REASON_WIDTH else f"{line[: _REASON_WIDTH - 1]}…"
