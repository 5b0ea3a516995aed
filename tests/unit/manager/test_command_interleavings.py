"""Command tasks between requeues, losses, deaths and restarts: a video is of the frames there are.

Kills of real processes are in tests/chaos.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest
from manager_kit import Manager, Worker, asynchronous, command, ended, published

from burst.domain.frames import RESULT_MIN, FrameRange
from burst.domain.transitions import AttemptStatus, FrameStatus, JobStatus, TaskStatus
from burst.errors import NotAllowed
from burst.manager import requeue
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.protocol.artist_messages import JobView
from burst.protocol.worker_messages import Assignment, Reports
from burst.storage import layout

VIDEO = command("video", "frames", frames="1-2")


async def _rendered(manager: Manager, **values: Any) -> tuple[JobView, Worker]:
    """Return a job whose two frames are published, and the worker that did it."""
    job = await manager.submit("1-2", commands=(VIDEO, command("tell", "video")), **values)
    worker = await manager.worker()
    for _ in range(2):
        await worker.finish(await worker.take())
    return job, worker


def _status(manager: Manager, job: JobView, task: int = 2) -> TaskStatus:
    return manager.farm.index.jobs[job.id].board.status(task)


def _attempt(manager: Manager, task: Assignment) -> AttemptStatus:
    (row,) = manager.database.read(statements.attempt_by_id(task.attempt_id))
    return AttemptStatus(row["status"])


@asynchronous
async def test_a_frame_requeued_under_a_video_takes_the_video_back(manager: Manager) -> None:
    job, worker = await _rendered(manager)
    video = await worker.take()
    report = worker.upload(video, RESULT_MIN)
    view = await manager.queue.requeue(job.id, "1")
    assert (view.tasks.waiting, view.tasks.active, view.tasks.queued) == (2, 0, 1)
    assert _attempt(manager, video) is AttemptStatus.CANCELED
    answer = await worker.beat(report)
    assert (answer.verdicts[0].answer, answer.cancel) == ("drop", (video.attempt_id,))
    frame = await worker.take()
    assert frame.frames == (1,)
    await worker.finish(frame)
    again = await worker.take()
    assert (again.task_name, again.attempt_id != video.attempt_id) == ("video", True)
    await worker.finish(again)
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED
    name = layout.render(job.id, "video.out")
    assert manager.storage.get_bytes(name) == f"{again.attempt_id} {RESULT_MIN}".encode()


@asynchronous
async def test_an_open_claim_of_the_videos_worker_is_answered_with_the_order(
    manager: Manager,
) -> None:
    job, worker = await _rendered(manager)
    other = await manager.worker("two")
    video = await worker.take()
    await manager.queue.act(job.id, "pause")
    # Who waits longest is woken for the frame, but the order is for the other.
    first = asyncio.create_task(other.claim(wait=60))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(worker.claim(wait=60))
    await asyncio.sleep(0)
    await manager.queue.requeue(job.id, "1")
    answer = await asyncio.wait_for(waiting, 10)
    assert (answer.cancel, answer.assignment) == ((video.attempt_id,), None)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first


@asynchronous
async def test_a_video_whose_turn_had_come_waits_again_before_it_was_claimed(
    manager: Manager,
) -> None:
    job, worker = await _rendered(manager)
    assert _status(manager, job) is TaskStatus.QUEUED
    await manager.queue.requeue(job.id, "2")
    assert _status(manager, job) is TaskStatus.WAITING
    assert (await worker.take()).frames == (2,)
    assert (await worker.claim()).assignment is None


@asynchronous
async def test_a_requeued_frame_makes_the_video_anew_over_the_old_one(manager: Manager) -> None:
    job, worker = await _rendered(manager)
    for _ in range(2):
        await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED
    name = layout.render(job.id, "video.out")
    old, identity = manager.storage.get_bytes(name), manager.storage.identity(name)
    view = await manager.queue.requeue(job.id, "1")
    assert (view.status, view.frames_published, view.tasks.waiting) == (JobStatus.ACTIVE, 1, 2)
    manager.start()
    await worker.finish(await worker.take())
    assert manager.storage.get_bytes(name) == old
    video = await worker.take()
    report = worker.upload(video, RESULT_MIN)
    (verdict,) = (await worker.beat(report)).verdicts
    assert verdict.replaces == {"video.out": identity}
    # The next in the chain waits for the new name, not for the commit.
    assert _status(manager, job, 3) is TaskStatus.WAITING
    worker.publish(report, verdict.replaces)
    await worker.beat(published(video, RESULT_MIN))
    worker.held.clear()
    assert manager.storage.get_bytes(name) != old
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_requeue_that_is_canceled_leaves_the_old_video(manager: Manager) -> None:
    job, worker = await _rendered(manager)
    for _ in range(2):
        await worker.finish(await worker.take())
    await manager.queue.requeue(job.id, "1")
    view = await manager.queue.act(job.id, "cancel")
    assert view.frames_published == 2
    assert manager.farm.index.jobs[job.id].pending == {}
    manager.start()
    again = manager.view(job.id)
    assert (again.tasks, again.frames_published) == (view.tasks, 2)
    await manager.queue.requeue(job.id, None)
    for _ in range(3):
        await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_frames_are_not_requeued_while_their_video_is_being_published(
    manager: Manager,
) -> None:
    job, worker = await _rendered(manager)
    await worker.finish(await worker.take(), publish=False)
    before = manager.view(job.id)
    with pytest.raises(NotAllowed, match=r"the result of task video .* is just being published"):
        await manager.queue.requeue(job.id, "1")
    assert manager.view(job.id) == before


@asynchronous
async def test_a_video_that_is_lost_is_made_again_and_what_waits_for_it_did_not_start(
    manager: Manager,
) -> None:
    job, worker = await _rendered(manager)
    await worker.finish(await worker.take(), publish=False)
    manager.storage.delete(layout.attempts(job.id))
    await worker.sign_off()
    await manager.publishing.round()
    assert (_status(manager, job), _status(manager, job, 3)) == ("queued", "waiting")
    manager.start()
    await worker.register()
    await worker.finish(await worker.take())
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_frame_that_is_lost_after_its_commit_holds_the_video_back(
    manager: Manager,
) -> None:
    job = await manager.submit("1-2", commands=(VIDEO,))
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await worker.finish(await worker.take(), publish=False)
    manager.storage.delete(layout.attempts(job.id))
    await worker.sign_off()
    await manager.publishing.round()
    assert _status(manager, job) is TaskStatus.WAITING
    await worker.register()
    task = await worker.take()
    assert task.frames == (2,)
    await worker.finish(task)
    assert (await worker.take()).task_name == "video"


@asynchronous
async def test_a_worker_that_dies_with_a_video_costs_it_nothing(manager: Manager) -> None:
    job, worker = await _rendered(manager, retry_limit=1)
    first = await worker.take()
    await manager.scheduler.give_up("one", "it was killed")
    assert (_status(manager, job), manager.view(job.id).interruptions) == ("queued", 1)
    two = await manager.worker("two")
    await two.finish(await two.take())
    left = Reports(reports=(worker.upload(first, RESULT_MIN, b"zombie"),))
    assert [v.answer for v in (await manager.scheduler.report(left)).verdicts] == ["drop"]


@asynchronous
async def test_a_restart_of_the_manager_changes_nothing_at_any_point(manager: Manager) -> None:
    job = await manager.submit("1-2", commands=(VIDEO,))
    worker = await manager.worker()
    for _ in range(3):
        manager.start()
        task = await worker.take()
        manager.start()
        report = worker.upload(task, task.frames[0])
        (verdict,) = (await worker.beat(report)).verdicts
        manager.start()
        worker.publish(report, verdict.replaces)
        manager.start()
        await worker.beat(published(task, task.frames[0]))
        worker.held.clear()
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_requeuing_what_failed_brings_back_what_waited_for_it(manager: Manager) -> None:
    job = await manager.submit("1-2", retry_limit=1, commands=(VIDEO, command("tell", "video")))
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    worker.held.clear()
    await worker.finish(await worker.take())
    assert manager.view(job.id).tasks.failed == 3
    for frames in (None, "1"):
        view = await manager.queue.requeue(job.id, frames)
        assert (view.status, view.tasks.queued, view.tasks.waiting) == (JobStatus.ACTIVE, 1, 2)
        await worker.beat(ended(await worker.take()))
        worker.held.clear()
        assert manager.view(job.id).status is JobStatus.FAILED
    await manager.queue.requeue(job.id, "1")
    for _ in range(3):
        await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_video_that_failed_by_itself_is_requeued_without_its_frames(
    manager: Manager,
) -> None:
    job, worker = await _rendered(manager, retry_limit=1)
    await worker.beat(ended(await worker.take()))
    worker.held.clear()
    view = manager.view(job.id)
    assert (view.status, view.status_reason) == (JobStatus.FAILED, "2 of 4 tasks failed")
    view = await manager.queue.requeue(job.id, None)
    assert (view.tasks.queued, view.tasks.waiting, view.frames_published) == (1, 1, 2)
    for name in ("video", "tell"):
        task = await worker.take()
        assert task.task_name == name
        await worker.finish(task)
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_frame_that_is_published_while_a_requeue_looks_is_not_missed(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await manager.submit("1", commands=(command("video", "frames", frames="1"),))
    worker = await manager.worker()
    await worker.finish(await worker.take())
    video = await worker.take()
    report = worker.upload(video, RESULT_MIN)
    looking, go_on = threading.Event(), threading.Event()
    real = manager.queue._published_frames

    def look(*arguments: Any) -> Any:
        found = real(*arguments)
        looking.set()
        assert go_on.wait(10)
        return found

    monkeypatch.setattr(manager.queue, "_published_frames", look)
    requeuing = asyncio.create_task(manager.queue.requeue(job.id, "1"))
    await asyncio.to_thread(looking.wait, 10)
    (verdict,) = (await worker.beat(report)).verdicts
    worker.publish(report, verdict.replaces)
    await worker.beat(published(video, RESULT_MIN))
    go_on.set()
    await requeuing
    pending = manager.farm.index.jobs[job.id].pending
    assert {n: p.status for n, p in pending.items()} == {
        1: FrameStatus.REQUEUED,
        RESULT_MIN: FrameStatus.REQUEUED,
    }
    assert pending[RESULT_MIN].replaces.keys() == {"video.out"}


@asynchronous
async def test_a_frame_of_a_canceled_job_that_is_lost_is_canceled_too(manager: Manager) -> None:
    job = await manager.submit("1-2", commands=(VIDEO,))
    worker = await manager.worker()
    await worker.finish(await worker.take(), publish=False)
    await manager.queue.act(job.id, "cancel")
    manager.storage.delete(layout.attempts(job.id))
    await worker.sign_off()
    await manager.publishing.round()
    assert manager.view(job.id).tasks.canceled == 3
    manager.start()
    assert manager.view(job.id).tasks.canceled == 3
    assert (await manager.queue.requeue(job.id, "1")).tasks.queued == 1


@asynchronous
async def test_a_job_that_is_deleted_while_a_requeue_looks_is_left_alone(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, worker = await _rendered(manager)
    for _ in range(2):
        await worker.finish(await worker.take())
    looking, go_on = threading.Event(), threading.Event()

    real = manager.queue._published_frames

    def look(*arguments: Any) -> Any:
        found = real(*arguments)
        looking.set()
        assert go_on.wait(10)
        return found

    monkeypatch.setattr(manager.queue, "_published_frames", look)
    requeuing = asyncio.create_task(manager.queue.requeue(job.id, "1"))
    await asyncio.to_thread(looking.wait, 10)
    await manager.queue.delete(job.id)
    go_on.set()
    with pytest.raises(NotAllowed, match="has changed meanwhile"):
        await requeuing
    assert manager.farm.index.jobs == {}


@asynchronous
async def test_a_requeue_that_does_not_know_all_results_changes_nothing(manager: Manager) -> None:
    job, _ = await _rendered(manager)
    before = manager.view(job.id)
    with pytest.raises(NotAllowed, match="has changed meanwhile"):
        requeue.requeue(
            manager.farm.index,
            manager.farm.index.jobs[job.id],
            FrameRange.parse("1"),
            {},
            manager.clock.now(),
            Changes(),
        )
    assert manager.view(job.id) == before
