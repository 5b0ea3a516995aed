"""A worker that is frozen past its lease and wakes up later changes nothing.

It is started by hand, so that nobody kills it, and frozen between two steps by
``tests/fakes/faults`` or in the middle of a render. Leaves out local workers: the manager
kills those when they are lost.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.steps import check_farm, outcomes, submit
from tests.fakes.farm import Farm, Program, poll, running_farm
from tests.fakes.gate import Gate

pytestmark = pytest.mark.blender

FRAMES = (1, 2)


@pytest.fixture
def farm(tmp_path: Path, gate: Gate | None) -> Iterator[Farm]:
    """A manager that starts no worker, and stays."""
    with running_farm(tmp_path, gate, BURST_EXIT_WHEN_IDLE_SECONDS="600") as farm:
        farm.start_manager(BURST_WORKERS="0")
        yield farm


@pytest.mark.parametrize(
    ("gate", "point"),
    [
        ("directory", "after-render"),
        ("directory", "after-upload"),
        ("bucket", "after-upload"),
        ("directory", "before-send"),
    ],
    indirect=["gate"],
)
def test_a_worker_frozen_before_its_report_is_refused(farm: Farm, scene: Path, point: str) -> None:
    job_id = submit(farm, scene, FRAMES)
    farm.arm(f"worker.{point}", "STOP")
    frozen = farm.start_worker("frozen")
    poll(lambda: farm.fired(f"worker.{point}"), frozen.words)
    let_another_render(farm, job_id)
    wake_and_compare(farm, job_id, frozen)


@pytest.mark.parametrize("gate", ["directory"], indirect=True)
def test_a_worker_frozen_with_its_blender_while_it_renders_is_refused(
    farm: Farm, scene: Path
) -> None:
    job_id = submit(farm, scene, FRAMES)
    frozen = farm.start_worker("frozen")
    blender = poll(lambda: farm.active_attempts() and farm.blenders(frozen.pid), frozen.words)[0]
    for pid in (frozen.pid, blender):
        os.kill(pid, signal.SIGSTOP)
    let_another_render(farm, job_id)
    os.kill(blender, signal.SIGCONT)
    wake_and_compare(farm, job_id, frozen)


@pytest.mark.parametrize("point", ["before-publish", "mid-publish"])
def test_a_worker_frozen_while_it_publishes_finds_its_frame_published_and_requeued(
    farm: Farm, scene: Path, point: str
) -> None:
    """The manager publishes in its place; an artist wants the frame again; then it wakes."""
    job_id = submit(farm, scene, FRAMES)
    farm.arm(f"worker.{point}", "STOP")
    frozen = farm.start_worker("frozen")
    poll(lambda: farm.fired(f"worker.{point}"), frozen.words)
    let_another_render(farm, job_id)
    assert outcomes(farm, "frozen")[0] == "completed"
    before = published_files(farm, job_id)
    again = farm.start("jobs", "requeue", job_id, "--frames", "1-2")
    assert again.wait() == 0, again.words()
    let_another_render(farm, job_id)
    after = published_files(farm, job_id)
    assert all(before[name] != after[name] for name in after), "nothing was rendered again"
    frozen.kill(signal.SIGCONT)
    assert frozen.wait() == 0, frozen.words()
    assert published_files(farm, job_id) == after


def let_another_render(farm: Farm, job_id: str) -> None:
    """Have the job completed by a second worker, once the first is given up."""
    poll(lambda: not farm.rows("SELECT * FROM workers WHERE name = 'frozen'"), farm.logs)
    other = farm.start_worker("other")
    poll(lambda: farm.job_status(job_id) == "completed", lambda: other.words() + farm.logs())
    assert other.wait() == 0, other.words()


def wake_and_compare(farm: Farm, job_id: str, frozen: Program) -> None:
    """Wake the frozen worker: it must see that it was given up, and change nothing."""
    before = published_files(farm, job_id)
    # It may hold the next frame too, which it was given before it had proven the first.
    assert set(outcomes(farm, "frozen")) == {"lost"}
    assert outcomes(farm, "other") == ["completed"] * len(FRAMES)
    frozen.kill(signal.SIGCONT)
    assert frozen.wait() == 0, frozen.words()
    assert "given up" in frozen.words()
    assert published_files(farm, job_id) == before
    assert set(outcomes(farm, "frozen")) == {"lost"}
    check_farm(farm, job_id, FRAMES)


def published_files(farm: Farm, job_id: str) -> dict[str, tuple[str, bytes]]:
    """Return what tells each published frame from any other file."""
    found = farm.published_files(job_id)
    assert len(found) == len(FRAMES)
    return found
