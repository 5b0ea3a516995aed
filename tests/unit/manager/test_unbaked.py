"""A simulation without a bake: whoever goes on with it goes through its frames from the first."""

from __future__ import annotations

import pytest
from manager_kit import Manager, Worker, asynchronous, command, ended, published

from burst.domain.jobs import RenderSettings
from burst.domain.transitions import JobStatus
from burst.errors import InvalidRequest

SIMULATES = RenderSettings(unbaked="render")


async def begun(worker: Worker, *frames: int) -> None:
    """Have a worker publish some frames of its task, and leave."""
    assignment = await worker.take()
    assert assignment.frames == (1, 2, 3, 4, 5)
    for frame in frames:
        report = worker.upload(assignment, frame)
        (verdict,) = (await worker.beat(report)).verdicts
        worker.publish(report, verdict.replaces)
        await worker.beat(published(assignment, frame))
    await worker.beat(ended(assignment, "interrupted"))


@asynchronous
async def test_another_attempt_renders_what_leads_to_the_missing_frames(manager: Manager) -> None:
    job = await manager.submit("1-5", chunk=5, settings=SIMULATES)
    await begun(await manager.worker("one"), 1, 2)
    two = await manager.worker("two")
    second = await two.take()
    assert second.frames == (1, 2, 3, 4, 5)
    said = []
    for frame in second.frames:
        report = two.upload(second, frame)
        (verdict,) = (await two.beat(report)).verdicts
        said.append(verdict.answer)
        if verdict.answer == "publish":
            two.publish(report, verdict.replaces)
            await two.beat(published(second, frame))
    assert said == ["drop", "drop", "publish", "publish", "publish"]
    view = manager.view(job.id)
    assert (view.status, view.frames_published) == (JobStatus.COMPLETED, 5)


@asynchronous
async def test_nothing_is_rendered_behind_the_last_missing_frame(manager: Manager) -> None:
    await manager.submit("1-5", chunk=5, settings=SIMULATES)
    await begun(await manager.worker("one"), 1, 4, 5)
    assert (await (await manager.worker("two")).take()).frames == (1, 2, 3)


@asynchronous
async def test_without_one_only_what_is_missing_is_rendered(manager: Manager) -> None:
    await manager.submit("1-5", chunk=5)
    await begun(await manager.worker("one"), 1, 4)
    assert (await (await manager.worker("two")).take()).frames == (2, 3, 5)


@asynchronous
async def test_a_simulation_that_is_cut_into_tasks_is_refused(manager: Manager) -> None:
    for chunk in (1, 4):
        with pytest.raises(InvalidRequest, match="one task") as caught:
            await manager.submit("1-5", chunk=chunk, settings=SIMULATES)
        assert "chunk" in (caught.value.hint or "")
    assert (await manager.submit("1-5", chunk=9, settings=SIMULATES)).tasks.queued == 1
    assert (await manager.submit_commands(command("a"), settings=SIMULATES)).tasks.queued == 1
