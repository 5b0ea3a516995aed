"""Child processes of the worker: start one with pipes, hear it, end it for certain.

The only module of the worker that imports `subprocess`. A `Child` runs in a session of its
own, so that ending it takes everything it started. It talks JSON lines over two pipes of
their own; what it prints is something else and comes as lines of text. What a child does
and when it has to die is decided in `burst.worker.blender`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import psutil

LINE_BYTES = 8192
"""A longer line is cut in pieces: a child that prints no newline must not fill memory."""
LINES_WAITING_MAX = 10_000
"""A child that prints faster than it is heard has to wait, or what it says would fill memory."""
_WAIT_SECONDS = 0.005
MESSAGE_BYTES = 16 * 1024 * 1024
"""A message is some kilobytes; what is longer is none."""
_DRAIN_SECONDS = 2.0
"""How long the last lines of a dead child are waited for."""
_PR_SET_CHILD_SUBREAPER = 36
_DEATH_SECONDS = 5.0
"""How long a child that was killed may take to be gone; who waits in the kernel can't die."""
_ORPHANS_SECONDS = 5.0
_ORPHANS_PAUSE_SECONDS = 0.005
_CHILDREN = Path("/proc/thread-self/children")


@dataclass(frozen=True, slots=True)
class Line:
    """The child printed a line."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """The child sent a JSON object; an empty one stands for what is none."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exited:
    """The child is gone, and so is everything it started; nothing comes after this."""

    code: int
    """As `subprocess` has it: the negative signal number if a signal ended it."""


Item = Line | Message | Exited


@dataclass(frozen=True, slots=True)
class Usage:
    """What a child and its descendants use at this moment."""

    memory_bytes: int
    cpu_seconds: float


_births = threading.Lock()
"""Held while a child is started and written down."""
_own_pids: set[int] = set()
"""Children that somebody here waits for."""
_left_behind: set[int] = set()
"""Children that were killed, and are still there."""
_adopts = threading.Event()


def adopt_orphans() -> None:
    """From now on become the parent of every descendant that loses its own, where Linux does.

    So a process that left its group and session, and whose parent is dead, is still known to
    have come from a task: `end_orphans` ends it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _adopts.set()


def left_behind() -> bool:
    """Say whether there is a child that can't be killed: it waits for a disk or a mount."""
    return bool(_left_behind)


def end_orphans() -> int:
    """Kill everything that was adopted, and return how many processes that were."""
    if not _adopts.is_set():
        return 0
    killed: set[int] = set()
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while time.monotonic() < deadline:
        with _births:
            orphans = [child for child in _children() if child.pid not in _own_pids]
        if not orphans:
            break
        for orphan in orphans:
            with contextlib.suppress(psutil.Error):
                for process in (orphan, *orphan.children(recursive=True)):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        killed.add(process.pid)
                        process.kill()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan.pid, os.WNOHANG)
        time.sleep(_ORPHANS_PAUSE_SECONDS)
    return len(killed)


def _children() -> list[psutil.Process]:
    """Return the children of this process.

    From the kernel's own list, where it keeps one: to look through every process of a big
    machine takes tens of milliseconds, and this is done between two frames.
    """
    if not _CHILDREN.exists():
        return psutil.Process().children()
    pids: set[str] = set()
    # Twice: while a child is reaped, the one behind it may be passed over.
    for _ in range(2):
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                pids.update((thread / "children").read_text("ascii").split())
    found = []
    for pid in map(int, pids):
        with contextlib.suppress(psutil.Error):
            found.append(psutil.Process(pid))
    return found


