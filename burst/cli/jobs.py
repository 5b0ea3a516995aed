"""``burst jobs``: list, look at and steer jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from burst.cli import console, options, words
from burst.cli.settings import farm_settings

if TYPE_CHECKING:
    from burst.config.farm import FarmSettings
    from burst.protocol.artist_messages import JobView, TaskView
    from burst.protocol.client import ManagerClient

app = typer.Typer(help="List, look at and steer jobs.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _jobs(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_jobs()


@app.command("list")
def list_jobs(
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """List all jobs, newest first."""
    from burst.operations.jobs import ask_farm, has_jobs
    from burst.operations.summary import extent

    settings = farm_settings(state_dir, local=local)
    jobs: tuple[JobView, ...] = ()
    if has_jobs(settings):
        jobs = ask_farm(settings, console.tell, lambda _, client: client.jobs())
    if json:
        console.emit([job.model_dump(mode="json") for job in jobs])
    elif not jobs:
        console.tell("there are no jobs")
    else:
        console.table(
            ("JOB", "STATUS", "DONE", "PRIORITY", "ETA", "SUBMITTED"),
            [
                (
                    job.id,
                    str(job.status),
                    words.share(extent(job)),
                    str(job.priority),
                    words.duration(job.eta_seconds),
                    f"{job.created_at.astimezone():%Y-%m-%d %H:%M}",
                )
                for job in jobs
            ],
        )


@app.command("show")
def show(
    job: options.Job,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Show one job, with what went wrong in it."""
    found, tasks = _job_and_tasks(job, farm_settings(state_dir, local=local))
    if json:
        shown = found.model_dump(mode="json")
        console.emit({**shown, "attempted": [task.model_dump(mode="json") for task in tasks]})
        return
    from burst.cli.job_page import print_job

    print_job(found, tasks)


@app.command("tasks")
def list_tasks(
    job: options.Job,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """List the tasks of a job that were begun, with what went wrong in them."""
    found, tasks = _job_and_tasks(job, farm_settings(state_dir, local=local))
    if json:
        console.emit([task.model_dump(mode="json") for task in tasks])
        return
    if tasks:
        from burst.cli.job_page import print_tasks

        print_tasks(tasks)
    waiting = found.tasks.queued + found.tasks.waiting
    if waiting:
        console.tell(f"{words.count(waiting, 'task')} to be done")


@app.command("cancel")
def cancel(
    job: options.Job,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Stop a job for good; frames that are done stay."""
    _act(job, "cancel", farm_settings(state_dir, local=local), json=json)


@app.command("pause")
def pause(
    job: options.Job,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Hand out nothing more of a job; what is being rendered goes on to its end."""
    _act(job, "pause", farm_settings(state_dir, local=local), json=json)


@app.command("resume")
def resume(
    job: options.Job,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Go on with a paused job."""
    _act(job, "resume", farm_settings(state_dir, local=local), json=json)


@app.command("requeue")
def requeue(
    job: options.Job,
    frames: Annotated[
        str | None,
        typer.Option(
            "--frames",
            metavar="RANGE",
            help="Such as 1-48, or 1,3,7-20x2. [default: all that failed or were canceled]",
            show_default=False,
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="What failed or was canceled; without --frames too.")
    ] = False,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Render frames again: those named, or all that failed or were canceled."""
    from burst.domain.frames import FrameRange
    from burst.errors import UsageError
    from burst.operations.jobs import ask_farm, find_job
    from burst.protocol.artist_messages import Requeue

    if failed and frames is not None:
        raise UsageError("--failed and --frames exclude each other")
    wanted = None if frames is None else str(FrameRange.parse(frames))
    changed = ask_farm(
        farm_settings(state_dir, local=local),
        console.tell,
        lambda _, client: client.requeue(find_job(client, job).id, Requeue(frames=wanted)),
    )
    _print_change(changed, json=json)


@app.command("priority")
def priority(
    job: options.Job,
    value: Annotated[int, typer.Argument(metavar="0-100", min=0, max=100, show_default=False)],
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Change the priority of a job; higher goes first."""
    from burst.operations.jobs import ask_farm, find_job

    changed = ask_farm(
        farm_settings(state_dir, local=local),
        console.tell,
        lambda _, client: client.set_priority(find_job(client, job).id, value),
    )
    _print_change(changed, json=json)


@app.command("delete")
def delete(
    job: options.Job,
    yes: options.Yes = False,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Delete an ended job, with its frames and logs in the storage.

    Frames that were brought to a folder stay there.
    """
    from burst.operations.jobs import ask_farm, find_job

    settings = farm_settings(state_dir, local=local)
    found = ask_farm(settings, console.tell, lambda _, client: find_job(client, job))
    frames = words.count(found.frames_published, "frame")
    console.confirm(f"Delete job {found.id} with {frames} in the storage?", yes=yes)
    ask_farm(settings, console.tell, lambda _, client: client.delete_job(found.id))
    if json:
        console.emit({"job": found.id, "deleted": True})
    else:
        console.tell(f"job {found.id} is deleted")


def _job_and_tasks(job: str, settings: FarmSettings) -> tuple[JobView, tuple[TaskView, ...]]:
    from burst.operations.jobs import ask_farm, find_job

    def ask(_: object, client: ManagerClient) -> tuple[JobView, tuple[TaskView, ...]]:
        found = find_job(client, job)
        return found, client.tasks(found.id)

    return ask_farm(settings, console.tell, ask)


def _act(
    job: str,
    action: Literal["cancel", "pause", "resume"],
    settings: FarmSettings,
    *,
    json: bool,
) -> None:
    from burst.operations.jobs import ask_farm, find_job

    changed = ask_farm(
        settings, console.tell, lambda _, client: client.act(find_job(client, job).id, action)
    )
    _print_change(changed, json=json)


def _print_change(job: JobView, *, json: bool) -> None:
    if json:
        console.emit(job.model_dump(mode="json"))
        return
    from burst.operations.summary import extent

    console.tell(f"job {job.id} is {job.status}, priority {job.priority}, {extent(job)} done")
