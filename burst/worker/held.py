"""The attempts a worker holds: from the claim until every frame of them is settled."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from burst.protocol.worker_messages import Assignment


class Held:
    """One attempt in this worker's hands."""

    def __init__(self, assignment: Assignment) -> None:
        """Hold all frames of an assignment."""
        self.assignment = assignment
        self.unsettled = set(assignment.frames)
        """Frames that the manager has not given a verdict on."""
        self.over = threading.Event()
        """Set when no more of it is to be rendered."""


class HeldAttempts:
    """All of them, by id. Safe from several threads."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)

    def add(self, assignment: Assignment) -> Held:
        """Hold a new attempt."""
        held = Held(assignment)
        with self._lock:
            self._held[assignment.attempt_id] = held
        return held

    def ids(self) -> tuple[str, ...]:
        """Return the ids of what is held."""
        with self._lock:
            return tuple(self._held)

    def get(self, attempt_id: str) -> Held | None:
        """Return one attempt, if it is held."""
        with self._lock:
            return self._held.get(attempt_id)

    def all(self) -> list[Held]:
        """Return everything that is held."""
        with self._lock:
            return list(self._held.values())

    def settle_frame(self, attempt_id: str, frame: int) -> None:
        """Note that a frame has its verdict; an attempt without open frames is let go."""
        with self._lock:
            held = self._held.get(attempt_id)
            if held is None:
                return
            held.unsettled.discard(frame)
            if not held.unsettled:
                del self._held[attempt_id]

    def end(self, attempt_ids: Iterable[str]) -> list[Held]:
        """Let no more of these attempts be rendered, and return those that are held."""
        with self._lock:
            ended = [self._held[a] for a in attempt_ids if a in self._held]
        for held in ended:
            held.over.set()
        return ended

    def drop(self, attempt_id: str) -> None:
        """Let an attempt go."""
        with self._lock:
            held = self._held.pop(attempt_id, None)
        if held:
            held.over.set()
