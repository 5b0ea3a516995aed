"""A worker provider whose workers are names: they live, fail and hang as the test says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from burst.errors import ToolError
from burst.manager.autoscaler.provider import Capacity, StartedWorker


class FakeProvider:
    """Starts nothing. `test_processes.py` holds it to what the real one promises."""

    def __init__(self, cores: int = 8, memory_bytes: int = 64 << 30) -> None:
        self.cores = cores
        self.memory_bytes = memory_bytes
        self.workers: dict[str, StartedWorker] = {}
        self.started: list[str] = []
        self.threads: dict[str, int] = {}
        self.removed: list[str] = []
        self.refuses = ""
        """Why no worker can be started, if so."""

    def capacity(self) -> Capacity:
        return Capacity(self.cores, self.memory_bytes, boot_seconds=3.0)

    def start(self, name: str, threads: int) -> None:
        if self.refuses:
            raise ToolError(self.refuses)
        if name in self.workers and self.workers[name].running:
            return
        self.started.append(name)
        self.threads[name] = threads
        self.workers[name] = StartedWorker(name, running=True)

    def list(self) -> Sequence[StartedWorker]:
        return [self.workers[name] for name in sorted(self.workers)]

    def remove(self, name: str) -> None:
        self.removed.append(name)
        self.workers.pop(name, None)

    def log_path(self, name: str) -> Path | None:
        return None

    def stop_all(self) -> None:
        for name in list(self.workers):
            self.end(name)

    def end(self, name: str, failure: str = "", *, gave_up: bool = False) -> None:
        """Let a worker's process end."""
        self.workers[name] = StartedWorker(name, False, failure, gave_up)
