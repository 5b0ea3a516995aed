"""A job whose files lie in a storage, with the list that the manager writes beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burst.storage import layout
from burst.storage.storage import Storage


def publish_job(
    storage: Storage,
    job: str,
    files: Mapping[str, bytes],
    results: Mapping[str, bytes] | None = None,
    **about: Any,
) -> None:
    """Put a job's frames, one file each, and the results of its tasks into a storage.

    Args:
        storage: where to.
        job: its id.
        files: content of each frame's file by its name.
        results: the same of the results; the task is called as the file.
        about: what the list says else, such as its ``status``.
    """
    made = {name: _published(storage, job, name, content) for name, content in files.items()}
    others = {
        name: _published(storage, job, name, content) for name, content in (results or {}).items()
    }
    index = {
        "job": job,
        "name": job.rpartition("-")[0] or job,
        "status": "completed",
        "created_at": "2026-01-02T03:04:05+00:00",
        "output": "",
        "frames": f"1-{len(files)}",
        "frame_count": len(files),
        "tasks": len(others),
        "tasks_completed": len(others),
        "published": [
            {"frame": number, "attempt": "a", "files": [file]}
            for number, file in enumerate(made.values(), 1)
        ],
        "results": [
            {"task": name, "attempt": "a", "files": [file]} for name, file in others.items()
        ],
        **about,
    }
    storage.put_bytes(json.dumps(index).encode(), layout.render_index(job))


def _published(storage: Storage, job: str, name: str, content: bytes) -> dict[str, Any]:
    storage.put_bytes(content, layout.render(job, name))
    sha256 = hashlib.sha256(content).hexdigest()
    return {"name": name, "size": len(content), "sha256": sha256}


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
