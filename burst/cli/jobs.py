"""``burst jobs``: list, look at and steer jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from burst.cli import console, options, words
from burst.cli.settings import farm_settings

if TYPE_CHECKING:
    from pathlib import Path

    from burst.protocol.artist_messages import JobView

app = typer.Typer(help="List, look at and steer jobs.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _jobs(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_jobs(None, False)


@app.command("list")
def list_jobs(state_dir: options.StateDir = None, json: options.Json = False) -> None:
    """List all jobs, newest first."""
    from burst.operations.jobs import has_jobs, local_farm

    settings = farm_settings(state_dir)
    jobs: tuple[JobView, ...] = ()
    if has_jobs(settings):
        with local_farm(settings, console.tell) as (_, client):
            jobs = client.jobs()
    if json:
        console.emit([job.model_dump(mode="json") for job in jobs])
    elif not jobs:
        console.tell("there are no jobs")
    else:
        console.table(
            ("JOB", "STATUS", "FRAMES", "PRIORITY", "ETA", "SUBMITTED"),
            [
                (
                    job.id,
                    str(job.status),
                    f"{job.frames_published}/{job.frame_count}",
                    str(job.priority),
                    words.duration(job.eta_seconds),
                    f"{job.created_at.astimezone():%Y-%m-%d %H:%M}",
                )
                for job in jobs
            ],
        )


@app.command("show")
def show(job: options.Job, state_dir: options.StateDir = None, json: options.Json = False) -> None:
    """Show one job, with what went wrong in it."""
    from burst.operations.jobs import find_job, local_farm

    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        found = find_job(client, job)
        tasks = client.tasks(found.id)
    if json:
        shown = found.model_dump(mode="json")
        console.emit({**shown, "attempted": [task.model_dump(mode="json") for task in tasks]})
        return
    _print_job(found)
    for task in tasks:
        for attempt in task.attempts:
            if attempt.reason:
                console.say(
                    f"  frame {task.frames}: {attempt.status} on {attempt.worker}: {attempt.reason}"
                )


@app.command("cancel")
def cancel(
    job: options.Job, state_dir: options.StateDir = None, json: options.Json = False
) -> None:
    """Stop a job for good; frames that are done stay."""
    _act(job, "cancel", state_dir, json=json)


@app.command("pause")
def pause(job: options.Job, state_dir: options.StateDir = None, json: options.Json = False) -> None:
    """Hand out nothing more of a job; what is being rendered goes on to its end."""
    _act(job, "pause", state_dir, json=json)


@app.command("resume")
def resume(
    job: options.Job, state_dir: options.StateDir = None, json: options.Json = False
) -> None:
    """Go on with a paused job."""
    _act(job, "resume", state_dir, json=json)


@app.command("requeue")
def requeue(
    job: options.Job,
    frames: options.Frames = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="What failed or was canceled; without --frames too.")
    ] = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Render frames again: those named, or all that failed or were canceled."""
    from burst.domain.frames import FrameRange
    from burst.errors import UsageError
    from burst.operations.jobs import find_job, local_farm
    from burst.protocol.artist_messages import Requeue

    if failed and frames is not None:
        raise UsageError("--failed and --frames exclude each other")
    wanted = None if frames is None else str(FrameRange.parse(frames))
    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        found = find_job(client, job)
        changed = client.requeue(found.id, Requeue(frames=wanted))
    _print_change(changed, json=json)


@app.command("priority")
def priority(
    job: options.Job,
    value: Annotated[int, typer.Argument(metavar="0-100", min=0, max=100, show_default=False)],
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Change the priority of a job; higher goes first."""
    from burst.operations.jobs import find_job, local_farm

    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        changed = client.set_priority(find_job(client, job).id, value)
    _print_change(changed, json=json)


@app.command("delete")
def delete(
    job: options.Job,
    yes: options.Yes = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Delete an ended job, with its frames and logs in the storage.

    Frames that were brought to a folder stay there.
    """
    from burst.operations.jobs import find_job, local_farm

    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        found = find_job(client, job)
        frames = words.count(found.frames_published, "frame")
        console.confirm(f"Delete job {found.id} with {frames} in the storage?", yes=yes)
        client.delete_job(found.id)
    if json:
        console.emit({"job": found.id, "deleted": True})
    else:
        console.tell(f"job {found.id} is deleted")


def _act(
    job: str,
    action: Literal["cancel", "pause", "resume"],
    state_dir: Path | None,
    *,
    json: bool,
) -> None:
    from burst.operations.jobs import find_job, local_farm

    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        changed = client.act(find_job(client, job).id, action)
    _print_change(changed, json=json)


def _print_change(job: JobView, *, json: bool) -> None:
    if json:
        console.emit(job.model_dump(mode="json"))
        return
    done = f"{job.frames_published} of {words.count(job.frame_count, 'frame')} done"
    console.tell(f"job {job.id} is {job.status}, priority {job.priority}, {done}")


def _print_job(job: JobView) -> None:
    reason = f" ({job.status_reason})" if job.status_reason else ""
    slowest = ""
    if job.slowest_frame is not None:
        slowest = f"{job.slowest_frame}, {words.duration(job.slowest_frame_seconds)}"
    changes = {k: v for k, v in job.settings.model_dump().items() if v is not None}
    rows = {
        "job": job.id,
        "name": job.name,
        "status": f"{job.status}{reason}",
        "frames": f"{job.frames}, {job.frames_published} of {job.frame_count} done",
        "scene": f"{job.scene.name} {job.scene.version[:12]}" if job.scene else "",
        "needs": f"{job.requirements.engine}, Blender "
        + ".".join(map(str, job.requirements.blender)),
        "changes": ", ".join(f"{key} {value}" for key, value in changes.items()),
        "priority": str(job.priority),
        "per frame": words.duration(job.mean_frame_seconds, unknown=""),
        "slowest": slowest,
        "eta": words.duration(job.eta_seconds, unknown=""),
        "retries": str(job.retries),
        "interruptions": str(job.interruptions),
        "output": job.output,
    }
    for key, value in rows.items():
        if value:
            console.say(f"{key + ':':<15}{value}")
