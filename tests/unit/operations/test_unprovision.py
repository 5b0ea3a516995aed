"""What is said to be lost with a farm, and what its bucket holds.

Left out here: taking a farm away (tests/integration/test_up_down_google.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from burst.cloud.google_api import GoogleApi
from burst.operations import unprovision
from burst.operations.unprovision import Loss, Renders, _renders
from tests.fakes.google_cloud import GoogleCloud


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud() as cloud:
        yield cloud


def test_a_farm_with_nothing_to_do_loses_nothing() -> None:
    assert Loss(()).lines() == ["nothing will be lost"]


def test_unfinished_jobs_and_running_tasks_are_named() -> None:
    names = tuple(f"shot-{number}" for number in range(7))
    (line,) = Loss(names, tasks_active=3).lines()
    assert line == (
        "unfinished jobs will be forgotten, 3 tasks of which run: "
        "shot-0, shot-1, shot-2, shot-3, shot-4 and 2 more"
    )


def test_that_nobody_knows_is_said() -> None:
    (line,) = Loss(None).lines()
    assert "is not known" in line


def test_frames_that_go_are_listed_with_the_way_to_bring_them() -> None:
    lines = Loss((), renders=(Renders("shot", 36, 1_200_000),), is_partial=True).lines()
    assert lines == [
        "frames and scenes in the bucket will be deleted for good:",
        "  shot: 36 files, 1.2 MB",
        "  and more",
        "  bring them first: burst download JOB",
    ]


def test_what_a_bucket_holds_is_counted_by_job(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = GoogleApi(cloud.environ, project=cloud.project)
    assert _renders(api, "film-data") == ((), False)
    cloud.plant("buckets", {"name": "film-data"})
    for name in ("renders/a/1.png", "renders/a/2.png", "renders/a/index.json", "renders/b/1.exr"):
        cloud.plant("objects", {"bucket": "film-data", "name": name, "content": b"abc"})
    cloud.plant("objects", {"bucket": "film-data", "name": "blobs/aa/x", "content": b"abc"})
    assert _renders(api, "film-data") == ((Renders("a", 2, 6), Renders("b", 1, 3)), False)
    monkeypatch.setattr(unprovision, "_MOST_PAGES", 0)
    assert _renders(api, "film-data") == ((), True)
