"""Scenes by ``BURST_SCENES=mount:``: real gcsfuse over a real emulator, rendered by a worker.

The mount goes through a proxy that is cut in the middle; the farm itself has another way to the
bucket. Leaves out `BURST_SCENES=fetch` (`test_fetched_scenes`) and the farm's own trouble with
a bucket (``tests/chaos``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.farm import poll
from tests.fakes.gcsfuse import BOUNDED, mounted, program
from tests.fakes.proxy import Proxy, running_proxy
from tests.fakes.scenes_of_caches import Job, Made, make, submitted

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    program()
    return make(tmp_path_factory.mktemp("made"), tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture
def job(tmp_path: Path, made: Made) -> Iterator[Job]:
    with submitted(tmp_path, made) as job:
        yield job


@pytest.fixture
def way(job: Job) -> Iterator[Proxy]:
    """The mount's way to the bucket."""
    with running_proxy(job.emulator.endpoint) as proxy:
        yield proxy


def test_a_mounted_bucket_gives_the_pixels_of_the_original_folder(
    tmp_path: Path, job: Job, way: Proxy
) -> None:
    mount = tmp_path / "mnt"
    with mounted(way.endpoint, "farm", mount, BOUNDED):
        worker = job.start_worker("w1", f"mount:{mount}")
        job.wait(worker)
    assert job.outcomes() == ["completed"] * 3
    assert job.wrong_frames() == []
    assert job.changed_blobs() == []


@pytest.mark.parametrize("passed", [20_000, 400_000, 3_000_000])
def test_a_connection_that_is_cut_interrupts_and_makes_no_wrong_pixel(
    tmp_path: Path, job: Job, way: Proxy, passed: int
) -> None:
    mount = tmp_path / "mnt"
    with mounted(way.endpoint, "farm", mount, BOUNDED):
        before = way.passed
        way.on_passed = lambda now: way.cut() if now - before > passed else None
        worker = job.start_worker("w1", f"mount:{mount}")
        poll(lambda: "interrupted" in job.outcomes(), worker.words)
        way.on_passed = lambda now: None
        way.heal()
        job.wait(worker)
    assert "failed" not in job.outcomes()
    assert job.wrong_frames() == []
