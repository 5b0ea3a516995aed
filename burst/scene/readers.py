"""Threads that read files, and news of them to the one who asked.

Large files are read by as many threads as there are processors. Small ones are read by a single
thread: several would spend their time handing Python's one lock to each other, and take twice
as long. Only where the disk is what is waited for, a network's, or a cold one, more join.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

LARGE_BYTES = 1 << 20
"""From here on the hashing, which needs no lock, is most of the work."""

_TELL_BYTES = 32 << 20
"""News are told whenever this much more was read,"""
_TELL_SECONDS = 0.1
"""or this much time has passed, since it costs more than reading a small file."""
_LOOK_FILES = 50
_WAITS = 4
"""A thread that has used the processor less than one part of so many of its time waited,"""
_LOOKS = 5
"""and when it did so this many times running it is not for other programs."""
_MORE_THREADS = 15
_LEAVE_SECONDS = 2.0
"""For threads to leave after a Ctrl-C; one that hangs in a dead mount is left behind."""

_Result = TypeVar("_Result")

Read = Callable[[int], None]
"""Takes the bytes that were read, also negative ones; raises to end the reading."""


class _NoMoreError(Exception):
    """Everything is read, or being read."""


@dataclass(frozen=True, slots=True)
class News(Generic[_Result]):
    """What was read of a file since the last news of it."""

    path: Path
    bytes: int
    result: _Result | None = None
    """Of the whole file; the last news of it."""


class _LeaveError(Exception):
    """Nobody waits for this any more."""


def read_in_threads(
    action: Callable[[Path, Read], _Result], sizes: Iterable[tuple[int, Path]], threads: int
) -> Iterator[News[_Result]]:
    """Do ``action`` with each file, in threads, and yield the news in the caller's.

    The first error is raised here and ends the others.

    Args:
        action: what is to be done with one file.
        sizes: bytes and path of each.
        threads: for the large ones.
    """
    # Largest first: one that is begun last would be waited for alone.
    ordered = sorted(sizes, key=lambda item: -item[0])
    large = deque(path for size, path in ordered if size >= LARGE_BYTES)
    small = deque(path for size, path in ordered if size < LARGE_BYTES)
    readers = _Readers(action, len(ordered))
    try:
        for _ in range(min(threads, len(large))):
            readers.start(large)
        if small:
            readers.start(small, may_grow=True)
        yield from readers.news()
    finally:
        readers.leave()


class _Readers(Generic[_Result]):
    def __init__(self, action: Callable[[Path, Read], _Result], count: int) -> None:
        self._action = action
        self._count = count
        self._told: queue.SimpleQueue[list[News[_Result]] | BaseException] = queue.SimpleQueue()
        self._leave = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, paths: deque[Path], *, may_grow: bool = False) -> None:
        reader = _Reader(self._action, self._told, self._leave)
        grow = (lambda: self._grow(paths)) if may_grow else None
        thread = threading.Thread(target=reader.run, args=(paths, grow), name="read", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _grow(self, paths: deque[Path]) -> None:
        for _ in range(min(_MORE_THREADS, len(paths))):
            self.start(paths)

    def news(self) -> Iterator[News[_Result]]:
        done = 0
        while done < self._count:
            told = self._told.get()
            if isinstance(told, BaseException):
                raise told
            for news in told:
                done += news.result is not None
                yield news

    def leave(self) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join(_LEAVE_SECONDS)


class _Reader(Generic[_Result]):
    """What one thread does."""

    def __init__(
        self,
        action: Callable[[Path, Read], _Result],
        told: queue.SimpleQueue[list[News[_Result]] | BaseException],
        leave: threading.Event,
    ) -> None:
        self._action = action
        self._told = told
        self._leave = leave
        self._news: list[News[_Result]] = []
        self._path = Path()
        self._untold = 0
        self._told_at = time.monotonic()

    def run(self, paths: deque[Path], grow: Callable[[], None] | None) -> None:
        waited = 0
        try:
            while paths:
                begun, used = time.monotonic(), time.thread_time()
                for _ in range(_LOOK_FILES):
                    self._read_next(paths)
                is_slow = time.monotonic() - begun > _WAITS * (time.thread_time() - used)
                waited = waited + 1 if is_slow else 0
                if grow is not None and waited == _LOOKS:
                    grow()
        except _NoMoreError:
            pass
        except _LeaveError:
            return
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            self._told.put(error)
            return
        self._tell()

    def _read_next(self, paths: deque[Path]) -> None:
        """Read one more file; raises `_NoMoreError` when there is none."""
        try:
            self._path, self._untold = paths.popleft(), 0
        except IndexError:
            raise _NoMoreError from None
        result = self._action(self._path, self._read)
        self._news.append(News(self._path, self._untold, result))
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._tell()

    def _read(self, count: int) -> None:
        if self._leave.is_set():
            raise _LeaveError
        self._untold += count
        if self._untold >= _TELL_BYTES:
            self._news.append(News(self._path, self._untold))
            self._untold = 0
            self._tell()

    def _tell(self) -> None:
        self._told.put(self._news)
        self._news, self._told_at = [], time.monotonic()
