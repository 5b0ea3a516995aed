"""Runs one program and sees to it that nothing of it is left when it is over.

Started by `burst.worker.program` as ``python guard.py <read> <write> PROGRAM ARGUMENT…`` in a
session of its own. It ends when the program has ended, or when the worker hangs up the pipe
that it reads: on purpose, or because the worker is dead. Either way it first kills every
process that came from the program. On Linux those are all its descendants, since whoever
loses its parent becomes a child of this process: a daemon too, that left its group and
session. Elsewhere it is the program's process group.

Out go ``{"event": "ended", "code": …, "left": …}``, with the number of processes that the
program left running, or ``{"event": "unstartable", "reason": …}``. Python's library only:
this starts in some milliseconds, isolated and without site packages.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_SWEEP_SECONDS = 8.0
"""How long what can't be killed, such as a process that waits for a dead disk, is waited for."""
_PAUSE_SECONDS = 0.005
_IS_LINUX = sys.platform == "linux"


def main() -> None:
    """Run the program of the command line, and leave with status 0."""
    reads, writes = int(sys.argv[1]), int(sys.argv[2])
    for pipe in (reads, writes):
        os.set_inheritable(pipe, False)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wakes, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    program = _start(sys.argv[3:], writes)
    code = _wait(program, reads, wakes)
    left = _end_all(program, is_over=code is not None)
    said = {"event": "ended", "code": code, "left": left}
    with contextlib.suppress(OSError):
        os.write(writes, json.dumps(said).encode() + b"\n")
    os._exit(0)


def _start(command: list[str], writes: int) -> int:
    guard = os.getpid()
    program = os.fork()
    if program:
        return program
    # Its own group, so that a signal to it can't be one to this process.
    os.setpgid(0, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # For the case that somebody kills this process, which then can't tidy up.
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != guard:
        os._exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted
    except OSError as error:
        said = {"event": "unstartable", "reason": error.strerror or str(error)}
        os.write(writes, json.dumps(said).encode() + b"\n")
    os._exit(127)


def _wait(program: int, reads: int, wakes: int) -> int | None:
    """Wait until the program has ended, and return how; or None when the worker hung up."""
    while True:
        ready, _, _ = select.select([reads, wakes], [], [])
        if wakes in ready:
            os.read(wakes, 512)
            code = _reap(program)
            if code is not None:
                return code
        if reads in ready and not os.read(reads, 512):
            return None


def _reap(program: int) -> int | None:
    """Take note of every child that is dead; say how the program ended if it is among them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == program:
                code = os.waitstatus_to_exitcode(status)
    return code


def _end_all(program: int, *, is_over: bool) -> int:
    """Kill what came from the program until nothing is left; return how much was left over."""
    if not _IS_LINUX:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(program, signal.SIGKILL)
        return 0
    found: set[int] = set()
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline:
        for pid in _descendants():
            found.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            # All of them become children of this process in the end: none means that none
            # is left, also of those that were born meanwhile.
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
        time.sleep(_PAUSE_SECONDS)
    return len(found) if is_over else 0


def _descendants() -> list[int]:
    """Return every living process below this one, from ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are enough
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in brackets may hold anything, brackets too.
            fields = Path(f"/proc/{entry}/stat").read_text("utf-8", "replace").rpartition(")")[2]
            state, parent = fields.split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(entry))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def _prctl(option: int, value: int) -> None:
    if _IS_LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
