"""The sentences that say why a job is where it is, over real histories; HTTP is left out."""

from __future__ import annotations

from manager_kit import BLENDER, Manager, asynchronous, capabilities, command, ended

from burst.domain.workers import BlenderFacts, Requirements
from burst.manager.explanation import explain
from burst.protocol.artist_messages import PoolView

POOL = PoolView(
    name="local",
    running=0,
    starting=1,
    wanted=2,
    maximum=2,
    reason="the maximum is 2",
    failure="",
)
OLD = BlenderFacts(version=(3, 4, 1), kind="binary", engines={"CYCLES": ""})


def _why(manager: Manager, job_id: str, pool: PoolView | None = None) -> list[tuple[str, str]]:
    index = manager.farm.index
    found = explain(index, index.jobs[job_id], (pool,) if pool else ())
    assert found.job_id == job_id
    return [(reason.subject, reason.text) for reason in found.reasons]


@asynchronous
async def test_a_job_that_just_runs_needs_no_explanation(manager: Manager) -> None:
    job = await manager.submit("1-9")
    worker = await manager.worker()
    await worker.take()
    assert _why(manager, job.id, POOL) == []


@asynchronous
async def test_a_job_that_is_done_says_so(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take())
    assert _why(manager, job.id, POOL) == [("job", "it is completed")]


@asynchronous
async def test_a_canceled_and_a_paused_job_say_so(manager: Manager) -> None:
    job = await manager.submit("1")
    await manager.queue.act(job.id, "pause")
    paused = f"it is paused; let it go on with: burst jobs resume {job.id}"
    assert _why(manager, job.id, POOL) == [("job", paused)]
    await manager.queue.act(job.id, "cancel")
    assert _why(manager, job.id, POOL) == [("job", "it is canceled: canceled by hand")]


@asynchronous
async def test_a_job_without_workers_says_what_the_autoscaler_does(manager: Manager) -> None:
    job = await manager.submit("1-3")
    failing = POOL.model_copy(update={"failure": "no Blender was found"})
    assert _why(manager, job.id, failing) == [
        ("job", "no worker is here; 3 tasks are queued"),
        ("local", "0 workers are here, 1 start, 2 are wanted (the maximum is 2)"),
        ("local", "the last worker was of no use: no Blender was found"),
    ]


@asynchronous
async def test_what_keeps_workers_from_beginning_is_told(manager: Manager) -> None:
    job = await manager.submit("1-3")
    waiting = POOL.model_copy(update={"waiting": "1 wait: no node for it"})
    assert ("local", "of those that start 1 wait: no node for it") in _why(manager, job.id, waiting)


@asynchronous
async def test_each_worker_that_can_not_take_it_says_exactly_why(manager: Manager) -> None:
    needs = Requirements(blender=(5, 0), memory_bytes=2**31)
    job = await manager.submit("1", requirements=needs)
    await manager.worker("old", capabilities=capabilities(blenders=(OLD,)))
    await manager.worker("small", capabilities=capabilities(memory_bytes=2**30))
    await manager.worker("bare", capabilities=capabilities(blenders=()))
    first, *others = _why(manager, job.id)
    assert first == ("job", "no worker that is here can take it; 1 task is queued")
    assert others == [
        ("bare", "can't take it: there is no Blender"),
        (
            "old",
            "can't take it: the scene was saved by Blender 5.0, the Blender at hand is 3.4.1",
        ),
        (
            "small",
            "can't take it: the job asks for 2.0 GiB of memory, there are 1.0",
        ),
    ]


@asynchronous
async def test_a_worker_that_stands_by_is_told_of_even_if_the_job_runs(manager: Manager) -> None:
    job = await manager.submit("1-9", requirements=Requirements(blender=(5, 0)))
    await manager.worker("old", capabilities=capabilities(blenders=(OLD,)))
    worker = await manager.worker("one", capabilities=capabilities(blenders=(BLENDER,)))
    await worker.take()
    ((subject, text),) = _why(manager, job.id, POOL)
    assert subject == "old"
    assert text.startswith("can't take it: the scene was saved by Blender 5.0")


@asynchronous
async def test_a_job_behind_others_says_which_and_who_is_busy(manager: Manager) -> None:
    urgent = await manager.submit("1-3", priority=80)
    job = await manager.submit("5-6")
    worker = await manager.worker("one")
    await worker.take()
    leaving = await manager.worker("two")
    await manager.scheduler.drain(leaving.name)
    await manager.worker("three")
    assert _why(manager, job.id) == [
        ("job", f"jobs that go first: {urgent.id} (priority 80)"),
        ("one", f"could take it, and is busy with frame 1 of {urgent.id}"),
        ("three", "could take it, and is idle"),
        ("two", "could take it, but is leaving"),
    ]


