"""The worker provider seam: what burst asks of a machine or of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from burst.domain.pools import WorkerPool
from burst.domain.transitions import AttemptStatus

Holdup = Literal["", "start", "node", "broken"]
"""What keeps a worker's program from beginning: nothing, what any start needs, a machine that
is not there, or something that will not become better by itself."""


@dataclass(frozen=True, slots=True)
class StartedWorker:
    """A worker that the provider knows."""

    name: str
    running: bool
    """It has not ended; its program may be yet to begin."""
    failure: str = ""
    """Why it could not do its work; empty if it runs or left by itself."""
    gave_up: bool = False
    """It found that itself; nobody killed it, and another one may fare no better."""
    pool: str = ""
    outcome: AttemptStatus = AttemptStatus.LOST
    """What that makes of what it held: lost, interrupted or out of memory."""
    holdup: Holdup = ""
    waits: str = ""
    """What it waits for, in a sentence, if something holds it up."""


@dataclass(frozen=True, slots=True)
class Order:
    """One worker to be started."""

    name: str
    pool: str
    threads: int


class WorkerProvider(Protocol):
    """Describes pools, starts workers, lists them, removes the dead. Every method blocks.

    A name is written down by the autoscaler before `start`, and starting a name that runs
    already does nothing, so that a manager that is killed in between never doubles one.
    What the machine or the cluster refuses is a `BurstError`, in every method.
    """

    def pools(self) -> Sequence[WorkerPool]:
        """Return the pools, as they are described at this moment.

        Raises:
            ToolError: they can't be looked for.
        """
        ...

    def start(self, orders: Sequence[Order]) -> Mapping[str, str]:
        """Start workers, and return which were refused: name → why.

        Raises:
            ToolError: nobody answers, and some of them may have been started.
        """
        ...

    def list(self) -> Sequence[StartedWorker]:
        """Return every worker that was started and not removed, by name.

        Raises:
            ToolError: they can't be looked for.
        """
        ...

    def remove(self, names: Collection[str]) -> None:
        """Remove workers with all that they left; one that still runs is killed.

        Raises:
            ToolError: some may be left; `list` has them.
        """
        ...

    def log_path(self, name: str) -> Path | None:
        """Return the file that a worker's program prints to, if there is one here."""
        ...

    def stop_all(self) -> None:
        """Ask the workers that must not outlive the manager to leave, and wait for them."""
        ...
