"""Following a call of Terraform: its lines, who wants it to stop, and whether it hangs."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import BinaryIO

from burst.errors import RunInterrupted

AGAIN_SECONDS = 1.0
"""A second interrupt counts after this; a program around burst may pass the first one on."""
STOP_SECONDS = 60.0
"""What a call that hangs gets to stop by itself."""

GO_ON = "the same command goes on from there; burst down removes what was made"

Tell = Callable[[str], None]


class Watch:
    """Sees to it that a call ends, when somebody wants it to or it hangs."""

    def __init__(self, operation: str, pid: int, tell: Tell, silent_seconds: float) -> None:
        self._operation = operation
        self._pid = pid
        self._tell = tell
        self._silent_seconds = silent_seconds
        self._heard_at = time.monotonic()
        self._interrupted_at = 0.0
        self._killed_at = math.inf
        self.was_silent = False

    @property
    def was_interrupted(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._interrupted_at > 0

    def heard(self) -> None:
        """Note that it has said something."""
        self._heard_at = time.monotonic()

    def end_within(self, seconds: float) -> None:
        """Have it killed, unless it ends within some seconds."""
        self._killed_at = min(self._killed_at, time.monotonic() + seconds)

    def look(self, stops: Sequence[float]) -> None:
        """Interrupt or kill the call, if it is time to; ``stops`` says when somebody asked."""
        now = time.monotonic()
        if stops and not self._interrupted_at:
            self._interrupted_at = now
            self._interrupt()
            self._tell(
                f"stopping: terraform {self._operation} ends what it is at, and writes down what "
                "it made; that may take minutes (Ctrl-C again: don't wait for it)"
            )
        elif self._interrupted_at and any(
            at > self._interrupted_at + AGAIN_SECONDS for at in stops
        ):
            raise RunInterrupted(
                f"terraform {self._operation} (process {self._pid}) was left to itself; it is "
                "stopping, and writes down what it made",
                hint=GO_ON,
            )
        if now > self._heard_at + self._silent_seconds and not self.was_silent:
            self.was_silent = True
            self._interrupt()
            self.end_within(STOP_SECONDS)
        if now > self._killed_at and self._pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)

    def _interrupt(self) -> None:
        # Exactly one: at a second one it would stop without writing down what it made.
        with contextlib.suppress(ProcessLookupError):
            if self._pid:
                os.kill(self._pid, signal.SIGINT)


class Lines:
    """The lines of a file that grows."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""

    def new(self, *, is_last: bool) -> Iterator[str]:
        """Yield the whole lines that came since; at last what has no end, too."""
        content = self._rest + self._file.read()
        *whole, self._rest = content.split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        if is_last and self._rest:
            yield self._rest.decode("utf-8", "replace")
            self._rest = b""


@contextlib.contextmanager
def stops_asked() -> Iterator[list[float]]:
    """Note when somebody wants it to stop, by Ctrl-C or SIGTERM, for as long as the block runs."""
    noted = list[float]()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        noted.append(time.monotonic())

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
