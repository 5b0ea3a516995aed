"""What a command tells the artist: lines for the job's log, not too many, and its progress.

A program can print faster than anybody reads and than a log can hold. Lines above a rate, and
all beyond a size, are dropped; that is said once, and how many there were at the end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

LINES_A_SECOND = 100
LINES_AT_ONCE = 500
"""May come in one go before the rate counts."""
BYTES_MAX = 4 * 1024 * 1024
"""Of one task's output in the job's log."""
LINE_CHARACTERS = 4000
_PROGRESS_SECONDS = 0.2

Say = Callable[[str, str], None]
"""Takes a level and a line."""
Tell = Callable[[float | None, str], None]
"""Takes a percentage, if there is one, and what is being done."""


class Talk:
    """All that one task says; for one thread."""

    def __init__(
        self, say: Say, tell: Tell, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Say lines by ``say`` and progress by ``tell``."""
        self._say = say
        self._tell = tell
        self._monotonic = monotonic
        self._doing = ""
        self._budget = float(LINES_AT_ONCE)
        self._refilled_at = monotonic()
        self._bytes_left = BYTES_MAX
        self._dropped = 0
        self._told_at = float("-inf")

    def begin(self, number: int, count: int, kind: str) -> None:
        """Start with the next command."""
        self._doing = kind if count == 1 else f"{kind} ({number} of {count})"
        self._tell(None, self._doing)

    def say(self, level: str, text: str) -> None:
        """Say a line of burst's own, which is never dropped."""
        self._say(level, text[:LINE_CHARACTERS])

    def progress(self, percent: float | None, words: str = "") -> None:
        """Say how far it is."""
        now = self._monotonic()
        if now - self._told_at < _PROGRESS_SECONDS:
            return
        self._told_at = now
        known = None if percent is None else min(100.0, max(0.0, percent))
        self._tell(known, f"{self._doing}: {words}" if words else self._doing)

    def hear(self, text: str) -> None:
        """Pass a line of a program on, or drop it."""
        if not self._has_room(text):
            self._dropped += 1
            if self._dropped == 1:
                self.say(
                    "warning", "the program prints more than a log can hold: lines are dropped"
                )
            return
        self._say("info", text[:LINE_CHARACTERS])

    def listener(self, pattern: str | None) -> Callable[[str], None]:
        """Return what hears a program's lines, and reads its progress from them.

        Args:
            pattern: regular expression whose group is a percentage, or whose two groups are
                what is done and what there is to do.
        """
        if pattern is None:
            return self.hear
        compiled = re.compile(pattern)

        def listen(text: str) -> None:
            self.hear(text)
            percent = read_percent(compiled, text)
            if percent is not None:
                self.progress(percent, text[:100])

        return listen

    def finish(self) -> None:
        """Say how much was dropped."""
        if self._dropped:
            self.say("warning", f"{self._dropped} lines were dropped")
            self._dropped = 0

    def _has_room(self, text: str) -> bool:
        now = self._monotonic()
        refill = (now - self._refilled_at) * LINES_A_SECOND
        self._budget = min(LINES_AT_ONCE, self._budget + refill)
        self._refilled_at = now
        size = len(text.encode("utf-8", "replace"))
        if self._budget < 1 or size > self._bytes_left:
            return False
        self._budget -= 1
        self._bytes_left -= size
        return True


def read_percent(pattern: re.Pattern[str], text: str) -> float | None:
    """Return the percentage that a line names, or None."""
    match = pattern.search(text)
    if match is None:
        return None
    try:
        if pattern.groups >= 2:
            return 100 * float(match[1]) / float(match[2])
        return float(match[1])
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
