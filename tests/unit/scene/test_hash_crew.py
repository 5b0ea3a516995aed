"""Hashing by processes: the same as by threads, whatever becomes of the processes.

Left out: what a hash is, and how it is remembered; see `test_scene_hashing`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.errors import SceneError
from burst.scene import digest, hash_child, hash_crew
from burst.scene.digest import hash_file
from burst.scene.hashing import Hasher
from tests.fakes.processes import started_by, wait_until_none

PROCESSES = 3
FILES = 30
SECONDS = 20


@pytest.fixture(autouse=True)
def few_files_are_many(monkeypatch):
    monkeypatch.setattr(hash_crew, "SMALL_FILES", 10)
    monkeypatch.setattr(hash_crew, "available_cores", lambda: 8)


@pytest.fixture
def read_here(monkeypatch):
    """Files that were read by this process."""
    seen = []

    def noted(path, read):
        seen.append(path)
        return hash_file(path, read)

    monkeypatch.setattr(hash_crew, "hash_file", noted)
    return seen


def tiny(folder, count=FILES):
    """Write files of some bytes each; return them as they are asked for."""
    paths = [folder / f"{number}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d " % number * (number % 7))
    return asked_for(paths)


def asked_for(paths):
    return [(path.stat().st_size, path) for path in paths]


def gate(folder):
    """Return a file, taken for a middling one, that nobody gets past before `opened`."""
    path = folder / "gate"
    os.mkfifo(path)
    return (10, path)


@contextlib.contextmanager
def opened(path):
    """Let everybody pass a gate from here on."""
    left = threading.Event()

    def open_it():
        while not left.is_set():
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            left.wait(0.002)

    thread = threading.Thread(target=open_it)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def told(news, sizes):
    """Return what was told of each file in the end; see that progress adds up."""
    news = list(news)
    assert sum(one.bytes for one in news) == sum(path.stat().st_size for _, path in sizes)
    done = [one.path for one in news if one.result is not None]
    assert sorted(done) == sorted(path for _, path in sizes)
    return {one.path: one.result for one in news if one.result is not None}


def by_threads(sizes):
    return {path: hash_file(path, lambda _count: None) for _, path in sizes}


@given(st.lists(st.integers(0, 1 << 40), max_size=100), st.integers(1, 8))
def test_every_file_is_dealt_once_and_no_share_takes_much_longer(sizes, count):
    dealt = hash_crew.shares([(size, Path(str(n))) for n, size in enumerate(sizes)], count)
    assert len(dealt) == count
    assert sorted(index for share in dealt for index in share) == list(range(len(sizes)))
    costs = [size + hash_crew._FILE_BYTES for size in sizes]
    loads = [sum(costs[index] for index in share) for share in dealt]
    assert max(loads) - min(loads) <= max(costs, default=0)


@pytest.mark.usefixtures("no_process_stays")
def test_processes_find_what_threads_find(tmp_path, read_here):
    large = tmp_path / "large"
    large.write_bytes(os.urandom(3_000_000))
    sizes = [*tiny(tmp_path, 3000), *asked_for([large])]
    found = told(hash_crew.read_files(sizes, PROCESSES), sizes)
    assert read_here == []
    assert found == told(hash_crew.read_files(sizes, 1), sizes)
    assert len(read_here) == len(sizes)


def test_few_files_are_not_worth_a_process(tmp_path, monkeypatch, read_here):
    monkeypatch.setattr(hash_crew, "SMALL_FILES", FILES + 1)
    sizes = tiny(tmp_path)
    told(hash_crew.read_files(sizes, PROCESSES), sizes)
    assert len(read_here) == FILES


def test_a_name_may_be_anything_that_a_disk_takes(tmp_path, read_here):
    names = [b"\xff\xfe", b"a\nb", b"\n", b'"], [0, "', b"\\n", b" ", "ü".encode(), b"a\rb\x1b"]
    paths = [tmp_path / os.fsdecode(name) for name in names]
    for path in paths:
        path.write_bytes(os.fsencode(path))
    sizes = [*tiny(tmp_path), *asked_for(paths)]
    assert told(hash_crew.read_files(sizes, PROCESSES), sizes) == by_threads(sizes)
    assert read_here == []


@pytest.mark.usefixtures("no_process_stays")
@pytest.mark.parametrize("what", ["gone", "a folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, what):
    sizes = tiny(tmp_path)
    bad = sizes[7][1]
    bad.unlink()
    if what == "a folder":
        bad.mkdir()
    with pytest.raises(SceneError, match=rf"can't read {bad}: "):
        list(hash_crew.read_files(sizes, PROCESSES))


@pytest.mark.usefixtures("no_process_stays")
def test_a_file_that_does_not_keep_still_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(digest, "_PAUSE_SECONDS", 0)
    sizes = tiny(tmp_path)
    bad = sizes[7][1]
    bad.unlink()
    # It says that it is empty, and is not.
    bad.symlink_to("/proc/version")
    with pytest.raises(SceneError, match=f"{bad} changed while it was read"):
        list(hash_crew.read_files(sizes, PROCESSES))


@pytest.mark.usefixtures("no_process_stays")
@pytest.mark.parametrize("who", ["all", "first", "last"])
def test_what_killed_processes_leave_is_hashed_here(tmp_path, read_here, who):
    before = set(started_by(os.getpid()))
    sizes = [*tiny(tmp_path), gate(tmp_path)]
    news = hash_crew.read_files(sizes, PROCESSES)
    first = next(news)
    running = sorted(pid for pid in started_by(os.getpid()) if pid not in before)
    for pid in {"all": running, "first": running[:1], "last": running[-1:]}[who]:
        os.kill(pid, signal.SIGKILL)
    if who == "all":
        wait_until_ended(running)
    with opened(sizes[-1][1]):
        found = told([first, *news], sizes)
        assert found == by_threads(sizes)
    if who == "all":
        assert sizes[-1][1] in read_here
    assert len(read_here) < len(sizes)


def wait_until_ended(pids):
    """Wait until none runs; whether anybody has waited for them does not matter."""
    deadline = time.monotonic() + SECONDS
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_running(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_what_was_told_of_a_file_that_is_begun_anew_is_taken_back(tmp_path, monkeypatch, read_here):
    sizes = tiny(tmp_path)

    @contextlib.contextmanager
    def ending_early(_sizes, _count):
        signature, hashed = hash_file(sizes[1][1], lambda _count: None)
        yield iter([[5, 3], [5, 4], [1, 1], [1, sizes[1][0] - 1, signature, hashed], [6, 2]])

    monkeypatch.setattr(hash_crew, "_running", ending_early)
    assert told(hash_crew.read_files(sizes, PROCESSES), sizes) == by_threads(sizes)
    assert sorted(read_here) == sorted(path for _, path in sizes if path != sizes[1][1])


def test_where_no_process_can_be_started_threads_do_it(tmp_path, monkeypatch, read_here):
    def refuse(*_program, **_how):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    sizes = tiny(tmp_path)
    assert told(hash_crew.read_files(sizes, PROCESSES), sizes) == by_threads(sizes)
    assert len(read_here) == len(sizes)


@pytest.mark.usefixtures("no_process_stays")
def test_where_processes_end_at_once_threads_do_it(tmp_path, monkeypatch, read_here):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    # More than fits into a pipe that nobody reads.
    sizes = tiny(tmp_path, 3000)
    assert told(hash_crew.read_files(sizes, PROCESSES), sizes) == by_threads(sizes)
    assert len(read_here) == len(sizes)


@pytest.mark.usefixtures("no_process_stays")
def test_who_wants_no_more_ends_the_processes(tmp_path):
    before = set(started_by(os.getpid()))
    news = hash_crew.read_files([*tiny(tmp_path), gate(tmp_path)], PROCESSES)
    next(news)
    running = [pid for pid in started_by(os.getpid()) if pid not in before]
    assert running
    news.close()
    wait_until_none(running)


@pytest.mark.usefixtures("no_process_stays")
def test_an_interruption_ends_the_processes(tmp_path):
    def interrupt(*_news):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hasher(None).hash_all([path for _, path in tiny(tmp_path)], interrupt)


def test_no_line_of_news_is_longer_than_a_pipe_takes_in_one_piece(monkeypatch):
    lines = []
    monkeypatch.setattr(os, "write", lambda _file, line: lines.append(line))
    out = hash_child._Out()
    news = [[number, 10**9, [1, 2, 3], ["a" * 64, number, 5]] for number in range(500)]
    for one in news:
        out.add(*one)
    out.flush()
    assert max(len(line) for line in lines) <= 4096
    assert all(line.endswith(b"]\n") and line.count(b"\n") == 1 for line in lines)
    descriptor = os.memfd_create("lines")
    monkeypatch.undo()
    os.write(descriptor, b"".join(lines))
    os.lseek(descriptor, 0, os.SEEK_SET)
    assert list(hash_crew._lines(descriptor)) == news
    os.close(descriptor)
