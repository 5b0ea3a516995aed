"""Jobs of commands through a whole farm: in their order, once, and with nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.farm import Farm, Program, is_awake, poll, running_farm

pytestmark = pytest.mark.blender

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    if not shutil.which("blender"):
        pytest.skip("no blender in PATH")
    with running_farm(tmp_path, BURST_WORKERS="1") as made:
        yield made


def submit(farm: Farm, *tasks: dict[str, Any], **more: Any) -> str:
    path = farm.root / "job.json"
    path.write_text(json.dumps({"name": "tools", "commands": tasks, **more}))
    blender = str(shutil.which("blender"))
    program = farm.start("submit", str(path), "--local", "--json", "--blender", blender)
    assert program.wait(60) == 0, program.words()
    return str(program.result()["job"])


def watch(farm: Farm, job: str) -> Program:
    return farm.start("watch", job, "--json", "--output", str(farm.root / "out"))


def exec_of(*argv: str, **more: Any) -> dict[str, Any]:
    return {"kind": "exec", "argv": argv, **more}


def test_tasks_run_in_their_order_and_what_they_leave_is_brought(farm: Farm) -> None:
    script = "echo made by $BURST_JOB > $BURST_OUTPUT_DIR/first.txt; echo loud and clear"
    (farm.root / "given").mkdir()
    (farm.root / "given" / "x.txt").write_text("x")
    job = submit(
        farm,
        {"name": "later", "after": ["first"], "commands": [
            {"kind": "echo", "text": "second"},
            {"kind": "copy", "source": str(farm.root / "given"), "target": "copied"},
        ]},
        {"name": "first", "commands": [exec_of("sh", "-c", script)]},
    )  # fmt: skip
    program = watch(farm, job)
    assert program.wait(120) == 0, program.words()
    assert (farm.root / "out" / "first.txt").read_text() == f"made by {job}\n"
    assert (farm.root / "out" / "copied" / "x.txt").read_text() == "x"
    logs = farm.start("logs", job)
    assert logs.wait() == 0
    said = logs.said.read_text()
    assert 0 < said.index("loud and clear") < said.index("second")


def test_a_command_that_fails_is_tried_again_and_then_told(farm: Farm) -> None:
    count = farm.root / "count"
    script = f"echo . >> {count}; echo the reason >&2; exit 9"
    commands = [exec_of("sh", "-c", script)]
    job = submit(farm, {"name": "broken", "commands": commands}, retry_limit=2)
    program = watch(farm, job)
    assert program.wait(120) == 3, program.words()
    assert "exec: sh left with exit status 9" in program.words()
    assert count.read_text() == ".\n" * 2


def test_nothing_of_a_canceled_command_is_left(farm: Farm) -> None:
    mark = farm.root / "daemon"
    python = os.path.realpath(sys.executable)
    job = submit(farm, {"name": "long", "commands": [exec_of(python, "-c", DAEMON, str(mark))]})
    poll(mark.exists, farm.logs, 60)
    daemon = int(mark.read_text())
    assert is_awake(daemon)
    assert farm.start("jobs", "cancel", job).wait() == 0
    poll(lambda: not is_awake(daemon), "the daemon lives on", 20)
    farm.wait_gone()


def test_nothing_of_a_command_is_left_when_its_worker_is_killed(farm: Farm) -> None:
    mark = farm.root / "daemon"
    python = os.path.realpath(sys.executable)
    job = submit(farm, {"name": "long", "commands": [exec_of(python, "-c", DAEMON, str(mark))]})
    poll(mark.exists, farm.logs, 60)
    daemon = int(mark.read_text())
    mark.unlink()
    ((name, pid),) = farm.workers().items()
    farm.kill_worker(name, pid)
    poll(lambda: not is_awake(daemon), "the daemon lives on", 20)
    # Another worker has started it anew.
    poll(mark.exists, farm.logs, 60)
    assert farm.start("jobs", "cancel", job).wait() == 0
    poll(lambda: not is_awake(int(mark.read_text())), "the second daemon lives on", 20)
