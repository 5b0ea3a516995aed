"""What names a job, what makes two submissions the same work, how a job settles."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from burst.domain.jobs import RenderSettings, SceneRef, new_job_id, settled_status, slug, work_key
from burst.domain.transitions import JobStatus

SCENE = SceneRef(name="shot", version="v1")
KEY = work_key(SCENE, "1-10", RenderSettings(), 1, "out")


def test_the_same_work_has_the_same_key() -> None:
    assert work_key(SceneRef(name="shot", version="v1"), "1-10", RenderSettings(), 1, "out") == KEY
    assert re.fullmatch(r"[0-9a-f]{64}", KEY)


@pytest.mark.parametrize(
    "other",
    [
        work_key(SceneRef(name="shot", version="v2"), "1-10", RenderSettings(), 1, "out"),
        work_key(SceneRef(name="shut", version="v1"), "1-10", RenderSettings(), 1, "out"),
        work_key(SCENE, "1-11", RenderSettings(), 1, "out"),
        work_key(SCENE, "1-10", RenderSettings(samples=8), 1, "out"),
        work_key(SCENE, "1-10", RenderSettings(), 2, "out"),
        work_key(SCENE, "1-10", RenderSettings(), 1, "elsewhere"),
    ],
)
def test_any_other_part_makes_another_key(other: str) -> None:
    assert other != KEY


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_slug_is_safe_in_paths_and_never_empty(name: str, limit: int) -> None:
    made = slug(name, limit)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made)
    assert len(made) <= max(limit, len("job"))


def test_a_slug_keeps_what_it_can() -> None:
    assert slug("Szene Über 12.blend") == "szene-uber-12-blend"
    assert slug("日本") == "job"


def test_job_ids_say_what_they_are_and_differ() -> None:
    ids = {new_job_id("My Shot") for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"my-shot-[2-9a-z]{6}", job_id) for job_id in ids)


@pytest.mark.parametrize(
    ("completed", "failed", "canceled", "status"),
    [
        (0, 0, 0, None),
        (9, 0, 0, None),
        (5, 4, 0, None),
        (10, 0, 0, JobStatus.COMPLETED),
        (9, 1, 0, JobStatus.FAILED),
        (0, 10, 0, JobStatus.FAILED),
        (8, 1, 1, JobStatus.FAILED),
        (0, 0, 10, JobStatus.CANCELED),
    ],
)
def test_a_job_settles_when_all_its_tasks_have_ended(
    completed: int, failed: int, canceled: int, status: JobStatus | None
) -> None:
    assert settled_status(completed, failed, canceled, 10) is status


def test_settings_refuse_what_blender_would() -> None:
    for wrong in ({"samples": 0}, {"resolution_x": 0}, {"resolution_percentage": 0}, {"typo": 1}):
        with pytest.raises(ValidationError):
            RenderSettings.model_validate(wrong)
