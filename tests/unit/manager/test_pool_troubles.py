"""What keeps a pool from coming to the right size, and must not keep it so for ever.

What goes well is in ``test_pools.py``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fake_provider import FakeProvider
from manager_kit import Manager, asynchronous
from test_pools import LARGE, SMALL, Pools3

from burst.domain.pools import WorkerPool
from burst.domain.transitions import AttemptStatus
from burst.errors import DatabaseUnavailable, NotFound, ToolError
from burst.manager.autoscaler.departures import BROKEN_SECONDS_MAX
from burst.manager.autoscaler.loop import BATCH
from burst.manager.autoscaler.pool_state import DOUBT_SECONDS
from burst.manager.autoscaler.provider import Order
from burst.manager.changes import Changes
from burst.manager.explanation import explain
from burst.protocol.artist_messages import ChangePool

MANY = replace(SMALL, maximum=100)


class Stubborn(FakeProvider):
    """Some can't be removed, and in some pools none can be made."""

    def __init__(self, *pools: Any) -> None:
        super().__init__(*pools)
        self.kept: set[str] = set()
        self.closed: set[str] = set()

    def remove(self, names: Collection[str]) -> None:
        super().remove([name for name in names if name not in self.kept])
        if self.kept.intersection(names):
            raise ToolError("a webhook denied the request")

    def start(self, orders: Sequence[Order]) -> Mapping[str, str]:
        if any(order.pool in self.closed for order in orders):
            raise ToolError("the cluster does not take it now: failed calling webhook")
        return super().start(orders)


def _stubborn(manager: Manager, *pools: Any) -> tuple[Pools3, Stubborn]:
    found = Pools3(manager, *pools)
    found.provider = provider = Stubborn(*pools)
    found.restart()
    return found, provider


@asynchronous
async def test_one_that_can_not_be_removed_keeps_nobody_from_starting(manager: Manager) -> None:
    one, provider = _stubborn(manager, SMALL)
    await one.manager.submit("1-2")
    await one.round()
    provider.kept = {"small-1"}
    provider.end("small-1", "no Blender")
    with pytest.raises(ToolError, match="a webhook denied"):
        await one.round()
    for _ in range(4):
        with pytest.raises(ToolError):
            await one.round(0.5)
    assert one.autoscaler._state("small").failed_starts == 1
    # It is not taken for one that starts.
    assert one.view("small").starting == 1
    await one.come("small-2")
    with pytest.raises(ToolError):
        await one.round()
    assert provider.started == ["small-1", "small-2", "small-3"]
    provider.kept = set()
    await one.round()
    assert sorted(one.manager.farm.index.starts) == ["small-2", "small-3"]


@asynchronous
async def test_a_pool_whose_workers_are_not_taken_waits_and_keeps_no_other_from_its_own(
    manager: Manager,
) -> None:
    two, provider = _stubborn(manager, SMALL, LARGE)
    provider.closed = {"small"}
    await two.manager.submit("1-6")
    for _ in range(3):
        await two.round(0.5)
    assert provider.started == ["large-5", "large-6"]
    assert "failed calling webhook" in two.view("small").failure
    # Four names were written down in vain, and not again in each round.
    assert two.manager.farm.index.counters["worker"] == 6
    provider.closed = set()
    await two.round(2.0)
    assert len(provider.started) == 6


@asynchronous
async def test_workers_whose_machines_are_taken_again_and_again_are_started_later_and_later(
    manager: Manager,
) -> None:
    one = Pools3(manager, SMALL)
    await one.manager.submit("1")
    await one.round()
    for _ in range(20):
        for name in one.manager.farm.index.starts:
            one.provider.end(name, "evicted", outcome=AttemptStatus.INTERRUPTED)
        await one.round(0.5)
    # At once, then after 2 and 4 seconds; 10 have passed.
    assert len(one.provider.started) == 4
    assert one.view("small").failure == "evicted"
    await one.come(one.provider.started[-1])
    await one.round()
    assert one.view("small").failure == ""


