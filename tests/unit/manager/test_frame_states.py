"""Where every frame of a job stands, as the console's grid is told, and one of them closely."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manager_kit import Caller, Manager, Worker, command, ended, published

from burst.errors import StorageAway
from burst.manager import frame_states
from burst.manager.api.apps import Parts, create_artists_app
from burst.protocol.artist_messages import FrameDetails, FrameStates, JobView
from burst.protocol.messages import API


@pytest.fixture
def artist(parts: Parts) -> Caller:
    return Caller(create_artists_app(parts), "http://127.0.0.1:8080")


def _states(artist: Caller, job_id: str) -> FrameStates:
    answer = artist.get(f"{API}/jobs/{job_id}/states")
    return FrameStates.model_validate_json(answer.content)


def _letters(states: str) -> str:
    """Read runs without the code that wrote them."""
    letters, digits = "", ""
    for sign in states:
        if sign.isdigit():
            digits += sign
        else:
            letters += sign * int(digits or 1)
            digits = ""
    return letters


def _frame(artist: Caller, job_id: str, frame: int) -> FrameDetails:
    answer = artist.get(f"{API}/jobs/{job_id}/frames/{frame}")
    return FrameDetails.model_validate_json(answer.content)


@given(st.lists(st.sampled_from([b"q", b"p", b"f"]), max_size=60).map(b"".join))
def test_runs_say_what_the_letters_say(letters: bytes) -> None:
    runs = frame_states.in_runs(letters)
    assert _letters(runs).encode() == letters
    assert len(runs) <= len(letters)
    signs = [sign for sign in runs if not sign.isdigit()]
    assert all(a != b for a, b in itertools.pairwise(signs))


def test_each_frame_has_the_state_of_its_task(artist: Caller, manager: Manager) -> None:
    async def work() -> JobView:
        job = await manager.submit("1-4,10-12x2", retry_limit=1)
        worker = await manager.worker()
        await worker.finish(await worker.take())
        await worker.finish(await worker.take(), publish=False)
        failed = await worker.take()
        await worker.beat(ended(failed))
        await worker.take()
        return job

    job = asyncio.run(work())
    found = _states(artist, job.id)
    assert (found.job_id, found.frames) == (job.id, "1-4,10-12x2")
    assert found.states == "pcfa2q"
    asyncio.run(manager.queue.act(job.id, "cancel"))
    assert _states(artist, job.id).states == "pcf3x"


async def _finish_frames(worker: Worker, frames: Sequence[int], *, publish: bool = True) -> None:
    """Finish some frames of the one task that the worker holds."""
    (task,) = worker.held.values()
    for frame in frames:
        report = worker.upload(task, frame)
        await worker.beat(report)
        if publish:
            worker.publish(report, {})
            await worker.beat(published(task, frame))


def test_frames_of_a_larger_task_have_states_of_their_own(artist: Caller, manager: Manager) -> None:
    async def work() -> JobView:
        job = await manager.submit("1-10", chunk=4)
        worker = await manager.worker()
        await worker.take()
        await _finish_frames(worker, [1, 2])
        await _finish_frames(worker, [3], publish=False)
        return job

    job = asyncio.run(work())
    assert _states(artist, job.id).states == "2pca6q"


@pytest.mark.parametrize("anew", [False, True], ids=["at once", "after a restart"])
def test_what_a_canceled_task_had_published_stays_published(
    manager: Manager, parts: Parts, anew: bool
) -> None:
    async def work() -> JobView:
        job = await manager.submit("1-6", chunk=4)
        worker = await manager.worker()
        await worker.take()
        await _finish_frames(worker, [1, 3])
        await manager.queue.act(job.id, "cancel")
        return job

    job = asyncio.run(work())
    if anew:
        manager.start()
        parts.farm.index = manager.farm.index
    artist = Caller(create_artists_app(parts), "http://127.0.0.1:8080")
    assert _states(artist, job.id).states == "pxp3x"


def test_a_requeued_frame_is_queued_until_it_is_there_again(
    artist: Caller, manager: Manager
) -> None:
    async def work() -> JobView:
        job = await manager.submit("1-2")
        worker = await manager.worker()
        await worker.finish(await worker.take())
        await worker.finish(await worker.take())
        await manager.queue.requeue(job.id, "2")
        return job

    job = asyncio.run(work())
    assert _states(artist, job.id).states == "pq"
    asyncio.run(manager.queue.act(job.id, "cancel"))
    # Its old file is still there.
    assert _states(artist, job.id).states == "2p"


def test_command_tasks_are_told_beside_the_frames(artist: Caller, manager: Manager) -> None:
    job = asyncio.run(manager.submit("1-2", commands=(command("film", "frames", frames="1-2"),)))
    found = _states(artist, job.id)
    assert found.states == "2q"
    assert [(one.name, one.status) for one in found.commands] == [("film", "waiting")]
    chores = asyncio.run(manager.submit_commands(command("tell")))
    found = _states(artist, chores.id)
    assert (found.frames, found.states) == ("", "")
    assert [(one.name, one.status) for one in found.commands] == [("tell", "queued")]


def test_a_million_frames_are_a_few_letters(artist: Caller, manager: Manager) -> None:
    job = asyncio.run(manager.submit("1-1000000"))
    assert _states(artist, job.id).states == "1000000q"


def test_one_frame_is_told_with_every_attempt_at_it(artist: Caller, manager: Manager) -> None:
    async def work() -> JobView:
        job = await manager.submit("1-2")
        worker = await manager.worker()
        failed = await worker.take()
        await worker.beat(ended(failed))
        other = await manager.worker("two")
        await other.finish(await other.take())
        return job

    job = asyncio.run(work())
    found = _frame(artist, job.id, 1)
    assert (found.frame, found.task.frames, found.task.failures) == (1, "1", 1)
    assert [(a.worker, a.status, a.reason) for a in found.task.attempts] == [
        ("one", "failed", "for the test"),
        ("two", "completed", ""),
    ]
    assert found.result is not None
    assert (found.result.worker, found.result.files[0].name) == ("two", "shot_0001.png")


def test_a_frame_that_nobody_tried_has_no_attempts(artist: Caller, manager: Manager) -> None:
    job = asyncio.run(manager.submit("1-8", chunk=4))
    found = _frame(artist, job.id, 6)
    assert (found.task.frames, found.task.status) == ("5-8", "queued")
    assert (found.task.attempts, found.result) == ((), None)


def test_a_frame_that_the_job_does_not_render_is_not_found(
    artist: Caller, manager: Manager
) -> None:
    job = asyncio.run(manager.submit("1-8x7"))
    answer = artist.get(f"{API}/jobs/{job.id}/frames/2")
    assert (answer.status_code, answer.json()["hint"]) == (404, "it renders 1-8x7")
    assert artist.get(f"{API}/jobs/none/states").status_code == 404
    assert artist.get(f"{API}/jobs/{job.id}/frames/x").status_code == 400


def test_a_preview_that_can_not_be_read_now_is_not_said_to_be_missing(
    artist: Caller, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> JobView:
        job = await manager.submit("1-2")
        worker = await manager.worker()
        await worker.finish(await worker.take())
        return job

    def away(name: str) -> bytes:
        raise StorageAway("gone")

    job = asyncio.run(work())
    frames = f"{API}/jobs/{job.id}/frames"
    assert artist.get(f"{frames}/2/preview").status_code == 404
    assert artist.get(f"{frames}/{10**30}/preview").status_code == 404
    monkeypatch.setattr(manager.storage, "get_bytes", away)
    assert artist.get(f"{frames}/1/preview").status_code == 503
