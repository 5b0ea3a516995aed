"""Long polls, the waiting room, and the hub of events.

Ticks are not waited for: the hub's tick is shortened where one is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import sqlalchemy as sa
from manager_kit import Manager, asynchronous, ended, finished

from burst.errors import DatabaseUnavailable
from burst.manager import events
from burst.manager.changes import Changes
from burst.manager.clock import SystemClock
from burst.manager.events import EventHub
from burst.manager.farm import WaitingRoom
from burst.protocol.artist_messages import Event
from burst.protocol.worker_messages import Claim, ClaimAnswer


async def _until_waiting(manager: Manager, count: int = 1) -> None:
    """Let other tasks run until so many claims are open."""
    for _ in range(10_000):
        if sum(w.open_claims for w in manager.farm.index.workers.values()) >= count:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("nobody waits")


def _when(event: asyncio.Event) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a caller that hangs up with the event."""

    async def hung_up() -> None:
        await event.wait()

    return hung_up


@asynchronous
async def test_a_waiting_claim_is_answered_when_a_job_is_submitted(manager: Manager) -> None:
    worker = await manager.worker()
    claim = asyncio.create_task(worker.claim(wait=60))
    await _until_waiting(manager)
    job = await manager.submit("1")
    answer = await claim
    assert answer.assignment is not None
    assert answer.assignment.job_id == job.id
    assert manager.farm.index.workers["one"].open_claims == 0


@asynchronous
async def test_a_job_of_one_task_wakes_one_worker(manager: Manager) -> None:
    workers = [await manager.worker(name) for name in ("a", "b", "c")]
    claims = []
    for number, worker in enumerate(workers, 1):
        claims.append(asyncio.create_task(worker.claim(wait=60)))
        await _until_waiting(manager, number)
    await manager.submit("1")
    assert (await claims[0]).assignment is not None
    assert not claims[1].done()
    for name in ("b", "c"):
        await manager.scheduler.drain(name)
    assert [(await claim).drain for claim in claims[1:]] == [True, True]


@asynchronous
async def test_a_claim_with_reports_is_answered_at_once(manager: Manager) -> None:
    await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    answer = await worker.claim(finished(task, 1), wait=60)
    assert [v.answer for v in answer.verdicts] == ["publish"]
    assert answer.assignment is None


