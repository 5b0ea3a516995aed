"""The publishing loop: sweeps for dead workers, lists what is published, clears up."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from manager_kit import Manager, Worker, asynchronous, ended, finished, published

from burst.domain.transitions import JobStatus
from burst.errors import DatabaseUnavailable, StorageFull
from burst.manager.publishing import PUBLISH_SECONDS
from burst.protocol.messages import LogLine
from burst.storage import layout


def _index(manager: Manager, job_id: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(manager.storage.get_bytes(layout.render_index(job_id)))
    return content


async def _committed(manager: Manager, frames: str = "1") -> tuple[str, Worker]:
    """Return a job whose only frame is committed, and its worker."""
    job = await manager.submit(frames)
    worker = await manager.worker()
    task = await worker.take()
    await worker.beat(worker.upload(task, task.frames[0]))
    worker.held.clear()
    return job.id, worker


@asynchronous
async def test_a_frame_of_a_dead_worker_is_published_in_its_place(manager: Manager) -> None:
    job_id, _ = await _committed(manager)
    await manager.scheduler.give_up("one", "its process has ended")
    await manager.publishing.round()
    assert manager.storage.missing([layout.render(job_id, "shot_0001.png")]) == set()
    assert manager.view(job_id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_living_worker_has_a_minute_to_publish_by_itself(manager: Manager) -> None:
    job_id, _ = await _committed(manager)
    await manager.publishing.round()
    manager.clock.advance(PUBLISH_SECONDS)
    await manager.publishing.round()
    assert manager.view(job_id).frames_published == 0
    manager.clock.advance(1)
    await manager.publishing.round()
    assert manager.view(job_id).frames_published == 1


@asynchronous
async def test_sweeping_what_the_dead_worker_had_published_is_success(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1)
    await worker.beat(report)
    worker.publish(report, {})
    await worker.sign_off()
    await manager.publishing.round()
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_frame_whose_upload_is_gone_is_rendered_again(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    await worker.beat(finished(task, 1))
    await worker.sign_off()
    await manager.publishing.round()
    assert manager.view(job.id).tasks.queued == 1
    await worker.register()
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_name_that_stays_taken_fails_the_job_in_the_end(manager: Manager) -> None:
    job = await manager.submit("1", retry_limit=2)
    manager.storage.put_bytes(b"a stranger's", layout.render(job.id, "shot_0001.png"))
    worker = await manager.worker()
    for _ in range(2):
        task = await worker.take()
        await worker.beat(worker.upload(task, 1))
        await worker.sign_off()
        await manager.publishing.round()
        await worker.register()
    assert (await worker.claim()).assignment is None
    assert manager.view(job.id).status is JobStatus.FAILED
    name = layout.render(job.id, "shot_0001.png")
    assert manager.storage.get_bytes(name) == b"a stranger's"


@asynchronous
async def test_the_index_lists_what_is_published_with_sizes_and_hashes(manager: Manager) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1, b"pixels")
    await worker.beat(report)
    worker.publish(report, {})
    await worker.beat(published(task, 1))
    await manager.publishing.round()
    file = report.files[0]
    assert _index(manager, job.id) == {
        "job": job.id,
        "name": "shot",
        "status": "active",
        "created_at": job.created_at.isoformat(),
        "output": job.output,
        "scene": {"name": "shot", "version": "v1"},
        "fps": 24.0,
        "frames": "1-2",
        "frame_count": 2,
        "tasks": 0,
        "tasks_completed": 0,
        "published": [
            {
                "frame": 1,
                "attempt": task.attempt_id,
                "files": [{"name": "shot_0001.png", "size": 6, "sha256": file.sha256}],
            }
        ],
        "results": [],
    }


@asynchronous
async def test_the_last_frame_is_in_the_index_even_if_it_came_while_it_was_written(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    real, during = manager.storage.put_bytes, []

    def put(content: bytes, name: str) -> None:
        if name.endswith("index.json") and not during:
            during.append(name)
            # What a publish on the event loop does while this thread writes.
            manager.farm.chores.changed_renders.add(job.id)
        real(content, name)

    monkeypatch.setattr(manager.storage, "put_bytes", put)
    await manager.publishing.round()
    assert during
    assert job.id in manager.farm.chores.changed_renders
    await worker.finish(await worker.take())
    await manager.publishing.round()
    assert [f["frame"] for f in _index(manager, job.id)["published"]] == [1, 2]
    assert manager.publishing.idle


@asynchronous
async def test_an_index_that_could_not_be_written_is_written_later(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())

    def full(content: bytes, name: str) -> None:
        raise StorageFull

    with monkeypatch.context() as patch:
        patch.setattr(manager.storage, "put_bytes", full)
        with pytest.raises(StorageFull):
            await manager.publishing.round()
    assert not manager.publishing.idle
    await manager.publishing.round()
    assert len(_index(manager, job.id)["published"]) == 1


@asynchronous
async def test_uploads_of_ended_attempts_are_deleted_but_not_committed_ones(
    manager: Manager,
) -> None:
    await manager.submit("1-3", chunk=3)
    worker = await manager.worker()
    task = await worker.take()
    worker.upload(task, 1)
    worker.held.clear()
    await worker.beat(ended(task))
    again = await worker.take()
    await worker.beat(worker.upload(again, 1))
    worker.upload(again, 2)
    worker.held.clear()
    await worker.beat(ended(again, "interrupted"))
    await manager.publishing.round()
    left = set(manager.storage.list(layout.attempts(task.job_id)))
    kept = layout.attempt(again.job_id, again.attempt_id, "shot_0001.png")
    assert kept in left
    assert not [name for name in left if task.attempt_id in name]


@asynchronous
async def test_an_ended_job_leaves_its_log_and_its_frames_in_the_storage(
    manager: Manager,
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    line = LogLine(at=manager.clock.now(), text="from Blender", job_id=job.id)
    manager.farm.add_log(job.id, [line])
    await worker.finish(task)
    await manager.publishing.round()
    names = set(manager.storage.list(""))
    assert {n for n in names if job.id in n} == {
        layout.render(job.id, "shot_0001.png"),
        layout.render_index(job.id),
        layout.job_log(job.id),
    }
    log = manager.storage.get_bytes(layout.job_log(job.id)).decode()
    assert "from Blender" in log
    assert "job completed" in log


@asynchronous
async def test_what_a_killed_manager_left_undone_is_done_at_the_next_start(
    manager: Manager,
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    manager.storage.put_bytes(b"left", layout.attempt(job.id, "dead", "x.png"))
    manager.start()  # killed before its first round
    assert manager.publishing.idle
    manager.publishing._find_left_undone()
    assert not manager.publishing.idle
    await manager.publishing.round()
    assert manager.publishing.idle
    assert len(_index(manager, job.id)["published"]) == 1
    assert list(manager.storage.list(layout.attempts(job.id))) == []
    assert manager.storage.missing([layout.job_log(job.id)]) == set()


@asynchronous
async def test_an_index_for_which_the_database_could_not_be_read_is_written_later(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())

    def unreadable(select: object) -> None:
        raise DatabaseUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(manager.farm.database, "read", unreadable)
        with pytest.raises(DatabaseUnavailable):
            await manager.publishing.round()
    assert not manager.publishing.idle
    await manager.publishing.round()
    assert len(_index(manager, job.id)["published"]) == 1


@asynchronous
async def test_other_jobs_go_on_while_a_large_one_is_deleted(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = await manager.submit("1", new=True)
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await manager.publishing.round()
    job = await manager.submit("2", new=True)
    await worker.finish(await worker.take())
    real, goes_on = manager.storage.delete, threading.Event()

    def delete(prefix: str) -> None:
        assert goes_on.wait(60)
        real(prefix)

    with monkeypatch.context() as patch:
        patch.setattr(manager.storage, "delete", delete)
        deletion = asyncio.create_task(manager.queue.delete(large.id))
        try:
            await asyncio.sleep(0.1)
            async with asyncio.timeout(5):
                await manager.publishing._write_indexes()
        finally:
            goes_on.set()
            await deletion
    assert len(_index(manager, job.id)["published"]) == 1
    assert manager.storage.missing([layout.render_index(large.id)])
