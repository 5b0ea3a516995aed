"""What the storage has of a job's published files, and the list of them that lies beside.

Everything here blocks, and is called in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from burst.domain.frames import is_frame
from burst.domain.transitions import TaskStatus
from burst.manager.index import JobEntry
from burst.storage import layout
from burst.storage.storage import Storage
from burst.threads import side_by_side

LISTED_FROM = 64
"""So many files are looked at in one listing of all of the job's, fewer one by one: a bucket
lists a thousand in the time that it takes to look at one."""


def index_content(job: JobEntry, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the list of a job's published files, all that is needed to fetch them.

    Args:
        job: the job.
        rows: its published frames and results, from the database.
    """
    frames, results = [], []
    for row in rows:
        made = {"attempt": row["attempt_id"], "files": row["files"]}
        if is_frame(row["frame"]):
            frames.append({"frame": row["frame"], **made})
        else:
            results.append({"task": job.plan.result_name(row["frame"]), **made})
    content = {
        "job": job.id,
        "name": job.name,
        "status": job.status,
        "created_at": job.created_at.isoformat(),
        "output": job.output,
        "scene": job.scene.model_dump() if job.scene else None,
        "fps": job.fps,
        "frames": str(job.frames),
        "frame_count": len(job.frames),
        "tasks": len(job.plan.commands),
        "tasks_completed": sum(1 for _ in job.command_tasks(TaskStatus.COMPLETED)),
        "published": frames,
        "results": results,
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def identities(storage: Storage, job_id: str, names: Collection[str]) -> dict[str, str]:
    """Return the storage identities of a job's files; those that are not there have none.

    Args:
        storage: where they are.
        job_id: the job.
        names: file names, as its results have them.
    """
    folder = layout.render(job_id)
    if len(names) >= LISTED_FROM:
        found = {one.name.removeprefix(folder): one.identity for one in storage.scan(folder)}
        return {name: found[name] for name in names if name in found}
    seen: dict[str, str | None] = {}

    def look(name: str) -> None:
        seen[name] = storage.identity(layout.render(job_id, name))

    side_by_side([partial(look, name) for name in names])
    return {name: identity for name, identity in seen.items() if identity}
