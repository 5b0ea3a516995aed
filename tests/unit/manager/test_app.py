"""The manager's program: when it leaves, what it survives, and how it stops.

The whole program with real workers is in ``tests/integration``.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from manager_kit import SCENE, FakeClock, asynchronous, until
from starlette.types import Message, Receive, Scope, Send

from burst.errors import ManagerUnreachable, StateError, ToolError
from burst.manager import app, state_dir
from burst.manager.app import RunningManager, Sockets
from burst.manager.autoscaler.loop import Autoscaler
from burst.manager.autoscaler.processes import ProcessProvider
from burst.manager.database.database import Database
from burst.manager.listen import Door, create_server, open_socket, url_of
from burst.manager.queue import Queue
from burst.manager.scheduler import Scheduler
from burst.manager.settings import ManagerSettings
from burst.protocol.artist_messages import SubmitJob, Submitted
from burst.protocol.client import ManagerClient
from burst.storage import layout
from burst.storage.directory import DirectoryStorage

SUBMISSION = SubmitJob(name="shot", scene=SCENE, frames="1")


class Program:
    """A manager's program in a folder, without workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = ManagerSettings(
            state_dir=folder,
            console_listen="127.0.0.1:0",
            worker_listen="127.0.0.1:0",
            workers=0,
            exit_when_idle_seconds=5.0,
        )
        storage = DirectoryStorage(folder / "storage")
        storage.put_bytes(b"{}", layout.manifest(SCENE.name, SCENE.version))
        self.clock = FakeClock()
        self.database = Database.at(folder / "burst.db")
        self.sockets = Sockets(
            open_socket("127.0.0.1:0", None, "CONSOLE"), open_socket("127.0.0.1:0", None, "WORKERS")
        )
        self.console_url = url_of(self.sockets.console)
        self.manager = RunningManager(self.settings, self.database, self.sockets, self.clock)

    def close(self) -> None:
        self.sockets.console.close()
        self.sockets.workers.close()
        self.database.close()

    def submit(self) -> Submitted:
        with ManagerClient(self.console_url) as client:
            return client.submit(SUBMISSION)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    for name in ("LEAVE_LOOK_SECONDS", "LEASE_LOOK_SECONDS", "TROUBLE_SECONDS"):
        monkeypatch.setattr(app, name, 0.0)
    made = Program(tmp_path)
    yield made
    made.close()


