"""The manager's program: wires the parts, runs them, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
import uvloop
from starlette.types import ASGIApp

import burst
from burst.config.machine import available_cores
from burst.errors import DatabaseUnavailable, StateError, StorageError
from burst.manager import state_dir
from burst.manager.api.apps import Parts, create_console_app, create_worker_app
from burst.manager.autoscaler.loop import POOL, Autoscaler
from burst.manager.autoscaler.processes import ProcessProvider
from burst.manager.clock import Clock, SystemClock
from burst.manager.database.database import Database
from burst.manager.farm import Farm
from burst.manager.listen import create_server, open_socket, url_of
from burst.manager.metrics import create_metrics
from burst.manager.publishing import Publishing
from burst.manager.queue import Queue
from burst.manager.scheduler import Scheduler
from burst.manager.settings import ManagerSettings, is_loopback, split_listen
from burst.manager.state_dir import Address
from burst.storage.storage import open_storage

log = logging.getLogger(__name__)

LEASE_LOOK_SECONDS = 0.5
LEAVE_LOOK_SECONDS = 0.5
LEAVE_SECONDS_MAX = 30.0
"""What workers have to sign off when an idle manager leaves."""


def run_manager(settings: ManagerSettings) -> None:
    """Run a manager on its state directory until it is told to stop or has nothing to do.

    Raises:
        StateError: the directory, a port or the database can't be used.
        StorageError: the storage can't be used.
    """
    with state_dir.held_state_dir(settings.state_dir), _sockets(settings) as sockets:
        database = Database.at(state_dir.database_path(settings.state_dir))
        try:
            uvloop.run(_Manager(settings, database, sockets, SystemClock()).run())
        finally:
            database.close()


@dataclass(frozen=True, slots=True)
class _Sockets:
    console: socket.socket
    workers: socket.socket


class _Manager:
    """All parts of one running manager."""

    def __init__(
        self, settings: ManagerSettings, database: Database, sockets: _Sockets, clock: Clock
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._token = _worker_token(settings)
        storage = open_storage(settings.storage_url or str(settings.state_dir / "storage"))
        self._farm = Farm(settings, database, storage, clock)
        self._publishing = Publishing(self._farm)
        self._scheduler = Scheduler(self._farm)
        self._provider = self._create_provider()
        self._autoscaler = Autoscaler(
            self._farm, self._scheduler, self._provider, _most_workers(settings)
        )
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until stopped."""
        console, workers = self._create_apps()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        servers = [(create_server(console), self._sockets.console)]
        servers.append((create_server(workers), self._sockets.workers))
        async with asyncio.TaskGroup() as group:
            for server, opened in servers:
                group.create_task(_serve(server, opened), name="server")
            loops = [
                group.create_task(self._publishing.run(), name="publishing"),
                group.create_task(self._autoscaler.run(), name="autoscaler"),
                group.create_task(self._watch_leases(), name="leases"),
                group.create_task(self._leave_when_idle(), name="idle"),
            ]
            state_dir.write_address(self._settings.state_dir, self._address())
            log.info("manager ready at %s", url_of(self._sockets.console))
            await self._stop.wait()
            log.info("manager stops")
            await self._shut_down(loops, [server for server, _ in servers])

    async def _shut_down(
        self, loops: list[asyncio.Task[None]], servers: list[uvicorn.Server]
    ) -> None:
        """Let local workers sign off while the manager still listens, then stop listening."""
        for task in loops:
            task.cancel()
        await asyncio.wait(loops)
        await asyncio.to_thread(self._provider.stop_all)
        with contextlib.suppress(DatabaseUnavailable, StorageError):
            await self._autoscaler.clear_away()
            await self._publishing.round()
        await self._farm.hub.close()
        for server in servers:
            server.should_exit = True

    async def _watch_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_LOOK_SECONDS)
            try:
                for name in await self._scheduler.give_up_lost():
                    log.warning("worker %s is lost", name)
            except DatabaseUnavailable as error:
                log.warning("leases: %s", error)

    async def _leave_when_idle(self) -> None:
        """Stop when no job was unfinished for a while, after the workers have signed off."""
        limit, clock = self._settings.exit_when_idle_seconds, self._farm.clock
        if limit is None:
            return
        since = clock.monotonic()
        while clock.monotonic() - since < limit:
            await asyncio.sleep(LEAVE_LOOK_SECONDS)
            if self._is_needed():
                since = clock.monotonic()
        log.info("no job is unfinished: leaving")
        self._stop.set()

    def _is_needed(self) -> bool:
        unfinished = any(not job.ended for job in self._farm.index.jobs.values())
        unpublished = any(True for job in self._farm.index.jobs.values() for _ in job.unpublished)
        return unfinished or unpublished or not self._publishing.idle

    def _create_apps(self) -> tuple[ASGIApp, ASGIApp]:
        farm = self._farm
        parts = Parts(
            farm=farm,
            scheduler=self._scheduler,
            queue=Queue(farm, self._publishing),
            autoscaler=self._autoscaler,
            provider=self._provider,
            metrics=create_metrics(farm),
        )
        settings = self._settings
        host, _ = split_listen(settings.console_listen)
        hosts = [name.strip() for name in settings.console_hosts.split(",") if name.strip()]
        local = ["127.0.0.1", "localhost", "::1"] if is_loopback(host) else []
        token = settings.console_token.get_secret_value() if settings.console_token else None
        console = create_console_app(parts, (host, *local, *hosts), token)
        return console, create_worker_app(parts, self._token)

    def _create_provider(self) -> ProcessProvider:
        folder = self._settings.state_dir
        environment = {
            "BURST_MANAGER_URL": url_of(self._sockets.workers),
            "BURST_WORKER_TOKEN": self._token,
            "BURST_STORAGE_URL": self._farm.storage.url,
            "BURST_WORKER_POOL": POOL,
            "BURST_LOG_LEVEL": self._settings.log_level,
        }
        if self._settings.blender:
            environment["BURST_BLENDER"] = self._settings.blender
        logs = state_dir.logs_path(folder) / "workers"
        return ProcessProvider(state_dir.workers_path(folder), logs, environment)

    def _address(self) -> Address:
        return Address(
            pid=os.getpid(),
            console_url=url_of(self._sockets.console),
            worker_url=url_of(self._sockets.workers),
            version=burst.__version__,
            implicit=self._settings.exit_when_idle_seconds is not None,
        )


