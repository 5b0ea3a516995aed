"""What artists do with jobs: submit, cancel, pause, resume, requeue, delete.

Driven through the queue on a real database and storage; HTTP is left out.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest
import sqlalchemy as sa
from manager_kit import Manager, asynchronous, ended, finished

from burst.domain.jobs import RenderSettings, SceneRef
from burst.domain.transitions import FrameStatus, JobStatus, TaskStatus
from burst.domain.workers import Requirements
from burst.errors import InvalidRequest, NotAllowed, NotFound, StorageError
from burst.protocol.artist_messages import MakeVideo, SubmitJob
from burst.storage import layout


@asynchronous
async def test_the_same_work_goes_on_with_the_unfinished_job(manager: Manager) -> None:
    first = await manager.submit("1-3")
    assert (await manager.submit("1-3")).id == first.id
    assert (await manager.submit("1-3", new=True)).id != first.id
    assert (await manager.submit("1-4")).id != first.id
    other = RenderSettings(samples=4)
    assert (await manager.submit("1-3", settings=other)).id != first.id


@asynchronous
async def test_work_that_is_asked_for_again_goes_on_as_it_was_asked_for_last(
    manager: Manager,
) -> None:
    small = await manager.worker("small")
    much = Requirements(memory_bytes=2 << 30)
    first = await manager.submit("1-3", requirements=much, priority=70)
    assert (await small.claim()).assignment is None
    await manager.submit("1-3", fail_fast=True, retry_limit=1)
    view = manager.view(first.id)
    assert (view.requirements, view.fail_fast, view.retry_limit) == (Requirements(), True, 1)
    # It is the one thing that is changed later, by a command of its own.
    assert view.priority == 70
    manager.start()
    assert manager.view(first.id) == view
    task = await small.take()
    await small.beat(ended(task))
    assert manager.view(first.id).tasks.failed == 3
    again = await manager.submit("1-3", priority=80)
    assert (await manager.submit("1-3", priority=90)).id == again.id
    assert manager.view(again.id).priority == 90


@asynchronous
async def test_what_asks_for_less_wakes_a_worker_that_waits(manager: Manager) -> None:
    worker = await manager.worker()
    job = await manager.submit("1", requirements=Requirements(memory_bytes=2 << 30))
    claim = asyncio.create_task(worker.claim(wait=60))
    for _ in range(100):
        await asyncio.sleep(0)
    assert manager.farm.index.workers["one"].open_claims
    await manager.submit("1")
    assignment = (await asyncio.wait_for(claim, 10)).assignment
    assert assignment is not None
    assert assignment.job_id == job.id


@asynchronous
async def test_ended_work_is_not_found_again(manager: Manager) -> None:
    first = await manager.submit("1")
    await manager.queue.act(first.id, "cancel")
    assert (await manager.submit("1")).id != first.id


@asynchronous
async def test_submitting_a_paused_job_again_resumes_it(manager: Manager) -> None:
    job = await manager.submit("1")
    await manager.queue.act(job.id, "pause")
    assert (await manager.submit("1")).status is JobStatus.QUEUED


@pytest.mark.parametrize("frames", ["", "5-1", "x", "1-9999999999"])
def test_frames_that_are_no_range_are_refused(manager: Manager, frames: str) -> None:
    @asynchronous
    async def play() -> None:
        with pytest.raises(InvalidRequest):
            await manager.submit(frames)
        assert manager.farm.index.jobs == {}

    play()


@asynchronous
async def test_a_scene_that_was_not_uploaded_is_refused(manager: Manager) -> None:
    message = SubmitJob(name="x", scene=SceneRef(name="none", version="v"), frames="1")
    with pytest.raises(InvalidRequest, match="not in the storage") as caught:
        await manager.queue.submit(message)
    assert "burst upload" in (caught.value.hint or "")


@asynchronous
async def test_a_canceled_job_keeps_what_is_committed(manager: Manager) -> None:
    job = await manager.submit("1-5")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    done, open_task = await worker.take(), await worker.take()
    await worker.beat(worker.upload(done, 2))
    view = await manager.queue.act(job.id, "cancel")
    assert (view.status, view.status_reason) == (JobStatus.CANCELED, "canceled by hand")
    assert (view.tasks.completed, view.tasks.canceled) == (2, 3)
    assert (await worker.beat(ended(open_task))).verdicts[0].answer == "drop"
    worker.publish(finished(done, 2, f"{done.attempt_id} 2".encode()), {})
    await worker.sign_off()
    await manager.publishing.round()
    assert manager.view(job.id).frames_published == 2


@asynchronous
async def test_an_ended_job_cannot_be_canceled_or_paused(manager: Manager) -> None:
    job = await manager.submit("1")
    await manager.queue.act(job.id, "cancel")
    for action in ("cancel", "pause", "resume"):
        with pytest.raises(NotAllowed, match="canceled"):
            await manager.queue.act(job.id, action)  # type: ignore[arg-type]


@asynchronous
async def test_a_paused_job_hands_out_nothing_and_what_renders_goes_on(manager: Manager) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    task = await worker.take()
    await manager.queue.act(job.id, "pause")
    assert (await worker.claim()).assignment is None
    await worker.finish(task)
    assert manager.view(job.id).status is JobStatus.PAUSED
    assert (await manager.queue.act(job.id, "resume")).status is JobStatus.ACTIVE
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_paused_job_whose_last_frame_arrives_is_completed(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    await manager.queue.act(job.id, "pause")
    await worker.finish(task)
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_only_a_paused_job_can_be_resumed(manager: Manager) -> None:
    job = await manager.submit("1")
    with pytest.raises(NotAllowed, match="only a paused job"):
        await manager.queue.act(job.id, "resume")


@asynchronous
async def test_a_requeue_renders_failed_tasks_again_with_a_clean_record(manager: Manager) -> None:
    job = await manager.submit("1-2", retry_limit=1)
    worker = await manager.worker()
    task = await worker.take()
    worker.held.clear()
    await worker.beat(ended(task))
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.FAILED
    view = await manager.queue.requeue(job.id, None)
    assert (view.status, view.tasks.queued, view.status_reason) == (JobStatus.ACTIVE, 1, "")
    again = await worker.take()
    assert again.frames == task.frames
    await worker.finish(again)
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_requeued_frame_replaces_exactly_the_old_file(manager: Manager) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    for _ in range(2):
        await worker.finish(await worker.take())
    name = layout.render(job.id, "shot_0002.png")
    old = manager.storage.get_bytes(name)
    identity = manager.storage.identity(name)
    view = await manager.queue.requeue(job.id, "2")
    assert (view.status, view.frames_published) == (JobStatus.ACTIVE, 1)
    task = await worker.take()
    assert manager.storage.get_bytes(name) == old
    (verdict,) = (await worker.beat(worker.upload(task, 2))).verdicts
    assert verdict.replaces == {"shot_0002.png": identity}
    await worker.sign_off()
    await manager.publishing.round()
    assert manager.storage.get_bytes(name) != old
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_canceling_a_requeue_leaves_the_old_frames_and_can_be_requeued(
    manager: Manager,
) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    for _ in range(2):
        await worker.finish(await worker.take())
    await manager.queue.requeue(job.id, "2")
    view = await manager.queue.act(job.id, "cancel")
    assert view.frames_published == 2
    await manager.queue.requeue(job.id, None)
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_canceled_chunk_keeps_its_frames_when_it_is_requeued(manager: Manager) -> None:
    job = await manager.submit("1-3", chunk=3)
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1)
    await worker.beat(report)
    await manager.queue.act(job.id, "cancel")
    await worker.sign_off()
    await manager.publishing.round()
    await manager.queue.requeue(job.id, None)
    await worker.register()
    rest = await worker.take()
    assert rest.frames == (2, 3)
    await worker.finish(rest)
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_chunk_that_was_named_is_rendered_whole(manager: Manager) -> None:
    job = await manager.submit("1-2", chunk=2, retry_limit=1)
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1)
    await worker.beat(report)
    worker.publish(report, {})
    worker.held.clear()
    await worker.sign_off()
    await manager.publishing.round()
    await worker.register()
    rest = await worker.take()
    worker.held.clear()
    await worker.beat(ended(rest))
    assert manager.view(job.id).status is JobStatus.FAILED
    await manager.queue.requeue(job.id, "2")
    whole = await worker.take()
    assert whole.frames == (1, 2)
    await worker.finish(whole)
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_frame_of_a_canceled_job_comes_back_alone_over_a_restart(
    manager: Manager,
) -> None:
    job = await manager.submit("1-5")
    await manager.queue.act(job.id, "cancel")
    await manager.queue.requeue(job.id, "3")
    manager.start()
    assert manager.view(job.id).tasks.queued == 1
    worker = await manager.worker()
    assert (await worker.take()).frames == (3,)
    assert manager.view(job.id).started_at == manager.clock.now()
    assert (await worker.claim()).assignment is None


@asynchronous
async def test_a_frame_that_is_being_published_cannot_be_requeued_and_nothing_changes(
    manager: Manager,
) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await worker.finish(await worker.take(), publish=False)
    before = manager.view(job.id)
    with pytest.raises(NotAllowed, match="just being published"):
        await manager.queue.requeue(job.id, "1-2")
    assert manager.view(job.id) == before
    assert manager.farm.index.jobs[job.id].pending.keys() == {2}


@asynchronous
async def test_requeues_that_mean_nothing_are_refused(manager: Manager) -> None:
    job = await manager.submit("1-2")
    with pytest.raises(NotAllowed, match="no failed or canceled tasks"):
        await manager.queue.requeue(job.id, None)
    with pytest.raises(NotAllowed, match="is still to be rendered"):
        await manager.queue.requeue(job.id, "1")
    with pytest.raises(InvalidRequest, match="does not render frame 9"):
        await manager.queue.requeue(job.id, "9")
    with pytest.raises(InvalidRequest):
        await manager.queue.requeue(job.id, "nonsense")


@asynchronous
async def test_a_job_is_deleted_with_everything_when_it_has_ended(manager: Manager) -> None:
    job = await manager.submit("1")
    with pytest.raises(NotAllowed, match="queued"):
        await manager.queue.delete(job.id)
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await manager.publishing.round()
    await manager.queue.delete(job.id)
    assert job.id not in manager.farm.index.jobs
    left = [name for name in manager.storage.list("") if job.id in name]
    assert left == []
    manager.start()
    assert manager.farm.index.jobs == {}


@asynchronous
async def test_a_job_that_is_being_deleted_does_not_go_on(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    begun, real = threading.Event(), manager.publishing._delete_files
    may_end = threading.Event()

    def delete_files(job_id: str) -> None:
        begun.set()
        may_end.wait(10)
        real(job_id)

    monkeypatch.setattr(manager.publishing, "_delete_files", delete_files)
    deletion = asyncio.create_task(manager.queue.delete(job.id))
    await asyncio.to_thread(begun.wait, 10)
    for change in (
        manager.queue.requeue(job.id, "1"),
        manager.queue.make_video(job.id, MakeVideo()),
        manager.queue.delete(job.id),
    ):
        with pytest.raises(NotAllowed, match="is being deleted"):
            await change
    may_end.set()
    await deletion
    assert manager.farm.index.jobs == {}


@asynchronous
async def test_a_deletion_that_failed_leaves_a_job_that_can_go_on(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())

    def delete_files(job_id: str) -> None:
        raise StorageError("it is away")

    monkeypatch.setattr(manager.publishing, "_delete_files", delete_files)
    with pytest.raises(StorageError):
        await manager.queue.delete(job.id)
    assert (await manager.queue.requeue(job.id, "1")).status is JobStatus.ACTIVE


@asynchronous
async def test_more_frames_are_requeued_than_a_statement_of_sqlite_has_values(
    manager: Manager,
) -> None:
    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32766)

    engine = manager.database._engine
    sa.event.listen(engine, "connect", limit)
    engine.dispose()
    job = await manager.submit("1-33000")
    await manager.queue.act(job.id, "cancel")
    assert (await manager.queue.requeue(job.id, None)).tasks.queued == 33000


@asynchronous
async def test_a_job_with_frames_on_their_way_is_not_deleted(manager: Manager) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    await worker.finish(await worker.take(), publish=False)
    await manager.queue.act(job.id, "cancel")
    with pytest.raises(NotAllowed, match="still being published"):
        await manager.queue.delete(job.id)


@asynchronous
async def test_jobs_are_found_by_the_beginning_of_their_id(manager: Manager) -> None:
    one, two = await manager.submit("1"), await manager.submit("2")
    index = manager.farm.index
    assert index.job(one.id[:-1]).id == one.id
    assert index.job("last").id == two.id
    with pytest.raises(NotFound, match="may be several"):
        index.job("shot-")
    with pytest.raises(NotFound, match="no job nothing"):
        index.job("nothing")


@asynchronous
async def test_priority_is_remembered(manager: Manager) -> None:
    job = await manager.submit("1")
    assert (await manager.queue.set_priority(job.id, 99)).priority == 99
    manager.start()
    assert manager.view(job.id).priority == 99


@asynchronous
async def test_tasks_are_shown_with_their_attempts(manager: Manager) -> None:
    job = await manager.submit("1-4", chunk=2)
    worker = await manager.worker()
    task = await worker.take()
    worker.held.clear()
    await worker.beat(ended(task))
    (view,) = manager.queue.tasks(job.id)
    assert (view.index, view.frames, view.status, view.failures) == (0, "1-2", "queued", 1)
    (attempt,) = view.attempts
    assert (attempt.worker, attempt.status, attempt.reason) == ("one", "failed", "for the test")


@asynchronous
async def test_a_requeue_keeps_frames_numbers_growing_over_a_restart(manager: Manager) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    for _ in range(2):
        await worker.finish(await worker.take())
    await manager.queue.requeue(job.id, "2")
    await worker.beat(worker.upload(await worker.take(), 2))
    manager.start()
    assert manager.farm.index.jobs[job.id].published_seq == 2
    pending = manager.farm.index.jobs[job.id].pending[2]
    assert pending.status is FrameStatus.COMMITTED
    assert manager.farm.index.jobs[job.id].board.status(1) is TaskStatus.COMPLETED


@asynchronous
async def test_a_job_that_was_never_claimed_can_be_requeued_bit_by_bit(manager: Manager) -> None:
    job = await manager.submit("1-3")
    await manager.queue.act(job.id, "cancel")
    await manager.queue.requeue(job.id, "1")
    view = await manager.queue.requeue(job.id, None)
    assert (view.status, view.tasks.queued) == (JobStatus.ACTIVE, 3)
