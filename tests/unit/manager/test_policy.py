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
        st.none() | st.lists(st.sampled_from("abcd"), unique=True).map(tuple),
    ),
    max_size=4,
)
pool = st.builds(
    Pool,
    name=st.sampled_from("abcd"),
    maximum=st.integers(0, 16),
    workers=st.integers(0, 16),
    starting=st.integers(0, 16),
    leaving=st.integers(0, 16),
    cores=st.integers(1, 64),
    memory_bytes=st.integers(GIB, 512 * GIB),
    boot_seconds=st.floats(0, 100),
    failed_starts=st.integers(0, 20),
    last_failure_at=st.floats(0, 1000),
    is_shared=st.booleans(),
    in_doubt=st.booleans(),
    trouble=st.sampled_from(["", "no job.json"]),
)
pools = st.lists(pool, max_size=3, unique_by=lambda pool: pool.name)


@given(demands, pools, st.floats(0, 2000))
def test_no_decision_is_absurd(demand: list[Demand], given_pools: list[Pool], now: float) -> None:
    resizes = decide(demand, given_pools, now)
    assert len(resizes) == len(given_pools)
    work = sum(job.tasks_ready + job.tasks_active for job in demand)
    for resize, pool in zip(resizes, given_pools, strict=True):
        here = pool.workers + pool.starting
        assert resize.start >= 0
        assert resize.wanted >= 0
        assert resize.start == 0 or here + resize.start <= min(pool.maximum, work)
        assert (
            resize.start == 0
            or here + resize.start + pool.leaving <= pool.maximum
            or (pool.is_shared)
        )
        assert 1 <= resize.threads <= max(1, pool.cores)
        assert 0 <= resize.drain <= pool.workers
        assert 0 <= resize.release <= pool.idle
        assert 0 <= resize.surplus <= pool.starting
        assert resize.reason
    assert sum(r.start for r in resizes) <= work


@given(pools, st.floats(0, 2000))
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


def test_whether_one_would_come_too_late_is_asked_of_all_work_for_those_who_are_there() -> None:
    pools = [replace(CLOUD, workers=2, boot_seconds=10.0), replace(NEXT, workers=2)]
    short = Demand(4, 0, 4.0, 0, ("a",))
    assert _starts(pools, short) == [0, 0]
    # Others wait for the same workers, in this pool or in both.
    assert _starts(pools, short, Demand(4, 0, 4.0, 0, ("a",))) == [6, 0]
    assert _starts(pools, short, Demand(9, 0, 9.0, 0)) == [8, 0]
    assert _starts(pools, short, Demand(9, 0, 9.0, 0, ("b",)))[0] == 0
    # Nobody knows for how long they will be busy.
    assert _starts(pools, short, Demand(1, 0, None, 0, ("a",)))[0] == 3
    assert _starts(pools, short, Demand(0, 1, None, 0, ("a",)))[0] == 0


def test_what_the_first_pool_takes_the_second_does_not() -> None:
    first, second = replace(POOL, name="a", maximum=2), replace(POOL, name="b")
    resizes = decide([Demand(3, 0, None, 0)], [first, second], 0)
    assert [(r.pool, r.start) for r in resizes] == [("a", 2), ("b", 1)]


def test_cores_are_shared_among_the_workers_that_are_wanted() -> None:
    (resize,) = decide([Demand(3, 0, None, 0)], [POOL], 0)
    assert resize.threads == 2
    (resize,) = decide([Demand(1, 0, None, 0)], [POOL], 0)
    assert resize.threads == 8


CLOUD = Pool(
    name="a",
    maximum=10,
    workers=0,
    starting=0,
    leaving=0,
    cores=7.9,
    memory_bytes=28 * GIB,
    boot_seconds=90.0,
    failed_starts=0,
    last_failure_at=0.0,
    is_shared=False,
)
NEXT = replace(CLOUD, name="b")


def _starts(pools: list[Pool], *jobs: Demand, now: float = 1000.0) -> list[int]:
    return [resize.start for resize in decide(jobs, pools, now)]


def test_workers_with_a_machine_each_have_all_its_cores() -> None:
    (resize,) = decide([Demand(3, 0, None, 100 * GIB)], [CLOUD], 0)
    assert (resize.start, resize.threads) == (3, 7)


def test_a_job_gets_workers_only_where_it_can_run_in_its_own_order() -> None:
    assert _starts([CLOUD, NEXT], Demand(4, 0, None, 0, ("b",))) == [0, 4]
    assert _starts([CLOUD, NEXT], Demand(12, 0, None, 0, ("b", "a"))) == [2, 10]
    assert _starts([CLOUD, NEXT], Demand(4, 0, None, 0, ())) == [0, 0]
    assert _starts([CLOUD, NEXT], Demand(4, 0, None, 0, ("gone",))) == [0, 0]


