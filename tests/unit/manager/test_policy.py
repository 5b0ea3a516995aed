"""How many workers there should be. The loop that asks is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.manager.autoscaler import policy
from burst.manager.autoscaler.policy import Demand, Pool, decide, retry_seconds

GIB = 1 << 30
POOL = Pool(
    name="local",
    maximum=4,
    workers=0,
    starting=0,
    leaving=0,
    cores=8,
    memory_bytes=64 * GIB,
    boot_seconds=3.0,
    failed_starts=0,
    last_failure_at=0.0,
)

demands = st.lists(
    st.builds(
        Demand,
        st.integers(0, 50),
        st.integers(0, 10),
        st.none() | st.floats(0, 1000),
        st.integers(0, 80 * GIB),
    ),
    max_size=4,
)
pools = st.builds(
    Pool,
    name=st.just("p"),
    maximum=st.integers(0, 16),
    workers=st.integers(0, 16),
    starting=st.integers(0, 16),
    leaving=st.integers(0, 16),
    cores=st.integers(1, 64),
    memory_bytes=st.integers(GIB, 512 * GIB),
    boot_seconds=st.floats(0, 100),
    failed_starts=st.integers(0, 20),
    last_failure_at=st.floats(0, 1000),
)


@given(demands, st.lists(pools, max_size=3), st.floats(0, 2000))
def test_no_decision_is_absurd(demand: list[Demand], given_pools: list[Pool], now: float) -> None:
    resizes = decide(demand, given_pools, now)
    assert len(resizes) == len(given_pools)
    work = sum(job.tasks_ready + job.tasks_active for job in demand)
    for resize, pool in zip(resizes, given_pools, strict=True):
        here = pool.workers + pool.starting
        assert resize.start >= 0
        assert resize.wanted >= 0
        assert resize.start == 0 or here + resize.start <= min(pool.maximum, work)
        assert 1 <= resize.threads <= pool.cores
        assert resize.reason
    assert sum(r.start for r in resizes) <= work


@given(st.lists(pools, min_size=1, max_size=3), st.floats(0, 2000))
def test_without_work_nothing_is_started(given_pools: list[Pool], now: float) -> None:
    assert all(resize.start == 0 for resize in decide([], given_pools, now))


def _start(pool: Pool, *jobs: Demand, now: float = 1000.0) -> int:
    (resize,) = decide(jobs, [pool], now)
    return resize.start


@pytest.mark.parametrize(
    ("ready", "active", "workers", "starting", "start"),
    [
        (0, 0, 0, 0, 0),
        (1, 0, 0, 0, 1),
        (3, 0, 0, 0, 3),
        (99, 0, 0, 0, 4),
        (99, 0, 3, 0, 1),
        (99, 0, 1, 3, 0),
        (2, 2, 2, 0, 2),
        (0, 4, 4, 0, 0),
        (99, 4, 6, 0, 0),
    ],
)
def test_as_many_as_there_is_work_and_room(
    ready: int, active: int, workers: int, starting: int, start: int
) -> None:
    pool = replace(POOL, workers=workers, starting=starting)
    assert _start(pool, Demand(ready, active, None, 0)) == start


def test_renders_that_need_much_memory_run_alone() -> None:
    assert _start(POOL, Demand(9, 0, None, 50 * GIB)) == 1
    assert _start(POOL, Demand(9, 0, None, 500 * GIB)) == 1
    assert _start(POOL, Demand(9, 0, None, 20 * GIB)) == 2
    assert _start(POOL, Demand(9, 0, None, GIB), Demand(1, 0, None, 20 * GIB)) == 2


def test_the_memory_of_jobs_without_work_does_not_count() -> None:
    assert _start(POOL, Demand(9, 0, None, GIB), Demand(0, 0, None, 60 * GIB)) == 4


def test_workers_that_leave_still_take_memory() -> None:
    assert _start(replace(POOL, leaving=1), Demand(9, 0, None, 20 * GIB)) == 1


def test_failed_starts_are_tried_again_later_and_later() -> None:
    assert [retry_seconds(n) for n in range(5)] == [0, 2, 4, 8, 16]
    assert retry_seconds(1000) == policy.RETRY_LAST_SECONDS
    pool = replace(POOL, failed_starts=3, last_failure_at=100.0)
    assert _start(pool, Demand(1, 0, None, 0), now=107.9) == 0
    assert _start(pool, Demand(1, 0, None, 0), now=108.0) == 1


def test_no_worker_is_started_that_would_come_too_late() -> None:
    here = replace(POOL, workers=2)
    assert _start(here, Demand(4, 0, 1.0, 0)) == 0
    assert _start(here, Demand(8, 0, 1.0, 0)) == 2
    assert _start(here, Demand(4, 0, None, 0)) == 2
    assert _start(POOL, Demand(4, 0, 0.01, 0)) == 4


def test_what_the_first_pool_takes_the_second_does_not() -> None:
    first, second = replace(POOL, name="a", maximum=2), replace(POOL, name="b")
    resizes = decide([Demand(3, 0, None, 0)], [first, second], 0)
    assert [(r.pool, r.start) for r in resizes] == [("a", 2), ("b", 1)]


def test_cores_are_shared_among_the_workers_that_are_wanted() -> None:
    (resize,) = decide([Demand(3, 0, None, 0)], [POOL], 0)
    assert resize.threads == 2
    (resize,) = decide([Demand(1, 0, None, 0)], [POOL], 0)
    assert resize.threads == 8
