"""When a worker doubts itself, and what a check finds.

A worker whose real Blender breaks under it is in ``tests/integration/test_broken_worker.py``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from burst.domain.workers import BlenderFacts
from burst.worker.blender import BlenderFailed
from burst.worker.blenders import Use
from burst.worker.dialogue import GivesUp, failed
from burst.worker.discovery import Installed
from burst.worker.faults import Fault, Outcome
from burst.worker.health import Checkup, Health, Row, is_doubtful

FACTS = BlenderFacts(version=(5, 0, 1), kind="binary", engines={"CYCLES": ""})
CRASH = BlenderFailed("Blender crashed")
LOST = failed(Fault.GPU_LOST, doing="rendering frame 1", words="CUDA error")


def use(error: BlenderFailed | None, *, program: str = "blender", device: str = "cpu") -> Use:
    return Use(Installed(Path(program), FACTS), "CYCLES", device, error)


@pytest.mark.parametrize(
    ("jobs", "after"),
    [("aaaaaaa", 5), ("aaab", 4), ("abc", 3), ("aab", 3), ("abab", 3), ("aa", None), ("ab", None)],
)
def test_failures_in_a_row_speak_against_the_machine_sooner_if_they_are_of_several_jobs(
    jobs: str, after: int | None
) -> None:
    health = Health()
    noted = [health.note(job, use(CRASH)) for job in jobs]
    assert (noted.index(True) + 1 if True in noted else None) == after


def test_one_lost_device_is_enough() -> None:
    assert is_doubtful(Row(device_lost=True, patience=16))
    health = Health()
    assert health.note("a", use(LOST, device="cuda"))
    health.trust(use(LOST, device="cuda"))
    assert not health.note("a", use(CRASH, device="cuda"))
    assert health.note("a", use(LOST, device="cuda"))


def test_a_frame_in_between_ends_the_row() -> None:
    health = Health()
    row = [("a", CRASH), ("b", CRASH), ("b", None), ("a", CRASH), ("b", CRASH), ("b", CRASH)]
    noted = [health.note(job, use(error)) for job, error in row]
    assert noted == [False, False, False, False, False, True]


def test_each_blender_on_each_device_has_a_row_of_its_own() -> None:
    health = Health()
    for job in "ab":
        assert not health.note(job, use(CRASH))
        assert not health.note(job, use(CRASH, device="cuda"))
        assert not health.note(job, use(CRASH, program="other"))
        assert not health.note(job, use(None, program="third"))
    assert health.note("c", use(CRASH, device="cuda"))


@pytest.mark.parametrize(
    ("outcome", "gives_up", "fault"),
    [
        ("interrupted", None, Fault.STOPPED),
        ("out_of_memory", None, Fault.TOO_BIG),
        ("failed", "task", Fault.REFUSED),
        ("failed", "job", Fault.REFUSED),
        ("failed", None, Fault.DISK_FULL),
    ],
)
def test_what_is_not_the_machines_fault_does_not_count(
    outcome: Outcome, gives_up: GivesUp | None, fault: Fault
) -> None:
    health = Health()
    error = BlenderFailed("…", outcome=outcome, gives_up=gives_up, fault=fault)
    assert not any(health.note(job, use(error)) for job in "abcdef")


def test_each_check_for_nothing_makes_the_next_one_rarer_until_a_frame_comes_out() -> None:
    health = Health()
    checks = []
    for number in range(1, 200):
        if health.note("ab"[number % 2], use(CRASH)):
            checks.append(number)
            health.trust(use(CRASH))
    assert checks == [3, 9, 21, 45, 93, 141, 189]
    health.note("a", use(None))
    assert [health.note(job, use(CRASH)) for job in "abc"] == [False, False, True]


ANSWER = """
import json, os, sys, time
reads, writes = map(int, sys.argv[-2:])
def say(**body):
    os.write(writes, json.dumps(body).encode() + b"\\n")
say(event="version", version=[5, 0, 1], engines=["CYCLES"], features={})
question = json.loads(next(os.fdopen(reads)))
"""


def stand_in(folder: Path, script: str) -> Installed:
    """Write a ``blender`` that runs Python."""
    (folder / "blender.py").write_text(script)
    program = folder / "blender"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/blender.py" "$@"\n')
    program.chmod(0o755)
    return Installed(program, FACTS)


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (ANSWER + "say(event='tried', reason='', found=[])", ""),
        (ANSWER + "say(event='tried', reason='no kernels', found=[])", "no kernels"),
        (ANSWER + "os.abort()", "Blender crashed (SIGABRT)"),
        ("print('libcuda is gone'); raise SystemExit(11)", "exit status 11 (libcuda is gone)"),
    ],
)
def test_a_check_tells_whether_a_few_pixels_come_out(
    tmp_path: Path, script: str, fault: str
) -> None:
    checked = Use(stand_in(tmp_path, script), "CYCLES", "cuda", CRASH)
    found = Checkup(tmp_path / "scratch", None).find_fault(checked)
    assert found.endswith(fault)
    assert bool(found) is bool(fault)


def test_the_check_is_on_the_device_that_failed(tmp_path: Path) -> None:
    script = ANSWER + "say(event='tried', reason=question['device'], found=[])"
    checked = Use(stand_in(tmp_path, script), "CYCLES", "hip", CRASH)
    assert Checkup(tmp_path / "scratch", None).find_fault(checked) == "hip"


def test_a_program_or_a_disk_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    gone = Use(Installed(tmp_path / "none", FACTS), "CYCLES", "cpu", CRASH)
    assert "can't be started" in Checkup(tmp_path / "scratch", None).find_fault(gone)
    (tmp_path / "file").touch()
    assert "can't be tried" in Checkup(tmp_path / "file" / "scratch", None).find_fault(gone)


def test_a_check_ends_at_once_when_the_machine_is_taken_away(tmp_path: Path) -> None:
    checked = Use(stand_in(tmp_path, ANSWER + "time.sleep(600)"), "CYCLES", "cpu", CRASH)
    checkup = Checkup(tmp_path / "scratch", None)
    checking = threading.Thread(target=checkup.find_fault, args=(checked,), daemon=True)
    checking.start()
    checkup.stop()
    checking.join(30)
    assert not checking.is_alive()
