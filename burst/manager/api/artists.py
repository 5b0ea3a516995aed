"""The artists' API: what the console listener serves to the CLI and the web console."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

import burst
from burst.domain.transitions import TaskStatus
from burst.errors import NotFound, StorageAway, StorageDenied, StorageError
from burst.manager import views
from burst.manager.api.streams import follow_file, follow_job_log
from burst.manager.autoscaler.loop import Autoscaler
from burst.manager.autoscaler.provider import WorkerProvider
from burst.manager.database import statements
from burst.manager.explanation import explain
from burst.manager.farm import Farm
from burst.manager.queue import Queue
from burst.manager.scheduler import Scheduler
from burst.protocol.artist_messages import (
    FRAMES_MAX,
    ChangePriority,
    Explanation,
    FarmStatus,
    Frames,
    Jobs,
    JobView,
    MakeVideo,
    Requeue,
    SubmitJob,
    Submitted,
    Tasks,
    Workers,
    WorkerView,
)
from burst.protocol.messages import API
from burst.storage import layout


def job_routes(farm: Farm, queue: Queue) -> APIRouter:
    """Return the routes that list and steer jobs."""
    router = APIRouter(prefix=f"{API}/jobs", tags=["jobs"])

    @router.post("")
    async def submit_job(message: SubmitJob) -> Submitted:
        return await queue.submit(message)

    @router.get("")
    async def list_jobs() -> Jobs:
        entries = sorted(farm.index.jobs.values(), key=lambda job: -job.seq)
        return Jobs(jobs=tuple(views.job_view(job) for job in entries))

    @router.get("/{job_id}")
    async def show_job(job_id: str) -> JobView:
        return views.job_view(farm.index.job(job_id))

    @router.post("/{job_id}/requeue")
    async def requeue_job(job_id: str, message: Requeue) -> JobView:
        return await queue.requeue(job_id, message.frames)

    @router.post("/{job_id}/video")
    async def make_video(job_id: str, message: MakeVideo) -> JobView:
        return await queue.make_video(job_id, message)

    @router.post("/{job_id}/priority")
    async def set_priority(job_id: str, message: ChangePriority) -> JobView:
        return await queue.set_priority(job_id, message.priority)

    @router.post("/{job_id}/{action}")
    async def act_on_job(job_id: str, action: Literal["cancel", "pause", "resume"]) -> JobView:
        return await queue.act(job_id, action)

    @router.delete("/{job_id}", status_code=204)
    async def delete_job(job_id: str) -> None:
        await queue.delete(job_id)

    return router


def result_routes(farm: Farm, queue: Queue, autoscaler: Autoscaler) -> APIRouter:
    """Return the routes about what came of a job: frames, tasks, logs, and why no more."""
    router = APIRouter(prefix=f"{API}/jobs", tags=["jobs"])

    @router.get("/{job_id}/explain")
    async def explain_job(job_id: str) -> Explanation:
        trouble = farm.storing.trouble
        job = farm.index.job(job_id)
        text = trouble.text if trouble else ""
        return explain(farm.index, job, autoscaler.views, text, autoscaler.trouble)

    @router.get("/{job_id}/frames")
    async def list_frames(job_id: str, after: Annotated[int, Query(ge=0)] = 0) -> Frames:
        job = farm.index.job(job_id)
        select = statements.frames_published_after(job.id, after).limit(FRAMES_MAX)
        rows = await asyncio.to_thread(farm.database.read, select)
        return Frames(frames=tuple(views.frame_view(job.plan, row) for row in rows))

    @router.get("/{job_id}/frames/{frame}/preview", response_class=Response)
    async def show_preview(job_id: str, frame: int) -> Response:
        job = farm.index.job(job_id)
        if frame not in job.frames:
            raise NotFound(f"job {job.id} has no frame {frame}")
        rows = await asyncio.to_thread(farm.database.read, statements.frame_maker(job.id, frame))
        try:
            name = layout.preview(job.id, frame, rows[0]["attempt_id"])
            picture = await farm.storing.answer(lambda: farm.storage.get_bytes(name))
        except (StorageAway, StorageDenied):
            # It may well be there; who asks again will see.
            raise
        except (IndexError, StorageError) as error:
            raise NotFound(f"frame {frame} has no preview") from error
        return Response(picture, media_type="image/jpeg")

    @router.get("/{job_id}/tasks")
    async def list_tasks(job_id: str) -> Tasks:
        return Tasks(tasks=await asyncio.to_thread(queue.tasks, job_id))

    @router.get("/{job_id}/log", response_class=StreamingResponse)
    async def show_job_log(job_id: str, *, follow: bool = False) -> Response:
        job = farm.index.job(job_id)
        return StreamingResponse(
            follow_job_log(farm, job.id, follow=follow), media_type="application/x-ndjson"
        )

    return router


def farm_routes(
    farm: Farm, scheduler: Scheduler, autoscaler: Autoscaler, provider: WorkerProvider
) -> APIRouter:
    """Return the routes about the farm, its workers and its events."""
    router = APIRouter(prefix=API, tags=["farm"])

    @router.get("/status")
    async def show_status() -> FarmStatus:
        jobs = farm.index.jobs.values()
        return FarmStatus(
            version=burst.__version__,
            started_at=farm.started_at,
            storage_url=farm.storage.url,
            storage_trouble=farm.storing.trouble.text if farm.storing.trouble else "",
            jobs=views.job_counts(farm.index),
            tasks_queued=sum(j.board.count(TaskStatus.QUEUED) for j in jobs if not j.ended),
            tasks_active=sum(j.board.count(TaskStatus.ACTIVE) for j in jobs),
            workers=len(farm.index.workers),
            pools=autoscaler.views,
            pools_trouble=autoscaler.trouble,
        )

    @router.get("/workers")
    async def list_workers() -> Workers:
        monotonic = farm.clock.monotonic()
        entries = sorted(farm.index.workers.values(), key=lambda w: w.registered_at)
        return Workers(workers=tuple(views.worker_view(w, monotonic) for w in entries))

    @router.post("/workers/{name}/drain")
    async def drain_worker(name: str) -> WorkerView:
        return views.worker_view(await scheduler.drain(name), farm.clock.monotonic())

    @router.get("/workers/{name}/log", response_class=StreamingResponse)
    async def show_worker_log(name: str, *, follow: bool = False) -> Response:
        path = provider.log_path(name)
        if path is None or not path.exists():
            farm.index.worker(name)
            raise NotFound(f"worker {name} was not started here; its log is where it runs")

        def is_over() -> bool:
            return not follow or name not in farm.index.workers

        return StreamingResponse(follow_file(path, is_over), media_type="text/plain")

    @router.get("/events", response_class=StreamingResponse)
    async def stream_events(
        request: Request,
        job: str | None = None,
        last_event_id: Annotated[int | None, Header()] = None,
    ) -> Response:
        job_id = farm.index.job(job).id if job else None

        async def lines() -> AsyncIterator[str]:
            async for event in farm.hub.listen(last_event_id, job_id):
                data = event.model_dump_json(exclude_none=False)
                yield f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    return router
