"""Who runs which test after a process has crashed.

Left out: all that pytest-xdist does.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from tests.scheduling import CrashProof

TESTS = ["a.py::one@pair", "a.py::two@pair", "b.py::three", "c.py::four", "d.py::five", "e.py::six"]


class Process:
    """Takes note of what it is given."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.shutting_down = False
        self.gateway = SimpleNamespace(id="any")

    def send_runtest_some(self, numbers: list[int]) -> None:
        assert numbers, "it would wait for ever"
        self.given += numbers

    def shutdown(self) -> None:
        self.shutting_down = True


@pytest.fixture
def shared(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(pytestconfig.option, "loadscopereorder", True, raising=False)
    monkeypatch.setattr(pytestconfig.option, "tx", ["2*popen"], raising=False)
    return CrashProof(pytestconfig, Producer("shared", enabled=False))


def join(shared: Any) -> Process:
    process = Process()
    shared.add_node(process)
    shared.add_node_collection(process, TESTS)
    return process


def names(process: Process) -> list[str]:
    return [TESTS[number].split("::")[1] for number in process.given]


def test_what_a_crashed_process_had_not_begun_is_run_by_others(shared: Any) -> None:
    first, second = join(shared), join(shared)
    shared.schedule()
    assert names(first)[:2] == ["one@pair", "two@pair"]
    shared.mark_test_complete(first, 0)
    assert shared.remove_node(first) == "a.py::two@pair"
    third = join(shared)
    shared.schedule()
    for process in (second, third):
        for number in process.given:
            shared.mark_test_complete(process, number)
    ran = [*names(second), *names(third)]
    assert sorted(ran) == ["five", "four", "six", "three"]
    assert second.shutting_down
    assert third.shutting_down


def test_a_process_that_has_done_all_leaves_nothing(shared: Any) -> None:
    first, second = join(shared), join(shared)
    shared.schedule()
    for number in first.given:  # which grows meanwhile
        shared.mark_test_complete(first, number)
    assert shared.remove_node(first) is None
    assert not second.shutting_down


def test_tests_of_a_cluster_are_one_processs_and_come_first(shared: Any) -> None:
    cluster = ["tests/kubernetes/a.py::one", "tests/kubernetes/b.py::two"]
    tests = ["tests/unit/c.py::three", "tests/unit/d.py::four", *cluster]
    process = Process()
    for one in (process, Process()):
        shared.add_node(one)
        shared.add_node_collection(one, tests)
    shared.schedule()
    assert process.given[:2] == [2, 3]
