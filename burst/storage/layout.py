"""Names of everything in the storage; the one place that makes them.

The same in a directory and in a bucket, ``/``-separated, relative to its root::

    blobs/<aa>/<sha256>                 content of a scene's files, never changed
    scenes/<name>/<version>.json        manifest of one scene version
    uploads/<name>/<version>-<random>.json  manifest of an upload that is under way
    collection/mark.json                a collection runs
    attempts/<job>/<attempt>/<file>     uploads that are not published
    renders/<job>/<file>                published files under readable names
    renders/<job>/index.json            their names, sizes and hashes
    previews/<job>/<frame>-<attempt>.jpg  small picture of what an attempt made of a frame
    logs/<job>/job.jsonl                the job's log, when it has ended
    incoming/<random>                   what is being written, and is not whole yet
    incoming/<sha256>/<part>            bucket only: parts of a large blob
"""

from __future__ import annotations

import mimetypes

from burst.errors import StorageError


def checked(name: str) -> str:
    """Return a name, or the start of one, that leads nowhere else.

    Raises:
        StorageError: it leaves the storage, or is none.
    """
    if name.startswith("/") or "\0" in name or ".." in name.split("/"):
        raise StorageError(f"{name!r} is not a name in the storage")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise StorageError(f"{name!r} is not a name in the storage: it is not UTF-8") from error
    return name


def blob(sha256: str) -> str:
    """Return where content with this hash lives."""
    return f"blobs/{sha256[:2]}/{sha256}"


def incoming(sha256: str, part: str = "") -> str:
    """Return where a part of a large blob waits for the others, or the folder of all its parts."""
    return f"incoming/{sha256}/{part}"


def manifest(scene_name: str, version: str) -> str:
    """Return where the manifest of a scene version lives."""
    return f"scenes/{scene_name}/{version}.json"


def scene_version(name: str) -> tuple[str, str] | None:
    """Return name and version of the scene whose manifest lies at ``name``; None if none does."""
    parts = name.split("/")
    if len(parts) != 3 or f"{parts[0]}/" != SCENES or not parts[2].endswith(".json"):
        return None
    return parts[1], parts[2].removesuffix(".json")


SCENES = "scenes/"
"""Folder of all manifests."""

BLOBS = "blobs/"
"""Folder of all content."""

PENDING = "uploads/"
"""Folder of the manifests of all uploads that are under way."""

COLLECTION_MARK = "collection/mark.json"
"""What tells others that a collection runs."""


def pending(scene_name: str, version: str, token: str) -> str:
    """Return where an upload says what it is about to name."""
    return f"{PENDING}{scene_name}/{version}-{token}.json"


def clock(token: str) -> str:
    """Return where something is written for a moment to learn the storage's time."""
    return f"collection/clock-{token}"


def attempt(job_id: str, attempt_id: str, file_name: str = "") -> str:
    """Return where an attempt uploads a file, or the folder of all its uploads."""
    return f"attempts/{job_id}/{attempt_id}/{file_name}"


def attempts(job_id: str) -> str:
    """Return the folder of all unpublished uploads of a job."""
    return f"attempts/{job_id}/"


def all_attempts() -> str:
    """Return the folder of all unpublished uploads of all jobs."""
    return "attempts/"


def job_of_attempt(name: str) -> str:
    """Return the job whose attempt uploaded a file."""
    return name.split("/")[1]


def render(job_id: str, file_name: str = "") -> str:
    """Return where a finished file is published, or the folder of all of them."""
    return f"renders/{job_id}/{file_name}"


def render_index(job_id: str) -> str:
    """Return where the list of a job's published files lives."""
    return f"renders/{job_id}/index.json"


def previews(job_id: str) -> str:
    """Return the folder of a job's previews."""
    return f"previews/{job_id}/"


def preview(job_id: str, frame: int, attempt_id: str) -> str:
    """Return where the preview of a frame lives, of the one that this attempt rendered."""
    return f"previews/{job_id}/{frame}-{attempt_id}.jpg"


def job_log(job_id: str) -> str:
    """Return where the log of an ended job lives."""
    return f"logs/{job_id}/job.jsonl"


def job_logs(job_id: str) -> str:
    """Return the folder of a job's logs."""
    return f"logs/{job_id}/"


def content_type(name: str) -> str:
    """Return what a content is by its name, as MIME has it."""
    kind, packed_by = mimetypes.guess_type(name)
    return kind if kind and not packed_by else "application/octet-stream"
