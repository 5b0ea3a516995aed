"""The autoscaler's loop: what it starts, gives up, removes and remembers.

How many workers are right is in ``test_policy.py``; real processes are in ``test_processes.py``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_provider import LOCAL, FakeProvider
from manager_kit import Manager, Worker, asynchronous, finished, until

from burst.domain.transitions import AttemptStatus, WorkerStatus
from burst.domain.workers import Requirements
from burst.errors import DatabaseUnavailable
from burst.manager import registry
from burst.manager.autoscaler import loop
from burst.manager.autoscaler.departures import ABSENT_SECONDS_MAX, START_SECONDS_MAX
from burst.manager.autoscaler.loop import Autoscaler
from burst.manager.autoscaler.provider import Order
from burst.protocol.artist_messages import PoolView

GIB = 1 << 30


class Pool:
    """A manager with its autoscaler over a fake provider."""

    def __init__(self, manager: Manager, maximum: int = 4) -> None:
        self.manager = manager
        self.provider = FakeProvider()
        self.maximum = maximum
        self.autoscaler = self._autoscaler()

    @property
    def maximum(self) -> int:
        return self.provider.described[0].maximum

    @maximum.setter
    def maximum(self, maximum: int) -> None:
        self.provider.described = [replace(LOCAL, maximum=maximum)]

    @property
    def view(self) -> PoolView:
        return self.autoscaler.view("local")

    def _autoscaler(self) -> Autoscaler:
        manager = self.manager
        return Autoscaler(manager.farm, manager.scheduler, self.provider)

    def restart(self) -> None:
        """Lose the manager's memory; the workers stay."""
        self.manager.start()
        self.autoscaler = self._autoscaler()

    async def round(self, seconds: float = 0.0) -> None:
        """Let time pass, then a round."""
        self.manager.clock.advance(seconds)
        await self.autoscaler.round()

    @property
    def starts(self) -> list[str]:
        return sorted(self.manager.farm.index.starts)


@pytest.fixture
def pool(manager: Manager) -> Pool:
    return Pool(manager)


async def _pass(pool: Pool, seconds: float, *alive: Worker) -> None:
    """Let time pass in rounds, while some workers give signs of life."""
    for _ in range(int(seconds)):
        for worker in alive:
            await worker.beat()
        await pool.manager.scheduler.give_up_lost()
        await pool.round(1.0)


@asynchronous
async def test_without_work_nothing_is_started(pool: Pool) -> None:
    await pool.round()
    assert pool.provider.started == []
    assert pool.view.wanted == 0


@asynchronous
async def test_work_starts_workers_that_share_the_cores(pool: Pool) -> None:
    await pool.manager.submit("1-2")
    await pool.round()
    assert pool.provider.started == ["local-1", "local-2"]
    assert set(pool.provider.threads.values()) == {4}
    assert (pool.view.starting, pool.view.wanted) == (2, 2)


@asynchronous
async def test_new_work_is_not_kept_waiting_for_the_next_round(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "ROUND_SECONDS", 3600.0)
    running = asyncio.create_task(pool.autoscaler.run())
    try:
        await until(lambda: bool(pool.autoscaler.views))
        await pool.manager.submit("1-2")
        await until(lambda: len(pool.provider.started) == 2)
    finally:
        running.cancel()


@asynchronous
async def test_workers_that_start_are_not_started_again(pool: Pool) -> None:
    await pool.manager.submit("1-9")
    for _ in range(3):
        await pool.round(1.0)
    assert len(pool.provider.started) == 4


