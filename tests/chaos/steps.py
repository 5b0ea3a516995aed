"""What the tests of this folder do to a farm alike: submit, see how it ended, stop, look at all."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.fakes.checker import ExpectedJob, check
from tests.fakes.farm import HEIGHT, WIDTH, Farm


def submit(farm: Farm, scene: Path, frames: Sequence[int]) -> str:
    """Submit a job of frames without a gap and return its id."""
    words = ["submit", str(scene), "--local", "--frames", f"{frames[0]}-{frames[-1]}"]
    program = farm.start(*words, "--output", str(farm.root / "out"))
    assert program.wait() == 0, program.words()
    return program.said.read_text("utf-8").strip()


def outcomes(farm: Farm, worker: str = "%") -> list[str]:
    """Return how the attempts of a worker, or of all, ended, the oldest first."""
    query = "SELECT status FROM attempts WHERE worker LIKE ? ORDER BY started_at"
    return [row["status"] for row in farm.rows(query, worker)]


def stop(farm: Farm) -> None:
    """Stop the manager."""
    manager = farm.manager_pid()
    assert manager
    os.kill(manager, signal.SIGTERM)
    farm.wait_gone()


def check_farm(farm: Farm, job_id: str, frames: Sequence[int]) -> None:
    """Stop the manager and look at all that is left."""
    stop(farm)
    wrong = check(farm.left(), [ExpectedJob(job_id, tuple(frames), WIDTH, HEIGHT)])
    assert not wrong, "\n".join([*wrong, farm.logs()])
