"""Which worker gets a task again that ran out of memory or failed, and which can't at all."""

from __future__ import annotations

from manager_kit import BLENDER, Manager, asynchronous, capabilities, command, ended

from burst.domain.workers import BlenderFacts, Requirements

GIB = 2**30
OLD = BlenderFacts(version=(3, 4, 1), kind="binary", engines={"CYCLES": ""})


@asynchronous
async def test_after_out_of_memory_a_task_goes_to_a_worker_with_more(manager: Manager) -> None:
    await manager.submit("1", retry_limit=5)
    small = await manager.worker("small", capabilities=capabilities(memory_bytes=GIB))
    same = await manager.worker("same", capabilities=capabilities(memory_bytes=GIB))
    large = await manager.worker("large", capabilities=capabilities(memory_bytes=4 * GIB))
    await small.beat(ended(await small.take(), "out_of_memory"))
    small.held.clear()
    manager.start()
    for worker in (small, same):
        assert (await worker.claim()).assignment is None
    await large.beat(ended(await large.take(), "out_of_memory"))
    large.held.clear()
    # Nobody has more: whoever has not tried it yet does.
    assert (await large.claim()).assignment is None
    await same.take()


@asynchronous
async def test_without_a_larger_worker_any_other_tries(manager: Manager) -> None:
    await manager.submit("1")
    one, two = await manager.worker("one"), await manager.worker("two")
    await one.beat(ended(await one.take(), "out_of_memory"))
    one.held.clear()
    assert (await one.claim()).assignment is None
    assert (await two.claim()).assignment is not None


@asynchronous
async def test_alone_a_worker_tries_again(manager: Manager) -> None:
    await manager.submit("1")
    one = await manager.worker("one")
    leaving = await manager.worker("large", capabilities=capabilities(memory_bytes=9 * GIB))
    await one.beat(ended(await one.take(), "out_of_memory"))
    one.held.clear()
    await manager.scheduler.drain(leaving.name)
    assert (await one.claim()).assignment is not None


@asynchronous
async def test_a_requeue_forgets_how_large_a_task_was(manager: Manager) -> None:
    job = await manager.submit("1", retry_limit=1)
    small = await manager.worker("small")
    large = await manager.worker("large", capabilities=capabilities(memory_bytes=9 * GIB))
    await small.beat(ended(await small.take(), "out_of_memory"))
    small.held.clear()
    await manager.queue.requeue(job.id, None)
    manager.start()
    assert manager.farm.index.jobs[job.id].outgrown == {}
    assert (await large.claim()).assignment is not None


@asynchronous
async def test_frames_go_to_workers_whose_blender_fits(manager: Manager) -> None:
    await manager.submit("1-2", requirements=Requirements(blender=(5, 0)), commands=(command("a"),))
    old = await manager.worker("old", capabilities=capabilities(blenders=(OLD,)))
    # What runs commands alone is for anybody.
    assert [task.task_name for task in await old.take_all()] == ["a"]
    both = await manager.worker("both", capabilities=capabilities(blenders=(OLD, BLENDER)))
    assert [task.frames for task in await both.take_all()] == [(1,), (2,)]


@asynchronous
async def test_a_worker_without_enough_memory_is_not_given_the_job(manager: Manager) -> None:
    await manager.submit("1", requirements=Requirements(memory_bytes=2 * GIB))
    small = await manager.worker("small", capabilities=capabilities(memory_bytes=GIB))
    assert (await small.claim()).assignment is None
    large = await manager.worker("large", capabilities=capabilities(memory_bytes=2 * GIB))
    assert (await large.claim()).assignment is not None