async def _rounds() -> None:
    """Let whatever waits for nothing go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def _run(program: Program) -> asyncio.Task[None]:
    running = asyncio.create_task(program.manager.run())
    await until(lambda: running.done() or (program.folder / "manager.json").exists())
    return running


@asynchronous
async def test_an_idle_manager_leaves_after_its_time(program: Program) -> None:
    leaving = asyncio.create_task(program.manager.leave_when_idle())
    await _rounds()
    program.clock.advance(4.9)
    await _rounds()
    assert not leaving.done()
    program.clock.advance(0.1)
    await until(leaving.done)


@asynchronous
async def test_without_that_setting_it_stays(program: Program) -> None:
    program.manager._settings = program.settings.model_copy(update={"exit_when_idle_seconds": None})
    async with asyncio.timeout(20):
        await program.manager.leave_when_idle()
    assert not program.manager._stop.is_set()


@asynchronous
async def test_an_unfinished_job_keeps_it_and_its_end_starts_the_time_anew(
    program: Program,
) -> None:
    running = await _run(program)
    job = (await asyncio.to_thread(program.submit)).job
    await _rounds()
    program.clock.advance(100)
    await _rounds()
    assert not running.done()
    with ManagerClient(program.console_url) as client:
        await asyncio.to_thread(client.act, job.id, "cancel")
    await until(lambda: not program.manager._is_needed())
    await _rounds()
    program.clock.advance(4.9)
    await _rounds()
    assert not program.manager._stop.is_set()
    program.clock.advance(0.1)
    async with asyncio.timeout(20):
        await running


@asynchronous
async def test_a_job_that_is_just_being_brought_keeps_it(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), asyncio.Event()
    real = Queue.submit

    async def slow(self: Queue, message: SubmitJob) -> Submitted:
        inside.set()
        await go_on.wait()
        return await real(self, message)

    monkeypatch.setattr(Queue, "submit", slow)
    running = await _run(program)
    submitting = asyncio.create_task(asyncio.to_thread(program.submit))
    await until(inside.is_set)
    program.clock.advance(100)
    await _rounds()
    assert not program.manager._stop.is_set()
    go_on.set()
    job = (await submitting).job
    program.clock.advance(100)
    await _rounds()
    assert not running.done()
    assert job.id in program.manager._farm.index.jobs
    program.manager._stop.set()
    await running


@asynchronous
async def test_a_job_that_comes_while_it_leaves_finds_no_farm(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, leave = threading.Event(), threading.Event()

    def stop_all(self: Any) -> None:
        asked.set()
        leave.wait(20)

    monkeypatch.setattr(ProcessProvider, "stop_all", stop_all)
    running = await _run(program)
    with ManagerClient(program.console_url) as client:
        await asyncio.to_thread(client.status)
        program.clock.advance(5)
        await until(asked.is_set)
        with pytest.raises(ManagerUnreachable):
            await asyncio.to_thread(client.submit, SUBMISSION)
    with pytest.raises(ManagerUnreachable):
        await asyncio.to_thread(program.submit)
    workers_url = url_of(program.sockets.workers)
    heard = await asyncio.to_thread(httpx.get, f"{workers_url}/healthz", trust_env=False)
    assert heard.status_code == 200
    leave.set()
    await running
    assert program.manager._farm.index.jobs == {}


@asynchronous
async def test_what_burst_knows_to_go_wrong_does_not_end_a_loop(
    program: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    async def give_up_lost(self: Scheduler) -> list[str]:
        tries.append("leases")
        raise StateError("the disk is away")

    async def rounds(self: Autoscaler) -> None:
        tries.append("autoscaler")
        raise ToolError("no processes")

    monkeypatch.setattr(Scheduler, "give_up_lost", give_up_lost)
    monkeypatch.setattr(Autoscaler, "run", rounds)
    with caplog.at_level(logging.WARNING):
        running = await _run(program)
        await until(lambda: tries.count("leases") > 2 and tries.count("autoscaler") > 2)
        program.manager._stop.set()
        await running
    assert {"leases: the disk is away", "autoscaler: no processes"} <= set(caplog.messages)


@asynchronous
async def test_a_bug_in_a_loop_is_told_with_its_traceback_and_stops_the_manager(
    program: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def rounds(self: Autoscaler) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Autoscaler, "round", rounds)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(program.manager.run(), 20)
    assert "a bug in autoscaler, the manager stops" in caplog.text
    assert "Traceback" in caplog.text


@asynchronous
async def test_a_manager_that_can_not_stop_its_workers_stops_all_the_same(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_all(self: Any) -> None:
        raise ToolError("the folder is away")

    monkeypatch.setattr(ProcessProvider, "stop_all", stop_all)
    running = await _run(program)
    program.manager._stop.set()
    async with asyncio.timeout(20):
        await running


@asynchronous
async def test_it_says_where_it_is(program: Program) -> None:
    running = await _run(program)
    address = state_dir.last_address(program.folder)
    assert address is not None
    assert (address.console_url, address.implicit) == (program.console_url, True)
    program.manager._stop.set()
    await running


@asynchronous
async def test_who_calls_at_a_closed_door_is_hung_up_on() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("let in")

    door = Door(inside)
    door.close()
    with open_socket("127.0.0.1:0", None, "X") as opened:
        server, url = create_server(door), url_of(opened)
        serving = asyncio.create_task(server._serve([opened]))
        with ManagerClient(url) as client, pytest.raises(ManagerUnreachable):
            await asyncio.to_thread(client.submit, SUBMISSION)
        server.should_exit = True
        await serving


@pytest.mark.parametrize(("method", "busy"), [("POST", True), ("DELETE", True), ("GET", False)])
@asynchronous
async def test_a_door_is_busy_while_something_is_being_changed(method: str, busy: bool) -> None:
    seen: list[bool] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(door.busy)
        raise ZeroDivisionError

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    door = Door(inside)
    with pytest.raises(ZeroDivisionError):
        await door({"type": "http", "method": method}, receive, send)
    assert (seen, door.busy) == ([busy], False)


@asynchronous
async def test_pools_are_known_before_anybody_is_served(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(autoscaler: Autoscaler) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Autoscaler, "round", wait)
    running = await _run(program)
    try:
        assert [*program.manager._farm.index.pools] == ["local"]
    finally:
        program.manager._stop.set()
        await running


@asynchronous
async def test_a_manager_serves_though_nobody_tells_it_of_its_pools(
    program: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(provider: ProcessProvider) -> None:
        raise ToolError("the cluster does not answer")

    monkeypatch.setattr(ProcessProvider, "pools", refuse)
    running = await _run(program)
    try:
        assert "worker pools are not known yet: the cluster does not answer" in caplog.text
        submitted = await asyncio.to_thread(program.submit)
        assert submitted.job.status == "queued"
    finally:
        program.manager._stop.set()
        await running