async def _serve(server: uvicorn.Server, opened: socket.socket) -> None:
    # Not server.serve(): that would take SIGTERM and SIGINT away from the manager.
    await server._serve([opened])


@contextlib.contextmanager
def _sockets(settings: ManagerSettings) -> Iterator[_Sockets]:
    former = state_dir.last_address(settings.state_dir)
    console = open_socket(
        settings.console_listen, former.console_url if former else None, "BURST_CONSOLE_LISTEN"
    )
    with console:
        workers = open_socket(
            settings.worker_listen, former.worker_url if former else None, "BURST_WORKER_LISTEN"
        )
        with workers:
            yield _Sockets(console, workers)


def _most_workers(settings: ManagerSettings) -> int:
    if settings.workers is not None:
        return settings.workers
    return max(1, min(8, available_cores() // 2))


def _worker_token(settings: ManagerSettings) -> str:
    """Return the workers' token; one of our own is kept, for workers outlive a manager."""
    if settings.worker_token is not None:
        return settings.worker_token.get_secret_value()
    path: Path = settings.state_dir / "worker.token"
    try:
        if path.exists():
            return path.read_text(encoding="utf-8").strip()
        token = secrets.token_urlsafe(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token + "\n")
    except OSError as error:
        raise StateError(f"can't keep the worker token in {path}: {error.strerror}") from error
    return token
