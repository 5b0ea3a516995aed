"""Threads that nobody has to wait for: one that hangs keeps no program from leaving.

For calls on a storage or a network, which may take minutes to give up. An executor's threads
would be waited for when Python ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

_Result = TypeVar("_Result")


def start(call: Callable[[], _Result], name: str) -> Future[_Result]:
    """Do something in a thread of its own, and return what will come of it."""
    future: Future[_Result] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - raised where the result is taken
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def side_by_side(calls: Sequence[Callable[[], object]], at_once: int = 8) -> None:
    """Do several things at the same time, and return when all have ended.

    What is alone is done here, without a thread.

    Raises:
        Exception: that of the first which failed; the others were done all the same.
    """
    if len(calls) == 1:
        calls[0]()
        return
    left, failed = deque(calls), list[BaseException]()

    def work() -> None:
        # Each takes the next by itself: whoever dealt them out would be waited for every time.
        while left:
            try:
                call = left.popleft()
            except IndexError:
                return
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised when all have ended
                failed.append(error)

    wait([start(work, "side by side") for _ in range(min(at_once, len(calls)))])
    if failed:
        raise failed[0]
