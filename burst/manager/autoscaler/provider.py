"""The worker provider seam: what burst asks of a machine or of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StartedWorker:
    """A worker that the provider knows."""

    name: str
    running: bool
    failure: str = ""
    """Why it could not do its work; empty if it runs or left by itself."""
    gave_up: bool = False
    """It found that itself; nobody killed it, and another one may fare no better."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a provider can give to one pool."""

    cores: int
    memory_bytes: int
    boot_seconds: float


class WorkerProvider(Protocol):
    """Starts workers, lists them, removes the dead. Every method blocks.

    A name is written down by the autoscaler before `start`, and starting a name that runs
    already does nothing, so that a manager that is killed in between never doubles one.
    What the machine or the cluster refuses is a `BurstError`, in every method.
    """

    def capacity(self) -> Capacity:
        """Return what there is to share out."""
        ...

    def start(self, name: str, threads: int) -> None:
        """Start a worker of that name.

        Raises:
            ToolError: it can't be started.
        """
        ...

    def list(self) -> Sequence[StartedWorker]:
        """Return every worker that was started and not removed, by name.

        Raises:
            ToolError: they can't be looked for.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a worker with all that it left; one that still runs is killed."""
        ...

    def log_path(self, name: str) -> Path | None:
        """Return the file that a worker's program prints to, if there is one here."""
        ...

    def stop_all(self) -> None:
        """Ask the workers that must not outlive the manager to leave, and wait for them."""
        ...
