"""Workers as child processes: what only they do.

What they have in common with other workers is in ``test_provider_contract.py``. A script stands
for the worker's program: what that does when it is told to leave is in ``tests/integration``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from worlds import MachineWorld, find, order, wait_for

from burst.errors import ToolError
from burst.manager.autoscaler import processes
from burst.manager.autoscaler.processes import ProcessProvider


def test_a_worker_that_will_not_leave_is_killed(
    machine: MachineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LEAVE_SECONDS", 0.1)
    machine.provider.start([order("stubborn", 1)])
    wait_for(lambda: "ready" in machine.log("stubborn"))
    pid = machine.pid("stubborn")
    machine.provider.stop_all()
    assert list(machine.provider.list()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_outlives_its_provider_and_is_known_to_the_next(machine: MachineWorld) -> None:
    machine.provider.start([order("one", 1)])
    pid = machine.pid("one")
    another = machine.restart()
    another.start([order("one", 1)])
    assert find(another, "one").running
    assert machine.pid("one") == pid
    another.remove(["one"])
    assert list(another.list()) == []
    # It was the first one's child, and the test's: nobody else collects it.
    machine.provider.remove(["one"])


def test_a_failure_is_told_in_the_workers_own_words(machine: MachineWorld) -> None:
    machine.provider.start([order("fails", 1)])
    wait_for(lambda: not find(machine.provider, "fails").running)
    wait_for(lambda: bool(find(machine.provider, "fails").failure))
    found = find(machine.provider, "fails")
    assert (found.failure, found.gave_up) == ("no Blender", True)


def test_a_worker_that_left_did_not_fail(machine: MachineWorld) -> None:
    machine.provider.start([order("leaves", 1)])
    wait_for(lambda: not find(machine.provider, "leaves").running)
    assert find(machine.provider, "leaves").failure == ""


def test_a_worker_gets_its_own_settings_and_not_the_managers(
    machine: MachineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_LEFT_OVER", "something")
    machine.provider.start([order("one", 3)])
    wait_for(lambda: "ready" in machine.log("one"))
    assert machine.log("one").startswith("one with 3 threads and nothing left over")


def test_what_concerns_workers_alone_reaches_a_local_one(
    machine: MachineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_CAGE", "off")
    monkeypatch.setenv("BURST_SCENES", "fetch")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:1")
    machine.provider.start([order("one", 3)])
    wait_for(lambda: "ready" in machine.log("one"))
    assert "cage off, scenes fetch, emulator http://localhost:1" in machine.log("one")


def test_the_log_of_a_removed_worker_stays(machine: MachineWorld) -> None:
    machine.provider.start([order("one", 1)])
    wait_for(lambda: "ready" in machine.log("one"))
    machine.provider.remove(["one"])
    assert "ready" in machine.log("one")


def test_what_is_no_folder_is_no_worker(machine: MachineWorld) -> None:
    machine.provider.start([order("one", 1)])
    (machine.folder / "workers" / ".directory").write_text("a desktop's")
    assert [worker.name for worker in machine.provider.list()] == ["one"]


def test_a_folder_that_can_not_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("in the way")
    provider = ProcessProvider(tmp_path / "workers", tmp_path / "logs", {}, 4)
    for call in (provider.list, provider.stop_all):
        with pytest.raises(ToolError):
            call()
    assert "can't start worker one" in provider.start([order("one", 1)])["one"]
    assert list(tmp_path.iterdir()) == [tmp_path / "workers"]


def test_a_worker_whose_pid_can_not_be_written_does_not_run(machine: MachineWorld) -> None:
    (machine.folder / "workers" / "one" / "pid").mkdir(parents=True)
    assert "can't start worker one" in machine.provider.start([order("one", 1)])["one"]
    assert not find(machine.provider, "one").running
