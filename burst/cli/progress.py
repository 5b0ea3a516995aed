"""Progress of a transfer: one moving line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from burst.cli import console, words

if TYPE_CHECKING:
    from rich.live import Live

    from burst.scene.collection import CollectionProgress
    from burst.scene.collection import Watcher as CollectionWatcher
    from burst.scene.upload import UploadProgress, Watcher

_QUIET_SECONDS = 1.0
"""What is over sooner needs no progress."""
_EVERY_SECONDS = 0.2


@contextmanager
def upload_progress() -> Iterator[Watcher]:
    """Open a line that follows files and bytes, how fast, and how long; gone at the end."""
    line, pace = Line(), _Pace()

    def watch(progress: UploadProgress) -> None:
        pace.hear(progress)
        line.show(lambda: pace.words(progress))

    try:
        yield watch
    finally:
        line.clear()


@contextmanager
def collection_progress() -> Iterator[CollectionWatcher]:
    """Open a line that follows what a collection removes; gone at the end."""
    line = Line()

    def text(progress: CollectionProgress) -> str:
        done = f"{progress.blobs_done} of {words.count(progress.blobs_total, 'file')}"
        return f"collecting {done}, {words.size(progress.bytes_freed)} freed"

    try:
        yield lambda progress: line.show(lambda: text(progress))
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


class Line:
    """One line on the terminal, that changes until it goes; none where there is no terminal."""

    def __init__(self) -> None:
        self._next_at = time.monotonic() + _QUIET_SECONDS
        self._live: Live | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is one at the moment."""
        return self._live is not None

    def show(self, text: Callable[[], str]) -> None:
        """Show this text, which is only made now and then."""
        now = time.monotonic()
        if now < self._next_at or not sys.stderr.isatty():
            return
        from rich.text import Text

        self._next_at = now + _EVERY_SECONDS
        if self._live is None:
            self._live = _line()
            self._live.start()
        self._live.update(Text(text(), no_wrap=True, overflow="ellipsis"), refresh=True)

    def clear(self) -> None:
        """Take it away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _line() -> Live:
    from rich.console import Console
    from rich.live import Live

    return Live(
        console=Console(stderr=True), transient=True, auto_refresh=False, redirect_stdout=False
    )


class _Pace:
    """How long the present step of an upload has taken."""

    def __init__(self) -> None:
        self._step = ""
        self._begun_at = 0.0

    def hear(self, progress: UploadProgress) -> None:
        if progress.step != self._step:
            self._step, self._begun_at = progress.step, time.monotonic()

    def words(self, progress: UploadProgress) -> str:
        files = (progress.files_done, progress.files_total)
        seconds = time.monotonic() - self._begun_at
        sizes = (progress.bytes_done, progress.bytes_total)
        return f"{progress.step} {words.transfer(files, sizes, seconds)}"
