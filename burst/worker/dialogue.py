"""The talk with one Blender process, from its start to its end.

`Dialogue.ask` sends a request and waits for the answer while it feeds the watchdog; each
way in which no answer comes becomes a `BlenderFailed`, and then the process is gone.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from burst.worker.process import Child, Exited, Item, Line, Message, Usage
from burst.worker.watchdog import Verdict, Watchdog
from burst.worker.words import Ailment, ailment, is_progress

TAIL_LINES = 40
"""Blender's last lines that go with a failure."""
ANSWERED = "burst-answered"
"""The driver prints it before it answers, so that all earlier lines are known to be here."""
_TICK_SECONDS = 1.0
_LAST_LINES_SECONDS = 1.0
_DEATH_SECONDS = 10.0
_LEAVE_SECONDS = 2.0
"""How long a Blender that was told to leave may take before it is killed."""

Outcome = Literal["failed", "out_of_memory", "interrupted"]
GivesUp = Literal["task", "job"]


class BlenderFailed(Exception):
    """Blender could not do what it was told, and its process is gone."""

    def __init__(
        self,
        reason: str,
        log_tail: tuple[str, ...] = (),
        outcome: Outcome = "failed",
        peak_memory_bytes: int = 0,
        gives_up: GivesUp | None = None,
    ) -> None:
        """Keep a sentence for the artist, Blender's last lines, and what kind of end it is.

        ``gives_up`` says what no other try can save.
        """
        super().__init__(reason)
        self.reason = reason
        self.log_tail = log_tail
        self.outcome = outcome
        self.peak_memory_bytes = peak_memory_bytes
        self.gives_up = gives_up


@dataclass(frozen=True, slots=True)
class Work:
    """What Blender is doing while its answer is waited for."""

    doing: str
    """As in "Blender crashed while …"."""
    answer: str
    """The event that ends it well."""
    silence_seconds: float
    """How long it may be silent without computing."""
    folder: Path
    """Where it writes."""
    on_progress: Callable[[str, int], None] = lambda text, memory_bytes: None
    """Hears Blender's words on progress, with its memory at that time."""