@asynchronous
async def test_tasks_that_failed_say_where_and_what_comes_next(manager: Manager) -> None:
    job = await manager.submit("1-2", retry_limit=2, commands=(command("tell", "frames"),))
    one, two = await manager.worker("one"), await manager.worker("two")
    await one.beat(ended(await one.take(), "out_of_memory"))
    one.held.clear()
    again = "frame 1 failed once on one; it is given up after 2"
    memory = "; 1.0 GiB of memory were too little"
    assert ("job", again + memory) in _why(manager, job.id)
    await two.beat(ended(await two.take()))
    two.held.clear()
    reasons = _why(manager, job.id)
    assert reasons[0] == (
        "job",
        "frame 1 failed 2 times on one, two and is not tried again" + memory,
    )
    assert reasons[1] == (
        "job",
        "task tell failed: it waits for the frames, of which frame 1 failed",
    )
    await two.finish(await two.take())
    assert _why(manager, job.id)[0] == ("job", "it is failed: 2 of 3 tasks failed")


@asynchronous
async def test_a_task_that_another_worker_is_to_try_says_so(manager: Manager) -> None:
    job = await manager.submit("1")
    one, two = await manager.worker("one"), await manager.worker("two")
    await one.beat(ended(await one.take()))
    one.held.clear()
    assert _why(manager, job.id)[1:] == [
        ("one", "failed at it; another worker is to try first"),
        ("two", "could take it, and is idle"),
    ]
    assert two.held == {}


@asynchronous
async def test_many_failures_are_counted(manager: Manager) -> None:
    job = await manager.submit("1-14", retry_limit=1)
    worker = await manager.worker()
    for _ in range(13):
        await worker.beat(ended(await worker.take()))
        worker.held.clear()
    texts = [text for _, text in _why(manager, job.id)]
    assert len(texts) == 12
    assert texts[10] == "3 more tasks failed"


@asynchronous
async def test_a_task_that_waits_says_what_for(manager: Manager) -> None:
    tasks = (
        command("video", "frames", frames="1-2"),
        command("first"),
        command("tell", "video", "first"),
    )
    job = await manager.submit("1-2", commands=tasks)
    worker = await manager.worker()
    await worker.finish(await worker.take())
    await worker.finish(await worker.take())
    await worker.take()
    assert _why(manager, job.id) == [
        ("job", "task video waits for the frames, of which 1 of 2 are published"),
        ("job", "task tell waits for task video, which is waiting"),
    ]


@asynchronous
async def test_a_video_that_nobody_can_make_says_why(manager: Manager) -> None:
    job = await manager.submit("1", commands=(command("video", "frames", frames="1"),))
    worker = await manager.worker(capabilities=capabilities(ffmpeg=""))
    await worker.finish(await worker.take())
    assert _why(manager, job.id) == [
        ("job", "no worker that is here can take it; 1 task is queued"),
        ("one", "can't take it: task video makes a video, and the worker has no ffmpeg"),
    ]


@asynchronous
async def test_frames_on_their_way_to_their_names_are_told_of(manager: Manager) -> None:
    job = await manager.submit("1")
    worker = await manager.worker()
    await worker.finish(await worker.take(), publish=False)
    assert _why(manager, job.id) == [("job", "frame 1 still to be published")]


@asynchronous
async def test_a_job_that_was_given_up_says_why(manager: Manager) -> None:
    job = await manager.submit("1-9", commands=(command("tell", "frames"),))
    one, two = await manager.worker("one"), await manager.worker("two")
    bad, good = await one.take(), await two.take()
    await one.beat(ended(bad, gives_up="job", reason="lib.blend is missing"))
    given_up = "it was given up: frame 1 failed on one: lib.blend is missing"
    troubled = "frame 1 failed once on one and is not tried again"
    assert _why(manager, job.id, POOL) == [
        ("job", f"{given_up}; 1 task is under way to the end"),
        ("job", troubled),
    ]
    await two.finish(good)
    assert _why(manager, job.id, POOL) == [
        ("job", "it is failed"),
        ("job", given_up),
        ("job", troubled),
    ]


@asynchronous
async def test_workers_that_wait_for_the_storage_say_so_together(manager: Manager) -> None:
    job = await manager.submit("1-9")
    for name in ("one", "two", "three"):
        worker = await manager.worker(name)
        await worker.take()
        trouble = "" if name == "two" else "gs://show can't be reached; look at the network"
        manager.farm.index.workers[name].trouble = trouble
    assert _why(manager, job.id, POOL) == [
        ("one, three", "waits: gs://show can't be reached; look at the network")
    ]
