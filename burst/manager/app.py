"""The manager's program: wires the parts, runs them, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp

import burst
from burst.config.machine import available_cores
from burst.errors import BurstError, StateError
from burst.manager import state_dir
from burst.manager.api.apps import Parts, create_console_app, create_worker_app
from burst.manager.autoscaler.loop import Autoscaler
from burst.manager.autoscaler.processes import POOL, ProcessProvider
from burst.manager.autoscaler.provider import WorkerProvider
from burst.manager.clock import Clock, SystemClock
from burst.manager.database.database import Database
from burst.manager.farm import Farm
from burst.manager.listen import Door, create_server, open_socket, url_of
from burst.manager.metrics import create_metrics
from burst.manager.publishing import Publishing
from burst.manager.queue import Queue
from burst.manager.scheduler import Scheduler
from burst.manager.settings import ManagerSettings, is_loopback, split_listen
from burst.manager.state_dir import Address, bound_storage, check_storage
from burst.storage.storage import open_storage

log = logging.getLogger(__name__)

LEASE_LOOK_SECONDS = 0.5
LEAVE_LOOK_SECONDS = 0.5
LAST_CHORES_SECONDS = 8.0
"""What a manager that leaves has for its last chores; the storage may be away. The next one does
what is left."""

TROUBLE_SECONDS = 1.0
"""A loop that met an error goes on after a pause."""


def run_manager(settings: ManagerSettings) -> None:
    """Run a manager on its state directory until it is told to stop or has nothing to do.

    Raises:
        StateError: the directory, a port or the database can't be used.
        StorageError: the storage can't be used.
    """
    with state_dir.held_state_dir(settings.state_dir), _sockets(settings) as sockets:
        database = Database.at(state_dir.database_path(settings.state_dir))
        try:
            uvloop.run(RunningManager(settings, database, sockets, SystemClock()).run())
        finally:
            database.close()


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where artists and workers are listened to."""

    console: socket.socket
    workers: socket.socket


class RunningManager:
    """All parts of one running manager."""

    def __init__(
        self, settings: ManagerSettings, database: Database, sockets: Sockets, clock: Clock
    ) -> None:
        """Wire them; nothing runs yet."""
        self._settings = settings
        self._sockets = sockets
        self._token = _worker_token(settings)
        storage = open_storage(
            settings.storage_url
            or bound_storage(settings.state_dir)
            or str(settings.state_dir / "storage")
        )
        check_storage(settings.state_dir, storage.url)
        self._farm = Farm(settings, database, storage, clock)
        self._publishing = Publishing(self._farm)
        self._scheduler = Scheduler(self._farm)
        self._provider = self._create_provider()
        self._autoscaler = Autoscaler(self._farm, self._scheduler, self._provider)
        console, self._worker_app = self._create_apps()
        self._door = Door(console)
        self._stop = asyncio.Event()
        self._bug: BaseException | None = None

    async def run(self) -> None:
        """Serve until stopped; a bug in a loop stops the manager, and is raised."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        await self._autoscaler.learn_pools()
        console, workers = create_server(self._door), create_server(self._worker_app)
        serving = [
            self._start("console", _serve(console, self._sockets.console)),
            self._start("workers' listener", _serve(workers, self._sockets.workers)),
        ]
        loops = [
            self._start("publishing", self._keep_going("publishing", self._publishing.run)),
            self._start("autoscaler", self._keep_going("autoscaler", self._autoscaler.run)),
            self._start("leases", self._keep_going("leases", self._watch_leases)),
            self._start("idle", self.leave_when_idle()),
        ]
        state_dir.write_address(self._settings.state_dir, self._address())
        log.info("manager ready at %s", url_of(self._sockets.console))
        await self._stop.wait()
        log.info("manager stops")
        try:
            await self._shut_down(loops, console)
        finally:
            console.should_exit = workers.should_exit = True
            await asyncio.wait(serving)
        if self._bug is not None:
            raise self._bug

    def _start(self, name: str, body: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(body, name=name)
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """Stop if a part ended of which that was not expected."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("a bug in %s, the manager stops", task.get_name(), exc_info=error)
        self._bug = self._bug or error
        self._stop.set()

    async def _keep_going(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        """Run a loop, again after whatever burst knows to go wrong."""
        while True:
            try:
                await body()
            except BurstError as error:
                log.warning("%s: %s", name, error)
            await asyncio.sleep(TROUBLE_SECONDS)

    async def _shut_down(self, loops: list[asyncio.Task[None]], console: uvicorn.Server) -> None:
        """Take no more work; let local workers sign off while the manager still hears them."""
        self._door.close()
        console.should_exit = True
        for task in loops:
            task.cancel()
        await asyncio.wait(loops)
        await self._farm.hub.close()
        with contextlib.suppress(BurstError):
            await asyncio.to_thread(self._provider.stop_all)
        with contextlib.suppress(BurstError, TimeoutError):
            async with asyncio.timeout(LAST_CHORES_SECONDS):
                await self._autoscaler.clear_away()
                await self._publishing.round()

    async def _watch_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_LOOK_SECONDS)
            for name in await self._scheduler.give_up_lost():
                log.warning("worker %s is lost", name)

    async def leave_when_idle(self) -> None:
        """Stop when no job was unfinished for a while and nobody is just bringing one."""
        limit, clock = self._settings.exit_when_idle_seconds, self._farm.clock
        if limit is None:
            return
        since = clock.monotonic()
        while True:
            await asyncio.sleep(LEAVE_LOOK_SECONDS)
            if self._is_needed():
                since = clock.monotonic()
            elif clock.monotonic() - since >= limit:
                break
        # In the same breath as the last look: a job that comes now finds no farm, and its
        # command starts another.
        self._door.close()
        log.info("no job is unfinished: leaving")
        self._stop.set()

    def _is_needed(self) -> bool:
        unfinished = any(not job.ended for job in self._farm.index.jobs.values())
        unpublished = any(True for job in self._farm.index.jobs.values() for _ in job.unpublished)
        return self._door.busy or unfinished or unpublished or not self._publishing.idle

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

    def _create_provider(self) -> WorkerProvider:
        if self._settings.provider == "kubernetes":
            # Here, for it takes longer to load than a local farm takes to start.
            from burst.manager.autoscaler.kubernetes import open_provider

            return open_provider(self._settings.kubernetes_namespace, self._settings.farm)
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
        most = _most_workers(self._settings)
        return ProcessProvider(state_dir.workers_path(folder), logs, environment, most)

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
def _sockets(settings: ManagerSettings) -> Iterator[Sockets]:
    former = state_dir.last_address(settings.state_dir)
    console = open_socket(
        settings.console_listen, former.console_url if former else None, "BURST_CONSOLE_LISTEN"
    )
    with console:
        workers = open_socket(
            settings.worker_listen, former.worker_url if former else None, "BURST_WORKER_LISTEN"
        )
        with workers:
            yield Sockets(console, workers)


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
