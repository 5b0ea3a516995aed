"""The storage as the manager's event loop asks it: in threads, and never waited for elsewhere.

What keeps the storage from doing what it is asked is remembered here for as long as it lasts,
so that artists are told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import ParamSpec, TypeVar

from burst import threads
from burst.errors import StorageAway, StorageDenied, StorageError, StorageFull
from burst.manager.clock import Clock

ANSWER_SECONDS = 20.0
"""What an artist's request waits for the storage: less than the client waits for us."""

REQUESTS_MAX = 16
"""Threads that wait for the storage on behalf of artists' requests."""

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps the storage from doing its work."""

    since: datetime
    text: str
    """A sentence, with what to do about it."""
    is_away: bool
    """It can't be reached: whatever succeeds shows that this is over."""


class Storing:
    """Asks the storage in threads of their own.

    Not in those that the database is read in: a storage that hangs would take them all.
    """

    def __init__(self, clock: Clock) -> None:
        """Know of no trouble."""
        self._clock = clock
        self._places = asyncio.Semaphore(REQUESTS_MAX)
        self._troubles: dict[str, Trouble] = {}

    @property
    def trouble(self) -> Trouble | None:
        """What keeps the storage from its work just now, the oldest first."""
        return min(self._troubles.values(), key=lambda trouble: trouble.since, default=None)

    async def ask(
        self, call: Callable[_Asked, _Answer], *args: _Asked.args, **named: _Asked.kwargs
    ) -> _Answer:
        """Have one of our own chores done, which is tried again until it succeeds.

        Raises:
            StorageError: the storage failed.
        """
        what = getattr(call, "__name__", "")
        try:
            answer = await self._in_thread(partial(call, *args, **named))
        except (StorageAway, StorageDenied, StorageFull) as error:
            self._note(what, error)
            raise
        self._forget(what)
        return answer

    async def answer(
        self,
        call: Callable[[], _Answer],
        seconds: float | None = None,
    ) -> _Answer:
        """Have something done for an artist, who is not kept waiting for long.

        Args:
            call: what.
            seconds: how long; by default as long as the artist's client waits.

        Raises:
            StorageAway: the storage did not answer in time.
            StorageError: it failed.
        """
        seconds = ANSWER_SECONDS if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
                answer = await self._in_thread(call, self._places.release)
        except TimeoutError as error:
            raise StorageAway(
                f"the storage did not answer within {seconds:.0f} s",
                hint="see whether it can be reached: burst status",
            ) from error
        self._forget()
        return answer

    async def _in_thread(
        self, call: Callable[[], _Answer], then: Callable[[], None] = lambda: None
    ) -> _Answer:
        """Wait for a thread, which may go on when nobody waits any more."""
        loop = asyncio.get_running_loop()
        future = threads.start(call, "storage")

        def over(_: object) -> None:
            # The manager may have left meanwhile, and its loop with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(then)

        future.add_done_callback(over)
        return await asyncio.wrap_future(future)

    def _note(self, what: str, error: StorageError) -> None:
        text = f"{error}; {error.hint}" if error.hint else str(error)
        former = self._troubles.get(what)
        since = former.since if former else self._clock.now()
        self._troubles[what] = Trouble(since, text, isinstance(error, StorageAway))

    def _forget(self, what: str = "") -> None:
        self._troubles = {
            name: trouble
            for name, trouble in self._troubles.items()
            if name != what and not trouble.is_away
        }
