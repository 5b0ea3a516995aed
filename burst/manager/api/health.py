"""Health and metrics: no token, nothing secret, no word about jobs' contents."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from burst.errors import DatabaseUnavailable
from burst.manager.farm import Farm


def health_routes(farm: Farm, metrics: CollectorRegistry) -> APIRouter:
    """Return the routes that a kubelet and Prometheus call."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("alive\n")

    @router.get("/readyz")
    async def readyz() -> Response:
        # An empty commit goes through the writer: ready is that changes can be written.
        try:
            await farm.database.commit([])
        except DatabaseUnavailable as error:
            return PlainTextResponse(f"{error}\n", status_code=503)
        return PlainTextResponse("ready\n")

    @router.get("/metrics")
    async def metrics_page() -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    return router
