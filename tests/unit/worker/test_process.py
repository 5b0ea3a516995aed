"""A child process: what it says arrives in order, and nothing of it is left behind."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from burst.worker import process
from burst.worker.process import LINES_WAITING_MAX, Child, Exited, Item, Line, Message, ask

PATIENCE_SECONDS = 120


def start(script: str, tmp_path: Path, heard: list[str] | None = None) -> Child:
    program = f"import json, os, sys, time\nreads, writes = map(int, sys.argv[1:])\n{script}"
    return Child(
        lambda reads, writes: [sys.executable, "-c", program, str(reads), str(writes)],
        env={"PATH": os.environ["PATH"]},
        folder=tmp_path,
        on_line=(heard if heard is not None else []).append,
    )


def until_exit(child: Child) -> list[Item]:
    items: list[Item] = []
    while not items or not isinstance(items[-1], Exited):
        item = child.next_item(PATIENCE_SECONDS)
        assert item is not None, items
        items.append(item)
    return items


def test_lines_messages_and_the_end_arrive_and_the_end_is_last(tmp_path: Path) -> None:
    heard: list[str] = []
    script = """
print("one"); print("two", file=sys.stderr, flush=True)
os.write(writes, b'{"event": "x"}\\n')
sys.exit(3)
"""
    items = until_exit(start(script, tmp_path, heard))
    assert {item.text for item in items if isinstance(item, Line)} == {"one", "two"}
    assert [item.body for item in items if isinstance(item, Message)] == [{"event": "x"}]
    assert items[-1] == Exited(3)
    assert sorted(heard) == ["one", "two"]


def test_a_message_larger_than_a_pipe_arrives_whole(tmp_path: Path) -> None:
    script = """
text = os.fdopen(reads).readline()
os.write(writes, json.dumps({"length": len(json.loads(text)["x"])}).encode() + b"\\n")
"""
    child = start(script, tmp_path)
    child.send({"x": "a" * 500_000})
    assert Message({"length": 500_000}) in until_exit(child)


@pytest.mark.parametrize(
    "garbage", ["b'{'", "b'[1, 2]'", "b'word'", "bytes([255])", "b'[' * 60000"]
)
def test_what_is_no_message_arrives_as_an_empty_one(tmp_path: Path, garbage: str) -> None:
    script = f"""
os.write(writes, {garbage} + b'\\n')
os.write(writes, b'{{"event": "x"}}\\n')
"""
    items = until_exit(start(script, tmp_path))
    assert [item.body for item in items if isinstance(item, Message)] == [{}, {"event": "x"}]


def test_a_child_that_prints_faster_than_it_is_heard_has_to_wait(tmp_path: Path) -> None:
    lines = 3 * LINES_WAITING_MAX
    script = f"""
for number in range({lines}): print(number)
sys.stdout.flush()
os.write(writes, b'{{"event": "printed"}}\\n')
"""
    child = start(script, tmp_path)
    # The pipe holds some thousand short lines more.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while child._queue.qsize() <= LINES_WAITING_MAX and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.exit_code is None
    assert LINES_WAITING_MAX < child._queue.qsize() < LINES_WAITING_MAX + 5
    items = until_exit(child)
    printed = [item.text for item in items if isinstance(item, Line)]
    assert printed == [str(number) for number in range(lines)]


def test_the_processor_time_of_ended_children_is_not_forgotten(tmp_path: Path) -> None:
    script = """
import subprocess
burn = "import time\\nend = time.process_time() + 0.5\\nwhile time.process_time() < end: pass"
subprocess.run([sys.executable, "-c", burn], check=True)
os.write(writes, b'{"event": "burnt"}\\n')
time.sleep(60)
"""
    child = start(script, tmp_path)
    try:
        assert child.next_item(PATIENCE_SECONDS) == Message({"event": "burnt"})
        assert child.usage().cpu_seconds >= 0.5
    finally:
        child.close(0)


def test_a_line_without_end_is_passed_on_in_pieces(tmp_path: Path) -> None:
    items = until_exit(start("print('a' * 100_000, end='')", tmp_path))
    pieces = [item.text for item in items if isinstance(item, Line)]
    assert "".join(pieces) == "a" * 100_000
    assert len(pieces) > 1


def test_a_kill_takes_what_the_child_started(tmp_path: Path) -> None:
    script = """
