"""Programs that share a storage, and a test that says whose call to it is next.

Each runs in a thread of its own over a `Gated` storage, whose every call waits for its turn; in
between nothing runs. So a test can try one order of calls after the other.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from burst.storage.items import LocalBlob, Stored, Tell, tell_nobody
from burst.storage.storage import Storage

SECONDS = 120
"""A turn that takes longer hangs."""

Choose = Callable[[Sequence["Actor"]], "Actor"]


class Actor:
    """One program, that does a call to its storage at a time, when it is told to."""

    def __init__(self, name: str, action: Callable[[Gated, Callable[[float], None]], Any]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.result: Any = None
        self.calls: list[str] = []
        """What it asked of the storage, in order."""
        self.is_resting = False
        """It waits for others to do something."""
        self.ended = False
        self._action = action
        self._may_go = threading.Semaphore(0)
        self._waits = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._storage: Storage | None = None

    def start(self, storage: Storage) -> None:
        """Run up to its first call."""
        self._storage = storage
        self._thread.start()
        self._await_turn_end()

    def step(self) -> None:
        """Do one call, and run up to the next."""
        self._may_go.release()
        self._await_turn_end()

    def turn(self, call: str) -> None:
        """Wait to be told to go on; called by the program."""
        self.calls.append(call)
        self._waits.release()
        assert self._may_go.acquire(timeout=SECONDS), f"{self.name} is not told to go on"

    def pause(self, _seconds: float) -> None:
        """Let others do something first; called by the program."""
        self.is_resting = True
        self.turn("pause")

    def _await_turn_end(self) -> None:
        assert self._waits.acquire(timeout=SECONDS), f"{self.name} hangs"

    def _run(self) -> None:
        assert self._storage is not None
        try:
            self.result = self._action(Gated(self._storage, self), self.pause)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error
        self.ended = True
        self._waits.release()


class Gated:
    """A storage whose every call waits for its actor's turn; long ones are several calls."""

    def __init__(self, storage: Storage, actor: Actor) -> None:
        self._storage = storage
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._storage, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            self._actor.turn(name)
            return value(*arguments, **named)

        return call

    def missing(self, names: Iterable[str]) -> set[str]:
        """Ask for each name by itself, as a bucket answers them at different times."""
        found = set()
        for name in sorted(names):
            self._actor.turn("missing")
            found |= self._storage.missing([name])
        return found

    def put_blobs(self, blobs: Sequence[LocalBlob], tell: Tell = tell_nobody) -> list[LocalBlob]:
        """Send one after the other."""
        changed = []
        for blob in blobs:
            self._actor.turn("put_blobs")
            changed += self._storage.put_blobs([blob], tell)
        return changed

    def list(self, prefix: str) -> Iterator[str]:
        """List what is there at one moment."""
        self._actor.turn("list")
        return iter(list(self._storage.list(prefix)))

    def scan(self, prefix: str) -> Iterator[Stored]:
        """List what is there at one moment."""
        self._actor.turn("scan")
        return iter(list(self._storage.scan(prefix)))


def play(storage: Storage, actors: Sequence[Actor], choose: Choose) -> None:
    """Let the actors take turns until all have ended; raises what one raised.

    One that rests is not chosen until another has done something, or all rest.
    """
    for actor in actors:
        actor.start(storage)
    while left := [actor for actor in actors if not actor.ended]:
        awake = [actor for actor in left if not actor.is_resting]
        chosen = choose(awake or left)
        for actor in left:
            actor.is_resting = False
        chosen.step()
    for actor in actors:
        if actor.error is not None:
            raise actor.error


def by_plan(plan: Sequence[tuple[str, int]]) -> Choose:
    """Let the named do so many calls, one after the other; then whoever is first."""
    left = [[name, calls] for name, calls in plan]

    def choose(awake: Sequence[Actor]) -> Actor:
        while left:
            name, calls = left[0]
            named = [actor for actor in awake if actor.name == name]
            if not calls or not named:
                left.pop(0)
                continue
            left[0][1] -= 1
            return named[0]
        return awake[0]

    return choose


def by_chance(seed: int) -> Choose:
    """Let anybody do a few calls at a time."""
    chance = random.Random(seed)
    last: list[Actor] = []

    def choose(awake: Sequence[Actor]) -> Actor:
        if last and last[0] in awake and chance.random() < 0.6:
            return last[0]
        last[:] = [chance.choice(awake)]
        return last[0]

    return choose
