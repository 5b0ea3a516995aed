"""Requests one by one by a thread that any thread may ask: who is told what, and when it ends.

Left out: what is asked; see `test_bucket` and `test_bulk_fetch`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from burst.errors import StorageDenied
from burst.storage import bulk, bulk_wire
from burst.storage.access import Access
from burst.storage.bulk_desk import Desk
from burst.storage.bulk_line import Line
from tests.fakes.strict_gcs import StrictGcs

AT_ONCE = 5
SECONDS = 20.0


def desk_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "desk"]


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    gc.collect()
    assert desk_threads() == []
    yield
    gc.collect()
    assert desk_threads() == []


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What is not needed any more goes at once, or stays."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Those that are made."""
    made: list[object] = []

    class Noted(bulk_wire._Connection):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(bulk_wire, "_Connection", Noted)
    return made


def test_one_after_the_other_goes_over_one_connection(
    access: Access, gcs: StrictGcs, connections: list[object]
) -> None:
    desk = Desk(access)
    assert desk_threads() == []
    for number in range(5):
        bulk.put(desk, b"x", f"logs/{number}")
    assert [one.name for one in bulk.scan(desk, "logs/")] == [f"logs/{n}" for n in range(5)]
    assert len(gcs.requests) == 6
    assert len(connections) == len(desk_threads()) == 1


def test_several_threads_are_served_at_once_and_each_has_its_own_answer(access: Access) -> None:
    desk, waiting, all_here = Desk(access), 0, asyncio.Event()

    async def meet(_line: Line) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == AT_ONCE:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), SECONDS)

    def ask(number: int) -> int:
        async def work(line: Line) -> int:
            await meet(line)
            return number

        return desk.do(work)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert list(threads.map(ask, range(AT_ONCE))) == list(range(AT_ONCE))


def test_an_error_comes_out_where_it_was_asked(access: Access, gcs: StrictGcs) -> None:
    desk = Desk(access)
    gcs.fail("insert", status=403, message="not this one", name="logs/3", times=1000)

    def put(number: int) -> str:
        try:
            bulk.put(desk, b"x", f"logs/{number}")
        except StorageDenied as error:
            return error.message
        return ""

    with ThreadPoolExecutor(AT_ONCE) as threads:
        said = list(threads.map(put, range(AT_ONCE)))
    assert [bool(text) for text in said] == [number == 3 for number in range(AT_ONCE)]
    assert "logs/3" in said[3]


@pytest.mark.usefixtures("no_collection")
def test_it_ends_when_nobody_has_it_any_more_even_after_an_error(
    access: Access, gcs: StrictGcs
) -> None:
    desk = Desk(access)
    bulk.put(desk, b"x", "logs/x")
    gcs.denied.add("storage.objects.create")
    with pytest.raises(StorageDenied):
        bulk.put(desk, b"x", "logs/y")
    (thread,) = desk_threads()
    del desk
    thread.join(SECONDS)
    assert not thread.is_alive()


@pytest.mark.usefixtures("no_collection")
def test_its_own_thread_may_be_the_one_that_lets_it_go(access: Access) -> None:
    desk, dropped = Desk(access), threading.Event()

    def collect() -> None:
        dropped.wait(SECONDS)
        gc.collect()

    async def work(_line: Line) -> None:
        asyncio.get_running_loop().call_later(0, collect)

    desk.do(work)
    (thread,) = desk_threads()
    ring: list[Any] = [desk]
    ring.append(ring)
    del desk, ring
    dropped.set()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_what_is_still_being_done_is_ended_with_it(access: Access) -> None:
    desk, ended = Desk(access), threading.Event()

    async def stay() -> None:
        try:
            await asyncio.sleep(SECONDS)
        finally:
            # As long as it takes a connection to close.
            for _ in range(10):
                await asyncio.sleep(0)
            ended.set()

    async def work(_line: Line) -> asyncio.Task[None]:
        task = asyncio.create_task(stay())
        await asyncio.sleep(0)
        return task

    left = desk.do(work)
    del desk
    assert ended.wait(SECONDS)
    assert left.cancelled()


def interrupt_when(is_waited_for: threading.Event, where: Callable[..., Any]) -> threading.Thread:
    """Press Ctrl-C as soon as the main thread waits in ``where``."""

    def run() -> None:
        deadline = time.monotonic() + SECONDS
        is_waited_for.wait(SECONDS)
        while time.monotonic() < deadline:
            frame = sys._current_frames()[threading.main_thread().ident or 0]
            if frame.f_code is where.__code__:
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_ctrl_c_ends_the_waiting_and_what_was_asked(access: Access, gcs: StrictGcs) -> None:
    desk, begun, ended = Desk(access), threading.Event(), threading.Event()

    async def work(_line: Line) -> None:
        begun.set()
        try:
            await asyncio.sleep(SECONDS)
        except asyncio.CancelledError:
            ended.set()
            raise

    presser = interrupt_when(begun, threading.Condition.wait)
    with pytest.raises(KeyboardInterrupt):
        desk.do(work)
    presser.join()
    assert ended.wait(SECONDS)
    bulk.put(desk, b"x", "logs/after")
    assert "logs/after" in gcs.buckets["farm"]


FORKING = """
    import os
    from burst.storage import bulk
    from burst.storage.access import open_access
    from burst.storage.bulk_desk import Desk
    desk = Desk(open_access("gs://farm"))
    bulk.put(desk, b"x", "logs/before")
    child = os.fork()
    for number in range(3):
        bulk.put(desk, b"x", f"logs/{'parent' if child else 'child'} {number}")
    if child:
        assert os.waitpid(child, 0)[1] == 0
        bulk.put(desk, b"x", "logs/after")
"""


def test_it_is_of_use_on_both_sides_of_a_fork(gcs: StrictGcs) -> None:
    program = [sys.executable, "-c", textwrap.dedent(FORKING)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    both = {f"logs/{who} {number}" for who in ("parent", "child") for number in range(3)}
    assert set(gcs.buckets["farm"]) == {"logs/before", "logs/after", *both}
