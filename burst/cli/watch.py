"""``burst watch`` and ``burst download``: come back to a job."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from burst.cli import console, options, words
from burst.cli.settings import farm_settings, where_typed
from burst.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from burst.config.farm import FarmSettings
    from burst.operations.download import Published
    from burst.operations.frames import FrameFolder
    from burst.protocol.messages import OutputFile


def watch(
    job: options.Job,
    output: options.Output = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Watch a job to its end and bring its frames."""
    from burst.cli.waiting import Wait, wait_for
    from burst.operations.frames import output_of
    from burst.operations.jobs import ask_farm, find_job
    from burst.operations.reach import storage_from_here

    settings = farm_settings(state_dir, local=local)
    found, storage_url, url = ask_farm(
        settings,
        console.tell,
        lambda farm, client: (
            find_job(client, job),
            storage_from_here(settings, client.status()),
            farm.console_url,
        ),
    )
    folder = output_of(found.output, found.name, output)
    wait_for(Wait(found, settings, url, storage_url, folder, state_dir), json=json)


def download(
    job: options.Job,
    output: options.Output = None,
    follow: options.Follow = False,
    storage: options.Storage = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Bring the frames of a job that are done, and what else it made.

    A file that is there already is not brought again, and one that you have changed stays.
    With --storage from the storage alone, with no farm anywhere.
    """
    from burst.operations import download as downloads
    from burst.storage.storage import ready_to_fetch

    settings = farm_settings(state_dir, storage=storage, local=local)
    is_alone = downloads.must_be_read_alone(settings, is_storage_typed=storage is not None)
    if follow and not is_alone:
        watch(job, output, local, state_dir, json)
        return
    with ready_to_fetch(settings.storage_url or ""):
        found = downloads.find_published(job, settings, console.tell, storage_only=is_alone)
        if follow:
            downloads.check_ended(found)
        again = _again(found.job_id, output, storage, where_typed(settings, state_dir))
        folder = _bring(found, settings, output, again)
    _tell_brought(found, folder, json=json)


def _bring(
    found: Published, settings: FarmSettings, output: Path | None, again: str
) -> FrameFolder:
    from burst.cli.bringing import bringing_progress
    from burst.operations.frames import FrameFolder, bring_all, output_of, with_way_back
    from burst.storage.storage import open_storage

    place = output_of(found.output, found.name, output)
    with bringing_progress() as tell:
        opened = open_storage(found.storage_url)
        folder = FrameFolder(place, opened, found.job_id, settings.state_dir, tell)
        try:
            bring_all(folder, _listing(found))
        except StorageError as error:
            raise with_way_back(error, f"go on with: {again}") from error
        except KeyboardInterrupt:
            console.tell()
            console.tell(f"what was brought stays, go on with: {again}")
            raise
    return folder


def _listing(found: Published) -> Callable[[], Sequence[OutputFile]]:
    """Return what lists the files: as they were found the first time, and then anew."""
    listings = itertools.chain([lambda: found.files], itertools.repeat(found.list_again))
    return lambda: next(listings)()


def _again(job: str, output: Path | None, storage: str | None, where: str) -> str:
    """Return what is to be typed to go on."""
    given = (("--output", output), ("--storage", storage))
    more = [part for name, value in given if value is not None for part in (name, str(value))]
    return shlex.join(["burst", "download", job, *more]) + where


def _tell_brought(found: Published, folder: FrameFolder, *, json: bool) -> None:
    from burst.cli.bringing import folder_notes
    from burst.operations.frames import Outcome
    from burst.operations.summary import results_as_json

    brought, kept = folder.count(Outcome.BROUGHT), folder.count(Outcome.KEPT)
    if json:
        console.emit(
            {
                "job": found.job_id,
                "status": found.status,
                "frame_count": found.frame_count,
                "frames_published": found.frames_published,
                "files_brought": brought,
                "files_kept": kept,
                "files_changed": folder.changed,
                "files_beside": sorted(folder.beside.values()),
                "results": results_as_json(found.results),
                "output": str(folder.folder),
            }
        )
        return
    there = f", {kept} {'was' if kept == 1 else 'were'} there" if kept else ""
    done = f"{found.extent} {'is' if found.extent.whole == 1 else 'are'} done"
    console.tell(f"{done}: {words.count(brought, 'file')} brought to {folder.folder}{there}")
    for note in folder_notes(folder):
        console.tell(f"note: {note}")
    if found.farm_runs and not found.files:
        console.tell(f"  wait for them: burst watch {found.job_id}")
    if not found.farm_runs and found.is_unfinished:
        console.tell(f"  no farm runs; to go on with the job: burst watch {found.job_id}")