def test_those_who_can_do_little_else_do_it() -> None:
    pools = [replace(CLOUD, workers=2), NEXT]
    jobs = Demand(2, 0, None, 0, ("a", "b")), Demand(2, 0, None, 0, ("a",))
    # The two of pool a do what only they can; the other job needs two more.
    assert _starts(pools, *jobs) == [2, 0]
    assert _starts([replace(pools[0], maximum=2), NEXT], *jobs) == [0, 2]


def test_workers_anywhere_count_before_one_is_started_in_a_better_place() -> None:
    assert _starts([CLOUD, replace(NEXT, workers=3, starting=1)], Demand(4, 0, None, 0)) == [0, 0]
    assert _starts([CLOUD, replace(NEXT, workers=3)], Demand(4, 0, None, 0)) == [1, 0]


def test_without_machines_the_next_pool_does_it_for_a_time() -> None:
    pools = [replace(CLOUD, out_of_stock_until=1010.0), NEXT]
    first, second = decide([Demand(4, 0, None, 0)], pools, 1000.0)
    assert (first.start, second.start) == (0, 4)
    assert first.reason == "there was no machine to be had; tried again in 10 s"
    assert _starts(pools, Demand(4, 0, None, 0), now=1010.0) == [4, 0]


def test_a_pool_that_fails_again_and_again_is_passed_over() -> None:
    job = Demand(4, 0, None, 0)
    failing = replace(CLOUD, failed_starts=2, last_failure_at=999.0)
    assert _starts([failing, NEXT], job) == [0, 0]
    assert _starts([replace(failing, failed_starts=3), NEXT], job) == [0, 4]


def test_a_pool_that_can_not_be_used_starts_nobody_and_says_why() -> None:
    broken = replace(CLOUD, trouble="job.json is not JSON", minimum=2, scale=3)
    first, second = decide([Demand(4, 0, None, 0)], [broken, NEXT], 0)
    assert (first.start, first.reason, second.start) == (0, "job.json is not JSON", 4)


def test_those_who_leave_and_have_a_machine_each_count_to_the_maximum() -> None:
    pools = [replace(CLOUD, workers=5, leaving=3), NEXT]
    assert _starts(pools, Demand(9, 0, None, 0)) == [2, 2]
    by_hand = replace(CLOUD, maximum=4, scale=4, leaving=3)
    assert _starts([by_hand], Demand(9, 0, None, 0)) == [1]


def test_of_more_than_there_may_be_some_leave_and_their_work_goes_on_elsewhere() -> None:
    pools = [replace(CLOUD, maximum=2, workers=4, starting=2), NEXT]
    first, second = decide([Demand(9, 4, None, 0)], pools, 0)
    assert (first.start, first.drain, first.surplus, second.start) == (0, 2, 2, 10)
    broken = replace(CLOUD, maximum=0, workers=4, trouble="it has no job.json")
    (resize,) = decide([Demand(9, 4, None, 0)], [broken], 0)
    assert (resize.start, resize.drain) == (0, 0)


def test_after_workers_came_to_nothing_a_few_are_tried_before_many() -> None:
    job = Demand(9, 0, None, 0)
    doubted = replace(CLOUD, in_doubt=True)
    assert _starts([doubted], job) == [1]
    assert _starts([replace(doubted, starting=1)], job) == [0]
    assert _starts([replace(doubted, workers=3, starting=1)], job) == [2]


def test_the_minimum_is_there_without_work() -> None:
    (resize,) = decide([], [replace(CLOUD, minimum=2, workers=1)], 0)
    assert (resize.wanted, resize.start, resize.reason) == (2, 1, "the minimum is 2")
    (resize,) = decide([], [replace(CLOUD, minimum=2, workers=4, idle=4)], 0)
    assert (resize.start, resize.drain, resize.release) == (0, 0, 2)
    assert _starts([replace(CLOUD, minimum=2, maximum=1)]) == [1]


def test_a_number_set_by_hand_is_kept_whatever_there_is_to_do() -> None:
    by_hand = replace(CLOUD, scale=3, maximum=1)
    for job in (Demand(99, 0, None, 0), Demand(0, 0, None, 0)):
        (resize,) = decide([job], [by_hand], 0)
        assert (resize.start, resize.wanted, resize.reason) == (3, 3, "set to 3 by hand")
    (resize,) = decide([Demand(99, 5, None, 0)], [replace(by_hand, workers=5)], 0)
    assert (resize.start, resize.drain) == (0, 2)
    (resize,) = decide([Demand(99, 5, None, 0)], [replace(by_hand, scale=0, workers=5)], 0)
    assert (resize.start, resize.drain) == (0, 5)


def test_workers_that_start_for_nothing_are_told() -> None:
    (resize,) = decide([Demand(1, 1, None, 0)], [replace(CLOUD, workers=1, starting=9)], 0)
    assert (resize.wanted, resize.surplus, resize.drain) == (2, 8, 0)
    (resize,) = decide([], [replace(CLOUD, workers=1, starting=1)], 0)
    assert resize.surplus == 1
