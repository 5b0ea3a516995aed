"""A process that sends or brings files for another one; `bulk_crew` starts it.

It loads what it needs once, and then forks into as many as are wanted: they share that memory.
Each reads lines of JSON from its own pipe, and writes lines to another. When the pipe that it
reads is closed before it was told to end, whoever started it is gone, and it ends at once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import uvloop

from burst.errors import BurstError, StorageAway
from burst.storage import bulk_fetch, bulk_send
from burst.storage.access import Access
from burst.storage.bulk_jobs import Action, Item, Kind, action, unpacked
from burst.storage.bulk_line import Line, load_streams
from burst.storage.bulk_tasks import AT_ONCE, all_of
from burst.storage.items import Transferred

_LOADED = (bulk_fetch, bulk_send)
"""Before it forks: otherwise each of them would load these for itself."""

NEWS_SECONDS = 0.1
"""News are gathered for so long."""
MOST_NEWS = 64
"""And no more of them."""

_READ_BYTES = 64 * 1024

MOVED, WHOLE, CHANGED = 0, 1, 2
"""News of a file: some of its bytes; all of it; it is not what it was."""


class _Child:
    """One of the processes."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads = reads
        self._writes = writes
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[int, Item] | None] = asyncio.Queue()
        self._logins: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news: list[tuple[int, int, int]] = []
        self._told: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Do what comes through the pipe, until it says that it is all."""
        messages = _messages(self._reads)
        first = next(messages, None)
        if first is None:
            return
        bucket, endpoint, anonymous, has_answered = first["access"]
        access = Access(bucket, endpoint, anonymous=anonymous)
        access.has_answered = has_answered
        kind: Kind = first["kind"]
        threading.Thread(target=self._listen, args=(messages, kind), daemon=True).start()
        try:
            async with Line(access, self._login) as line:
                do = action(kind, line)
                await all_of(self._work(do) for _ in range(AT_ONCE))
            self._tell_all()
        except BurstError as error:
            self._tell_all()
            self._write({"error": [type(error).__name__, str(error), error.hint]})

    def _listen(self, messages: Iterator[dict[str, Any]], kind: Kind) -> None:
        """Take in what comes, in a thread of its own: the other side never waits for this one."""
        for message in messages:
            if "items" in message:
                for number, *values in message["items"]:
                    self._post(self._queue, (number, unpacked(kind, values)))
            elif "headers" in message or "away" in message:
                self._post(self._logins, message)
            else:
                for _ in range(AT_ONCE):
                    self._post(self._queue, None)
        # Nobody is there any more, or nobody wants it.
        os._exit(1)

    def _post(self, queue: asyncio.Queue[Any], content: object) -> None:
        self._loop.call_soon_threadsafe(queue.put_nowait, content)

    async def _login(self, anew: bool) -> dict[str, str]:
        self._write({"login": anew})
        answer = await self._logins.get()
        if "away" in answer:
            message, hint = answer["away"]
            raise StorageAway(message, hint=hint)
        headers: dict[str, str] = answer["headers"]
        return headers

    async def _work(self, do: Action) -> None:
        number = 0

        def tell(news: Transferred) -> None:
            self._note(number, news.bytes, WHOLE if news.whole else MOVED)

        while (job := await self._queue.get()) is not None:
            number, item = job
            if not await do(item, tell):
                self._note(number, 0, CHANGED)

    def _note(self, number: int, count: int, state: int) -> None:
        self._news.append((number, count, state))
        if len(self._news) >= MOST_NEWS:
            self._tell_all()
        elif self._told is None:
            self._told = self._loop.call_later(NEWS_SECONDS, self._tell_all)

    def _tell_all(self) -> None:
        if self._told:
            self._told.cancel()
            self._told = None
        if self._news:
            self._write({"news": self._news})
            self._news = []

    def _write(self, message: dict[str, Any]) -> None:
        rest = memoryview(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._writes, rest) :]


def _messages(descriptor: int) -> Iterator[dict[str, Any]]:
    """Yield what comes through a pipe, until it is closed at its other end."""
    text = b""
    # No file object: a thread that waits in one holds its lock, and nobody can close it.
    while received := os.read(descriptor, _READ_BYTES):
        *lines, text = (text + received).split(b"\n")
        yield from (json.loads(line) for line in lines)


def main(arguments: list[str]) -> None:
    """Fork, and run: the arguments are what is done, and the descriptors of each process."""
    kind, *pairs = arguments
    pipes = [tuple(int(number) for number in pair.split(",")) for pair in pairs]
    if kind == "fetch":
        load_streams()
    # What is there now stays, and is not written to: the processes go on sharing it.
    gc.freeze()
    mine, *others = pipes
    forked: list[int] = []
    for pair in others:
        pid = os.fork()
        if pid == 0:
            mine, forked = pair, []
            break
        forked.append(pid)
    for reads, writes in pipes:
        if (reads, writes) != mine:
            os.close(reads)
            os.close(writes)
    uvloop.run(_run(*mine))
    for pid in forked:
        os.waitpid(pid, 0)
    # Python would take everything apart first, while somebody waits for the end.
    os._exit(0)


async def _run(reads: int, writes: int) -> None:
    await _Child(reads, writes).run()


if __name__ == "__main__":
    main(sys.argv[1:])
