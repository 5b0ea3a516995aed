"""Tasks and jobs that are given up: by what a worker says, by fail-fast; and how they come back."""

from __future__ import annotations

import tracemalloc

import pytest
from manager_kit import Manager, asynchronous, command, ended

from burst.domain.transitions import JobStatus
from burst.errors import NotAllowed
from burst.manager.database import statements
from burst.storage import layout

VIDEO = command("video", "frames", frames="1-3")


def _rows(manager: Manager, job_id: str) -> int:
    return len(manager.database.read(statements.tasks_of_job(job_id)))


@asynchronous
async def test_a_task_that_no_other_try_can_save_is_not_tried_again(manager: Manager) -> None:
    job = await manager.submit("1-2", retry_limit=9)
    worker = await manager.worker()
    await worker.beat(ended(await worker.take(), gives_up="task"))
    view = manager.view(job.id)
    assert (view.status, view.tasks.failed, view.retries) == (JobStatus.ACTIVE, 1, 1)
    worker.held.clear()
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.FAILED


@asynchronous
async def test_an_interruption_gives_nothing_up(manager: Manager) -> None:
    job = await manager.submit("1", fail_fast=True)
    worker = await manager.worker()
    await worker.beat(ended(await worker.take(), "interrupted", gives_up="job"))
    assert manager.view(job.id).tasks.queued == 1


@asynchronous
async def test_a_job_is_given_up_at_once_and_what_is_under_way_keeps_its_frames(
    manager: Manager,
) -> None:
    job = await manager.submit("1-9", commands=(VIDEO,))
    one, two, three = [await manager.worker(name) for name in ("one", "two", "three")]
    bad, good, lost = await one.take(), await two.take(), await three.take()
    await one.beat(ended(bad, gives_up="job", reason="a texture is missing"))
    view = manager.view(job.id)
    assert view.status is JobStatus.ACTIVE
    assert (view.tasks.failed, view.tasks.active, view.tasks.waiting) == (8, 2, 0)
    assert view.status_reason == "given up: frame 1 failed on one: a texture is missing"
    one.held.clear()
    assert (await one.claim()).assignment is None
    await two.finish(good)
    await manager.scheduler.give_up("three", "it was killed")
    view = manager.view(job.id)
    assert (view.status, view.frames_published, view.tasks.failed) == (JobStatus.FAILED, 1, 9)
    assert view.status_reason == "given up: frame 1 failed on one: a texture is missing"
    assert lost.frames == (3,)


@asynchronous
async def test_fail_fast_gives_up_the_job_with_its_first_task(manager: Manager) -> None:
    fast = await manager.submit("1-5", fail_fast=True, retry_limit=2)
    slow = await manager.submit("1-5", retry_limit=2, new=True)
    worker = await manager.worker()
    for _ in range(2):
        assert manager.view(fast.id).tasks.failed == 0
        await worker.beat(ended(await worker.take()))
        worker.held.clear()
    view = manager.view(fast.id)
    assert (view.status, view.tasks.failed) == (JobStatus.FAILED, 5)
    assert view.status_reason == "given up: frame 1 failed on one: for the test"
    for _ in range(2):
        await worker.beat(ended(await worker.take()))
        worker.held.clear()
    assert manager.view(slow.id).tasks.failed == 1


@asynchronous
async def test_fail_fast_gives_up_for_a_frame_whose_name_stays_taken(manager: Manager) -> None:
    job = await manager.submit("1-5", fail_fast=True, retry_limit=1)
    manager.storage.put_bytes(b"a stranger's", layout.render(job.id, "shot_0001.png"))
    worker = await manager.worker()
    await worker.beat(worker.upload(await worker.take(), 1))
    await worker.sign_off()
    await manager.publishing.round()
    view = manager.view(job.id)
    assert (view.status, view.tasks.failed) == (JobStatus.FAILED, 5)
    assert view.status_reason.startswith("given up: frame 1 was lost once: ")


@asynchronous
async def test_a_frame_that_is_lost_after_its_job_was_given_up_is_not_rendered_again(
    manager: Manager,
) -> None:
    job = await manager.submit("1-3")
    one, two = await manager.worker("one"), await manager.worker("two")
    bad, good = await one.take(), await two.take()
    await two.beat(two.upload(good, 2))
    await one.beat(ended(bad, gives_up="job"))
    assert manager.view(job.id).status is JobStatus.ACTIVE
    manager.storage.delete(layout.attempts(job.id))
    await two.sign_off()
    await manager.publishing.round()
    view = manager.view(job.id)
    assert (view.status, view.tasks.failed, view.frames_published) == (JobStatus.FAILED, 3, 0)


