"""Processes of a rendering farm are killed at random moments; every frame is there once.

Leaves out fixed points between two steps (`test_kill_points`) and the loss of a machine
with its disk. A failing run is repeated, as far as timing allows, by ``--seed``.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.rounds import Rounds
from tests.fakes.farm import Farm, is_awake, poll, running_farm
from tests.fakes.gate import Gate, Rule

ROLES = ("worker", "blender", "manager", "cli")
EACH_MIN = 3
LOST_EVERY = 11
"""Of so many answers to what changes a bucket one is lost."""
MOMENT_SECONDS_MAX = 1.2
"""A little longer than a frame takes, so that a kill may hit any moment of one."""

pytestmark = pytest.mark.blender


def test_kills_at_random_moments_lose_and_double_nothing(
    tmp_path: Path, scene: Path, request: pytest.FixtureRequest, gate: Gate | None
) -> None:
    kills, each_min = request.config.getoption("--kills"), EACH_MIN
    if gate:
        # Fewer, for each takes longer; and answers get lost besides.
        kills, each_min = kills // EACH_MIN, 1
        gate.add(Rule("^(POST|DELETE) ", lose=True, every=LOST_EVERY))
    seed = request.config.getoption("--seed") or random.randrange(1_000_000)
    print(f"--seed {seed} --kills {kills}")
    rng = random.Random(seed)
    roles = list(ROLES) * each_min
    roles += rng.choices(ROLES, k=max(0, kills - len(roles)))
    rng.shuffle(roles)
    hits: Counter[str] = Counter()
    with running_farm(tmp_path, gate, BURST_WORKERS="2") as farm:
        rounds = Rounds(farm, scene)
        for role in roles:
            while not _kill(farm, rounds, role, rng):
                print(f"{role}: nothing was rendered at that moment, once more")
            hits[role] += 1
        rounds.finish()
    print(f"killed while a task ran: {dict(hits)}, {rounds}")
    assert hits.total() >= kills
    assert min(hits[role] for role in ROLES) >= each_min


def _kill(farm: Farm, rounds: Rounds, role: str, rng: random.Random) -> bool:
    """Kill one process at a random moment; say whether a task ran then."""
    rounds.keep_going()
    rounds.wait_for(farm.active_attempts, "nothing is rendered")
    # Not to wait for something: the moment itself is what is drawn.
    time.sleep(rng.uniform(0, MOMENT_SECONDS_MAX))
    at = time.time()
    if role == "cli":
        assert rounds.cli
        rounds.cli.kill()
    elif role == "manager":
        pid = rounds.wait_for(farm.manager_pid, "no manager")
        at = time.time()
        os.kill(pid, signal.SIGKILL)
        poll(lambda: not is_awake(pid), "it does not die")
    else:
        name, pid = rounds.wait_for(lambda: _busy_worker(farm, rng, role), "no worker is busy")
        if role == "worker":
            at = farm.kill_worker(name, pid)
        else:
            at = time.time()
            os.kill(pid, signal.SIGKILL)
    return farm.was_active_at(at)


def _busy_worker(farm: Farm, rng: random.Random, role: str) -> tuple[str, int] | None:
    """Return name and pid of a worker that has a task, or of its Blender."""
    busy = {row["worker"] for row in farm.active_attempts()}
    workers = farm.workers()
    for name in rng.sample(sorted(busy & workers.keys()), k=len(busy & workers.keys())):
        if role == "worker":
            return name, workers[name]
        blenders = farm.blenders(workers[name])
        if blenders:
            return name, blenders[0]
    return None
