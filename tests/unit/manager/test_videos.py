"""Videos that are asked for later, and what the worker that makes one is told of the frames."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from manager_kit import Manager, Worker, asynchronous, capabilities, command, ended

from burst.domain.commands import Encode
from burst.domain.transitions import JobStatus
from burst.errors import InvalidRequest, NotAllowed
from burst.protocol.artist_messages import JobView, MakeVideo
from burst.protocol.worker_messages import AskInputs, Assignment, Inputs
from burst.storage import layout


async def _rendered(manager: Manager, frames: str = "1-3", **values: Any) -> tuple[JobView, Worker]:
    job = await manager.submit(frames, **values)
    worker = await manager.worker()
    for _ in range(job.tasks.queued):
        await worker.finish(await worker.take())
    return manager.view(job.id), worker


def _video(view: JobView) -> Encode:
    (video,) = view.commands[-1].commands
    assert isinstance(video, Encode)
    return video


async def _inputs(manager: Manager, task: Assignment, **values: str) -> Inputs:
    asked = {"job_id": task.job_id, "attempt_id": task.attempt_id, "token": task.token}
    body = await manager.scheduler.inputs(AskInputs(**{**asked, **values}))
    return Inputs.model_validate_json(body)


@asynchronous
async def test_a_job_that_is_done_goes_on_for_a_video(manager: Manager) -> None:
    job, worker = await _rendered(manager, fps=25)
    assert job.status is JobStatus.COMPLETED
    view = await manager.queue.make_video(job.id, MakeVideo())
    assert (view.status, view.ended_at, view.tasks.queued) == (JobStatus.ACTIVE, None, 1)
    assert view.commands[0].name == "video"
    assert _video(view) == Encode(name="shot-0001-0003.mp4", fps=25, frames="1-3")
    manager.start()
    assert manager.view(job.id) == view
    task = await worker.take()
    assert (task.task_name, task.commands) == ("video", view.commands[0].commands)
    await worker.finish(task)
    view = manager.view(job.id)
    assert (view.status, view.frames_published) == (JobStatus.COMPLETED, 3)


@asynchronous
async def test_a_video_of_a_job_that_renders_waits_for_its_frames(manager: Manager) -> None:
    job = await manager.submit("1-2")
    view = await manager.queue.make_video(job.id, MakeVideo(codec="prores", fps=30, sound=False))
    assert (view.status, view.tasks.waiting) == (JobStatus.QUEUED, 1)
    video = _video(view)
    assert (video.name, video.fps, video.sound) == ("shot-0001-0002.mov", 30, False)
    worker = await manager.worker()
    for _ in range(3):
        await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_each_video_has_names_of_its_own(manager: Manager) -> None:
    job, worker = await _rendered(manager)
    for fps in (24, 25, 30):
        view = await manager.queue.make_video(job.id, MakeVideo(fps=fps))
    assert [task.name for task in view.commands] == ["video", "video 2", "video 3"]
    names = [video.name for task in view.commands for video in task.commands]  # type: ignore[union-attr]
    assert names == ["shot-0001-0003.mp4", "shot-0001-0003-2.mp4", "shot-0001-0003-3.mp4"]
    with pytest.raises(NotAllowed, match="has a video shot-0001-0003"):
        await manager.queue.make_video(job.id, MakeVideo(fps=12, name="shot-0001-0003.mp4"))
    view = await manager.queue.make_video(job.id, MakeVideo(name="cuts/final.mp4", frames="2-3"))
    assert (_video(view).name, _video(view).frames) == ("cuts/final.mp4", "2-3")
    assert len(await worker.take_all()) == 4


@asynchronous
async def test_a_video_that_is_asked_for_again_while_it_is_made_is_one(manager: Manager) -> None:
    job, worker = await _rendered(manager)
    named, plain = MakeVideo(name="./final.mp4", fps=30), MakeVideo()
    first = await manager.queue.make_video(job.id, plain)
    assert await manager.queue.make_video(job.id, plain) == first
    second = await manager.queue.make_video(job.id, named)
    assert await manager.queue.make_video(job.id, named) == second
    assert [task.name for task in second.commands] == ["video", "video 2"]
    video, again = await worker.take_all()
    assert (await manager.queue.make_video(job.id, plain)).commands == second.commands
    await worker.finish(video, publish=False)
    assert (await manager.queue.make_video(job.id, plain)).commands == second.commands
    await worker.finish(again)
    # One that is there is made anew, under a name of its own.
    with pytest.raises(NotAllowed, match="has a video final"):
        await manager.queue.make_video(job.id, named)
    view = await manager.queue.make_video(job.id, MakeVideo(fps=30))
    assert [task.name for task in view.commands] == ["video", "video 2", "video 3"]


@asynchronous
async def test_a_job_whose_name_is_no_file_name_has_a_video_all_the_same(manager: Manager) -> None:
    job, _ = await _rendered(manager, "-3--1")
    manager.farm.index.jobs[job.id].name = "../sh/ot: *1"
    view = await manager.queue.make_video(job.id, MakeVideo())
    assert _video(view).name == "_sh_ot_ _1--0003--0001.mp4"


@pytest.mark.parametrize(
    "name", ["", "/etc/x.mp4", "../x.mp4", "a/../../x.mp4", "a\\x.mp4", "a\0.mp4"]
)
def test_a_name_that_leads_elsewhere_is_refused(manager: Manager, name: str) -> None:
    @asynchronous
    async def play() -> None:
        job, _ = await _rendered(manager, "1")
        with pytest.raises(InvalidRequest, match="is no name for a video"):
            await manager.queue.make_video(job.id, MakeVideo(name=name))

    play()


@asynchronous
async def test_a_gap_never_goes_unseen(manager: Manager) -> None:
    job = await manager.submit("1-3", retry_limit=1)
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    worker.held.clear()
    with pytest.raises(NotAllowed, match=r"lacks frame 1$") as caught:
        await manager.queue.make_video(job.id, MakeVideo())
    assert "--allow-gaps" in (caught.value.hint or "")
    view = await manager.queue.make_video(job.id, MakeVideo(allow_gaps=True))
    assert view.tasks.waiting == 1
    for _ in range(3):
        await worker.finish(await worker.take())
    assert manager.view(job.id).status is JobStatus.FAILED
    # A part without the gap can be had.
    view = await manager.queue.make_video(job.id, MakeVideo(frames="2-3"))
    assert (view.status, view.tasks.queued) == (JobStatus.ACTIVE, 1)
    # And the frame that comes after all makes the video with the gap anew, and it alone.
    await worker.finish(await worker.take())
    view = await manager.queue.requeue(job.id, "1")
    assert (view.tasks.queued, view.tasks.waiting, view.tasks.completed) == (1, 1, 3)


@asynchronous
async def test_a_video_of_nothing_is_refused(manager: Manager) -> None:
    job = await manager.submit("1-2", retry_limit=1, fail_fast=True)
    worker = await manager.worker()
    await worker.beat(ended(await worker.take()))
    with pytest.raises(NotAllowed, match="has none of these frames"):
        await manager.queue.make_video(job.id, MakeVideo(allow_gaps=True))
    with pytest.raises(InvalidRequest, match="does not render frame 3"):
        await manager.queue.make_video(job.id, MakeVideo(frames="2-3"))
    with pytest.raises(InvalidRequest):
        await manager.queue.make_video(job.id, MakeVideo(frames="x"))
    chores = await manager.submit_commands(command("a"))
    with pytest.raises(NotAllowed, match="renders no frames"):
        await manager.queue.make_video(chores.id, MakeVideo())
    canceled = await manager.submit("1")
    await manager.queue.act(canceled.id, "cancel")
    with pytest.raises(NotAllowed, match="is canceled"):
        await manager.queue.make_video(canceled.id, MakeVideo())


@asynchronous
async def test_a_video_of_a_job_that_was_given_up_leaves_its_tasks_failed(
    manager: Manager,
) -> None:
    job = await manager.submit("1-9")
    one, two = await manager.worker("one"), await manager.worker("two")
    bad, good = await one.take(), await two.take()
    await one.beat(ended(bad, gives_up="job"))
    message = MakeVideo(allow_gaps=True)
    with pytest.raises(NotAllowed, match="some of its tasks have not ended"):
        await manager.queue.make_video(job.id, message)
    await two.finish(good)
    view = await manager.queue.make_video(job.id, message)
    assert (view.status, view.tasks.queued, view.tasks.failed) == (JobStatus.ACTIVE, 1, 8)
    manager.start()
    assert manager.view(job.id) == view
    # It is a task like any other: an interruption costs it nothing.
    await two.beat(ended(await two.take(), "interrupted"))
    two.held.clear()
    await two.finish(await two.take())
    assert manager.view(job.id).tasks.completed == 2


@asynchronous
async def test_a_video_of_a_paused_job_waits_for_it(manager: Manager) -> None:
    job = await manager.submit("1")
    await manager.queue.act(job.id, "pause")
    view = await manager.queue.make_video(job.id, MakeVideo())
    assert view.status is JobStatus.PAUSED
    assert (await (await manager.worker()).claim()).assignment is None


@asynchronous
async def test_only_a_worker_with_ffmpeg_and_a_blender_that_fits_makes_a_video(
    manager: Manager,
) -> None:
    job, worker = await _rendered(manager, "1", commands=(command("video", "frames", frames="1"),))
    await worker.beat(ended(await worker.take()))
    await worker.sign_off()
    poor = await manager.worker("poor", capabilities=capabilities(ffmpeg=""))
    assert (await poor.claim()).assignment is None
    # The sound is in the scene, and so is the look of what was rendered as EXR.
    deaf = await manager.worker("deaf", capabilities=capabilities(blenders=()))
    assert (await deaf.claim()).assignment is None
    able = await manager.worker("able")
    await able.finish(await able.take())
    assert manager.view(job.id).status is JobStatus.COMPLETED


@asynchronous
async def test_the_worker_is_told_of_the_published_frames_alone(manager: Manager) -> None:
    tasks = (command("first"), command("video", "frames", "first", frames="1-3"))
    job, worker = await _rendered(manager, commands=tasks)
    video = await worker.take()
    inputs = await _inputs(manager, video)
    assert [frame.frame for frame in inputs.frames] == [1, 2, 3]
    for frame in inputs.frames:
        (file,) = frame.files
        content = manager.storage.get_bytes(layout.render(job.id, file.name))
        assert (file.name, file.size) == (f"shot_{frame.frame:04}.png", len(content))


@asynchronous
async def test_inputs_are_gathered_beside_the_event_loop(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, worker = await _rendered(manager, commands=(command("video", "frames", frames="1"),))
    video = await worker.take()
    threads = []
    real = manager.scheduler._inputs_of

    def inputs_of(job_id: str) -> bytes:
        threads.append(threading.current_thread())
        return real(job_id)

    monkeypatch.setattr(manager.scheduler, "_inputs_of", inputs_of)
    assert len((await _inputs(manager, video)).frames) == 3
    assert threading.current_thread() not in threads
    assert len(threads) == 1


@asynchronous
async def test_a_job_without_published_frames_has_no_inputs(manager: Manager) -> None:
    await manager.submit_commands(command("tell"))
    worker = await manager.worker()
    assert (await _inputs(manager, await worker.take())).frames == ()


@asynchronous
async def test_only_the_current_attempt_is_told(manager: Manager) -> None:
    job, worker = await _rendered(manager, commands=(command("video", "frames", frames="1"),))
    video = await worker.take()
    other = await manager.submit("7")
    for wrong in ({"token": "guess"}, {"attempt_id": "none"}, {"job_id": other.id}):
        with pytest.raises(NotAllowed, match="is not current"):
            await _inputs(manager, video, **wrong)
    await manager.queue.requeue(job.id, "1")
    with pytest.raises(NotAllowed, match="is not current"):
        await _inputs(manager, video)
