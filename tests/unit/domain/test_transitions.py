"""The tables of statuses and moves, and the page that is written from them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from burst.domain.transitions import (
    ATTEMPT_MOVES,
    FRAME_MOVES,
    JOB_ENDED,
    JOB_MOVES,
    TASK_MOVES,
    WORKER_MOVES,
    AttemptStatus,
    FrameStatus,
    JobStatus,
    TaskStatus,
    WorkerStatus,
    check_move,
)
from burst.errors import NotAllowed

ROOT = Path(__file__).resolve().parents[3]

TABLES: list[tuple[type[StrEnum], Mapping[Any, frozenset[Any]]]] = [
    (JobStatus, JOB_MOVES),
    (TaskStatus, TASK_MOVES),
    (AttemptStatus, ATTEMPT_MOVES),
    (FrameStatus, FRAME_MOVES),
    (WorkerStatus, WORKER_MOVES),
]


@pytest.mark.parametrize(("statuses", "moves"), TABLES)
def test_every_status_has_a_row_in_its_table(
    statuses: type[StrEnum], moves: Mapping[Any, frozenset[Any]]
) -> None:
    assert set(moves) == set(statuses)
    assert all(targets <= set(statuses) for targets in moves.values())


@pytest.mark.parametrize(("statuses", "moves"), TABLES)
def test_nothing_moves_to_where_it_is(
    statuses: type[StrEnum], moves: Mapping[Any, frozenset[Any]]
) -> None:
    assert all(status not in moves[status] for status in statuses)


@pytest.mark.parametrize(("statuses", "moves"), TABLES)
def test_exactly_the_moves_of_the_table_are_allowed(
    statuses: type[StrEnum], moves: Mapping[Any, frozenset[Any]]
) -> None:
    for now in statuses:
        for then in statuses:
            if then in moves[now]:
                assert check_move(moves, "it", now, then) is then
            else:
                with pytest.raises(NotAllowed, match=f"it is {now}, it can't become {then}"):
                    check_move(moves, "it", now, then)


def test_an_attempt_ends_once() -> None:
    for status in AttemptStatus:
        expected = set(AttemptStatus) - {status} if status is AttemptStatus.ACTIVE else set()
        assert ATTEMPT_MOVES[status] == expected


def test_a_published_frame_is_only_rendered_again_by_a_requeue() -> None:
    assert FRAME_MOVES[FrameStatus.PUBLISHED] == {FrameStatus.REQUEUED}


def test_ended_jobs_and_tasks_come_back_only_into_the_queue() -> None:
    assert all(JOB_MOVES[status] == {JobStatus.ACTIVE} for status in JOB_ENDED)
    assert all(
        TaskStatus.ACTIVE not in TASK_MOVES[status]
        for status in (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELED)
    )


def test_a_job_can_be_canceled_until_it_has_ended() -> None:
    for status in JobStatus:
        assert (JobStatus.CANCELED in JOB_MOVES[status]) == (status not in JOB_ENDED)


def test_the_page_about_statuses_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs-statuses", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
