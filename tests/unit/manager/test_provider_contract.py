"""What every worker provider promises: processes, Kubernetes' Jobs, and the fake of tests.

The cluster is a fake, too; ``tests/kubernetes`` has a real one.
"""

from __future__ import annotations

import pytest
from worlds import FakeWorld, World, find, order, wait_for


@pytest.fixture(params=["machine", "cluster", "fake"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = FakeWorld() if request.param == "fake" else request.getfixturevalue(request.param)
    return made


def _listed(world: World) -> list[tuple[str, bool, str]]:
    return [(worker.name, worker.running, worker.pool) for worker in world.provider.list()]


def test_nothing_is_there_before_a_start(world: World) -> None:
    assert _listed(world) == []


def test_pools_say_what_their_workers_are_like(world: World) -> None:
    (pool,) = world.provider.pools()
    assert (pool.name, pool.maximum, pool.trouble) == ("local", 4, "")
    assert pool.cores >= 1
    assert pool.memory_bytes > 1 << 28
    assert pool.boot_seconds > 0
    assert pool.start_seconds == 180


def test_workers_that_were_started_are_there_at_once_and_listed_by_name(world: World) -> None:
    assert world.provider.start([order("two"), order("one")]) == {}
    assert _listed(world) == [("one", True, "local"), ("two", True, "local")]


def test_a_name_that_runs_is_not_started_twice(world: World) -> None:
    world.provider.start([order("one")])
    assert world.provider.start([order("one")]) == {}
    assert _listed(world) == [("one", True, "local")]


def test_the_next_manager_finds_what_runs_and_does_not_start_it_again(world: World) -> None:
    world.provider.start([order("one")])
    world.provider = world.restart()
    assert world.provider.start([order("one")]) == {}
    assert _listed(world) == [("one", True, "local")]


def test_a_worker_that_was_killed_stays_listed_with_the_reason(world: World) -> None:
    world.provider.start([order("one")])
    world.kill("one")
    found = find(world.provider, "one")
    assert (found.running, found.failure, found.gave_up) == (False, "killed by SIGKILL", False)


def test_removed_workers_are_gone_whether_they_ran_or_not(world: World) -> None:
    world.provider.start([order("one"), order("two")])
    world.kill("two")
    world.provider.remove(["one", "two", "never-was"])
    assert _listed(world) == []
    wait_for(lambda: not list(world.restart().list()))
