"""``burst watch`` and ``burst download``: come back to a job."""

from __future__ import annotations

from burst.cli import console, options, words
from burst.cli.settings import farm_settings


def watch(
    job: options.Job,
    output: options.Output = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Watch a job to its end and bring its frames."""
    from burst.cli.waiting import Wait, wait_for
    from burst.operations.frames import output_of
    from burst.operations.jobs import find_job, local_farm

    settings = farm_settings(state_dir)
    with local_farm(settings, console.tell) as (farm, client):
        found = find_job(client, job)
        storage_url = client.status().storage_url
    folder = output_of(found.output, found.name, output)
    url = farm.address.console_url
    wait_for(Wait(found, settings, url, storage_url, folder, state_dir), json=json)


def download(
    job: options.Job,
    output: options.Output = None,
    follow: options.Follow = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Bring the frames of a job that are done."""
    if follow:
        watch(job, output, state_dir, json)
        return
    from burst.operations.frames import FrameFolder, output_of
    from burst.operations.jobs import find_job, local_farm
    from burst.operations.summary import extent, results_as_json
    from burst.storage.storage import open_storage

    with local_farm(farm_settings(state_dir), console.tell) as (_, client):
        found = find_job(client, job)
        published = client.frames(found.id)
        storage = open_storage(client.status().storage_url)
    folder = FrameFolder(output_of(found.output, found.name, output), storage, found.id)
    folder.bring(published)
    frames = [frame for frame in published if not frame.task]
    results = [frame for frame in published if frame.task]
    if json:
        console.emit(
            {
                "job": found.id,
                "status": str(found.status),
                "frame_count": found.frame_count,
                "frames_published": len(frames),
                "files_brought": folder.brought,
                "files_kept": folder.kept,
                "results": results_as_json(results),
                "output": str(folder.folder),
            }
        )
        return
    kept = f", {folder.kept} were there" if folder.kept else ""
    brought = f"{words.count(folder.brought, 'file')} brought to {folder.folder}{kept}"
    done = f"{len(frames)} of {words.count(found.frame_count, 'frame')}"
    console.tell(f"{done if found.frame_count else extent(found)} are done: {brought}")
    if not published:
        console.tell(f"  wait for them: burst watch {found.id}")