@asynchronous
async def test_untouched_tasks_of_a_job_that_was_given_up_cost_nothing(manager: Manager) -> None:
    job = await manager.submit("1-1000000")
    worker = await manager.worker()
    task = await worker.take()
    tracemalloc.start()
    try:
        await worker.beat(ended(task, gives_up="job"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
    assert _rows(manager, job.id) == 1
    manager.start()
    view = manager.view(job.id)
    assert (view.status, view.tasks.failed, view.tasks.queued) == (JobStatus.FAILED, 1_000_000, 0)


@asynchronous
async def test_a_requeue_of_some_frames_leaves_the_others_failed_over_a_restart(
    manager: Manager,
) -> None:
    job = await manager.submit("1-2500")
    worker = await manager.worker()
    await worker.beat(ended(await worker.take(), gives_up="job"))
    worker.held.clear()
    view = await manager.queue.requeue(job.id, "7")
    assert (view.status, view.status_reason) == (JobStatus.ACTIVE, "")
    manager.start()
    view = manager.view(job.id)
    assert (view.tasks.queued, view.tasks.failed) == (1, 2499)
    assert not manager.farm.index.jobs[job.id].given_up
    assert (await worker.take()).frames == (7,)


@asynchronous
async def test_a_requeue_of_all_that_failed_starts_over(manager: Manager) -> None:
    job = await manager.submit("1-3", fail_fast=True, retry_limit=1, commands=(VIDEO,))
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    worker.held.clear()
    view = await manager.queue.requeue(job.id, None)
    assert (view.tasks.queued, view.tasks.waiting, view.tasks.failed) == (3, 1, 0)
    for _ in range(4):
        await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_job_that_was_given_up_can_be_canceled_and_requeued(manager: Manager) -> None:
    job = await manager.submit("1-4")
    one, two = await manager.worker("one"), await manager.worker("two")
    bad, _ = await one.take(), await two.take()
    await one.beat(ended(bad, gives_up="job"))
    view = await manager.queue.act(job.id, "cancel")
    assert (view.status, view.tasks.failed, view.tasks.canceled) == (JobStatus.CANCELED, 3, 1)
    manager.start()
    assert manager.view(job.id).tasks == view.tasks
    view = await manager.queue.requeue(job.id, "2")
    assert (view.tasks.queued, view.tasks.failed) == (1, 3)
    manager.start()
    assert manager.view(job.id).tasks == view.tasks


@asynchronous
async def test_the_reason_outlives_a_pause(manager: Manager) -> None:
    job = await manager.submit("1-4")
    one, two = await manager.worker("one"), await manager.worker("two")
    bad, good = await one.take(), await two.take()
    await one.beat(ended(bad, gives_up="job"))
    reason = manager.view(job.id).status_reason
    await manager.queue.act(job.id, "pause")
    view = await manager.queue.act(job.id, "resume")
    assert view.status_reason == reason != ""
    await two.finish(good)
    assert manager.view(job.id).status_reason == reason


@asynchronous
async def test_the_same_work_is_not_found_in_a_job_that_is_given_up(manager: Manager) -> None:
    job = await manager.submit("1-4")
    one, two = await manager.worker("one"), await manager.worker("two")
    bad, _ = await one.take(), await two.take()
    await one.beat(ended(bad, gives_up="job"))
    assert (await manager.submit("1-4")).id != job.id


@asynchronous
async def test_failures_of_tasks_that_stay_canceled_are_remembered(manager: Manager) -> None:
    job = await manager.submit("1-3")
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    await manager.queue.act(job.id, "cancel")
    await manager.queue.requeue(job.id, "3")
    live = dict(manager.farm.index.jobs[job.id].failures)
    manager.start()
    assert manager.farm.index.jobs[job.id].failures == live == {0: 1}


@asynchronous
async def test_what_is_not_over_can_not_be_requeued(manager: Manager) -> None:
    job = await manager.submit("1", commands=(command("video", "frames", frames="1"),))
    for frames in (None, "1"):
        with pytest.raises(NotAllowed):
            await manager.queue.requeue(job.id, frames)
