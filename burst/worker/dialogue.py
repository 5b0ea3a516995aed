"""The talk with one Blender process, from its start to its end.

`Dialogue.ask` sends a request and waits for the answer while it feeds the watchdog; each
way in which no answer comes becomes a `BlenderFailed`, and then the process is gone.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from burst.worker.faults import CAUSES, Fault, Outcome, deepest, how_it_ended
from burst.worker.oomkills import OomKills
from burst.worker.process import Child, Exited, Item, Line, Message, Usage
from burst.worker.watchdog import Verdict, Watchdog
from burst.worker.words import Ailment, ailment, crash_report, is_progress

TAIL_LINES = 40
"""Blender's last lines that go with a failure."""
ANSWERED = "burst-answered"
"""The driver prints it before it answers, so that all earlier lines are known to be here."""
_FULL_BYTES = 4096
"""A disk with less than a block left is full."""
_TICK_SECONDS = 1.0
_LAST_LINES_SECONDS = 1.0
_DEATH_SECONDS = 10.0
_LEAVE_SECONDS = 2.0
"""How long a Blender that was told to leave may take before it is killed."""
_REPORT_BYTES = 100_000
"""A crash report is some kilobytes; more of it is not read."""
NOISE = "Extension modules:"
"""Begins the one line of a Python crash report that is of use to nobody."""

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
        fault: Fault | None = None,
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
        self.fault = fault

    @property
    def suspect(self) -> Literal["device"] | None:
        """What of the machine may be broken, as far as this end tells."""
        return self.fault.suspect if self.fault else None


def failed(fault: Fault, **facts: Any) -> BlenderFailed:
    """Return the failure for a fault that needs no process to be looked at."""
    return BlenderFailed(fault.sentence(**facts), outcome=fault.outcome, fault=fault)


def is_full(folder: Path) -> bool:
    """Say whether the disk of a folder has no block left; False if there is no such folder."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _FULL_BYTES
    return False


@dataclass(frozen=True, slots=True)
class Work:
    """What Blender is doing while its answer is waited for."""

    doing: str
    """As in "Blender crashed while …"."""
    answer: str
    """The event that ends it well."""
    silence_seconds: float
    """How long it may be silent without computing."""
    silence_setting: str
    """Name of the setting that this is."""
    folder: Path
    """Where it writes."""
    on_progress: Callable[[str, int], None] = lambda text, memory_bytes: None
    """Hears Blender's words on progress, with its memory at that time."""


