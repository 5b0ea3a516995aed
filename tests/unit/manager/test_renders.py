"""What the storage is asked about a job's files: one by one for a few, in one listing for many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from manager_kit import Manager, asynchronous

from burst.manager import renders
from burst.storage import layout
from burst.storage.directory import DirectoryStorage


@pytest.mark.parametrize("number", [3, renders.LISTED_FROM])
def test_identities_are_those_of_the_storage_however_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    storage = DirectoryStorage(tmp_path)
    names = [f"deep/f{frame}.png" for frame in range(number)]
    for name in [*names, "another.png"]:
        storage.put_bytes(name.encode(), layout.render("job", name))
    expected = {name: storage.identity(layout.render("job", name)) for name in names}
    asked: list[str] = []
    real = storage.identity
    monkeypatch.setattr(storage, "identity", lambda name: asked.append(name) or real(name))
    assert renders.identities(storage, "job", {*names, "gone.png"}) == expected
    assert len(asked) == (number + 1 if number < renders.LISTED_FROM - 1 else 0)


@asynchronous
async def test_many_frames_are_requeued_by_one_listing(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = renders.LISTED_FROM + 6
    job = await manager.submit(f"1-{count}", chunk=count)
    worker = await manager.worker()
    await worker.finish(await worker.take())
    monkeypatch.setattr(manager.storage, "identity", None)
    await manager.queue.requeue(job.id, f"1-{count}")
    pending = manager.farm.index.jobs[job.id].pending
    assert len(pending) == count
    assert all(one.replaces for one in pending.values())


@asynchronous
async def test_a_job_that_ended_without_a_frame_has_an_index_that_says_so(
    manager: Manager,
) -> None:
    job = await manager.submit("1-2")
    await manager.queue.act(job.id, "cancel")
    await manager.publishing.round()
    content = manager.storage.get_bytes(layout.render_index(job.id)).decode()
    assert '"status": "canceled"' in content
    assert '"published": []' in content


@asynchronous
async def test_the_index_of_a_job_that_goes_on_again_says_so(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await manager.publishing.round()
    assert _status(manager, job.id) == "completed"
    await manager.queue.requeue(job.id, "1")
    manager.clock.advance(10)
    await manager.publishing.round()
    assert _status(manager, job.id) == "active"


def _status(manager: Manager, job_id: str) -> str:
    content = json.loads(manager.storage.get_bytes(layout.render_index(job_id)))
    return str(content["status"])
