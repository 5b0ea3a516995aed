"""Scenes by ``BURST_SCENES=fetch``: two workers of one machine share a cache, over a bucket.

What the cache itself promises is in `test_blob_cache`; a bucket that is away in general, in
``tests/chaos``.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.farm import poll
from tests.fakes.gate import Rule
from tests.fakes.scenes_of_caches import Job, Made, make, submitted

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture
def job(tmp_path: Path, made: Made) -> Iterator[Job]:
    with submitted(tmp_path, made) as job:
        yield job


def test_two_workers_share_a_cache_and_make_the_pixels_of_the_original_folder(
    tmp_path: Path, job: Job
) -> None:
    cache = {"BURST_SCENES_CACHE_DIR": str(tmp_path / "cache")}
    asked_before = len(job.asked)
    workers = [job.start_worker(name, "fetch", **cache) for name in ("w1", "w2")]
    job.wait(workers[0])
    assert job.outcomes() == ["completed"] * 3
    assert job.wrong_frames() == []
    assert job.changed_blobs() == []
    brought = Counter(
        request.partition("?")[0]
        for request in job.asked[asked_before:]
        if request.startswith("GET") and "blobs/" in request and "alt=media" in request
    )
    held = {path.name for path in (tmp_path / "cache/blobs").glob("*/*")}
    assert {name.rpartition("/")[2] for name in brought} == held
    assert set(brought.values()) == {1}


def test_a_damaged_cache_is_fetched_again_and_makes_no_wrong_pixel(
    tmp_path: Path, job: Job
) -> None:
    cache = {"BURST_SCENES_CACHE_DIR": str(tmp_path / "cache")}
    worker = job.start_worker("w1", "fetch", **cache)
    poll(lambda: job.farm.published(job.job_id), worker.words)
    worker.kill()
    worker.wait()
    blobs = [*(tmp_path / "cache/blobs").glob("*/*")]
    for number, path in enumerate(blobs):
        path.chmod(0o644)
        if number % 2:
            os.truncate(path, path.stat().st_size // 2)
        else:
            path.write_bytes(b"x" * path.stat().st_size)
    again = job.start_worker("w2", "fetch", **cache)
    job.wait(again)
    assert "failed" not in job.outcomes()
    assert job.wrong_frames() == []


def test_a_bucket_that_is_away_while_a_scene_is_fetched_interrupts(
    tmp_path: Path, job: Job
) -> None:
    cache = {"BURST_SCENES_CACHE_DIR": str(tmp_path / "cache"), "CHAOS_PATIENCE_SECONDS": "1"}
    rule = job.gate.add(Rule("^GET .*blobs/.*alt=media", status=503, message="busy"))
    worker = job.start_worker("w1", "fetch", **cache)
    poll(lambda: "interrupted" in job.outcomes(), worker.words)
    job.gate.drop(rule)
    job.wait(worker)
    assert "failed" not in job.outcomes()
    assert job.wrong_frames() == []


def test_a_blob_that_vanished_from_the_bucket_ends_the_job_by_name(
    tmp_path: Path, job: Job
) -> None:
    for blob in job.blobs():
        if blob.stat().st_size > 500_000:
            # The pictures: what reads the scene before, is not in the way.
            blob.unlink()
    cache = {"BURST_SCENES_CACHE_DIR": str(tmp_path / "cache")}
    worker = job.start_worker("w1", "fetch", **cache)
    job.wait(worker, "failed")
    assert re.search(r"tex/\S+\.png is not in the storage; upload the scene again", job.reasons())
    # Two where the worker claimed its next frame before the manager heard of the first.
    assert job.outcomes() in (["failed"], ["failed", "failed"])
