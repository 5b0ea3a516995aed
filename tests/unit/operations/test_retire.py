"""Emptying a pool that is to go, with a stand-in for kubectl and one for the manager."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from burst.cloud.kubectl import Kubectl
from burst.config.cluster import ClusterFarm, ClusterSettings
from burst.errors import ManagerUnreachable, NotFound
from burst.operations import retire
from burst.operations.retire import FINISH_SECONDS, empty_pool
from burst.protocol.artist_messages import ChangePool
from tests.fakes.cluster_tools import FakeTools

JOBS = ("big-1", "big-2")


class Asked:
    """A manager of which only pools are changed."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, ChangePool]] = []
        self.error: Exception | None = None

    def change_pool(self, name: str, message: ChangePool) -> None:
        if self.error:
            raise self.error
        self.changes.append((name, message))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    """A cluster on which two workers of the pool big run, and one of another."""
    tools = FakeTools(tmp_path / "tools")
    for name in (*JOBS, "small-1"):
        labels = {"burst/farm": "show", "burst/pool": name.rpartition("-")[0]}
        tools.put("job", name, metadata={"labels": labels})
    monkeypatch.setenv("PATH", str(tools.bin))
    return tools


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()

    @contextlib.contextmanager
    def open_client(url: str) -> Iterator[Asked]:
        yield asked

    monkeypatch.setattr(retire, "find_farm", lambda settings: "http://manager")
    monkeypatch.setattr(retire, "open_client", open_client)
    return asked


class Run:
    """One removal; each look at what is left is a second, and ends one worker."""

    def __init__(self, tools: FakeTools, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self._tools = tools
        self._settings = ClusterFarm(
            state_dir=folder / "state",
            storage_url="gs://show",
            cluster=ClusterSettings(farm="show", kubeconfig=tools.kubeconfig),
        )
        self._leaving = list(JOBS)
        monkeypatch.setattr(retire, "time", SimpleNamespace(sleep=lambda seconds: self._end_one()))

    def go(self, *times: float) -> bool:
        kubectl = Kubectl(self._tools.kubeconfig, None, "show")
        clock = iter(times) if times else itertools.count()
        settings, tell = self._settings, self.said.append
        return empty_pool(settings, kubectl, "big", tell, clock=lambda: next(clock))

    def _end_one(self) -> None:
        name = self._leaving.pop()
        objects = self._tools.read()["objects"]
        del objects[f"job/{name}"]
        self._tools.set(objects=objects)


@pytest.fixture
def run(tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tools, tmp_path, monkeypatch)


def test_its_workers_get_no_more_work_and_finish_what_they_hold(manager: Asked, run: Run) -> None:
    assert run.go()
    assert manager.changes == [("big", ChangePool(scale=0))]
    assert manager.changes[0][1].model_fields_set == {"scale"}
    assert run.said == [
        "pool big: waiting for 2 workers to finish what they hold",
        "pool big: waiting for 1 workers to finish what they hold",
    ]


def test_one_that_does_not_end_is_not_waited_for_for_ever(manager: Asked, run: Run) -> None:
    assert not run.go(0.0, 1.0, FINISH_SECONDS + 1)
    assert run.said[-1] == "pool big stays for now: 1 of its workers are still busy"


def test_without_a_manager_nobody_is_ended(manager: Asked, run: Run) -> None:
    manager.error = ManagerUnreachable("the manager does not answer")
    assert not run.go()
    assert "can't be told to leave: the manager does not answer" in run.said[-1]


def test_a_pool_that_the_manager_does_not_know_goes(manager: Asked, run: Run) -> None:
    manager.error = NotFound("there is no worker pool big")
    assert run.go()
