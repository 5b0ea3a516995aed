"""Command tasks: submitted, waiting, handed out, published like frames, and listed apart.

Requeues and what interrupts them are in test_command_interleavings.py.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from manager_kit import Manager, asynchronous, command, ended, finished, published

from burst.domain.frames import RESULT_MIN
from burst.domain.transitions import JobStatus, TaskStatus
from burst.errors import InvalidRequest
from burst.manager.database import statements
from burst.protocol.artist_messages import SubmitJob
from burst.storage import layout


def _statuses(manager: Manager, job_id: str) -> list[TaskStatus]:
    board = manager.farm.index.jobs[job_id].board
    return [board.status(task) for task in range(len(board))]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "a job needs frames of a scene, or commands"),
        ({"frames": "1-3"}, "frames without a scene"),
        ({"commands": (command("a", "b"),)}, "task a waits for b"),
        ({"commands": (command("v", frames="1"),)}, "the job renders no frames"),
    ],
)
def test_jobs_that_make_no_sense_are_refused(
    manager: Manager, values: dict[str, object], sentence: str
) -> None:
    @asynchronous
    async def play() -> None:
        with pytest.raises(InvalidRequest, match=sentence):
            await manager.queue.submit(SubmitJob.model_validate({"name": "x", **values}))
        assert manager.farm.index.jobs == {}

    play()


@asynchronous
async def test_other_commands_are_other_work(manager: Manager) -> None:
    first = await manager.submit("1-2", commands=(command("a"),))
    assert (await manager.submit("1-2", commands=(command("a"),))).id == first.id
    assert (await manager.submit("1-2", commands=(command("b"),))).id != first.id
    assert (await manager.submit("1-2")).id != first.id


@asynchronous
async def test_a_command_task_waits_until_every_frame_is_published(manager: Manager) -> None:
    job = await manager.submit("1-2", commands=(command("video", "frames", frames="1-2"),))
    assert (job.tasks.queued, job.tasks.waiting) == (2, 1)
    worker = await manager.worker()
    await worker.finish(await worker.take())
    second = await worker.take()
    report = worker.upload(second, 2)
    await worker.beat(report)
    worker.held.clear()
    # Committed is not enough: the file has no name yet.
    assert (await worker.claim()).assignment is None
    worker.publish(report, {})
    await worker.beat(published(second, 2))
    task = await worker.take()
    assert (task.task_name, task.frames, task.task_index) == ("video", (RESULT_MIN,), 2)
    assert task.commands == job.commands[0].commands
    await worker.finish(task)
    view = manager.view(job.id)
    assert (view.status, view.frame_count, view.frames_published) == (JobStatus.COMPLETED, 2, 2)


@asynchronous
async def test_the_manager_publishes_the_last_frame_and_then_it_is_the_videos_turn(
    manager: Manager,
) -> None:
    await manager.submit("1", commands=(command("video", "frames", frames="1"),))
    worker = await manager.worker()
    await worker.finish(await worker.take(), publish=False)
    await worker.sign_off()
    await manager.publishing.round()
    await worker.register()
    assert (await worker.take()).task_name == "video"


@asynchronous
async def test_a_waiting_claim_is_woken_when_a_turn_comes(manager: Manager) -> None:
    await manager.submit("1", commands=(command("video", "frames", frames="1"),))
    one, two = await manager.worker("one"), await manager.worker("two")
    task = await one.take()
    waiting = asyncio.create_task(two.claim(wait=60))
    await asyncio.sleep(0)
    await one.finish(task)
    answer = await asyncio.wait_for(waiting, 10)
    assert answer.assignment is not None
    assert answer.assignment.task_name == "video"


@asynchronous
async def test_tasks_of_a_job_without_a_scene_come_in_their_order(manager: Manager) -> None:
    job = await manager.submit_commands(
        command("last", "mid"), command("mid", "one"), command("one")
    )
    assert (job.scene, job.frames, job.frame_count) == (None, "", 0)
    worker = await manager.worker()
    names = []
    for _ in range(3):
        task = await worker.take()
        assert task.scene is None
        assert (await worker.claim()).assignment is None
        names.append(task.task_name)
        await worker.finish(task)
    assert names == ["one", "mid", "last"]
    view = manager.view(job.id)
    assert (view.status, view.frames_published, view.mean_frame_seconds) == ("completed", 0, None)


@asynchronous
async def test_a_result_may_be_without_files(manager: Manager) -> None:
    job = await manager.submit_commands(command("tell"))
    worker = await manager.worker()
    task = await worker.take()
    report = finished(task, task.frames[0]).model_copy(update={"files": ()})
    (verdict,) = (await worker.beat(report)).verdicts
    assert verdict.answer == "publish"
    await worker.sign_off()
    await manager.publishing.round()
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_rows_of_command_tasks_are_there_from_the_start(manager: Manager) -> None:
    job = await manager.submit("1-3", commands=(command("a"), command("b", "a")))
    rows = manager.database.read(statements.tasks_of_job(job.id))
    assert [(row["task_index"], row["status"]) for row in rows] == [(3, "queued"), (4, "waiting")]
    tasks = manager.queue.tasks(job.id)
    assert [(task.name, task.frames) for task in tasks] == [("a", ""), ("b", "")]


@asynchronous
async def test_what_failed_takes_along_what_waits_for_it_and_says_so(manager: Manager) -> None:
    tasks = (command("video", "frames", frames="1-2"), command("tell", "video"))
    job = await manager.submit("1-2", retry_limit=1, commands=tasks)
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    assert _statuses(manager, job.id) == ["failed", "queued", "failed", "failed"]
    log = manager.farm.logs.read(job.id, 0)[0].decode()
    assert "task video failed: it waits for the frames, of which frame 1 failed" in log
    assert "task tell failed: it waits for task video, which failed" in log
    worker.held.clear()
    await worker.finish(await worker.take())
    view = manager.view(job.id)
    assert (view.status, view.status_reason) == (JobStatus.FAILED, "3 of 4 tasks failed")


@asynchronous
async def test_a_video_that_bears_gaps_waits_for_the_last_frame_there_will_be(
    manager: Manager,
) -> None:
    video = command("video", "frames", frames="1-3", allow_gaps=True)
    job = await manager.submit("1-3", retry_limit=1, commands=(video,))
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    worker.held.clear()
    await worker.finish(await worker.take())
    assert _statuses(manager, job.id)[3] is TaskStatus.WAITING
    await worker.finish(await worker.take(), publish=False)
    assert _statuses(manager, job.id)[3] is TaskStatus.WAITING
    await worker.sign_off()
    await manager.publishing.round()
    await worker.register()
    await worker.finish(await worker.take())
    view = manager.view(job.id)
    assert (view.status, view.tasks.completed, view.tasks.failed) == (JobStatus.FAILED, 3, 1)


@asynchronous
async def test_a_canceled_job_cancels_what_waits(manager: Manager) -> None:
    job = await manager.submit("1-2", commands=(command("video", "frames", frames="1"),))
    view = await manager.queue.act(job.id, "cancel")
    assert (view.tasks.canceled, view.tasks.waiting) == (3, 0)
    manager.start()
    assert manager.view(job.id) == view
    await manager.queue.requeue(job.id, None)
    assert _statuses(manager, job.id) == ["queued", "queued", "waiting"]


@asynchronous
async def test_results_are_listed_apart_from_frames(manager: Manager) -> None:
    job = await manager.submit("1", commands=(command("video", "frames", frames="1"),))
    worker = await manager.worker()
    await worker.finish(await worker.take())
    task = await worker.take()
    await worker.finish(task)
    await manager.publishing.round()
    index = json.loads(manager.storage.get_bytes(layout.render_index(job.id)))
    assert [row["frame"] for row in index["published"]] == [1]
    (result,) = index["results"]
    assert (result["task"], result["attempt"]) == ("video", task.attempt_id)
    assert [file["name"] for file in result["files"]] == ["video.out"]


@asynchronous
async def test_a_job_of_commands_alone_has_an_index_too(manager: Manager) -> None:
    job = await manager.submit_commands(command("tell"))
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await manager.publishing.round()
    index = json.loads(manager.storage.get_bytes(layout.render_index(job.id)))
    assert (index["published"], [r["task"] for r in index["results"]]) == ([], ["tell"])


@asynchronous
async def test_nobody_reads_of_the_number_of_a_result(manager: Manager) -> None:
    job = await manager.submit_commands(command("copy"), retry_limit=2)
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    worker.held.clear()
    task = await worker.take()
    report = finished(task, task.frames[0]).model_copy(update={"warnings": ("odd",)})
    await worker.beat(report)
    await worker.sign_off()
    await manager.publishing.round()
    log = manager.farm.logs.read(job.id, 0)[0].decode()
    for text in (
        "job submitted: task copy",
        "task copy failed on one: for the test",
        "task copy: odd",
        "the result of task copy is lost",
    ):
        assert text in log
    assert str(RESULT_MIN) not in log


@asynchronous
async def test_a_result_does_not_count_as_a_frame_of_its_worker_or_its_job(
    manager: Manager,
) -> None:
    job = await manager.submit("1", commands=(command("tell", "frames"),))
    worker = await manager.worker()
    await worker.finish(await worker.take())
    before = manager.farm.index.jobs[job.id].times
    mean, count = before.mean_seconds, before.count
    task = await worker.take()
    slow = worker.upload(task, task.frames[0]).model_copy(update={"render_seconds": 500.0})
    await worker.beat(slow)
    for _ in range(2):
        times = manager.farm.index.jobs[job.id].times
        assert (times.mean_seconds, times.count, times.slowest_frame) == (mean, count, 1)
        assert manager.farm.index.jobs[job.id].published == 1
        manager.start()
    assert manager.farm.index.jobs[job.id].pending.keys() == {RESULT_MIN}


@asynchronous
async def test_a_result_comes_as_an_event_with_the_name_of_its_task(manager: Manager) -> None:
    await manager.submit_commands(command("tell"))
    worker = await manager.worker()
    await worker.finish(await worker.take())
    frames = [event.frame for event in manager.farm.hub._kept if event.frame]
    assert [(frame.frame, frame.task) for frame in frames] == [(RESULT_MIN, "tell")]
