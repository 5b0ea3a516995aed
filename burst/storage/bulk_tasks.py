"""Many things at the same time in one event loop, ended together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from burst.storage.items import Tell, Transferred

AT_ONCE = 128
"""Requests of one process on their way: most of the time each waits for its answer."""

TELL_SECONDS = 0.1
"""Between two news of one large file."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


async def all_of(coroutines: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Return what all give; when one fails the others are ended before its error goes on."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def for_each(
    action: Callable[[_Item], Awaitable[object]], items: Iterable[_Item], at_once: int = AT_ONCE
) -> None:
    """Do something to each, so many at a time; items are taken as they are begun."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await action(item)

    await all_of(work() for _ in range(at_once))


class Progress:
    """What is told of one file: never more bytes than there are, though some go twice."""

    def __init__(self, name: str, size: int, tell: Tell) -> None:
        """``size`` is what it all comes to, in bytes."""
        self._name = name
        self._size = size
        self._tell = tell
        self._told = 0
        self._reached: dict[int, int] = {}

    def reach(self, start: int, count: int) -> None:
        """So many bytes are done of the part that starts at ``start``, now or before."""
        before = self._reached.get(start, 0)
        if count > before:
            self._reached[start] = count
            self.advance(count - before)

    def advance(self, count: int) -> None:
        """So many more bytes are done."""
        count = min(count, self._size - self._told)
        if count > 0:
            self._told += count
            self._tell(Transferred(self._name, count, whole=False))

    def finish(self) -> None:
        """The file is done."""
        self._tell(Transferred(self._name, self._size - self._told, whole=True))


def seldom(tell: Callable[[int], None]) -> Callable[[int], None]:
    """Return what a thread tells how far it is, and an event loop hears now and then.

    To wake the loop takes as long as to move some hundred kilobytes.

    Args:
        tell: takes the last figure, in the event loop that runs here.
    """
    call = asyncio.get_running_loop().call_soon_threadsafe
    told_at = time.monotonic()

    def note(count: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_SECONDS:
            told_at = time.monotonic()
            call(tell, count)

    return note
