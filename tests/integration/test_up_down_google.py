"""A farm on Google Cloud from nothing to nothing, and runs of it that are killed anywhere.

The command line itself, the real Terraform, a stand-in of Google Cloud. Left out: what Google
refuses (test_google_faults.py), and the farm on its Kubernetes (tests/kubernetes).
"""

from __future__ import annotations

import json
import os
import pty
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.fakes.google_artist import FARM, PATIENCE_SECONDS, ZONE, Artist, an_artist

UP_WRITES, DOWN_WRITES = 50, 30
"""About as many writes as the stand-in sees of a whole run."""


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Artist]:
    with an_artist(tmp_path, os.environ) as artist:
        yield artist


def kill_after(artist: Artist, writes: int, *arguments: str, whole: bool) -> int:
    """Kill a command when Google has seen that many writes of it; return its exit status.

    Args:
        artist: who typed it.
        writes: how many.
        arguments: of the command line.
        whole: Terraform and its provider are killed as well.
    """
    before, deadline = len(artist.cloud.writes()), time.monotonic() + PATIENCE_SECONDS
    process = artist.start(*arguments)
    while process.poll() is None and len(artist.cloud.writes()) - before < writes:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    _kill(process, whole=whole)
    return process.wait()


def _kill(process: subprocess.Popen[bytes], *, whole: bool) -> None:
    if process.poll() is not None:
        return
    below = psutil.Process(process.pid).children(recursive=True) if whole else []
    for one in (process, *below):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def test_a_farm_comes_is_left_alone_changes_and_goes_without_a_trace(artist: Artist) -> None:
    made = artist.up("--json")
    assert made.status == 0, made.words
    assert json.loads(made.output)["cluster"]["location"] == ZONE

    again = artist.up("--json")
    assert (again.status, json.loads(again.output)["changed"]) == (0, [])

    artist.write('[pools.steady]\nmachine = "n2d-standard-8"\nmaximum = 2\n')
    more = artist.up("--json")
    assert json.loads(more.output)["changed"] == [
        'module.pool["steady"].google_container_node_pool.this'
    ]

    assert "it takes about" in more.words

    pool = f"projects/{artist.cloud.project}/locations/{ZONE}/clusters/{FARM}/nodePools/spot"
    artist.cloud.perform("DELETE", f"/container/v1/{pool}")
    artist.cloud.finish()
    artist.write()
    less = artist.up()
    assert "not as burst left it: node pool spot (is gone)" in less.words
    assert less.status == 0, less.words
    assert "to remove: 1 resource" in less.words
    assert artist.cloud.everything()["nodePools"] == ["spot", "system"]

    gone = artist.down()
    assert gone.status == 0, gone.words
    assert gone.output.splitlines()[0] == "0 left"
    assert set(_there(artist)) <= {"buckets", "objects"}

    everything = artist.run("down", "--yes", "--all", "--farm", FARM)
    assert (everything.status, everything.output) == (0, "0 left\n"), everything.words
    assert _there(artist) == {}


@pytest.mark.parametrize("seed", range(10))
def test_what_is_killed_is_finished_by_the_next_run(artist: Artist, seed: int) -> None:
    dice = random.Random(seed)
    up = ("up", "--yes", "--cluster-only")
    kill_after(artist, dice.randrange(1, UP_WRITES), *up, whole=dice.random() < 0.5)
    said = artist.up()
    assert said.status == 0, said.words
    assert artist.cloud.everything()["nodePools"] == ["spot", "system"]

    down = ("down", "--yes")
    kill_after(artist, dice.randrange(1, DOWN_WRITES), *down, whole=dice.random() < 0.5)
    said = artist.run("down", "--yes", "--all", "--farm", FARM)
    assert (said.status, said.output) == (0, "0 left\n"), said.words
    assert _there(artist) == {}


def test_whoever_says_no_to_the_price_has_made_nothing(artist: Artist) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"y\nn\n")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "burst", "up"],
            cwd=artist.folder, env=artist.environ, stdin=theirs, capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 1
    assert "when the cluster is gone:" in done.stderr
    assert f"Make the farm {FARM} in {artist.cloud.project}? [y/N]" in done.stderr
    assert "nothing was done" in done.stderr
    # The first question was whether APIs are to be enabled.
    assert [one.path.rpartition(":")[2] for one in artist.cloud.writes()] == ["batchEnable"]


def test_another_laptop_needs_project_and_name_alone(artist: Artist, tmp_path: Path) -> None:
    assert artist.up().status == 0
    (artist.folder / "burst.toml").unlink()
    named = ("--project", artist.cloud.project, "--farm", FARM)
    away = {"BURST_STATE_DIR": str(tmp_path / "another")}
    artist.cloud.scale(FARM, "spot", 2)
    told = json.loads(artist.run("status", "--json", *named, **away).output)
    assert (told["zone"], told["cluster"], told["nodes"]) == (ZONE, "up", {"spot": 2})
    cost = json.loads(artist.run("cost", "--json", *named, **away).output)
    assert cost["nodes"]["spot"] == 2
    gone = artist.run("down", "--yes", "--all", *named, **away)
    assert (gone.status, gone.output) == (0, "0 left\n"), gone.words


def test_all_goes_only_when_the_farms_name_was_typed(artist: Artist) -> None:
    assert artist.up().status == 0
    said = artist.run("down", "--yes", "--all")
    assert said.status == 2
    assert f"--farm {FARM}" in said.words
    assert FARM in artist.cloud.everything()["clusters"]


def _there(artist: Artist) -> dict[str, list[str]]:
    """Return what there is, without what a farm never made."""
    return {kind: names for kind, names in artist.cloud.everything().items() if names}