@asynchronous
async def test_a_canceled_attempt_is_said_to_an_open_claim(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    claim = asyncio.create_task(worker.claim(wait=60))
    await _until_waiting(manager)
    await manager.queue.act(job.id, "cancel")
    assert (await claim).cancel == (task.attempt_id,)


@asynchronous
async def test_a_caller_that_hung_up_is_given_nothing(manager: Manager) -> None:
    worker = await manager.worker()
    hung_up = asyncio.Event()
    message = Claim(session=worker.session, wait_seconds=60)
    claim = asyncio.create_task(manager.scheduler.claim("one", message, _when(hung_up)))
    await _until_waiting(manager)
    hung_up.set()
    # In the same moment, so that the job wakes it before it knows.
    job = await manager.submit("1")
    assert (await claim).assignment is None
    assert manager.view(job.id).tasks.queued == 1


@asynchronous
async def test_a_caller_that_hung_up_does_not_look_as_if_it_waited(manager: Manager) -> None:
    worker = await manager.worker()
    hung_up = asyncio.Event()
    message = Claim(session=worker.session, wait_seconds=60)
    claim = asyncio.create_task(manager.scheduler.claim("one", message, _when(hung_up)))
    await _until_waiting(manager)
    hung_up.set()
    answer: ClaimAnswer = await asyncio.wait_for(claim, 10)
    assert answer.assignment is None
    assert manager.farm.index.workers["one"].open_claims == 0


@asynchronous
async def test_a_worker_that_is_given_up_while_it_waits_is_given_nothing(manager: Manager) -> None:
    worker = await manager.worker()
    claim = asyncio.create_task(worker.claim(wait=60))
    await _until_waiting(manager)
    await manager.scheduler.give_up("one", "its process has ended")
    await manager.submit("1")
    answer: ClaimAnswer = await claim
    assert answer.assignment is None


@asynchronous
async def test_without_patience_a_claim_is_answered_at_once(manager: Manager) -> None:
    worker = await manager.worker()
    assert (await worker.claim(wait=0)).assignment is None


@asynchronous
async def test_an_open_claim_survives_a_failed_commit_of_somebody_else(manager: Manager) -> None:
    worker = await manager.worker()
    claim = asyncio.create_task(worker.claim(wait=60))
    await _until_waiting(manager)
    former, broken = manager.farm.index, Changes()
    broken.write(sa.text("NONSENSE"))
    with pytest.raises(DatabaseUnavailable):
        await manager.farm.save(broken)
    assert manager.farm.index is not former
    await _until_waiting(manager)
    await manager.submit("1")
    assert (await claim).assignment is not None
    assert manager.farm.index.workers["one"].open_claims == 0


@asynchronous
async def test_an_interrupted_task_wakes_the_next_worker(manager: Manager) -> None:
    await manager.submit("1")
    one, two = await manager.worker("one"), await manager.worker("two")
    task = await one.take()
    claim = asyncio.create_task(two.claim(wait=60))
    await _until_waiting(manager)
    one.held.clear()
    await one.beat(ended(task, "interrupted"))
    answer = await claim
    assert answer.assignment is not None
    assert answer.assignment.frames == (1,)


@asynchronous
async def test_those_who_wait_longest_are_woken_first() -> None:
    room, woken = WaitingRoom(), []

    async def wait(name: str) -> None:
        await room.wait(name, 60)
        woken.append(name)

    tasks = []
    for name in ("a", "b", "c"):
        tasks.append(asyncio.create_task(wait(name)))
        await asyncio.sleep(0)
    room.wake(2)
    await asyncio.gather(*tasks[:2])
    assert sorted(woken) == ["a", "b"]
    room.wake_worker("nobody")
    room.wake_worker("c")
    await tasks[2]
    room.wake(5)


@asynchronous
async def test_waiting_ends_by_itself() -> None:
    await WaitingRoom().wait("a", 0)


async def _next(listening: AsyncIterator[Event]) -> Event:
    async with asyncio.timeout(30):
        return await anext(listening)


def _hub(first: int = 100) -> EventHub:
    return EventHub(SystemClock().now, first)


@asynchronous
async def test_a_listener_hears_what_happens_from_now_on() -> None:
    hub = _hub()
    hub.add("job", job_id="before")
    listening = hub.listen(None, None)
    coming = asyncio.create_task(_next(listening))
    await asyncio.sleep(0)
    hub.add("job", job_id="a")
    hub.add("worker", worker_name="w")
    await hub.flush()
    assert (await coming).job_id == "a"
    assert (await _next(listening)).worker_name == "w"


@asynchronous
async def test_a_listener_that_comes_back_hears_what_it_missed() -> None:
    hub = _hub()
    for name in ("a", "b", "c"):
        hub.add("job", job_id=name)
    listening = hub.listen(101, None)
    assert [(await _next(listening)).job_id for _ in range(2)] == ["b", "c"]


@pytest.mark.parametrize("after", [0, 99, 104, 10**12])
def test_a_listener_of_another_managers_life_is_told_to_ask_anew(after: int) -> None:
    @asynchronous
    async def play() -> None:
        hub = _hub()
        for name in ("a", "b", "c"):
            hub.add("job", job_id=name)
        first = await _next(hub.listen(after, None))
        assert (first.kind, first.seq) == ("reset", 103)

    play()


@asynchronous
async def test_a_listener_that_is_too_far_behind_is_told_to_ask_anew() -> None:
    hub = _hub()
    for number in range(events.KEPT + 10):
        hub.add("job", job_id=str(number))
    listening = hub.listen(105, None)
    assert (await _next(listening)).kind == "reset"
    hub.add("job", job_id="new")
    assert (await _next(listening)).job_id == "new"


@asynchronous
async def test_a_listener_of_one_job_hears_only_of_it_and_of_workers() -> None:
    hub = _hub()
    hub.add("job", job_id="other")
    hub.add("worker", worker_name="w")
    hub.add("job", job_id="mine")
    listening = hub.listen(100, "mine")
    assert (await _next(listening)).kind == "worker"
    assert (await _next(listening)).job_id == "mine"


def test_a_tick_does_not_number_what_was_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "TICK_SECONDS", 0.0)

    @asynchronous
    async def play() -> None:
        hub = _hub()
        listening = hub.listen(None, None)
        assert (await _next(listening)).kind == "tick"
        waiting = asyncio.create_task(_next(listening))
        await asyncio.sleep(0)  # it waits now, and its tick is due
        hub.add("job", job_id="not flushed yet")
        tick, said = await waiting, await _next(listening)
        assert (tick.kind, tick.seq, said.kind, said.seq) == ("tick", 100, "job", 101)

    play()


@asynchronous
async def test_closing_the_hub_ends_all_listening() -> None:
    hub = _hub()
    listening = hub.listen(None, None)
    end = asyncio.create_task(anext(listening, None))
    await asyncio.sleep(0)
    await hub.close()
    assert await end is None
