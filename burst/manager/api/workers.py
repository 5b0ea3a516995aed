"""The worker protocol, and the health of the manager: what the workers' listener serves."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from burst.manager.scheduler import Scheduler
from burst.protocol.messages import API
from burst.protocol.worker_messages import (
    AskInputs,
    Beat,
    BeatAnswer,
    Claim,
    ClaimAnswer,
    Registered,
    RegisterWorker,
    Reports,
    SignOff,
)


def worker_routes(scheduler: Scheduler) -> APIRouter:
    """Return the routes that workers call."""
    router = APIRouter(prefix=f"{API}/worker")

    @router.post("/register")
    async def register(message: RegisterWorker) -> Registered:
        return await scheduler.register(message)

    @router.post("/reports")
    async def report(message: Reports) -> BeatAnswer:
        return await scheduler.report(message)

    @router.post("/inputs")
    async def inputs(message: AskInputs) -> Response:
        return Response(await scheduler.inputs(message), media_type="application/json")

    @router.post("/{name}/beat")
    async def beat(name: str, message: Beat) -> BeatAnswer:
        return await scheduler.beat(name, message)

    @router.post("/{name}/claim")
    async def claim(name: str, message: Claim, request: Request) -> ClaimAnswer:
        async def hung_up() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        return await scheduler.claim(name, message, hung_up)

    @router.post("/{name}/sign-off")
    async def sign_off(name: str, message: SignOff) -> BeatAnswer:
        return await scheduler.sign_off(name, message)

    return router
