"""What becomes of reports: tokens, duplicates, lost answers, failures, interruptions.

Driven through the scheduler on a real database; HTTP is left out, so are long polls.
"""

from __future__ import annotations

import pytest
from manager_kit import Manager, asynchronous, ended, finished, published

from burst.domain.transitions import JobStatus, TaskStatus
from burst.errors import WorkerGone
from burst.manager.database import statements
from burst.protocol.worker_messages import Reports


def _task(manager: Manager, job_id: str, task: int = 0) -> TaskStatus:
    return manager.farm.index.jobs[job_id].board.status(task)


@asynchronous
async def test_a_frame_counts_when_its_files_have_their_names(manager: Manager) -> None:
    job = await manager.submit("1-2")
    worker = await manager.worker()
    first = await worker.take()
    report = worker.upload(first, 1)
    (verdict,) = (await worker.beat(report)).verdicts
    assert verdict.answer == "publish"
    assert manager.view(job.id).frames_published == 0
    worker.publish(report, verdict.replaces)
    (verdict,) = (await worker.beat(published(first, 1))).verdicts
    assert verdict.answer == "done"
    assert manager.view(job.id).frames_published == 1
    await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_job_is_not_completed_while_a_frame_has_no_name(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    await worker.beat(worker.upload(task, 1))
    assert _task(manager, job.id) is TaskStatus.COMPLETED
    assert manager.view(job.id).status is JobStatus.ACTIVE


@asynchronous
async def test_a_wrong_token_finishes_and_ends_nothing(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    forged = task.model_copy(update={"token": "guessed"})
    for report in (finished(forged, 1), published(forged, 1), ended(forged)):
        (verdict,) = (await worker.beat(report)).verdicts
        assert verdict.answer == "drop"
    assert _task(manager, job.id) is TaskStatus.ACTIVE
    assert (await worker.beat(finished(task, 1))).verdicts[0].answer == "publish"
    assert (await worker.beat(published(forged, 1))).verdicts[0].answer == "drop"
    assert manager.view(job.id).frames_published == 0


@asynchronous
async def test_a_frame_of_another_task_is_dropped(manager: Manager) -> None:
    await manager.submit("1-2")
    worker = await manager.worker()
    task = await worker.take()
    assert (await worker.beat(finished(task, 2))).verdicts[0].answer == "drop"
    assert (await worker.beat(finished(task, 99))).verdicts[0].answer == "drop"


@asynchronous
async def test_a_late_attempt_is_told_to_drop_its_work(manager: Manager) -> None:
    job = await manager.submit("1")
    slow, fast = await manager.worker("slow"), await manager.worker("fast")
    late = await slow.take()
    manager.clock.advance(1000)
    await fast.beat()
    await manager.scheduler.give_up_lost()
    await fast.finish(await fast.take())
    with pytest.raises(WorkerGone):
        await slow.beat(finished(late, 1))
    answer = await manager.scheduler.report(Reports(reports=(finished(late, 1), ended(late))))
    assert [verdict.answer for verdict in answer.verdicts] == ["drop", "drop"]
    assert manager.view(job.id).frames_published == 1
    assert manager.view(job.id).retries == 0


@asynchronous
async def test_a_worker_of_another_session_is_gone(manager: Manager) -> None:
    worker = await manager.worker()
    former = worker.session
    await worker.register()
    worker.session = former
    with pytest.raises(WorkerGone):
        await worker.beat()
    with pytest.raises(WorkerGone):
        await worker.claim()


@asynchronous
async def test_a_lost_answer_is_given_again(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1)
    first = (await worker.beat(report)).verdicts
    assert (await worker.beat(report)).verdicts == first
    worker.publish(report, {})
    assert (await worker.beat(published(task, 1))).verdicts[0].answer == "done"
    assert (await worker.beat(published(task, 1))).verdicts[0].answer == "done"
    assert (await worker.beat(report)).verdicts[0].answer == "done"
    view = manager.view(job.id)
    assert (view.frames_published, view.tasks.completed) == (1, 1)


@asynchronous
async def test_reports_of_an_earlier_life_need_only_their_token(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    report = worker.upload(task, 1)
    answer = await manager.scheduler.report(Reports(reports=(report,)))
    assert answer.verdicts[0].answer == "publish"
    worker.publish(report, {})
    answer = await manager.scheduler.report(Reports(reports=(published(task, 1),)))
    assert answer.verdicts[0].answer == "done"
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_a_failure_is_reported_once(manager: Manager) -> None:
    job = await manager.submit("1", retry_limit=5)
    worker = await manager.worker()
    task = await worker.take()
    assert (await worker.beat(ended(task))).verdicts[0].answer == "done"
    assert (await worker.beat(ended(task))).verdicts[0].answer == "drop"
    assert manager.view(job.id).retries == 1


@asynchronous
async def test_a_task_fails_for_good_at_the_retry_limit(manager: Manager) -> None:
    job = await manager.submit("1", retry_limit=2)
    worker = await manager.worker()
    for left in (1, 0):
        task = await worker.take()
        worker.held.clear()
        await worker.beat(ended(task))
        assert manager.view(job.id).tasks.queued == left
    view = manager.view(job.id)
    assert view.status is JobStatus.FAILED
    assert view.status_reason == "1 of 1 tasks failed"
    assert view.ended_at == manager.clock.now()


@asynchronous
async def test_a_failed_task_goes_to_another_worker(manager: Manager) -> None:
    await manager.submit("1")
    one, two = await manager.worker("one"), await manager.worker("two")
    task = await one.take()
    one.held.clear()
    await one.beat(ended(task))
    assert (await one.claim()).assignment is None
    assert (await two.take()).frames == (1,)


@asynchronous
async def test_a_failed_task_comes_back_to_the_only_worker(manager: Manager) -> None:
    await manager.submit("1")
    one, two = await manager.worker("one"), await manager.worker("two")
    task = await one.take()
    one.held.clear()
    await one.beat(ended(task, "out_of_memory"))
    assert (await one.claim()).assignment is None
    await manager.scheduler.drain("two")
    assert (await one.take()).frames == (1,)
    assert (await two.claim()).assignment is None


@asynchronous
async def test_an_interrupted_task_goes_to_the_front_without_a_failure(manager: Manager) -> None:
    job = await manager.submit("1-9", retry_limit=1)
    worker = await manager.worker()
    first = await worker.take()
    await worker.finish(await worker.take())
    worker.held.clear()
    await worker.beat(ended(first, "interrupted"))
    view = manager.view(job.id)
    assert (view.interruptions, view.retries, view.status) == (1, 0, JobStatus.ACTIVE)
    assert (await worker.take()).frames == first.frames


@asynchronous
async def test_a_chunk_that_was_interrupted_renders_only_what_is_missing(
    manager: Manager,
) -> None:
    job = await manager.submit("1-4", chunk=4)
    one, two = await manager.worker("one"), await manager.worker("two")
    task = await one.take()
    assert task.frames == (1, 2, 3, 4)
    for frame in (1, 3):
        report = one.upload(task, frame)
        await one.beat(report)
        one.publish(report, {})
        await one.beat(published(task, frame))
    await one.sign_off()
    rest = await two.take()
    assert rest.frames == (2, 4)
    await two.finish(rest)
    view = manager.view(job.id)
    assert (view.status, view.frames_published) == (JobStatus.COMPLETED, 4)


@asynchronous
async def test_a_chunk_is_not_done_when_an_earlier_frame_of_it_was_lost(
    manager: Manager,
) -> None:
    job = await manager.submit("1-2", chunk=2)
    one, two = await manager.worker("one"), await manager.worker("two")
    task = await one.take()
    await one.beat(finished(task, 1))  # committed, but never uploaded
    await one.sign_off()
    rest = await two.take()
    await manager.publishing.round()
    await two.finish(rest)
    assert _task(manager, job.id) is TaskStatus.QUEUED
    again = await two.take()
    assert again.frames == (1,)
    await two.finish(again)
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_an_attempt_that_never_arrived_is_interrupted(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.claim(lost=True)
    assert _task(manager, job.id) is TaskStatus.ACTIVE
    await worker.beat()
    assert _task(manager, job.id) is TaskStatus.QUEUED
    assert manager.view(job.id).interruptions == 1


@asynchronous
async def test_a_beat_from_before_the_answer_gives_nothing_up(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    worker.claims, held = 0, dict(worker.held)
    worker.held.clear()  # the beat was made before the claim was answered
    await worker.beat()
    assert _task(manager, job.id) is TaskStatus.ACTIVE
    worker.claims, worker.held = 1, held
    await worker.finish(task)
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_attempts_that_a_worker_should_not_hold_are_canceled(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    task = await worker.take()
    await manager.queue.act(job.id, "cancel")
    assert (await worker.beat()).cancel == (task.attempt_id,)


@asynchronous
async def test_a_drained_worker_gets_no_task_and_an_order_at_once(manager: Manager) -> None:
    await manager.submit("1-3")
    worker = await manager.worker()
    task = await worker.take()
    await manager.scheduler.drain("one")
    answer = await worker.claim(wait=60)
    assert (answer.drain, answer.assignment) == (True, None)
    await worker.finish(task)


@asynchronous
async def test_signing_off_interrupts_what_is_held_and_takes_the_last_reports(
    manager: Manager,
) -> None:
    job = await manager.submit("1-2", chunk=2)
    worker = await manager.worker()
    task = await worker.take()
    answer = await worker.sign_off(finished(task, 1))
    assert answer.verdicts[0].answer == "publish"
    assert "one" not in manager.farm.index.workers
    assert manager.view(job.id).interruptions == 1
    assert manager.database.read(statements.all_workers()) == []


@asynchronous
async def test_leases_grow_with_the_farm_and_open_claims_are_signs_of_life(
    manager: Manager,
) -> None:
    await manager.worker("silent")
    await manager.worker("waiting")
    manager.farm.index.workers["waiting"].open_claims = 1
    manager.clock.advance(manager.farm.lease_seconds)
    assert await manager.scheduler.give_up_lost() == []
    manager.clock.advance(0.1)
    assert await manager.scheduler.give_up_lost() == ["silent"]
    assert manager.scheduler.take_lost() == {"silent"}
    assert manager.scheduler.take_lost() == set()


@asynchronous
async def test_a_worker_only_gets_what_its_blender_can_render(manager: Manager) -> None:
    await manager.submit("1", requirements={"blender": (9, 9)})
    possible = await manager.submit("5")
    worker = await manager.worker()
    assert (await worker.take()).job_id == possible.id
    assert (await worker.claim()).assignment is None


@asynchronous
async def test_urgent_jobs_go_first_and_among_equals_the_oldest(manager: Manager) -> None:
    jobs = [await manager.submit("1", priority=p, new=True) for p in (10, 50, 50, 90)]
    worker = await manager.worker()
    order = [(await worker.take()).job_id for _ in jobs]
    assert order == [jobs[3].id, jobs[1].id, jobs[2].id, jobs[0].id]
