"""Progress of an upload: one moving line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from burst.cli import console, words
from burst.scene.upload import UploadProgress, Watcher

_QUIET_SECONDS = 1.0
"""What is over sooner needs no progress."""
_EVERY_SECONDS = 0.2


@contextmanager
def upload_progress() -> Iterator[Watcher]:
    """Open a line that follows the bytes done; it is gone at the end."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    line = _Line()
    try:
        yield line.show
    finally:
        line.clear()


@contextmanager
def after_a_while(text: str) -> Iterator[None]:
    """Say what is being waited for, if it takes longer than a moment."""
    timer = threading.Timer(_QUIET_SECONDS, console.tell, [f"{text} …"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Line:
    def __init__(self) -> None:
        self._next_at = time.monotonic() + _QUIET_SECONDS
        self._width = 0

    def show(self, progress: UploadProgress) -> None:
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _EVERY_SECONDS
        done, total = words.size(progress.bytes_done), words.size(progress.bytes_total)
        text = f"{progress.step} {done} of {total}"
        sys.stderr.write("\r" + text.ljust(self._width))
        sys.stderr.flush()
        self._width = len(text)

    def clear(self) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