@asynchronous
async def test_after_a_failure_one_is_tried_before_a_hundred(manager: Manager) -> None:
    one = Pools3(manager, MANY)
    await one.manager.submit("1-100")
    await one.round()
    assert len(one.provider.started) == 100
    for name in one.provider.started:
        one.provider.hold_up(name, "broken", "ErrImagePull: no such image")
    await one.round()
    await one.round(BROKEN_SECONDS_MAX)
    assert len(one.provider.removed) == 100
    await one.round(120.0)
    assert len(one.provider.started) == 101
    assert one.view("small").reason == (
        "the last worker was of no use; a few are tried before many"
    )
    await one.come("small-101")
    await one.round()
    assert len(one.provider.started) == 200


@asynchronous
async def test_after_one_came_for_nothing_many_are_started_after_three_a_few(
    manager: Manager,
) -> None:
    one = Pools3(manager, MANY)
    await one.manager.submit("1-3")
    await one.round()
    workers = [await one.come(name) for name in one.provider.started]
    await one.round()

    async def come_for_nothing(*names: str) -> None:
        for worker in [worker for worker in workers if worker.name in names]:
            await worker.sign_off()
            one.provider.end(worker.name, "its disk is full", gave_up=True)
            workers.remove(worker)
        await one.round()

    await come_for_nothing("small-1")
    await one.round(2.0, *workers)
    assert one.view("small").starting == 1
    await come_for_nothing("small-2", "small-3")
    await one.manager.submit("1-90")
    await one.round(8.0)
    assert one.view("small").starting == 1
    # The next day nobody knows any more.
    del one.provider.workers["small-4"]
    await one.round(DOUBT_SECONDS - 8.0)
    assert one.view("small").starting == 93


@asynchronous
async def test_who_was_here_has_not_failed_to_start_for_the_next_manager_either(
    manager: Manager,
) -> None:
    one = Pools3(manager, SMALL)
    await one.manager.submit("1-2")
    await one.round()
    for name in list(one.provider.started):
        await one.come(name)
        one.provider.end(name, "killed by SIGKILL")
    one.restart()
    await one.round()
    assert one.provider.started[2:] == ["small-3", "small-4"]
    assert one.view("small").failure == ""


@asynchronous
async def test_workers_told_to_stay_leave_when_their_pool_is_renamed(manager: Manager) -> None:
    one = Pools3(manager, replace(SMALL, minimum=1))
    await one.round()
    worker = await one.come("small-1")
    job = await one.manager.submit("1")
    task = await worker.take()
    one.provider.described = [LARGE]
    limit = one.manager.settings.idle_exit_seconds
    for _ in range(30):
        await one.round(1.0, worker)
    entry = one.manager.farm.index.workers["small-1"]
    assert not entry.draining  # it is busy
    await worker.finish(task)
    assert one.manager.view(job.id).frames_published == 1
    for _ in range(int(limit) + 10):
        await one.round(1.0, worker)
    assert entry.draining


@asynchronous
async def test_a_clock_that_was_set_makes_nobody_late_nor_early(manager: Manager) -> None:
    for hours in (-24, 24):
        one = Pools3(manager, SMALL)
        job = await one.manager.submit("1")
        await one.round()
        await one.round()
        (name,) = one.manager.farm.index.starts
        one.manager.clock._start += timedelta(hours=hours)
        for _ in range(10):
            await one.round(29.0)
        assert one.provider.removed == []
        await one.round(29.0)
        assert one.provider.removed == [name]
        await one.manager.queue.act(job.id, "cancel")
        await one.round()