class Dialogue:
    """One Blender process; `ask` is for one thread, `kill` for any."""

    def __init__(
        self,
        child: Child,
        memory_limit_bytes: int,
        crash_reports: Path,
        on_line: Callable[[str], None],
    ) -> None:
        """Take over a process that runs the driver.

        Args:
            child: the process.
            memory_limit_bytes: see `Watchdog`.
            crash_reports: folder where Blender leaves a ``.crash.txt``.
            on_line: hears what is worth saying while it works.
        """
        self._child = child
        self._memory_limit_bytes = memory_limit_bytes
        self._crash_reports = crash_reports
        self._on_line = on_line
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._last_progress = ""
        self._said: dict[Ailment, str] = {}
        self._all_heard = False
        self._killed = False
        self._killed_at = 0.0
        self.peak_memory_bytes = 0

    @property
    def pid(self) -> int | None:
        """Process id, or None when the process is gone or was told to go."""
        return self._child.pid if self._child.exit_code is None and not self._killed else None

    def kill(self) -> None:
        """End the process at once; a waiting `ask` raises "interrupted"."""
        self._killed_at = time.monotonic()
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
        self._said.clear()
        self._all_heard = False
        self._oom_kills = OomKills(self._child.pid)
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
                if self._killed and now - self._killed_at > _DEATH_SECONDS:
                    raise self.failure(work, Fault.STUCK)
                self._obey(watchdog.check(now, usage), work)
            if item is None:
                continue
            watchdog.heard(now, usage)
            if isinstance(item, Message) and item.body.get("event") == work.answer:
                self._hear_last_lines(work)
                return item.body
            self._note(item, work, usage.memory_bytes)

    def failure(
        self, work: Work, fault: Fault, gives_up: GivesUp | None = None, **facts: Any
    ) -> BlenderFailed:
        """End the process and make the failure, with the deepest cause that is known."""
        self._child.kill()
        deadline = time.monotonic() + _DEATH_SECONDS
        while self._child.exit_code is None and time.monotonic() < deadline:
            item = self._child.next_item(_TICK_SECONDS)
            if isinstance(item, Line):
                self._hear(item.text)
        self._child.close(0)
        cause, words = (Fault.STOPPED, "") if self._killed else deepest(fault, self._said)
        if self._child.exit_code is None:
            cause, words = Fault.STUCK, ""
        facts = {"doing": work.doing, "folder": work.folder, "words": words, **facts}
        return BlenderFailed(
            cause.sentence(**facts),
            self._last_words(),
            cause.outcome,
            self.peak_memory_bytes,
            # What was said of one cause is not true of another.
            gives_up if cause is fault else None,
            cause,
        )

    def _last_words(self) -> tuple[str, ...]:
        """Return what Blender said last, and what it wrote down when it crashed."""
        lines = [*self._tail]
        if self._last_progress:
            lines.append(self._last_progress)
        for report in sorted(self._crash_reports.glob("*.crash.txt")):
            with contextlib.suppress(OSError), report.open(encoding="utf-8", errors="replace") as f:
                lines += crash_report(f.read(_REPORT_BYTES))
        return tuple(lines)

    def _usage(self) -> Usage:
        usage = self._child.usage()
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.memory_bytes)
        return usage

    def _obey(self, verdict: Verdict | None, work: Work) -> None:
        if verdict is Verdict.TOO_BIG:
            used, limit = self.peak_memory_bytes / 2**30, self._memory_limit_bytes / 2**30
            raise self.failure(work, Fault.TOO_BIG, used=used, limit=limit)
        if verdict is Verdict.HUNG:
            seconds, setting = work.silence_seconds, work.silence_setting
            raise self.failure(work, Fault.HUNG, seconds=seconds, setting=setting)
        if verdict is Verdict.SLOW:
            silence = f"Blender has said nothing for {work.silence_seconds:.0f} seconds"
            self._on_line(f"{silence} while {work.doing}, but it computes")

    def _note(self, item: Item, work: Work, memory_bytes: int) -> None:
        """Take notice of anything that is not the awaited answer."""
        if isinstance(item, Exited):
            raise self._ended(item.code, work)
        if isinstance(item, Line):
            self._hear(item.text)
            if is_progress(item.text):
                work.on_progress(item.text, memory_bytes)
        elif item.body.get("event") == "stats" and isinstance(item.body.get("text"), str):
            self._last_progress = item.body["text"]
            work.on_progress(item.body["text"], memory_bytes)
        elif item.body.get("event") == "failed":
            reason = str(item.body.get("reason"))
            self._note_ailment(reason)
            if is_full(work.folder):
                # 5.0 says of a TIFF: "Render error (Success) cannot save".
                self._said.setdefault(Ailment.DISK_FULL, reason)
            gives_up = item.body.get("gives_up")
            raise self.failure(work, Fault.REFUSED, gives_up, reason=reason)
        else:
            raise self.failure(work, Fault.GARBLED)

    def _hear(self, text: str) -> None:
        if is_progress(text):
            self._last_progress = text
        elif text == ANSWERED:
            self._all_heard = True
        elif not text.startswith(NOISE):
            self._tail.append(text)
            self._note_ailment(text)

    def _note_ailment(self, text: str) -> None:
        if cause := ailment(text):
            self._said.setdefault(cause, text)

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
        for cause in (Ailment.GPU_OUT_OF_MEMORY, Ailment.GPU_LOST, Ailment.DISK_FULL):
            if cause in self._said:
                # Whatever the answer says: such a picture may be black, or cut short.
                raise self.failure(work, CAUSES[cause])

    def _ended(self, code: int, work: Work) -> BlenderFailed:
        fault, facts = how_it_ended(code, self._oom_kills.grew())
        return self.failure(work, fault, **facts)
