"""``burst render`` and ``submit``: from a .blend to a job, and to its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options, words
from burst.cli.bundles import unbundled
from burst.cli.render_options import RenderOptions
from burst.cli.settings import farm_settings, require_farm, storage_typed, where_typed
from burst.cli.upload import going_on, tell_notes
from burst.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from burst.config.farm import FarmSettings
    from burst.operations.check import CheckedRender
    from burst.operations.request import RenderRequest
    from burst.operations.submit import Submission
    from burst.protocol.artist_messages import Submitted


@unbundled
def render(
    scene: options.Scene,
    *,
    local: options.Local = False,
    asked: RenderOptions,
    workers: options.Workers = None,
    blender: options.Blender = None,
    storage: options.Storage = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Do not wait: the job goes on by itself.")
    ] = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Render a scene and bring its frames.

    Frames, format and size are the scene's own unless an option says otherwise. Rendering
    the same again goes on where it stopped. Ctrl-C leaves the job running in the background.
    """
    from burst.cli.waiting import Wait, wait_for

    settings = farm_settings(state_dir, workers, blender, storage, local=local)
    require_farm(settings, local, f"burst render {scene}")
    checked, submission = _submit(asked.request(scene), settings)
    if detach:
        _leave(submission.submitted, where_typed(settings, state_dir), json=json)
        return
    wait = Wait(
        job=submission.submitted.job,
        settings=settings,
        url=submission.farm.console_url,
        storage_url=submission.status.storage_url,
        output=checked.output,
        state_dir=state_dir,
        extra={"resumed": submission.submitted.resumed},
    )
    wait_for(wait, json=json)


@unbundled
def submit(
    scene: options.Scene,
    *,
    local: options.Local = False,
    asked: RenderOptions,
    workers: options.Workers = None,
    blender: options.Blender = None,
    storage: options.Storage = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Submit a scene for rendering, or a job file (.json), and print the id of the job.

    The same as render --detach: frames are brought by burst download.
    """
    settings = farm_settings(state_dir, workers, blender, storage, local=local)
    require_farm(settings, local, f"burst submit {scene}")
    where = where_typed(settings, state_dir)
    if scene.suffix.lower() == ".json":
        if asked != RenderOptions():
            raise UsageError(
                f"{scene} is a job file: it says itself what is to be done",
                hint="options that change a scene go with a .blend",
            )
        _submit_file(scene, settings, where, json=json)
        return
    _, submission = _submit(asked.request(scene), settings)
    _leave(submission.submitted, where, json=json)


def _submit_file(path: Path, settings: FarmSettings, where: str, *, json: bool) -> None:
    from burst.operations.job_file import read_job_file, submit_job_file

    submitted = submit_job_file(read_job_file(path), settings, console.tell)
    _leave(submitted, where, json=json)


def _submit(request: RenderRequest, settings: FarmSettings) -> tuple[CheckedRender, Submission]:
    from burst.cli.progress import after_a_while, upload_progress
    from burst.operations.check import check_render
    from burst.operations.submit import Ears, submit_render

    with going_on():
        with after_a_while("looking at the scene and at Blender"):
            checked = check_render(request, settings)
        tell_notes(checked.trace, checked.notes)
        with upload_progress() as progress:
            ears = Ears(progress, console.tell)
            submission = submit_render(checked, settings, ears)
    job = submission.submitted.job
    if submission.submitted.resumed:
        done = f"{job.frames_published} of {words.count(job.frame_count, 'frame')} are done"
        console.tell(f"job {job.id} does this already: going on with it, {done}")
    else:
        console.tell(f"job {job.id}: {words.count(job.frame_count, 'frame')} ({job.frames})")
    if not submission.farm.started and (settings.workers or settings.blender):
        console.tell("note: the farm runs already; its own Blender and number of workers are used")
    used = submission.status.storage_url
    if storage_typed(settings.storage_url) not in (None, used):
        console.tell(f"note: the farm runs already; its own storage is used: {used}")
    return checked, submission


def _leave(submitted: Submitted, where: str, *, json: bool) -> None:
    job = submitted.job
    if json:
        console.emit(
            {
                "job": job.id,
                "name": job.name,
                "status": str(job.status),
                "resumed": submitted.resumed,
                "frames": job.frames,
                "frame_count": job.frame_count,
                "output": job.output,
            }
        )
        return
    console.say(job.id)
    console.ways_back(job.id, where)
