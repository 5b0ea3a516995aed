"""Steps that are done one after the other in a thread of their own, some again after a pause."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable

from burst.errors import StorageError

log = logging.getLogger(__name__)

Step = Callable[[], None]


class OpenSteps:
    """How many steps of some lanes are to be done."""

    def __init__(self) -> None:
        """None are."""
        self._changed = threading.Condition()
        self._number = 0

    def add(self, number: int) -> None:
        """Count steps that are new, or, negative, done."""
        with self._changed:
            self._number += number
            self._changed.notify_all()

    def wait_for_none(self, seconds: float) -> bool:
        """Return whether none is left, waiting for at most ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: self._number == 0, seconds)


class Lane:
    """One thread, and what it is to do."""

    def __init__(self, name: str, open_steps: OpenSteps) -> None:
        """Do nothing before `start`; count steps in ``open_steps``."""
        self._name = name
        self._open = open_steps
        self._steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self._later: list[tuple[float, int, Step]] = []
        """A heap of steps to try again, by when; for this thread alone."""
        self._numbers = itertools.count()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def add(self, step: Step) -> None:
        """Do a step behind all others."""
        self._open.add(1)
        self._steps.put(step)

    def add_later(self, step: Step, pause_seconds: float) -> None:
        """Do a step after a pause; only a step of this lane may ask for that."""
        self._open.add(1)
        heapq.heappush(self._later, (time.monotonic() + pause_seconds, next(self._numbers), step))

    def _next_step(self) -> Step:
        while True:
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                self._steps.put(heapq.heappop(self._later)[2])
            left = self._later[0][0] - now if self._later else None
            with contextlib.suppress(queue.Empty):
                return self._steps.get(timeout=left)

    def _run(self) -> None:
        while True:
            step = self._next_step()
            try:
                step()
            except (OSError, StorageError) as error:
                log.warning("%s: %s", self._name, error)
            except Exception:
                # The edge of this thread: it must go on. A committed frame that it could
                # not publish is published by the manager.
                log.exception("a bug in the %s", self._name)
            finally:
                self._open.add(-1)