@asynchronous
async def test_a_name_is_on_disk_before_its_process_is(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.manager.submit("1")

    async def fail(statements: Any) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(pool.manager.database, "commit", fail)
    with pytest.raises(DatabaseUnavailable):
        await pool.round()
    assert pool.provider.started == []


@asynchronous
async def test_a_restarted_manager_counts_the_workers_that_start(pool: Pool) -> None:
    await pool.manager.submit("1-2")
    await pool.round()
    pool.restart()
    await pool.round()
    assert pool.provider.started == ["local-1", "local-2"]


@asynchronous
async def test_a_name_is_never_given_out_twice(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    pool.provider.end("local-1", "killed by SIGKILL")
    pool.restart()
    await pool.round()
    await pool.round(60.0)
    assert pool.provider.started == ["local-1", "local-2"]


@asynchronous
async def test_what_a_dead_worker_held_is_lost_at_once(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    worker = await pool.manager.worker("local-1")
    task = await worker.take()
    pool.provider.end("local-1", "killed by SIGKILL")
    await pool.round()
    assert "local-1" not in pool.manager.farm.index.workers
    rows = pool.manager.database.read(_attempt(task.attempt_id))
    assert (rows[0]["status"], rows[0]["reason"]) == (AttemptStatus.LOST, "killed by SIGKILL")
    assert pool.provider.removed == ["local-1"]
    # It had registered: that it was killed says nothing about the next start.
    assert pool.provider.started == ["local-1", "local-2"]
    assert pool.view.failure == ""


def _attempt(attempt_id: str) -> Any:
    from burst.manager.database import statements

    return statements.attempt_by_id(attempt_id)


@asynchronous
async def test_a_worker_that_left_is_forgotten(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    worker = await pool.manager.worker("local-1")
    await worker.finish(await worker.take())
    await worker.sign_off()
    pool.provider.end("local-1")
    await pool.round()
    assert (pool.starts, pool.provider.removed) == ([], ["local-1"])
    pool.restart()
    assert pool.starts == []


@asynchronous
async def test_failed_starts_are_told_and_tried_later_and_later(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    for count, wait in ((1, 2.0), (2, 4.0), (3, 8.0)):
        pool.provider.end(f"local-{count}", "no Blender")
        await pool.round()
        await pool.round(wait - 0.1)
        assert len(pool.provider.started) == count
        assert pool.view.failure == "no Blender"
        await pool.round(0.1)
        assert len(pool.provider.started) == count + 1


@asynchronous
async def test_a_refused_start_counts_as_one_that_failed(pool: Pool) -> None:
    await pool.manager.submit("1")
    pool.provider.refuses = "no more processes"
    await pool.round()
    assert pool.view.failure == "no more processes"
    pool.provider.refuses = ""
    await pool.round(1.9)
    assert pool.provider.started == []
    await pool.round(0.1)
    assert len(pool.provider.started) == 1
    assert pool.starts == pool.provider.started


@asynchronous
async def test_a_healthy_worker_does_not_end_the_waiting_for_retries(pool: Pool) -> None:
    pool.maximum = 2
    pool.restart()
    await pool.manager.submit("1-9")
    await pool.round()
    healthy = await pool.manager.worker("local-1")
    for _ in range(10):
        for name in pool.starts:
            if name != "local-1":
                pool.provider.end(name, "no memory")
        await healthy.beat()
        await pool.round(0.5)
    # Five seconds: the second worker, and again after two.
    assert pool.provider.started == ["local-1", "local-2", "local-3"]


@asynchronous
async def test_workers_that_come_and_give_up_are_replaced_later_and_later(pool: Pool) -> None:
    await pool.manager.submit("1-9")
    pool.maximum = 1
    pool.restart()
    await pool.round()
    for count, wait in ((1, 2.0), (2, 4.0), (3, 8.0)):
        worker = await pool.manager.worker(f"local-{count}")
        await pool.round()
        await worker.sign_off()
        pool.provider.end(worker.name, "this worker can't render any more", gave_up=True)
        await pool.round()
        await pool.round(wait - 0.1)
        assert len(pool.provider.started) == count
        assert pool.view.failure == "this worker can't render any more"
        assert "was of no use" in pool.view.reason
        await pool.round(0.1)
        assert len(pool.provider.started) == count + 1
    # A frame shows that it works again.
    worker = await pool.manager.worker("local-4")
    await worker.claim(finished(await worker.take(), 1))
    await pool.round()
    assert pool.view.failure == ""
    await worker.sign_off()
    pool.provider.end(worker.name, "this worker can't render any more", gave_up=True)
    await pool.round()
    await pool.round(2.0)
    assert len(pool.provider.started) == 5


@asynchronous
async def test_workers_that_can_do_nothing_of_what_is_queued_are_not_started_in_a_loop(
    pool: Pool,
) -> None:
    pool.maximum = 1
    pool.restart()
    job = await pool.manager.submit("1-9", requirements=Requirements(features=("usd",)))
    await pool.round()
    for count, wait in ((1, 2.0), (2, 4.0), (3, 8.0)):
        worker = await pool.manager.worker(f"local-{count}")
        await pool.round()
        assert (await worker.claim()).assignment is None
        await worker.sign_off()
        pool.provider.end(worker.name)
        await pool.round()
        await pool.round(wait - 0.1)
        assert len(pool.provider.started) == count
        assert f"it can't take frame 1 of {job.id}: the scene needs USD" in (pool.view.failure)
        await pool.round(0.1)
        assert len(pool.provider.started) == count + 1


@asynchronous
async def test_a_worker_that_leaves_while_there_is_work_for_it_is_replaced_at_once(
    pool: Pool,
) -> None:
    await pool.manager.submit("1")
    await pool.round()
    worker = await pool.manager.worker("local-1")
    await pool.round()
    await worker.sign_off()
    pool.provider.end("local-1")
    await pool.round()
    assert pool.view.failure == ""
    assert pool.provider.started == ["local-1", "local-2"]


@asynchronous
async def test_a_worker_that_was_killed_is_replaced_at_once(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    await pool.manager.worker("local-1")
    await pool.round()
    pool.provider.end("local-1", "killed by SIGKILL")
    await pool.round()
    assert pool.provider.started == ["local-1", "local-2"]


@asynchronous
async def test_a_started_worker_that_comes_ends_the_waiting_for_retries(pool: Pool) -> None:
    await pool.manager.submit("1-2")
    await pool.round()
    pool.provider.end("local-1", "no memory")
    await pool.round()
    assert len(pool.provider.started) == 2
    await pool.manager.worker("local-2")
    await pool.round()
    assert pool.view.failure == ""
    assert len(pool.provider.started) == 3


@asynchronous
async def test_a_worker_that_never_registers_loses_its_place(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    await _pass(pool, START_SECONDS_MAX - 1)
    assert pool.provider.removed == []
    await _pass(pool, 1)
    assert pool.provider.removed == ["local-1"]
    assert "did not register within 180 s" in pool.view.failure
    await _pass(pool, 3)
    assert pool.provider.started == ["local-1", "local-2"]
    assert pool.starts == ["local-2"]


@asynchronous
async def test_a_lost_worker_that_still_runs_is_removed(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    await pool.manager.worker("local-1")
    await _pass(pool, pool.manager.farm.lease_seconds + 2)
    assert pool.provider.removed == ["local-1"]
    assert pool.provider.started == ["local-1", "local-2"]


@asynchronous
async def test_a_lost_worker_is_removed_though_the_manager_was_killed_in_between(
    pool: Pool,
) -> None:
    await pool.manager.submit("1")
    await pool.round()
    await pool.manager.worker("local-1")
    pool.manager.clock.advance(START_SECONDS_MAX)
    assert await pool.manager.scheduler.give_up_lost() == ["local-1"]
    pool.restart()
    await _pass(pool, ABSENT_SECONDS_MAX)
    assert pool.provider.removed == []
    await _pass(pool, 4)
    assert pool.provider.removed == ["local-1"]
    assert pool.starts == pool.provider.started[1:] == ["local-2"]


@asynchronous
async def test_a_worker_may_come_back_to_a_manager_that_was_away_for_long(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    pool.restart()
    await pool.round(10 * START_SECONDS_MAX)
    worker = await pool.manager.worker("local-1")
    await _pass(pool, 2 * ABSENT_SECONDS_MAX, worker)
    assert pool.provider.removed == []


@asynchronous
async def test_a_worker_that_signed_off_and_hangs_is_removed(pool: Pool) -> None:
    await pool.manager.submit("1")
    await pool.round()
    worker = await pool.manager.worker("local-1")
    await worker.finish(await worker.take())
    await pool.round()
    await worker.sign_off()
    await _pass(pool, ABSENT_SECONDS_MAX)
    assert pool.provider.removed == []
    await _pass(pool, 2)
    assert (pool.provider.removed, pool.starts) == (["local-1"], [])
    assert pool.view.failure == ""


@asynchronous
async def test_a_running_worker_that_nobody_wrote_down_is_removed(pool: Pool) -> None:
    pool.provider.start([Order("local-77", "local", 1)])
    await _pass(pool, ABSENT_SECONDS_MAX + 1)
    assert pool.provider.removed == ["local-77"]


@asynchronous
async def test_a_worker_by_hand_is_left_alone(pool: Pool) -> None:
    await pool.manager.worker("mine", pool="by-hand")
    await pool.manager.submit("1")
    await pool.round()
    assert pool.view.running == 0
    assert pool.provider.started == ["local-1"]
    assert pool.provider.removed == []


@asynchronous
async def test_each_worker_is_given_the_memory_that_a_job_asks_for(pool: Pool) -> None:
    await pool.manager.submit("1-9", requirements=Requirements(memory_bytes=20 * GIB))
    await pool.round()
    assert len(pool.provider.started) == 2
    assert pool.view.reason == "memory is enough for 2"


@asynchronous
async def test_frames_that_need_much_memory_drain_the_youngest(pool: Pool) -> None:
    await pool.manager.submit("1-9")
    await pool.round()
    workers = []
    for name in pool.provider.started:
        pool.manager.clock.advance(1.0)
        workers.append(await pool.manager.worker(name))
    task = await workers[0].take()
    report = finished(task, task.frames[0]).model_copy(update={"peak_memory_bytes": 20 * GIB})
    await workers[0].beat(report)
    await pool.round()
    statuses = [registry.status_of(w) for w in pool.manager.farm.index.workers.values()]
    assert statuses.count(WorkerStatus.DRAINING) == 2
    assert pool.manager.farm.index.workers["local-4"].draining
    assert pool.view.reason == "memory is enough for 2"


def test_there_is_nothing_to_show_before_the_first_round(tmp_path: Path) -> None:
    manager = Manager(tmp_path)
    assert Pool(manager, maximum=3).autoscaler.views == ()
    manager.close()
