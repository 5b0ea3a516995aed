"""Bring a checked scene into the storage and make the job that renders it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from burst.config.farm import FarmSettings, default_cache_dir
from burst.domain.jobs import SceneRef
from burst.errors import ManagerUnreachable
from burst.operations.check import CheckedRender
from burst.operations.connect import open_client
from burst.operations.reach import Reached, reach_farm, storage_from_here, storage_in_use
from burst.protocol.artist_messages import FarmStatus, SubmitJob, Submitted
from burst.scene.hashing import Hasher
from burst.scene.trace import SceneTrace
from burst.scene.upload import Uploaded, Watcher, upload_scene
from burst.storage.storage import open_storage

_TRIES = 3
"""A farm that leaves when idle may go at the very moment when work comes."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that was submitted, and the farm that has it."""

    farm: Reached
    status: FarmStatus
    uploaded: Uploaded
    submitted: Submitted


@dataclass(frozen=True, slots=True)
class Ears:
    """Who hears of an upload."""

    on_progress: Watcher
    tell: Callable[[str], None]
    """Takes a line for people."""


def upload(
    traced: SceneTrace, name: str, url: str, ears: Ears, *, rehash: bool = False
) -> Uploaded:
    """Upload a scene to the storage at ``url``; what is there already is not sent again.

    Raises:
        StorageError: the storage can't be written.
        SceneError: a file can't be read, or changes while it is.
    """
    return upload_scene(
        traced, name, open_storage(url), hasher(rehash=rehash), ears.on_progress, ears.tell
    )


def hasher(*, rehash: bool = False) -> Hasher:
    """Return what hashes the artist's files, with the memory of all that were hashed here."""
    return Hasher(default_cache_dir(), rehash=rehash)


def submit_render(
    checked: CheckedRender,
    settings: FarmSettings,
    ears: Ears,
) -> Submission:
    """Upload the scene, see to it that a farm runs, and submit the job.

    The upload comes first: a farm that was started for it would be idle, and leave.

    Raises:
        StorageError: the scene can't be brought into the storage.
        StateError: the farm can't be started.
        ClusterError: the farm on a cluster can't be reached.
        ManagerError: the manager refused the job.
    """
    url = storage_in_use(settings, ears.tell)
    uploaded = upload(checked.trace, checked.request.scene.stem, url, ears)
    for tries_left in reversed(range(_TRIES)):
        farm = reach_farm(settings, blenders=checked.programs, tell=ears.tell)
        try:
            with open_client(farm.console_url) as client:
                status = client.status()
                used = storage_from_here(settings, status)
                if used != url:
                    url = used
                    uploaded = upload(checked.trace, checked.request.scene.stem, url, ears)
                submitted = client.submit(_message(checked, uploaded.scene))
        except ManagerUnreachable:
            if not tries_left:
                raise
            continue
        return Submission(farm, status, uploaded, submitted)
    raise ManagerUnreachable("the farm leaves as soon as it has started")


def _message(checked: CheckedRender, scene: SceneRef) -> SubmitJob:
    request = checked.request
    return SubmitJob(
        name=checked.name,
        scene=scene,
        frames=str(checked.plan.frames),
        commands=checked.plan.commands,
        settings=checked.plan.settings,
        requirements=checked.requirements,
        chunk=checked.plan.chunk,
        priority=request.priority,
        retry_limit=request.retries,
        fail_fast=request.fail_fast,
        fps=checked.facts.fps,
        output=str(checked.output),
        new=request.new,
    )
