"""``burst render``, ``submit`` and ``upload``: from a .blend to a job, and to its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options, words
from burst.cli.bundles import unbundled
from burst.cli.render_options import RenderOptions
from burst.cli.settings import farm_settings, require_local
from burst.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from burst.config.farm import FarmSettings
    from burst.operations.check import CheckedRender
    from burst.operations.request import RenderRequest
    from burst.operations.submit import Submission
    from burst.protocol.artist_messages import Submitted
    from burst.scene.trace import SceneTrace
    from burst.scene.upload import Uploaded


@unbundled
def render(
    scene: options.Scene,
    *,
    local: options.Local = False,
    asked: RenderOptions,
    workers: options.Workers = None,
    blender: options.Blender = None,
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
    require_local(local, f"burst render {scene}")
    from burst.cli.waiting import Wait, wait_for

    settings = farm_settings(state_dir, workers, blender)
    checked, submission = _submit(asked.request(scene), settings)
    if detach:
        _leave(submission.submitted, state_dir, json=json)
        return
    wait = Wait(
        job=submission.submitted.job,
        settings=settings,
        url=submission.farm.address.console_url,
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
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Submit a scene for rendering, or a job file (.json), and print the id of the job.

    The same as render --detach: frames are brought by burst download.
    """
    require_local(local, f"burst submit {scene}")
    if scene.suffix.lower() == ".json":
        if asked != RenderOptions():
            raise UsageError(
                f"{scene} is a job file: it says itself what is to be done",
                hint="options that change a scene go with a .blend",
            )
        _submit_file(scene, farm_settings(state_dir, workers, blender), state_dir, json=json)
        return
    _, submission = _submit(asked.request(scene), farm_settings(state_dir, workers, blender))
    _leave(submission.submitted, state_dir, json=json)


def _submit_file(path: Path, settings: FarmSettings, state_dir: Path | None, *, json: bool) -> None:
    from burst.operations.job_file import read_job_file, submit_job_file

    submitted = submit_job_file(read_job_file(path), settings, console.tell)
    _leave(submitted, state_dir, json=json)


def upload(
    scene: options.Scene,
    name: options.Name = None,
    allow_missing: options.AllowMissing = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be uploaded.")
    ] = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Upload a scene with every file that it needs."""
    from burst.cli.progress import upload_progress
    from burst.operations.check import check_scene
    from burst.operations.submit import storage_in_use
    from burst.operations.submit import upload as upload_traced

    settings = farm_settings(state_dir)
    traced, notes = check_scene(scene, allow_missing=allow_missing or dry_run)
    for note in notes:
        console.tell(f"note: {note}")
    if dry_run:
        _print_trace(traced, json=json)
        return
    with upload_progress() as progress:
        uploaded = upload_traced(traced, name or scene.stem, storage_in_use(settings), progress)
    _print_upload(uploaded, json=json)


def _submit(request: RenderRequest, settings: FarmSettings) -> tuple[CheckedRender, Submission]:
    from burst.cli.progress import after_a_while, upload_progress
    from burst.operations.check import check_render
    from burst.operations.submit import submit_render

    with after_a_while("looking at the scene and at Blender"):
        checked = check_render(request, settings)
    for note in checked.notes:
        console.tell(f"note: {note}")
    with upload_progress() as progress:
        submission = submit_render(checked, settings, on_progress=progress, tell=console.tell)
    job = submission.submitted.job
    if submission.submitted.resumed:
        done = f"{job.frames_published} of {words.count(job.frame_count, 'frame')} are done"
        console.tell(f"job {job.id} does this already: going on with it, {done}")
    else:
        console.tell(f"job {job.id}: {words.count(job.frame_count, 'frame')} ({job.frames})")
    if not submission.farm.started and (settings.workers or settings.blender):
        console.tell("note: the farm runs already; its own Blender and number of workers are used")
    return checked, submission


def _leave(submitted: Submitted, state_dir: Path | None, *, json: bool) -> None:
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
    console.ways_back(job.id, state_dir)


def _print_trace(traced: SceneTrace, *, json: bool) -> None:
    sizes = [(file, file.path.stat().st_size) for file in traced.files]
    if json:
        console.emit(
            {
                "main": traced.main,
                "files": [{"name": file.relative, "size": size} for file, size in sizes],
                "missing": [file.name for file in traced.missing],
            }
        )
        return
    for file, size in sizes:
        console.say(f"{words.size(size):>10}  {file.relative}")
    total = words.size(sum(size for _, size in sizes))
    console.tell(f"{words.count(len(sizes), 'file')}, {total}")


def _print_upload(uploaded: Uploaded, *, json: bool) -> None:
    scene = uploaded.scene
    if json:
        console.emit(
            {
                "scene": scene.name,
                "version": scene.version,
                "files": uploaded.files,
                "bytes": uploaded.bytes,
                "sent_files": uploaded.sent_files,
                "sent_bytes": uploaded.sent_bytes,
            }
        )
        return
    console.say(f"{scene.name} {scene.version}")
    sent = f"{words.count(uploaded.sent_files, 'file')} sent, {words.size(uploaded.sent_bytes)}"
    whole = f"{words.count(uploaded.files, 'file')}, {words.size(uploaded.bytes)}"
    console.tell(f"{whole} in the storage; {sent}")
