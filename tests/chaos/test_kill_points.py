"""Processes of a rendering farm are killed between two steps; every frame is there once.

The points are in ``tests/fakes/faults``. Leaves out random moments (`test_kills`).
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.rounds import Rounds
from tests.fakes.checker import KilledWorker
from tests.fakes.farm import running_farm
from tests.fakes.gate import Gate

pytestmark = pytest.mark.blender

GIVEN_UP = {"interrupted", "lost"}
ENDS: dict[str, set[str]] = {
    "worker.before-render": GIVEN_UP,
    "worker.after-render": GIVEN_UP,
    "worker.mid-copy": GIVEN_UP,
    "worker.after-upload": GIVEN_UP,
    "worker.before-send": GIVEN_UP,
    "worker.after-verdict": {"completed"},
    "worker.before-publish": {"completed"},
    "worker.mid-publish": {"completed"},
    "worker.after-publish": {"completed"},
}
"""What becomes of the attempt of a worker that is killed there."""

STEPS: tuple[tuple[str, ...], ...] = (
    *((point,) for point in ENDS),
    ("manager.mid-claim",),
    ("manager.mid-commit",),
    ("manager.after-commit",),
    ("manager.mid-index",),
    ("worker.before-publish", "manager.after-sweep"),
    ("worker.after-verdict", "manager.mid-commit"),
    ("worker.after-render", "manager.before-spawn"),
    ("worker.after-upload", "manager.after-spawn"),
    ("cli.mid-copy",),
    ("cli.after-fetch",),
    ("cli.after-fetch", "cli.after-submit"),
)
"""Points that are passed one after the other; the next begins when the last was reached."""


OF_A_DIRECTORY = ("cli.mid-copy",)
"""A bucket's files are brought many at a time; `test_download` cuts those in the middle."""


def test_kills_between_two_steps_lose_and_double_nothing(
    tmp_path: Path, scene: Path, gate: Gate | None
) -> None:
    hits: Counter[str] = Counter()
    ends: list[tuple[str, str]] = []
    with running_farm(tmp_path, gate, BURST_WORKERS="2") as farm:
        rounds = Rounds(farm, scene)
        for points in STEPS:
            if gate and points == OF_A_DIRECTORY:
                continue
            rounds.keep_going()
            for point in points:
                farm.arm(point)
            for point in points:
                fact = rounds.wait_for(partial(farm.fired, point), f"{point} is not reached")
                hits[point.partition(".")[0]] += farm.was_active_at(fact["at"])
                if point in ENDS:
                    farm.killed.append(KilledWorker(fact["worker"], fact["at"]))
                    ends.append((point, _attempt_of(fact["detail"])))
        rounds.finish()
        status = {row["id"]: row["status"] for row in farm.rows("SELECT * FROM attempts")}
    print(f"killed while a task ran: {dict(hits)}, {rounds}")
    assert [(p, status[a]) for p, a in ends if status[a] not in ENDS[p]] == []
    # How often is chance: between two tasks none is running. Never would be no test.
    assert min(hits[role] for role in ("worker", "manager", "cli")) >= 1
    assert hits.total() >= 12


def _attempt_of(detail: str) -> str:
    """Return the attempt that a killed worker was about: its id is in paths and names."""
    found = re.findall(r"(?:^|/)([0-9a-f]{16})(?:/|$)", detail)
    assert len(found) == 1, detail
    return str(found[0])
