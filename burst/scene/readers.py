"""Threads that read files, and news of them to the one who asked."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

_TELL_BYTES = 32 << 20
"""A large file is told of whenever this much more of it was read."""
_LEAVE_SECONDS = 2.0
"""For threads to leave after a Ctrl-C; one that hangs in a dead mount is left behind."""

_Result = TypeVar("_Result")

Read = Callable[[int], None]
"""Takes the bytes that were read, also negative ones; raises to end the reading."""


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
    action: Callable[[Path, Read], _Result], paths: Iterable[Path], threads: int
) -> Iterator[News[_Result]]:
    """Do ``action`` with each file, in threads, and yield the news in the caller's.

    The first error is raised here and ends the others. An executor would do, but it costs as
    much for a small file as reading it does.
    """
    readers = _Readers(action, deque(paths))
    started = readers.start(threads)
    try:
        yield from readers.news()
    finally:
        readers.leave.set()
        for thread in started:
            thread.join(_LEAVE_SECONDS)


class _Readers(Generic[_Result]):
    def __init__(self, action: Callable[[Path, Read], _Result], paths: deque[Path]) -> None:
        self._action = action
        self._paths = paths
        self._count = len(paths)
        self._news: queue.SimpleQueue[News[_Result] | BaseException] = queue.SimpleQueue()
        self.leave = threading.Event()

    def start(self, threads: int) -> list[threading.Thread]:
        started = [
            threading.Thread(target=self._run, name=f"read-{number}", daemon=True)
            for number in range(min(threads, self._count))
        ]
        for thread in started:
            thread.start()
        return started

    def news(self) -> Iterator[News[_Result]]:
        done = 0
        while done < self._count:
            news = self._news.get()
            if isinstance(news, BaseException):
                raise news
            done += news.result is not None
            yield news

    def _run(self) -> None:
        while not self.leave.is_set():
            try:
                path = self._paths.popleft()
            except IndexError:
                return
            try:
                self._read(path)
            except _LeaveError:
                return
            except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
                self._news.put(error)
                return

    def _read(self, path: Path) -> None:
        untold = 0

        def read(count: int) -> None:
            nonlocal untold
            if self.leave.is_set():
                raise _LeaveError
            untold += count
            if untold >= _TELL_BYTES:
                self._news.put(News(path, untold))
                untold = 0

        result = self._action(path, read)
        self._news.put(News(path, untold, result))
