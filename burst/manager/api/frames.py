"""The artists' API about frames: all of a job's at a glance, and one of them closely."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from burst.errors import NotFound
from burst.manager import frame_states, views
from burst.manager.database import statements
from burst.manager.farm import Farm
from burst.manager.index import JobEntry
from burst.protocol.artist_messages import FrameDetails, FrameStates, FrameView, TaskView
from burst.protocol.messages import API


def frame_routes(farm: Farm) -> APIRouter:
    """Return the routes that the console's grid of frames is made of."""
    router = APIRouter(prefix=f"{API}/jobs", tags=["jobs"])

    @router.get("/{job_id}/states")
    async def show_states(job_id: str) -> FrameStates:
        job = farm.index.job(job_id)
        letters = frame_states.frame_letters(job)
        if frame_states.lacks_published(job, letters):
            numbers = statements.published_numbers(job.id)
            rows = await asyncio.to_thread(farm.database.read, numbers)
            frame_states.mark_published(job, letters, (row["frame"] for row in rows))
        return FrameStates(
            job_id=job.id,
            frames=str(job.frames),
            states=await asyncio.to_thread(frame_states.in_runs, letters),
            commands=frame_states.command_states(job),
        )

    @router.get("/{job_id}/frames/{frame}")
    async def show_frame(job_id: str, frame: int) -> FrameDetails:
        job = farm.index.job(job_id)
        if frame not in job.frames:
            raise NotFound(f"job {job.id} has no frame {frame}", hint=f"it renders {job.frames}")
        task = await asyncio.to_thread(_task, farm, job, job.plan.task_of(frame))
        result = await asyncio.to_thread(_result, farm, job, frame)
        return FrameDetails(job_id=job.id, frame=frame, task=task, result=result)

    return router


def _task(farm: Farm, job: JobEntry, index: int) -> TaskView:
    """Return the task of a frame. Blocks."""
    read = farm.database.read
    if rows := read(statements.task_by_index(job.id, index)):
        return views.task_views(job, rows, read(statements.attempts_of_task(job.id, index)))[0]
    return views.untouched_task(job, index)


def _result(farm: Farm, job: JobEntry, frame: int) -> FrameView | None:
    """Return what there is of a frame. Blocks."""
    rows = farm.database.read(statements.frame_by_number(job.id, frame))
    return views.frame_view(job.plan, rows[0]) if rows else None
