"""The network between a worker and its manager is cut, or the manager is away for a while.

The worker renders on, what it has to say waits in its outbox, and every frame counts once.
Leaves out a storage that is cut off (`test_bucket_trouble`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.chaos.steps import check_farm, outcomes, submit
from tests.fakes.farm import Farm, poll, running_farm
from tests.fakes.gate import Gate
from tests.fakes.proxy import running_proxy

pytestmark = pytest.mark.blender

FRAMES = (1, 2, 3)
STAY = {"BURST_IDLE_EXIT_SECONDS": "6", "BURST_EXIT_WHEN_IDLE_SECONDS": "600"}


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Farm]:
    """A manager that misses nobody for a minute."""
    with running_farm(tmp_path, **STAY, BURST_LEASE_SECONDS="60") as farm:
        farm.start_manager(BURST_WORKERS="0")
        yield farm


@pytest.fixture
def hasty(tmp_path: Path, gate: Gate | None) -> Iterator[Farm]:
    """A manager that gives a silent worker up after a few seconds."""
    with running_farm(tmp_path, gate, **STAY) as farm:
        farm.start_manager(BURST_WORKERS="0")
        yield farm


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_what_is_rendered_during_a_cut_is_delivered_after_it(
    patient: Farm, scene: Path, how: Literal["refused", "silent"]
) -> None:
    job_id = submit(patient, scene, FRAMES)
    with running_proxy(patient.address()["worker_url"]) as network:
        worker = patient.start_worker("cut-off", BURST_MANAGER_URL=network.endpoint)
        poll(lambda: has_begun(patient, "cut-off"), worker.words)
        network.cut(how)
        poll(lambda: reports_waiting(patient, "cut-off"), worker.words)
        assert patient.published(job_id) == 0
        network.heal()
        poll(lambda: patient.job_status(job_id) == "completed", worker.words)
        assert worker.wait() == 0, worker.words()
    assert outcomes(patient, "cut-off") == ["completed"] * len(FRAMES)
    check_farm(patient, job_id, FRAMES)


def test_what_a_lost_worker_rendered_during_a_cut_is_dropped_after_it(
    hasty: Farm, scene: Path
) -> None:
    job_id = submit(hasty, scene, FRAMES)
    with running_proxy(hasty.address()["worker_url"]) as network:
        cut_off = hasty.start_worker("cut-off", BURST_MANAGER_URL=network.endpoint)
        poll(lambda: has_begun(hasty, "cut-off"), cut_off.words)
        network.cut("refused")
        poll(lambda: reports_waiting(hasty, "cut-off"), cut_off.words)
        other = hasty.start_worker("other")
        poll(lambda: hasty.job_status(job_id) == "completed", other.words)
        network.heal()
        assert cut_off.wait() == 0, cut_off.words()
        assert other.wait() == 0, other.words()
    assert outcomes(hasty, "cut-off") == ["lost"]
    assert outcomes(hasty, "other") == ["completed"] * len(FRAMES)
    assert not reports_waiting(hasty, "cut-off")
    check_farm(hasty, job_id, FRAMES)


def test_a_manager_that_was_killed_and_comes_back_gets_what_was_rendered_meanwhile(
    patient: Farm, scene: Path
) -> None:
    job_id = submit(patient, scene, FRAMES)
    worker = patient.start_worker("patient")
    poll(patient.active_attempts, worker.words)
    manager = patient.manager_pid()
    assert manager
    os.kill(manager, signal.SIGKILL)
    poll(lambda: reports_waiting(patient, "patient"), worker.words)
    patient.start_manager(BURST_WORKERS="0")
    poll(lambda: patient.job_status(job_id) == "completed", worker.words)
    assert worker.wait() == 0, worker.words()
    assert outcomes(patient, "patient") == ["completed"] * len(FRAMES)
    check_farm(patient, job_id, FRAMES)


def test_a_worker_leaves_when_the_manager_is_away_too_long_and_its_next_life_delivers(
    patient: Farm, scene: Path
) -> None:
    job_id = submit(patient, scene, FRAMES)
    with running_proxy(patient.address()["worker_url"]) as network:
        short = {"BURST_MANAGER_URL": network.endpoint, "BURST_MANAGER_AWAY_SECONDS": "4"}
        worker = patient.start_worker("leaving", **short)
        poll(lambda: has_begun(patient, "leaving"), worker.words)
        network.cut("refused")
        assert worker.wait() == 1
        assert "away for more than 4 s" in worker.words()
        waiting = reports_waiting(patient, "leaving")
        assert waiting, worker.words()
        network.heal()
        next_life = patient.start_worker("leaving", **short)
        poll(lambda: patient.job_status(job_id) == "completed", next_life.words)
        assert next_life.wait() == 0, next_life.words()
    assert outcomes(patient, "leaving") == ["completed"] * len(FRAMES)
    check_farm(patient, job_id, FRAMES)


def has_begun(farm: Farm, worker: str) -> bool:
    """Say whether a worker has been given a task: the answer to its claim is on its way before."""
    return any((farm.root / "by-hand" / worker / "scenes").glob("*"))


def reports_waiting(farm: Farm, worker: str) -> list[Path]:
    """Return the reports in a worker's outbox."""
    return list((farm.root / "by-hand" / worker / "outbox").glob("*.json"))