@asynchronous
async def test_one_that_was_started_by_a_clock_ahead_is_given_up_in_time(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    await one.manager.submit("1")
    await one.round()
    one.manager.clock._start -= timedelta(hours=24)
    one.restart()
    for _ in range(11):
        await one.round(30.0)
    assert one.provider.removed == ["small-1"]


@asynchronous
async def test_of_one_that_nobody_wrote_down_no_stock_out_is_concluded(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    await one.manager.submit("1")
    one.provider.start([Order("small-77", "small", 1)])
    one.provider.hold_up("small-77", "node", "no node for it: none fits")
    for _ in range(10):
        await one.round(SMALL.start_seconds / 10)
    # It has as long as any other, though the manager was killed that made it.
    assert one.provider.removed == []
    assert one.view("small").starting == 1
    await one.round(SMALL.start_seconds / 10)
    assert one.provider.removed == ["small-77"]
    assert one.view("small").failure == ""
    assert one.provider.started == ["small-77", "small-1"]


@asynchronous
async def test_a_pod_that_is_being_deleted_for_ever_is_replaced(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    await one.manager.submit("1")
    await one.round()
    one.provider.workers["small-1"] = replace(
        one.provider.workers["small-1"],
        holdup="broken",
        waits="its pod is being deleted",
        outcome=AttemptStatus.INTERRUPTED,
    )
    await one.round()
    await one.round(BROKEN_SECONDS_MAX)
    await one.round()
    assert one.provider.started == ["small-1", "small-2"]
    assert one.view("small").failure == ""


@asynchronous
async def test_a_smaller_maximum_lets_those_finish_who_are_too_many(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    await one.manager.submit("1-9")
    await one.round()
    workers = [await one.come(name) for name in one.provider.started[:3]]
    await workers[1].take()
    await one.round()
    await one.autoscaler.change("small", ChangePool(maximum=1))
    await one.round()
    index = one.manager.farm.index
    assert [w.name for w in index.workers.values() if not w.draining] == ["small-2"]
    # The one that starts is taken back after a while.
    for _ in range(int(one.manager.settings.idle_exit_seconds) + 1):
        await one.round(1.0, *workers)
    assert one.provider.removed == ["small-4"]


@asynchronous
async def test_a_pool_that_goes_while_it_is_changed_is_said_to_be_gone(manager: Manager) -> None:
    two = Pools3(manager, SMALL, LARGE)
    await two.round()
    two.provider.described = [LARGE]
    await two.autoscaler._pools()
    with pytest.raises(NotFound, match="worker pool small is gone"):
        await two.autoscaler.change("small", ChangePool(scale=1))


@pytest.mark.parametrize(
    ("large", "scale"),
    [
        (replace(LARGE, maximum=0), None),
        (replace(LARGE, trouble="it has no job.json"), None),
        (LARGE, 0),
    ],
)
@asynchronous
async def test_what_ran_out_of_memory_is_tried_again_where_no_larger_one_can_be_started(
    manager: Manager, large: WorkerPool, scale: int | None
) -> None:
    two = Pools3(manager, SMALL, large)
    await two.round()
    await two.autoscaler.change("large", ChangePool(scale=scale))
    await two.manager.submit("1")
    await two.round()
    small = await two.come("small-1")
    await small.take()
    two.provider.end("small-1", "its memory ran out", outcome=AttemptStatus.OUT_OF_MEMORY)
    await two.round()
    assert two.provider.started == ["small-1", "small-2"]
    assert (await (await two.come("small-2")).claim()).assignment is not None


@asynchronous
async def test_why_no_pool_is_known_is_told(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    job = await one.manager.submit("1")
    one.autoscaler._note_trouble("the cluster's API does not answer")
    index = one.manager.farm.index
    found = explain(index, index.jobs[job.id], one.autoscaler.views, "", one.autoscaler.trouble)
    told = [(reason.subject, reason.text) for reason in found.reasons]
    assert ("pools", "no worker pool is known: the cluster's API does not answer") in told


@asynchronous
async def test_what_is_wrong_with_a_pool_is_told_as_that(manager: Manager) -> None:
    broken = replace(SMALL, maximum=0, trouble="ConfigMap farm-pool-small: it has no job.json")
    one = Pools3(manager, broken)
    job = await one.manager.submit("1")
    await one.round()
    assert ("small", f"can't be used: {broken.trouble}") in one.why(job.id)


@asynchronous
async def test_a_round_does_not_end_while_workers_are_made(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, provider = _stubborn(manager, replace(SMALL, maximum=2 * BATCH))
    await one.manager.submit(f"1-{2 * BATCH}")
    await one.round(0.0)
    for name in provider.started:
        one.provider.end(name)
    written = threading.Event()
    save = one.manager.farm.save
    calls = list[Changes]()

    async def fail_second(changes: Changes) -> None:
        calls.append(changes)
        # Those that ended are forgotten, then come the first names.
        if len(calls) == 3:
            asyncio.get_running_loop().call_later(0.1, written.set)
            raise DatabaseUnavailable("the disk is full")
        await save(changes)

    start = provider.start

    def start_slowly(orders: Sequence[Order]) -> Mapping[str, str]:
        assert written.wait(20)
        return start(orders)

    monkeypatch.setattr(one.manager.farm, "save", fail_second)
    monkeypatch.setattr(provider, "start", start_slowly)
    with pytest.raises(DatabaseUnavailable):
        await one.round()
    assert len(provider.started) == 3 * BATCH