def _start(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, and write down that it is ours."""
    with _births:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )
        _own_pids.add(process.pid)
    return process


class Child:
    """A running program, its two message pipes, and a queue of what it says."""

    def __init__(
        self,
        argv: Callable[[int, int], Sequence[str]],
        *,
        env: Mapping[str, str],
        folder: Path,
        on_line: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Start the program.

        Where the child asks the kernel to die with its parent (the driver does), "parent"
        is the calling *thread*: call this from one that lives as long as the child may.

        Args:
            argv: makes the command line from two descriptors of the child: the one it
                reads messages from, and the one it writes messages to.
            env: the child's whole environment.
            folder: its working directory.
            on_line: hears every line at once, on a thread of its own.

        Raises:
            OSError: the program can't be started.
        """
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._on_line = on_line
        self._kill_lock = threading.Lock()
        self._pipe_lock = threading.Lock()
        self._reaped = False
        self.exit_code: int | None = None
        child_reads, self._commands = os.pipe()
        events, child_writes = os.pipe()
        try:
            self._process = _start(
                argv(child_reads, child_writes),
                pass_fds=(child_reads, child_writes),
                env=dict(env),
                cwd=folder,
            )
        except BaseException:
            os.close(self._commands)
            os.close(events)
            raise
        finally:
            os.close(child_reads)
            os.close(child_writes)
        self._start_threads(events)

    @property
    def pid(self) -> int:
        """Process id of the program; its process group has the same number."""
        return self._process.pid

    def next_item(self, timeout_seconds: float) -> Item | None:
        """Return what the child said next, or None if it said nothing in that time."""
        try:
            return self._queue.get(timeout=timeout_seconds)
        except queue.Empty:
            return None

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one JSON object; if the child is dead, nothing happens: `Exited` will come.

        Blocks while the pipe is full, so a child should be known to listen (by a message of
        its own) before it is sent more than the 64 KiB that a pipe holds.
        """
        data = json.dumps(message).encode() + b"\n"
        with self._pipe_lock, contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._commands, data) :]

    def usage(self) -> Usage:
        """Add up memory and processor time of the program and all its descendants."""
        memory_bytes, cpu_seconds = 0, 0.0
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self.pid)
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    cpu_seconds += times.user + times.system
                    # Of those that have ended: a sum that shrinks would look like a standstill.
                    cpu_seconds += times.children_user + times.children_system
                    memory_bytes += process.memory_info().rss
        return Usage(memory_bytes, cpu_seconds)

    def kill(self) -> None:
        """End the whole process group at once. Any thread may call this, any time."""
        with self._kill_lock:
            # Once reaped, the number may belong to somebody else.
            if not self._reaped:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)

    def close(self, grace_seconds: float) -> None:
        """Hang up, wait for the program to leave, and kill it if it does not. Blocks.

        One that can't be killed is left behind: `exit_code` stays None, see `left_behind`.
        """
        self._hang_up()
        self._waiter.join(grace_seconds)
        self.kill()
        self._waiter.join(_DEATH_SECONDS)
        if self._waiter.is_alive():
            _left_behind.add(self.pid)
            if not self._waiter.is_alive():
                _left_behind.discard(self.pid)

    def _start_threads(self, events: int) -> None:
        output = self._process.stdout
        assert output is not None  # noqa: S101 - stdout=PIPE was asked for
        self._readers = (
            threading.Thread(target=self._read_lines, args=(output,), name="child-output"),
            threading.Thread(
                target=self._read_messages, args=(os.fdopen(events, "rb"),), name="child-events"
            ),
        )
        self._waiter = threading.Thread(target=self._wait, name="child-exit")
        for thread in (*self._readers, self._waiter):
            thread.daemon = True
            thread.start()

    def _read_lines(self, output: BinaryIO) -> None:
        with output, contextlib.suppress(OSError, ValueError):
            while raw := output.readline(LINE_BYTES):
                text = raw.decode("utf-8", "replace").rstrip()
                if text:
                    self._queue.put(Line(text))
                    self._on_line(text)
                while self._queue.qsize() > LINES_WAITING_MAX and not self._reaped:
                    time.sleep(_WAIT_SECONDS)

    def _read_messages(self, events: BinaryIO) -> None:
        with events, contextlib.suppress(OSError, ValueError):
            while raw := events.readline(MESSAGE_BYTES):
                self._queue.put(Message(_object(raw)))

    def _wait(self) -> None:
        if hasattr(os, "waitid"):
            # While the dead leader is not reaped its number is taken, so that the group
            # can be killed without hitting a stranger. macOS has this only lately.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self.kill()
            with self._kill_lock:
                code = self._process.wait()
                self._reaped = True
        else:
            code = self._process.wait()
            self.kill()
            with self._kill_lock:
                self._reaped = True
        _own_pids.discard(self.pid)
        _left_behind.discard(self.pid)
        # Before its last lines are read: they end when nobody has the pipe open any more.
        end_orphans()
        for reader in self._readers:
            reader.join(_DRAIN_SECONDS)
        self._hang_up()
        self.exit_code = code
        self._queue.put(Exited(code))

    def _hang_up(self) -> None:
        with self._pipe_lock:
            if self._commands >= 0:
                os.close(self._commands)
                self._commands = -1


def _object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in a line, or an empty one."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def ask(argv: Sequence[str], *, env: Mapping[str, str], timeout_seconds: float) -> str:
    """Run a program that answers shortly and return what it printed, errors included.

    Returns:
        Its output, or an empty text if it can't be started or does not end in time.
    """
    try:
        with _start(argv, env=dict(env)) as process:
            try:
                output, _ = process.communicate(timeout=timeout_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return ""
            finally:
                _own_pids.discard(process.pid)
    except OSError:
        return ""
    return output.decode("utf-8", "replace")
