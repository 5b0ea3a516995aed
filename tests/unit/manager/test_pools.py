"""Several worker pools over one queue: who is started where, who comes back where, who leaves.

How many is in ``test_policy.py``; what one pool goes through, in ``test_autoscaler.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from fake_provider import FakeProvider
from manager_kit import BLENDER, Manager, Worker, asynchronous, capabilities, ended

from burst.domain.pools import GIB, WorkerPool
from burst.domain.transitions import AttemptStatus, TaskStatus, WorkerStatus
from burst.domain.workers import Requirements
from burst.errors import NotAllowed, NotFound, ToolError
from burst.manager import registry
from burst.manager.api.apps import Parts, create_artists_app
from burst.manager.autoscaler.departures import BROKEN_SECONDS_MAX
from burst.manager.autoscaler.loop import BATCH, Autoscaler
from burst.manager.explanation import explain
from burst.protocol.artist_messages import ChangePool, Pools, PoolView
from burst.protocol.messages import API

SMALL = WorkerPool(
    name="small",
    maximum=4,
    cores=4,
    memory_bytes=GIB,
    boot_seconds=60.0,
    start_seconds=300.0,
    stock_out_seconds=120.0,
    memory_class=1,
    device="cpu",
)
LARGE = replace(SMALL, name="large", memory_bytes=4 * GIB, memory_class=2, preference=1)
GPU = replace(SMALL, name="gpu", device="gpu", preference=2)


class Pools3:
    """A manager with its autoscaler over a cluster of three pools."""

    def __init__(self, manager: Manager, *pools: WorkerPool) -> None:
        self.manager = manager
        self.provider = FakeProvider(*(pools or (GPU, LARGE, SMALL)))
        self.restart()

    def restart(self) -> None:
        """Begin with what is on disk, as a new manager would."""
        self.manager.start()
        self.autoscaler = Autoscaler(self.manager.farm, self.manager.scheduler, self.provider)

    async def round(self, seconds: float = 0.0, *alive: Worker) -> None:
        self.manager.clock.advance(seconds)
        for worker in alive:
            await worker.beat()
        await self.autoscaler.round()

    async def come(self, name: str) -> Worker:
        """Let a worker register that was started."""
        pool = next(p for p in self.provider.described if p.name == name.rpartition("-")[0])
        does = capabilities(memory_bytes=pool.memory_bytes)
        return await self.manager.worker(name, pool=pool.name, capabilities=does)

    def view(self, name: str) -> PoolView:
        return self.autoscaler.view(name)

    def why(self, job_id: str) -> list[tuple[str, str]]:
        index = self.manager.farm.index
        found = explain(index, index.jobs[job_id], self.autoscaler.views)
        return [(reason.subject, reason.text) for reason in found.reasons]

    async def drop(self, *names: str) -> None:
        """Let workers leave."""
        for name in names:
            self.provider.end(name)
        await self.autoscaler.round()


@pytest.fixture
def three(manager: Manager) -> Pools3:
    return Pools3(manager)


@asynchronous
async def test_pools_are_filled_in_the_order_of_preference(three: Pools3) -> None:
    await three.manager.submit("1-6")
    await three.round()
    pools = [name.rpartition("-")[0] for name in three.provider.started]
    assert pools == ["small"] * 4 + ["large"] * 2
    assert [view.name for view in three.autoscaler.views] == ["small", "large", "gpu"]
    assert len(set(three.provider.started)) == 6
    assert set(three.provider.threads.values()) == {4}


@asynchronous
async def test_a_job_for_a_gpu_starts_workers_of_that_pool_only(three: Pools3) -> None:
    job = await three.manager.submit("1-2", requirements=Requirements(device="optix"))
    await three.round()
    assert three.provider.started == ["gpu-1", "gpu-2"]
    assert ("small", "can't do it: its workers compute on cpu, the job asks for optix") in (
        three.why(job.id)
    )


@asynchronous
async def test_a_job_that_no_pool_can_do_starts_nobody_and_says_why(three: Pools3) -> None:
    job = await three.manager.submit("1", requirements=Requirements(memory_bytes=9 * GIB))
    await three.round()
    assert three.provider.started == []
    assert [subject for subject, _ in three.why(job.id)] == ["job", "small", "large", "gpu"]


@asynchronous
async def test_without_machines_the_next_pool_does_it_and_the_first_comes_back(
    manager: Manager,
) -> None:
    two = Pools3(manager, SMALL, LARGE)
    job = await two.manager.submit("1-2")
    await two.round()
    for name in ("small-1", "small-2"):
        two.provider.hold_up(name, "node", "no node for it: none fits")
    await two.round(100.0)
    await two.round(199.0)
    assert two.view("small").waiting == "2 wait: no node for it: none fits"
    assert ("small", "of those that start 2 wait: no node for it: none fits") in two.why(job.id)
    assert len(two.provider.started) == 2
    await two.round(1.0)
    assert two.provider.removed == ["small-1", "small-2"]
    assert two.view("small").failure == "no machine was to be had: no node for it: none fits"
    assert two.provider.started[2:] == ["large-3", "large-4"]
    assert two.view("small").reason == "there was no machine to be had; tried again in 120 s"
    await two.drop("large-3", "large-4")
    assert two.provider.started[4:] == ["large-5", "large-6"]
    await two.drop("large-5", "large-6")
    two.manager.clock.advance(120.0)
    await two.drop("large-7", "large-8")
    assert two.provider.started[-2:] == ["small-9", "small-10"]
    assert two.view("small").failure == ""


@asynchronous
async def test_one_that_can_not_begin_is_removed_and_named(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    job = await one.manager.submit("1")
    await one.round()
    one.provider.hold_up("small-1", "broken", "ImagePullBackOff: no such image")
    await one.round(1.0)
    assert one.view("small").waiting == "1 wait: ImagePullBackOff: no such image"
    await one.round(BROKEN_SECONDS_MAX - 1)
    assert one.provider.removed == []
    await one.round(1.0)
    assert one.provider.removed == ["small-1"]
    failure = "small-1 can't start: ImagePullBackOff: no such image"
    assert one.view("small").failure == failure
    assert ("small", f"the last worker was of no use: {failure}") in one.why(job.id)
    await one.round()
    assert one.provider.started == ["small-1"]
    await one.round(2.0)
    assert one.provider.started == ["small-1", "small-2"]


@asynchronous
async def test_a_worker_whose_memory_ran_out_is_followed_by_one_of_the_next_class(
    manager: Manager,
) -> None:
    two = Pools3(manager, SMALL, LARGE)
    job = await two.manager.submit("1")
    await two.round()
    small = await two.come("small-1")
    task = await small.take()
    two.provider.end("small-1", "its memory ran out", outcome=AttemptStatus.OUT_OF_MEMORY)
    await two.round()
    (row,) = two.manager.database.read(_attempt(task.attempt_id))
    assert row["status"] == AttemptStatus.OUT_OF_MEMORY
    assert two.provider.started == ["small-1", "large-2"]
    # A small one that is there waits in vain, also for the next manager.
    another = await two.come("small-1")
    assert (await another.claim()).assignment is None
    # Who it belongs to is known before anybody is given work.
    two.restart()
    await two.autoscaler.learn_pools()
    another = await two.come("small-1")
    assert (await another.claim()).assignment is None
    large = await two.come("large-2")
    await large.finish(await large.take())
    assert two.manager.view(job.id).frames_published == 1


def _attempt(attempt_id: str) -> Any:
    from burst.manager.database import statements

    return statements.attempt_by_id(attempt_id)


@asynchronous
async def test_one_that_says_itself_that_memory_ran_out_is_followed_likewise(
    manager: Manager,
) -> None:
    two = Pools3(manager, SMALL, LARGE)
    await two.manager.submit("1-2")
    await two.round()
    small = await two.come("small-1")
    await small.beat(ended(await small.take(), "out_of_memory", peak_memory_bytes=GIB))
    small.held.clear()
    await two.round()
    # The other frame is still for small ones, of which two were started.
    assert two.provider.started == ["small-1", "small-2", "large-3"]
    task = await small.take()
    assert task.frames == (2,)


@asynchronous
async def test_in_the_largest_class_it_is_tried_again_until_the_limit(manager: Manager) -> None:
    one = Pools3(manager, LARGE)
    job = await one.manager.submit("1", retry_limit=2)
    for number in (1, 2):
        await one.round()
        worker = await one.come(f"large-{number}")
        await worker.take()
        one.provider.end(worker.name, "its memory ran out", outcome=AttemptStatus.OUT_OF_MEMORY)
        await one.round()
    assert one.manager.farm.index.jobs[job.id].board.status(0) is TaskStatus.FAILED


@asynchronous
async def test_a_worker_whose_machine_was_taken_counts_as_no_failure(three: Pools3) -> None:
    await three.manager.submit("1")
    await three.round()
    three.provider.end("small-1", "preempted", outcome=AttemptStatus.INTERRUPTED)
    await three.round()
    assert three.provider.started == ["small-1", "small-2"]
    assert three.view("small").failure == ""
    worker = await three.come("small-2")
    task = await worker.take()
    three.provider.end("small-2", "preempted", outcome=AttemptStatus.INTERRUPTED)
    await three.round()
    (row,) = three.manager.database.read(_attempt(task.attempt_id))
    assert (row["status"], row["reason"]) == (AttemptStatus.INTERRUPTED, "preempted")


@asynchronous
async def test_many_are_written_down_and_started_in_batches(manager: Manager) -> None:
    one = Pools3(manager, replace(SMALL, maximum=1000))
    commits = one.manager.database.commits
    await one.manager.submit("1-1000")
    await one.round()
    assert one.provider.batches == [BATCH] * (1000 // BATCH)
    assert one.manager.database.commits - commits <= 1000 // BATCH + 1
    assert len(set(one.provider.started)) == 1000


@asynchronous
async def test_while_nobody_answers_nothing_is_forgotten(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    await one.manager.submit("1-2")
    await one.round()
    one.provider.is_away = True
    with pytest.raises(ToolError):
        await one.round(400.0)
    assert sorted(one.manager.farm.index.starts) == ["small-1", "small-2"]
    one.provider.is_away = False
    await one.come("small-1")
    await one.come("small-2")
    await one.round()
    assert one.provider.started == ["small-1", "small-2"]


@asynchronous
async def test_starts_that_nobody_waits_for_any_more_are_taken_back(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    job = await one.manager.submit("1-4")
    await one.round()
    worker = await one.come("small-1")
    await one.manager.queue.act(job.id, "cancel")
    await one.round()
    await one.round(one.manager.settings.idle_exit_seconds - 1, worker)
    assert one.provider.removed == []
    await one.round(1.0, worker)
    assert one.provider.removed == ["small-2", "small-3", "small-4"]
    await one.round()
    assert sorted(one.manager.farm.index.starts) == ["small-1"]


@asynchronous
async def test_starts_are_kept_when_work_comes_again_in_time(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    job = await one.manager.submit("1-2")
    await one.round()
    await one.manager.queue.act(job.id, "cancel")
    await one.round()
    await one.manager.submit("5-6")
    await one.round(9.0)
    await one.round(9.0)
    assert one.provider.removed == []
    assert len(one.provider.started) == 2


# ── What somebody sets ───────────────────────────────────────────────────────────────


@asynchronous
async def test_the_minimum_stays_and_what_is_more_leaves_when_idle(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    await one.round()
    await one.autoscaler.change("small", ChangePool(minimum=1))
    await one.round()
    assert one.provider.started == ["small-1"]
    assert (await _terms(one, "small-1")) is None
    worker = await one.come("small-1")
    other = await one.come("small-2")
    for _ in range(30):
        await one.round(1.0, worker, other)
    statuses = [registry.status_of(w) for w in one.manager.farm.index.workers.values()]
    assert sorted(statuses) == [WorkerStatus.DRAINING, WorkerStatus.IDLE]
    await one.autoscaler.change("small", ChangePool(minimum=None))
    assert one.view("small").minimum == 1
    await one.round(1.0, worker)
    assert one.view("small").minimum == 0
    assert (await _terms(one, "small-9")) == one.manager.settings.idle_exit_seconds


async def _terms(pools: Pools3, name: str) -> float | None:
    """Return after what idle time a worker is told to leave."""
    from manager_kit import introduction

    message = introduction(name, pool="small")
    terms = await pools.manager.scheduler.register(message)
    await pools.manager.scheduler.give_up(name, "it was only asked")
    return terms.idle_exit_seconds


@asynchronous
async def test_a_number_by_hand_holds_over_a_restart_and_until_it_is_taken_back(
    manager: Manager,
) -> None:
    one = Pools3(manager, SMALL)
    await one.round()
    await one.autoscaler.change("small", ChangePool(scale=3))
    one.restart()
    await one.round()
    assert len(one.provider.started) == 3
    assert (one.view("small").scale, one.view("small").reason) == (3, "set to 3 by hand")
    workers = [await one.come(name) for name in one.provider.started]
    await one.manager.submit("1-9")
    await workers[2].take()
    await one.autoscaler.change("small", ChangePool(scale=1))
    await one.round()
    left = [w.name for w in one.manager.farm.index.workers.values() if not w.draining]
    assert left == ["small-3"]  # it is busy, the others were not
    await one.autoscaler.change("small", ChangePool(scale=None))
    await one.round()
    assert one.view("small").scale is None
    # Two are there until they have left: there may be four.
    assert len(one.provider.started) == 4
    for worker in workers[:2]:
        await worker.sign_off()
    await one.drop("small-1", "small-2")
    assert len(one.provider.started) == 6


@asynchronous
async def test_a_pool_that_comes_again_is_not_what_its_namesake_was_set_to(
    manager: Manager,
) -> None:
    two = Pools3(manager, SMALL, LARGE)
    await two.round()
    for name in ("small", "large"):
        await two.autoscaler.change(name, ChangePool(scale=0))
    two.provider.described = [LARGE]
    await two.round()
    two.provider.described = [LARGE, SMALL]
    two.restart()
    await two.round()
    assert (two.view("small").scale, two.view("large").scale) == (None, 0)


@asynchronous
async def test_what_makes_no_sense_is_refused(manager: Manager) -> None:
    one = Pools3(manager, SMALL)
    await one.round()
    with pytest.raises(NotAllowed, match="at least 5 workers and at most 4"):
        await one.autoscaler.change("small", ChangePool(minimum=5))
    with pytest.raises(NotFound, match="no worker pool tiny"):
        await one.autoscaler.change("tiny", ChangePool(minimum=1))
    assert one.manager.farm.index.pool_choices == {}


@asynchronous
async def test_pools_are_shown_and_changed_over_http(parts: Parts) -> None:
    app = httpx.ASGITransport(create_artists_app(parts))
    await parts.autoscaler.round()
    async with httpx.AsyncClient(transport=app, base_url=f"http://farm{API}") as caller:
        (view,) = Pools.model_validate_json((await caller.get("/pools")).content).pools
        assert (view.name, view.maximum, view.scale) == ("local", 1, None)
        answer = await caller.put("/pools/local", json={"maximum": 7})
        assert PoolView.model_validate_json(answer.content).maximum == 7
        answer = await caller.put("/pools/local", json={"scale": 0})
        changed = PoolView.model_validate_json(answer.content)
        assert (changed.maximum, changed.scale) == (7, 0)
        assert (await caller.put("/pools/local", json={"size": 1})).status_code == 400
        assert (await caller.put("/pools/none", json={})).status_code == 404


@asynchronous
async def test_a_pool_whose_description_is_broken_is_passed_over_and_shown(
    manager: Manager,
) -> None:
    broken = replace(SMALL, maximum=0, trouble="ConfigMap farm-pool-small: it has no job.json")
    two = Pools3(manager, broken, LARGE)
    await two.manager.submit("1-2")
    await two.round()
    assert two.provider.started == ["large-1", "large-2"]
    assert two.view("small").failure == broken.trouble


@asynchronous
async def test_versions_of_blender_choose_the_pool(manager: Manager) -> None:
    old = replace(SMALL, blender=((4, 2),))
    new = replace(LARGE, blender=(BLENDER.version[:2],))
    two = Pools3(manager, old, new)
    await two.manager.submit("1", requirements=Requirements(blender=(5, 0)))
    await two.round()
    assert two.provider.started == ["large-1"]
