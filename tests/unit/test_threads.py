"""Things done side by side, and in threads that nobody has to wait for."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from burst.threads import side_by_side, start


def test_what_came_of_a_thread_is_taken_from_its_future() -> None:
    assert start(lambda: 7, "seven").result(10) == 7
    with pytest.raises(ZeroDivisionError):
        start(lambda: 1 // 0, "bad").result(10)


def test_several_are_at_work_at_once_and_no_more_than_may_be() -> None:
    three, most, lock = threading.Barrier(3), [0, 0], threading.Lock()

    def work() -> None:
        with lock:
            most[0] += 1
            most[1] = max(most)
        three.wait(10)
        with lock:
            most[0] -= 1

    side_by_side([work] * 9, at_once=3)
    assert most == [0, 3]


def test_the_first_failure_is_raised_when_all_are_done() -> None:
    done: list[int] = []

    def fail() -> None:
        raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        side_by_side([fail, *(lambda n=n: done.append(n) for n in range(5))], at_once=2)
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_nothing_is_nothing_and_one_is_done_here() -> None:
    side_by_side([])
    seen: list[threading.Thread] = []
    side_by_side([lambda: seen.append(threading.current_thread())])
    assert seen == [threading.current_thread()]


def test_a_thread_that_hangs_keeps_no_program_from_leaving() -> None:
    program = "import threading, burst.threads as t; t.start(threading.Event().wait, 'hangs')"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
