"""What several requests and chores do to one another: the orders that once lost a frame.

Kills of real processes are in tests/chaos.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from manager_kit import SCENE, Manager, asynchronous, ended, published

from burst.domain.transitions import FrameStatus, JobStatus
from burst.errors import DatabaseUnavailable, StorageError, StorageFull
from burst.manager.database.statements import Statement
from burst.protocol.artist_messages import SubmitJob
from burst.storage import layout


class HeldDisk:
    """Holds the writer of a database back, and lets a commit fail."""

    def __init__(self, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.fail = False
        real = manager.database._run

        def run(groups: Sequence[Any]) -> DatabaseUnavailable | None:
            if any(group.statements for group in groups):
                assert self.go_on.wait(10)
            return DatabaseUnavailable("full") if self.fail else real(groups)

        monkeypatch.setattr(manager.database, "_run", run)


@asynchronous
async def test_nothing_is_visible_before_its_commit_however_the_worker_leaves(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    report = worker.upload(await worker.take(), 1)
    disk = HeldDisk(manager, monkeypatch)
    disk.fail = True
    leaving = asyncio.create_task(worker.sign_off(report))
    await asyncio.sleep(0)
    sweeping = asyncio.create_task(manager.publishing.round())
    await asyncio.sleep(0)
    disk.go_on.set()
    with pytest.raises(DatabaseUnavailable):
        await leaving
    with pytest.raises(DatabaseUnavailable):
        await sweeping
    assert manager.storage.missing([layout.render(job.id, "shot_0001.png")])
    disk.fail = False
    await manager.publishing.round()
    assert manager.view(job.id).frames_published == 0


@asynchronous
async def test_a_submission_that_finds_a_job_waits_for_the_commit_of_that_job(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = HeldDisk(manager, monkeypatch)
    disk.fail = True
    message = SubmitJob(name="shot", scene=SCENE, frames="1-3")
    both = [asyncio.create_task(manager.queue.submit(message)) for _ in range(2)]
    while not manager.farm.index.jobs:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)
    disk.go_on.set()
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 2
    assert manager.farm.index.jobs == {}


@asynchronous
async def test_a_failed_chunk_with_a_frame_that_got_lost_ends_its_job(manager: Manager) -> None:
    job = await manager.submit("1-2", chunk=2, retry_limit=1)
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1)
    await worker.beat(report)
    await worker.beat(ended(task, "failed"))
    manager.storage.delete(layout.attempts(job.id))
    await worker.sign_off()
    await manager.publishing.round()
    assert manager.view(job.id).status is JobStatus.FAILED


@asynchronous
async def test_a_requeued_frame_that_gets_lost_may_still_replace_the_old_one(
    manager: Manager,
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await manager.queue.requeue(job.id, "1")
    task = await worker.take()
    await worker.beat(worker.upload(task, 1, b"lost"))
    worker.held.clear()
    manager.storage.delete(layout.attempts(job.id))
    await worker.sign_off()
    await manager.publishing.round()
    pending = manager.farm.index.jobs[job.id].pending[1]
    assert pending.status is FrameStatus.REQUEUED
    again = await manager.worker("two")
    task = await again.take()
    await again.beat(again.upload(task, 1, b"new"))
    again.held.clear()
    await again.sign_off()
    await manager.publishing.round()
    assert manager.storage.get_bytes(layout.render(job.id, "shot_0001.png")) == b"new"
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_requeue_waits_for_a_frame_that_is_on_its_way_to_the_disk(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1)
    await worker.beat(report)
    worker.publish(report, {})
    disk = HeldDisk(manager, monkeypatch)
    confirming = asyncio.create_task(worker.beat(published(task, 1)))
    await asyncio.sleep(0)
    assert manager.view(job.id).frames_published == 1
    requeuing = asyncio.create_task(manager.queue.requeue(job.id, "1"))
    await asyncio.sleep(0)
    disk.go_on.set()
    await confirming
    assert (await requeuing).tasks.queued == 1
    pending = manager.farm.index.jobs[job.id].pending[1]
    assert (pending.status, pending.replaces.keys()) == (FrameStatus.REQUEUED, {"shot_0001.png"})


@asynchronous
async def test_closing_a_job_leaves_the_uploads_of_a_requeue_alone(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    archived, go_on = threading.Event(), threading.Event()
    real = manager.farm.logs.archive

    def archive(job_id: str) -> None:
        archived.set()
        assert go_on.wait(10)
        real(job_id)

    monkeypatch.setattr(manager.farm.logs, "archive", archive)
    closing = asyncio.create_task(manager.publishing.round())
    await asyncio.to_thread(archived.wait, 10)
    await manager.queue.requeue(job.id, "1")
    task = await worker.take()
    report = worker.upload(task, 1, b"new")
    go_on.set()
    await closing
    upload = layout.attempt(job.id, task.attempt_id, report.files[0].name)
    assert manager.storage.missing([upload]) == set()


@asynchronous
async def test_one_frame_that_can_not_be_published_does_not_keep_others_waiting(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    for frame in (1, 2):
        await worker.beat(worker.upload(await worker.take(), frame))
        worker.held.clear()
    await worker.sign_off()
    real = manager.storage.publish

    def publish(source: str, target: str, sha256: str, replaces: str | None = None) -> None:
        if "0001" in target:
            raise StorageFull("full")
        real(source, target, sha256, replaces)

    monkeypatch.setattr(manager.storage, "publish", publish)
    with pytest.raises(StorageError):
        await manager.publishing.round()
    assert manager.view(job.id).frames_published == 1


@asynchronous
async def test_a_job_whose_deletion_was_cut_short_can_be_deleted_again(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())

    async def killed(statements: Sequence[Statement]) -> None:
        raise DatabaseUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(manager.database, "commit", killed)
        with pytest.raises(DatabaseUnavailable):
            await manager.queue.delete(job.id)
    await manager.queue.delete(job.id)
    assert list(manager.storage.list(layout.render(job.id))) == []
    assert manager.farm.index.jobs == {}
