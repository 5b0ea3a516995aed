"""Programs of tasks: how they end, and that nothing of them is left, whoever dies when.

Real processes that leave their group and session and lose their parents; Linux only, as far
as they do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from burst.worker.program import Allowance, Ended, Unstartable, run_program

PATIENCE_SECONDS = 120
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")

DAEMON = """
import os, sys, time
# Twice, as a daemon does: nobody is its parent, and no group or session tells where it is from.
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        os.rename(sys.argv[1], sys.argv[1] + ".pid")
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1] + ".pid"):
    time.sleep(0.01)
"""
THEN_WAIT = DAEMON + "print('ready', flush=True); time.sleep(600)"


class Heard(list[str]):
    """Lines, and what to do when one comes."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._then = then

    def __call__(self, text: str) -> None:
        self.append(text)
        self._then()


def run(
    tmp_path: Path,
    *argv: str,
    on_line: Callable[[str], None] = lambda text: None,
    stop: threading.Event | None = None,
    allowance: Allowance = Allowance(),  # noqa: B008 - frozen
) -> Ended:
    return run_program(
        argv,
        env={"PATH": os.environ["PATH"]},
        folder=tmp_path,
        on_line=on_line,
        stop=stop or threading.Event(),
        allowance=allowance,
    )


def daemon_of(tmp_path: Path) -> int:
    return int((tmp_path / "daemon.pid").read_text())


def is_gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(PATIENCE_SECONDS)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_a_program_is_heard_and_its_end_is_told(tmp_path: Path) -> None:
    heard = Heard()
    script = "echo out; echo err >&2; pwd; exit 3"
    ended = run(tmp_path, "/bin/sh", "-c", script, on_line=heard)
    assert (ended.how, ended.code, ended.left) == ("exited", 3, 0)
    assert heard == ["out", "err", str(tmp_path)] == list(ended.last_lines)


def test_a_program_that_a_signal_ends_has_its_number(tmp_path: Path) -> None:
    assert run(tmp_path, "/bin/sh", "-c", "kill -SEGV $$").code == -signal.SIGSEGV


def test_a_program_has_no_input_and_only_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_WORKER_TOKEN", "secret")
    heard = Heard()
    assert run(tmp_path, "/bin/sh", "-c", "cat; env", on_line=heard).code == 0
    names = {line.partition("=")[0] for line in heard}
    assert "PATH" in names
    assert not any("secret" in line for line in heard)
    assert names <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD", "LC_CTYPE"}


@pytest.mark.parametrize("name", ["nothing-here", "not-for-running"])
def test_what_is_no_program_is_named_as_that(tmp_path: Path, name: str) -> None:
    (tmp_path / "not-for-running").write_text("x")
    with pytest.raises(Unstartable, match=r"No such file|Permission denied|Exec format"):
        run(tmp_path, str(tmp_path / name))


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    ended = run(tmp_path, "/bin/sleep", "600", allowance=Allowance(seconds=0.2))
    assert ended.how == "timeout"


def test_a_program_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    script = "x = bytearray(300 << 20); print('full', flush=True); import time; time.sleep(600)"
    allowance = Allowance(memory_bytes=200 << 20)
    ended = run(tmp_path, sys.executable, "-c", script, allowance=allowance)
    assert ended.how == "memory"
    assert ended.peak_memory_bytes > 250 << 20


@linux
def test_a_daemon_ends_with_the_program_that_left_it(tmp_path: Path) -> None:
    ended = run(tmp_path, sys.executable, "-c", DAEMON, str(tmp_path / "daemon"))
    assert (ended.how, ended.code, ended.left) == ("exited", 0, 1)
    assert is_gone(daemon_of(tmp_path))


@linux
def test_a_daemon_ends_when_the_task_is_canceled(tmp_path: Path) -> None:
    stop = threading.Event()
    arguments = (sys.executable, "-c", THEN_WAIT, str(tmp_path / "daemon"))
    ended = run(tmp_path, *arguments, on_line=Heard(stop.set), stop=stop)
    assert ended.how == "stopped"
    assert is_gone(daemon_of(tmp_path))


@linux
def test_a_daemon_ends_when_the_time_is_over(tmp_path: Path) -> None:
    arguments = (sys.executable, "-c", THEN_WAIT, str(tmp_path / "daemon"))
    ended = run(tmp_path, *arguments, allowance=Allowance(seconds=1.5))
    assert ended.how == "timeout"
    assert ended.last_lines == ("ready",)
    assert is_gone(daemon_of(tmp_path))


@linux
def test_everything_ends_when_the_worker_is_killed(tmp_path: Path) -> None:
    with worker_with_daemon(tmp_path) as worker:
        program = psutil.Process(worker.pid).children(recursive=True)
        assert len(program) >= 2
        worker.kill()
    assert is_gone(daemon_of(tmp_path))
    assert all(is_gone(process.pid) for process in program)


@linux
def test_a_program_that_kills_its_guard_leaves_nothing_either(tmp_path: Path) -> None:
    with worker_with_daemon(tmp_path) as worker:
        guard = psutil.Process(worker.pid).children()[0]
        guard.kill()
        assert worker.stdout
        # By then the worker has ended what it adopted.
        assert worker.stdout.readline() == b"exited -9\n"
        assert is_gone(daemon_of(tmp_path))


@contextmanager
def worker_with_daemon(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that runs a program with a daemon, and wait until both are there."""
    script = f"""
import sys, threading
from pathlib import Path
from burst.worker.process import adopt_orphans, end_orphans
from burst.worker.program import Allowance, run_program
adopt_orphans()
ended = run_program(
    [sys.executable, "-c", {THEN_WAIT!r}, {str(tmp_path / "daemon")!r}],
    env={{"PATH": ""}}, folder=Path({str(tmp_path)!r}), stop=threading.Event(),
    on_line=lambda text: print(text, flush=True), allowance=Allowance(),
)
end_orphans()
print(ended.how, ended.code, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as worker:
        try:
            assert worker.stdout
            assert worker.stdout.readline() == b"ready\n"
            yield worker
        finally:
            worker.kill()


@linux
def test_processes_that_are_born_while_they_are_ended_end_too(tmp_path: Path) -> None:
    script = "(while :; do setsid sleep 600 & done) & sleep 0.3; exit 0"
    ended = run(tmp_path, "/bin/sh", "-c", script)
    assert ended.code == 0
    assert ended.left > 1
    mine = str(tmp_path)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := [p for p in psutil.process_iter() if _is_in(p, mine)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert left == []


def _is_in(process: psutil.Process, folder: str) -> bool:
    try:
        return process.cwd() == folder and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