class Dialogue:
    """One Blender process; `ask` is for one thread, `kill` for any."""

    def __init__(self, child: Child, memory_limit_bytes: int) -> None:
        """Take over a process that runs the driver."""
        self._child = child
        self._memory_limit_bytes = memory_limit_bytes
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._last_progress = ""
        self._ailments: set[Ailment] = set()
        self._all_heard = False
        self._killed = False
        self.peak_memory_bytes = 0

    @property
    def pid(self) -> int | None:
        """Process id, or None when the process is gone."""
        return self._child.pid if self._child.exit_code is None else None

    def kill(self) -> None:
        """End the process at once; a waiting `ask` raises "interrupted"."""
        self._killed = True
        self._child.kill()

    def close(self) -> None:
        """Let the process leave, and kill it if it does not."""
        self._child.close(_LEAVE_SECONDS)

    def ask(self, work: Work, request: dict[str, Any] | None) -> dict[str, Any]:
        """Send a request (if any) and return the body of the answer.

        Raises:
            BlenderFailed: there is none, or Blender said itself that it is not good.
        """
        self._ailments.clear()
        self._all_heard = False
        if request:
            self._child.send(request)
        usage = self._usage()
        checked_at = time.monotonic()
        watchdog = Watchdog(work.silence_seconds, self._memory_limit_bytes, checked_at, usage)
        while True:
            item = self._child.next_item(_TICK_SECONDS)
            now = time.monotonic()
            if now - checked_at >= _TICK_SECONDS:
                checked_at, usage = now, self._usage()
                self._obey(watchdog.check(now, usage), work)
            if item is None:
                continue
            watchdog.heard(now, usage)
            if isinstance(item, Message) and item.body["event"] == work.answer:
                self._hear_last_lines(work)
                return item.body
            self._note(item, work, usage.memory_bytes)

    def failure(
        self,
        work: Work,
        reason: str,
        outcome: Outcome = "failed",
        gives_up: GivesUp | None = None,
    ) -> BlenderFailed:
        """End the process and make the failure, with the deepest cause that is known."""
        self._child.kill()
        deadline = time.monotonic() + _DEATH_SECONDS
        while self._child.exit_code is None and time.monotonic() < deadline:
            item = self._child.next_item(_TICK_SECONDS)
            if isinstance(item, Line):
                self._hear(item.text)
        self._child.close(0)
        if self._killed:
            reason, outcome = f"Blender was stopped while {work.doing}", "interrupted"
            gives_up = None
        elif Ailment.OUT_OF_MEMORY in self._ailments and outcome != "out_of_memory":
            reason, outcome = f"Blender ran out of memory while {work.doing}", "out_of_memory"
        elif Ailment.DISK_FULL in self._ailments:
            reason = disk_full(work.folder)
        tail = (*self._tail, self._last_progress) if self._last_progress else tuple(self._tail)
        return BlenderFailed(reason, tail, outcome, self.peak_memory_bytes, gives_up)

    def _usage(self) -> Usage:
        usage = self._child.usage()
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.memory_bytes)
        return usage

    def _obey(self, verdict: Verdict | None, work: Work) -> None:
        if verdict is Verdict.TOO_BIG:
            used, limit = self.peak_memory_bytes / 2**30, self._memory_limit_bytes / 2**30
            reason = f"Blender used {used:.1f} of {limit:.1f} GiB of memory while {work.doing}"
            raise self.failure(work, reason, "out_of_memory")
        if verdict is Verdict.HUNG:
            silence = f"no sign of life for {work.silence_seconds:.0f} seconds"
            raise self.failure(work, f"Blender hung while {work.doing}: {silence}")

    def _note(self, item: Item, work: Work, memory_bytes: int) -> None:
        """Take notice of anything that is not the awaited answer."""
        if isinstance(item, Exited):
            raise self._ended(item.code, work)
        if isinstance(item, Line):
            self._hear(item.text)
            if is_progress(item.text):
                work.on_progress(item.text, memory_bytes)
        elif item.body["event"] == "stats":
            self._last_progress = item.body["text"]
            work.on_progress(item.body["text"], memory_bytes)
        elif item.body["event"] == "failed":
            reason = f"Blender failed while {work.doing}: {item.body['reason']}"
            raise self.failure(work, reason, gives_up=item.body.get("gives_up"))

    def _hear(self, text: str) -> None:
        if is_progress(text):
            self._last_progress = text
        elif text == ANSWERED:
            self._all_heard = True
        else:
            self._tail.append(text)
            if cause := ailment(text):
                self._ailments.add(cause)

    def _hear_last_lines(self, work: Work) -> None:
        """Read the lines that were printed before the answer, and believe them more."""
        deadline = time.monotonic() + _LAST_LINES_SECONDS
        while not self._all_heard and (left := deadline - time.monotonic()) > 0:
            item = self._child.next_item(left)
            if isinstance(item, Line):
                self._hear(item.text)
                if is_progress(item.text):
                    work.on_progress(item.text, self.peak_memory_bytes)
            elif isinstance(item, Exited):
                raise self._ended(item.code, work)
        if Ailment.DISK_FULL in self._ailments:
            raise self.failure(work, disk_full(work.folder))

    def _ended(self, code: int, work: Work) -> BlenderFailed:
        if code == -signal.SIGKILL:
            # Not by us, so by the kernel: nobody else does, and that is what it does it for.
            reason = f"Blender was killed while {work.doing}, probably for lack of memory"
            return self.failure(work, reason, "out_of_memory")
        if code < 0:
            name = signal.Signals(-code).name
            return self.failure(work, f"Blender crashed ({name}) while {work.doing}")
        return self.failure(work, f"Blender left with exit status {code} while {work.doing}")


def disk_full(folder: Path) -> str:
    """Return the sentence for a disk without room for a frame."""
    return f"the disk is full: Blender could not write to {folder}"
