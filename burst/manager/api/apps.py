"""The two applications, one a listener, on one farm."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

import burst
from burst.manager.api import errors
from burst.manager.api.artists import farm_routes, job_routes, result_routes
from burst.manager.api.console import SafeAnswers, console_routes
from burst.manager.api.frames import frame_routes
from burst.manager.api.guards import ConsoleGuard, TokenGuard
from burst.manager.api.health import health_routes
from burst.manager.api.pools import pool_routes
from burst.manager.api.workers import worker_routes
from burst.manager.autoscaler.loop import Autoscaler
from burst.manager.autoscaler.provider import WorkerProvider
from burst.manager.farm import Farm
from burst.manager.queue import Queue
from burst.manager.scheduler import Scheduler
from burst.protocol.messages import API


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers call."""

    farm: Farm
    scheduler: Scheduler
    queue: Queue
    autoscaler: Autoscaler
    provider: WorkerProvider
    metrics: CollectorRegistry


def create_worker_app(parts: Parts, token: str) -> ASGIApp:
    """Return what the workers' listener serves: the worker protocol and health."""
    app = FastAPI(title="burst worker protocol", version=burst.__version__, openapi_url=None)
    errors.install(app)
    app.include_router(worker_routes(parts.scheduler))
    app.include_router(health_routes(parts.farm, parts.metrics))
    return TokenGuard(app, token)


def create_artists_app(parts: Parts) -> FastAPI:
    """Return the artists' API, described by OpenAPI, without its guard."""
    app = FastAPI(
        title="burst",
        version=burst.__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    app.include_router(job_routes(parts.farm, parts.queue))
    app.include_router(result_routes(parts.farm, parts.queue, parts.autoscaler))
    app.include_router(frame_routes(parts.farm))
    app.include_router(farm_routes(parts.farm, parts.scheduler, parts.autoscaler, parts.provider))
    app.include_router(pool_routes(parts.autoscaler))
    app.include_router(health_routes(parts.farm, parts.metrics))
    return app


def create_console_app(parts: Parts, hosts: tuple[str, ...], token: str | None) -> ASGIApp:
    """Return what the console listener serves: the artists' API and the pages, guarded."""
    app = create_artists_app(parts)
    app.include_router(console_routes())
    return SafeAnswers(ConsoleGuard(app, hosts, token))
