"""Workers as child processes, and what every worker provider promises.

The suite runs over the real provider and over the fake that stands for it in
``test_autoscaler.py``. A script stands for the worker's program: what that does when it is
told to leave is in ``tests/integration``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from fake_provider import FakeProvider

from burst.errors import ToolError
from burst.manager.autoscaler import processes
from burst.manager.autoscaler.processes import ProcessProvider
from burst.manager.autoscaler.provider import Order, StartedWorker, WorkerProvider

SCRIPT = """#!/bin/sh
echo "$BURST_WORKER_NAME with $BURST_THREADS threads and ${BURST_LEFT_OVER:-nothing} left over"
echo "cage $BURST_CAGE, scenes $BURST_SCENES, emulator $STORAGE_EMULATOR_HOST"
case "$BURST_WORKER_NAME" in
  fails*) echo "error: no Blender" >&2; exit 1 ;;
  leaves*) exit 0 ;;
  stubborn*) trap "" TERM ;;
esac
echo ready
exec sleep 60
"""


class World(Protocol):
    """A provider whose workers the test can end."""

    provider: WorkerProvider

    def end(self, name: str, failure: str) -> None:
        """Let a worker's process end."""


class FakeWorld:
    def __init__(self) -> None:
        self.fake = FakeProvider()
        self.provider: WorkerProvider = self.fake

    def end(self, name: str, failure: str) -> None:
        self.fake.end(name, failure)


class RealWorld:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.provider: WorkerProvider = self.restart()

    def restart(self) -> ProcessProvider:
        """Return the provider of another manager on the same folder."""
        return ProcessProvider(self.folder / "workers", self.folder / "logs", {}, 4)

    def pid(self, name: str) -> int:
        return int((self.folder / "workers" / name / "pid").read_text())

    def end(self, name: str, failure: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)
        _wait(lambda: not _find(self.provider, name).running)

    def log(self, name: str) -> str:
        path = self.provider.log_path(name)
        assert path is not None
        return path.read_text() if path.exists() else ""


def _find(provider: WorkerProvider, name: str) -> StartedWorker:
    return next(worker for worker in provider.list() if worker.name == name)


def _order(name: str, threads: int) -> Order:
    return Order(name, "local", threads)


def _wait(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealWorld]:
    script = tmp_path / "program"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    world = RealWorld(tmp_path)
    yield world
    for home in (tmp_path / "workers").glob("*/"):
        world.provider.remove([home.name])


