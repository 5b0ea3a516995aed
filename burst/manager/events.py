"""What happens in the farm, for whoever listens: numbered, kept for a while, fanned out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from burst.protocol.artist_messages import Event

KEPT = 5000
"""Events that a listener may be behind before it is told to ask for everything anew."""

TICK_SECONDS = 1.0


class EventHub:
    """Events of this manager's life."""

    def __init__(self, now: Callable[[], datetime], first_seq: int) -> None:
        """Number events from ``first_seq`` on.

        It must be larger than any number an earlier manager gave, so that a listener that
        comes back after a restart notices.
        """
        self._now = now
        self._first = first_seq
        self._seq = first_seq
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._news = asyncio.Condition()
        self._closing = False

    def add(self, kind: Any, **content: Any) -> None:
        """Add an event; listeners hear of it when `flush` is called."""
        self._seq += 1
        self._kept.append(Event(seq=self._seq, kind=kind, at=self._now(), **content))

    async def flush(self) -> None:
        """Wake the listeners."""
        async with self._news:
            self._news.notify_all()

    async def close(self) -> None:
        """End all listening."""
        self._closing = True
        await self.flush()

    async def listen(self, after: int | None, job_id: str | None) -> AsyncIterator[Event]:
        """Yield events after number ``after`` (None: from now on), until the hub closes."""
        seen = self._seq if after is None else after
        if seen < self._first or seen > self._seq:
            seen = self._seq
            yield self._special("reset", seen)
        while not self._closing:
            oldest = self._kept[0].seq if self._kept else self._seq + 1
            if seen < oldest - 1:
                seen = self._seq
                yield self._special("reset", seen)
            for event in [e for e in self._kept if e.seq > seen]:
                seen = event.seq
                if job_id is None or event.job_id in (None, job_id):
                    yield event
            try:
                async with asyncio.timeout(TICK_SECONDS), self._news:
                    await self._news.wait_for(lambda: self._seq > seen or self._closing)  # noqa: B023
            except TimeoutError:
                yield self._special("tick", seen)

    def _special(self, kind: Any, seen: int) -> Event:
        # The listener's own number: coming back with it must not skip what is not flushed.
        return Event(seq=seen, kind=kind, at=self._now())
