"""The manager's way to its storage: what hangs there holds up nobody, and trouble is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest
from manager_kit import FakeClock, Manager, asynchronous

from burst.errors import NotAllowed, StorageAway, StorageDenied, StorageError, StorageFull
from burst.manager import publishing as module
from burst.manager import storing
from burst.manager.api.streams import follow_job_log
from burst.manager.explanation import explain
from burst.manager.storing import Storing
from burst.storage import layout


@pytest.fixture
def end() -> Iterator[threading.Event]:
    """Lets what hangs in a test go on at its end."""
    event = threading.Event()
    yield event
    event.set()


@asynchronous
async def test_an_artist_is_not_kept_waiting_and_others_are_answered_meanwhile(
    end: threading.Event,
) -> None:
    asked = Storing(FakeClock())
    with pytest.raises(StorageAway, match=r"did not answer within 0 s"):
        await asked.answer(end.wait, 0.01)
    hanging = [asyncio.create_task(asked.answer(end.wait, 30)) for _ in range(40)]
    # More than there are threads for it: a chore has one of its own, and so has the database.
    assert await asked.ask(lambda: "done") == "done"
    assert await asyncio.to_thread(lambda: "read") == "read"
    end.set()
    assert await asyncio.gather(*hanging) == [True] * 40


@asynchronous
async def test_trouble_lasts_until_the_same_is_done_and_absence_until_anything_is() -> None:
    clock = FakeClock()
    asked = Storing(clock)
    errors: dict[str, StorageError] = {}

    def write() -> None:
        if "write" in errors:
            raise errors["write"]

    def read() -> None:
        if "read" in errors:
            raise errors["read"]

    errors["write"] = StorageDenied("can't write", hint="grant it")
    with pytest.raises(StorageDenied):
        await asked.ask(write)
    began = clock.now()
    clock.advance(5)
    with pytest.raises(StorageDenied):
        await asked.ask(write)
    await asked.ask(read)
    assert asked.trouble is not None
    assert asked.trouble.text == "can't write; grant it"
    assert asked.trouble.since == began
    errors["read"] = StorageAway("gone")
    with pytest.raises(StorageAway):
        await asked.ask(read)
    assert asked.trouble.since == began, "the older trouble is told first"
    errors.pop("write")
    await asked.ask(write)
    assert asked.trouble is None


@asynchronous
async def test_other_errors_are_no_trouble_of_the_storage() -> None:
    asked = Storing(FakeClock())

    def fail() -> None:
        raise StorageError("there is no such file")

    with pytest.raises(StorageError):
        await asked.ask(fail)
    assert asked.trouble is None


@asynchronous
async def test_a_storage_that_hangs_keeps_no_worker_from_its_task(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, end: threading.Event
) -> None:
    job = await manager.submit("1-3")
    worker = await manager.worker()
    monkeypatch.setattr(manager.storage, "missing", _hanging(end))
    submitting = [asyncio.create_task(manager.submit("4-5")) for _ in range(40)]
    async with asyncio.timeout(20):
        await worker.finish(await worker.take())
    assert manager.view(job.id).frames_published == 1
    end.set()
    await asyncio.gather(*submitting)


def _hanging(end: threading.Event) -> Callable[[Iterable[str]], set[str]]:
    def missing(names: Iterable[str]) -> set[str]:
        end.wait()
        return set()

    return missing


@asynchronous
async def test_a_submission_says_that_the_storage_does_not_answer(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, end: threading.Event
) -> None:
    monkeypatch.setattr(storing, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(manager.storage, "missing", _hanging(end))
    with pytest.raises(StorageAway, match="the storage did not answer"):
        await manager.submit("1")
    assert manager.farm.index.jobs == {}


@asynchronous
async def test_trouble_is_told_in_the_log_of_each_job_once_and_when_it_is_over(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    chores, tries = manager.publishing._chores(), 3
    with monkeypatch.context() as patch:
        patch.setattr(manager.storage, "put_bytes", _denied)
        for _ in range(tries):
            manager.clock.advance(10)
            assert await manager.publishing._try_all(chores)
        trouble = manager.farm.storing.trouble
        assert trouble is not None
        found = explain(manager.farm.index, manager.farm.index.jobs[job.id], (), trouble.text)
        assert ("storage", "no storage.objects.create; grant it") in [
            (reason.subject, reason.text) for reason in found.reasons
        ]
    manager.clock.advance(10)
    assert not await manager.publishing._try_all(chores)
    log = manager.farm.logs.read(job.id, 0)[0].decode()
    assert log.count("storage: no storage.objects.create; grant it") == 1
    assert log.count("storage: it works again") == 1


def _denied(*arguments: object) -> None:
    raise StorageDenied("no storage.objects.create", hint="grant it")


@asynchronous
async def test_chores_after_one_that_nobody_answers_are_not_tried_in_that_round(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    asked: list[str] = []

    def away(content: bytes, name: str) -> None:
        asked.append(name)
        raise StorageAway("gone")

    def put(source: object, name: str, *rest: object) -> None:
        asked.append(name)

    monkeypatch.setattr(manager.storage, "put_bytes", away)
    monkeypatch.setattr(manager.storage, "put_file", put)
    assert await manager.publishing._try_all(manager.publishing._chores())
    assert [name.rpartition("/")[2] for name in asked] == ["index.json"]


@asynchronous
async def test_a_full_storage_keeps_no_later_chore_from_being_tried(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())

    def full(content: bytes, name: str) -> None:
        raise StorageFull("no space")

    monkeypatch.setattr(manager.storage, "put_bytes", full)
    assert not await manager.publishing._try_all(manager.publishing._chores())
    assert manager.storage.missing([layout.job_log(job.id)]) == set()


@asynchronous
async def test_a_storage_that_stays_away_keeps_the_manager_from_leaving_for_minutes_only(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    monkeypatch.setattr(manager.storage, "put_bytes", _denied)
    await manager.publishing._try_all(manager.publishing._chores())
    assert not manager.publishing.idle
    manager.clock.advance(module.GIVE_UP_SECONDS + 1)
    assert manager.publishing.idle


@asynchronous
async def test_a_job_that_is_being_deleted_gets_no_new_index(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    begun, may_end, real = threading.Event(), threading.Event(), manager.storage.delete

    def slow(prefix: str) -> None:
        real(prefix)
        begun.set()
        may_end.wait(10)

    monkeypatch.setattr(manager.storage, "delete", slow)
    deletion = asyncio.create_task(manager.queue.delete(job.id))
    await asyncio.to_thread(begun.wait, 10)
    chores = asyncio.create_task(manager.publishing.round())
    with pytest.raises(NotAllowed):
        await manager.queue.requeue(job.id, "1")
    may_end.set()
    await asyncio.gather(deletion, chores)
    assert [name for name in manager.storage.list("") if job.id in name] == []


@asynchronous
async def test_the_log_of_a_job_is_read_while_every_way_to_the_storage_hangs(
    manager: Manager, end: threading.Event
) -> None:
    job = await manager.submit("1")
    hanging = [asyncio.create_task(manager.farm.storing.answer(end.wait, 30)) for _ in range(40)]
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        lines = [part async for part in follow_job_log(manager.farm, job.id, follow=False)]
    assert b"job submitted" in b"".join(lines)
    end.set()
    await asyncio.gather(*hanging)