import subprocess
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
os.write(writes, json.dumps({"pid": grandchild.pid}).encode() + b"\\n")
time.sleep(600)
"""
    child = start(script, tmp_path)
    message = child.next_item(PATIENCE_SECONDS)
    assert isinstance(message, Message)
    grandchild = psutil.Process(message.body["pid"])
    child.kill()
    assert until_exit(child)[-1] == Exited(-9)
    psutil.wait_procs([grandchild], timeout=PATIENCE_SECONDS)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_what_the_child_left_running_ends_with_it(tmp_path: Path) -> None:
    script = """
import subprocess
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
os.write(writes, json.dumps({"pid": grandchild.pid}).encode() + b"\\n")
"""
    items = until_exit(start(script, tmp_path))
    pid = next(item.body["pid"] for item in items if isinstance(item, Message))
    if psutil.pid_exists(pid):
        psutil.wait_procs([psutil.Process(pid)], timeout=PATIENCE_SECONDS)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_closing_is_polite_first_and_then_is_not(tmp_path: Path) -> None:
    polite = start("os.fdopen(reads).read(); sys.exit(4)", tmp_path)
    polite.close(PATIENCE_SECONDS)
    assert polite.exit_code == 4
    stubborn = start("time.sleep(600)", tmp_path)
    stubborn.close(0)
    assert stubborn.exit_code == -9


def test_sending_to_and_killing_a_dead_child_does_nothing(tmp_path: Path) -> None:
    child = start("pass", tmp_path)
    until_exit(child)
    child.send({"do": "load"})
    child.kill()
    assert child.usage().memory_bytes == 0
    assert child.exit_code == 0


def test_usage_counts_memory_and_processor_of_the_child(tmp_path: Path) -> None:
    script = """
deadline = time.process_time() + 0.3
while time.process_time() < deadline: pass
os.write(writes, b'{"event": "busy"}\\n')
os.fdopen(reads).read()
"""
    child = start(script, tmp_path)
    assert child.next_item(PATIENCE_SECONDS) == Message({"event": "busy"})
    usage = child.usage()
    child.close(PATIENCE_SECONDS)
    assert usage.cpu_seconds >= 0.2
    assert usage.memory_bytes > 2**20


def test_a_program_that_is_not_there_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(FileNotFoundError):
        Child(lambda reads, writes: ["/no/such/program"], env={}, folder=tmp_path)
    assert psutil.Process().num_fds() == before


def test_a_child_that_ended_leaves_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    before, threads = psutil.Process().num_fds(), threading.active_count()
    child = start("print('x')", tmp_path)
    until_exit(child)
    child.close(PATIENCE_SECONDS)
    del child
    assert psutil.Process().num_fds() == before
    assert threading.active_count() == threads


@pytest.mark.parametrize("listed", [True, False])
def test_every_child_of_every_thread_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    if not listed:
        monkeypatch.setattr(process, "_CHILDREN", tmp_path / "none")
    script = "import time; time.sleep(60)"
    done = threading.Event()
    with ThreadPoolExecutor(3) as threads:
        # Whoever starts one stays, since it is his child.
        started: SimpleQueue[Child] = SimpleQueue()
        for _ in range(3):
            threads.submit(lambda: (started.put(start(script, tmp_path)), done.wait(60)))
        children = [started.get(timeout=PATIENCE_SECONDS) for _ in range(3)]
        seen = {child.pid for child in process._children()}
        done.set()
    for child in children:
        child.close(0)
    assert {child.pid for child in children} <= seen
    assert {child.pid for child in children}.isdisjoint(one.pid for one in process._children())


def test_asking_a_program_gives_its_words_or_nothing() -> None:
    env = {"PATH": os.environ["PATH"]}
    said = ask([sys.executable, "-c", "print('x')"], env=env, timeout_seconds=PATIENCE_SECONDS)
    assert said == "x\n"
    assert ask(["/no/such/program"], env=env, timeout_seconds=1) == ""
    slow = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert ask(slow, env=env, timeout_seconds=0.1) == ""