@pytest.fixture(params=["real", "fake"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = FakeWorld() if request.param == "fake" else request.getfixturevalue("real")
    return made


def test_nothing_is_there_before_a_start(world: World) -> None:
    assert list(world.provider.list()) == []


def test_there_is_something_to_share_out(world: World) -> None:
    (pool,) = world.provider.pools()
    assert pool.cores >= 1
    assert pool.memory_bytes > 1 << 28
    assert pool.boot_seconds > 0
    assert (pool.maximum, pool.trouble) == (4, "")


def test_a_started_worker_runs(world: World) -> None:
    world.provider.start([_order("one", 2)])
    assert list(world.provider.list()) == [StartedWorker("one", running=True, pool="local")]


def test_workers_are_listed_by_name(world: World) -> None:
    for name in ("b", "a"):
        world.provider.start([_order(name, 1)])
    assert [worker.name for worker in world.provider.list()] == ["a", "b"]


def test_a_name_that_runs_is_not_started_twice(world: World) -> None:
    world.provider.start([_order("one", 1)])
    world.provider.start([_order("one", 1)])
    assert len(world.provider.list()) == 1
    world.end("one", "")
    assert not _find(world.provider, "one").running


def test_a_worker_that_was_killed_stays_listed_with_the_reason(world: World) -> None:
    world.provider.start([_order("one", 1)])
    world.end("one", "killed by SIGKILL")
    assert _find(world.provider, "one") == StartedWorker(
        "one", False, "killed by SIGKILL", pool="local"
    )


def test_a_removed_worker_is_gone_whether_it_ran_or_not(world: World) -> None:
    for name in ("one", "two"):
        world.provider.start([_order(name, 1)])
    world.end("two", "")
    for name in ("one", "two", "never-was"):
        world.provider.remove([name])
    assert list(world.provider.list()) == []


def test_no_worker_runs_when_all_were_stopped(world: World) -> None:
    for name in ("one", "two"):
        world.provider.start([_order(name, 1)])
    world.provider.stop_all()
    assert not any(worker.running for worker in world.provider.list())


def test_a_worker_that_will_not_leave_is_killed(
    real: RealWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LEAVE_SECONDS", 0.1)
    real.provider.start([_order("stubborn", 1)])
    _wait(lambda: "ready" in real.log("stubborn"))
    pid = real.pid("stubborn")
    real.provider.stop_all()
    assert list(real.provider.list()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_outlives_its_provider_and_is_known_to_the_next(real: RealWorld) -> None:
    real.provider.start([_order("one", 1)])
    pid = real.pid("one")
    another = real.restart()
    another.start([_order("one", 1)])
    assert _find(another, "one").running
    assert real.pid("one") == pid
    another.remove(["one"])
    assert list(another.list()) == []
    # It was the first one's child, and the test's: nobody else collects it.
    real.provider.remove(["one"])


def test_a_failure_is_told_in_the_workers_own_words(real: RealWorld) -> None:
    real.provider.start([_order("fails", 1)])
    _wait(lambda: not _find(real.provider, "fails").running)
    _wait(lambda: bool(_find(real.provider, "fails").failure))
    found = _find(real.provider, "fails")
    assert (found.failure, found.gave_up) == ("no Blender", True)


def test_a_worker_that_left_did_not_fail(real: RealWorld) -> None:
    real.provider.start([_order("leaves", 1)])
    _wait(lambda: not _find(real.provider, "leaves").running)
    assert _find(real.provider, "leaves").failure == ""


def test_a_worker_gets_its_own_settings_and_not_the_managers(
    real: RealWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_LEFT_OVER", "something")
    real.provider.start([_order("one", 3)])
    _wait(lambda: "ready" in real.log("one"))
    assert real.log("one").startswith("one with 3 threads and nothing left over")


def test_what_concerns_workers_alone_reaches_a_local_one(
    real: RealWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_CAGE", "off")
    monkeypatch.setenv("BURST_SCENES", "fetch")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:1")
    real.provider.start([_order("one", 3)])
    _wait(lambda: "ready" in real.log("one"))
    assert "cage off, scenes fetch, emulator http://localhost:1" in real.log("one")


def test_the_log_of_a_removed_worker_stays(real: RealWorld) -> None:
    real.provider.start([_order("one", 1)])
    _wait(lambda: "ready" in real.log("one"))
    real.provider.remove(["one"])
    assert "ready" in real.log("one")


def test_what_is_no_folder_is_no_worker(real: RealWorld) -> None:
    real.provider.start([_order("one", 1)])
    (real.folder / "workers" / ".directory").write_text("a desktop's")
    assert [worker.name for worker in real.provider.list()] == ["one"]


def test_a_folder_that_can_not_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("in the way")
    provider = ProcessProvider(tmp_path / "workers", tmp_path / "logs", {}, 4)
    for call in (provider.list, provider.stop_all):
        with pytest.raises(ToolError):
            call()
    assert "can't start worker one" in provider.start([_order("one", 1)])["one"]
    assert list(tmp_path.iterdir()) == [tmp_path / "workers"]


def test_a_worker_whose_pid_can_not_be_written_does_not_run(real: RealWorld) -> None:
    (real.folder / "workers" / "one" / "pid").mkdir(parents=True)
    assert "can't start worker one" in real.provider.start([_order("one", 1)])["one"]
    assert not _find(real.provider, "one").running
