"""Runs a program of a task to its end, and nothing of it any longer than that.

Each runs under a guard of its own (``guard.py``), which kills whatever came from it when it
has ended, is to be stopped, or the worker dies. What a program may take is decided here, what
its end means in `burst.worker.commands`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burst.worker.process import Child, Exited, Line, Message

GUARD = Path(__file__).with_name("guard.py")
LAST_LINES = 20
"""Of a program's output, kept for the message of a failure."""
_LOOK_SECONDS = 0.1
_MEASURE_SECONDS = 1.0
_SWEEP_SECONDS = 10.0
"""How long the guard may take to kill everything; it is killed itself after that."""
_MEMORY_SHARE = 0.9
"""A program is stopped there: at the whole limit the kernel would kill the worker with it."""

End = Literal["exited", "stopped", "timeout", "memory", "silent"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    how: End
    code: int
    """Its exit status, or the negative signal number; without meaning if it was stopped."""
    left: int
    """Processes that it had left running, and that were killed."""
    seconds: float
    peak_memory_bytes: int
    last_lines: tuple[str, ...]


class Unstartable(Exception):
    """The program can't be started."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a program may take; None and 0 are no limit."""

    seconds: float | None = None
    memory_bytes: int = 0
    silence_seconds: float | None = None
    """How long it may print nothing."""


def run_program(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    on_line: Callable[[str], None],
    stop: threading.Event,
    allowance: Allowance,
) -> Ended:
    """Run a program and wait for its end; nothing of it is left then.

    Args:
        argv: absolute path and arguments.
        env: its whole environment.
        folder: its working directory.
        on_line: hears every line that it prints, on this thread.
        stop: set by another thread to end it at once.
        allowance: what it may take.

    Raises:
        Unstartable: there is no such program, or it may not be run.
    """
    try:
        child = Child(
            lambda reads, writes: [
                *(sys.executable, "-I", "-S", str(GUARD), str(reads), str(writes)),
                *argv,
            ],
            env=env,
            folder=folder,
        )
    except ValueError as error:
        # A NUL in an argument, or a = in the name of a variable.
        raise Unstartable(str(error)) from error
    run = _Run(child, on_line, allowance)
    try:
        while not run.is_over and not stop.is_set():
            run.look()
        return run.finish(is_stopped=stop.is_set())
    finally:
        child.close(_SWEEP_SECONDS)


class _Run:
    """One program on its way."""

    def __init__(self, child: Child, on_line: Callable[[str], None], allowance: Allowance) -> None:
        """Start the clock."""
        self._child = child
        self._on_line = on_line
        self._allowance = allowance
        self._started_at = self._measured_at = self._heard_at = time.monotonic()
        self._tail: deque[str] = deque(maxlen=LAST_LINES)
        self._peak_memory_bytes = 0
        self._ended: Message | None = None
        self._how: End = "exited"
        self.is_over = False

    def look(self) -> None:
        """Hear what the program says for a moment, and what it has taken until now."""
        self._hear(_LOOK_SECONDS)
        now = time.monotonic()
        if now - self._measured_at >= _MEASURE_SECONDS:
            self._measured_at = now
            used = self._child.usage().memory_bytes
            self._peak_memory_bytes = max(self._peak_memory_bytes, used)
            if 0 < self._allowance.memory_bytes * _MEMORY_SHARE < used:
                self._how, self.is_over = "memory", True
        if self._ended is not None:
            return
        if _is_past(self._allowance.seconds, now - self._started_at):
            self._how, self.is_over = "timeout", True
        elif _is_past(self._allowance.silence_seconds, now - self._heard_at):
            self._how, self.is_over = "silent", True

    def finish(self, *, is_stopped: bool) -> Ended:
        """Have everything ended, hear the rest, and say how it went."""
        if is_stopped:
            self._how = "stopped"
        self._child.close(_SWEEP_SECONDS)
        while self._hear(0):
            pass
        body = self._ended.body if self._ended else {}
        if body.get("event") == "unstartable":
            raise Unstartable(str(body["reason"]))
        if not body and self._how == "exited":
            # Somebody has killed the guard, and with it the program.
            body = {"code": self._child.exit_code, "left": 0}
        return Ended(
            how=self._how,
            code=body.get("code") or 0,
            left=body.get("left", 0),
            seconds=time.monotonic() - self._started_at,
            peak_memory_bytes=self._peak_memory_bytes,
            last_lines=tuple(self._tail),
        )

    def _hear(self, seconds: float) -> bool:
        item = self._child.next_item(seconds)
        if isinstance(item, Line):
            # What a terminal would show in the end of a line that was written over and over.
            text = item.text.rpartition("\r")[2]
            self._heard_at = time.monotonic()
            self._tail.append(text)
            self._on_line(text)
        elif isinstance(item, Message) and self._ended is None:
            self._ended = item
        elif isinstance(item, Exited):
            self.is_over = True
        return item is not None


def _is_past(limit: float | None, seconds: float) -> bool:
    return limit is not None and seconds > limit
