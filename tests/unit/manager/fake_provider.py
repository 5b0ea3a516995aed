"""A worker provider whose workers are names: they live, fail and hang as the test says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from burst.domain.pools import WorkerPool
from burst.errors import ToolError
from burst.manager.autoscaler.provider import Order, StartedWorker

LOCAL = WorkerPool(
    name="local",
    maximum=4,
    cores=8,
    memory_bytes=64 << 30,
    boot_seconds=3.0,
    start_seconds=180.0,
    is_shared=True,
)


class FakeProvider:
    """Starts nothing. `test_processes.py` holds it to what the real ones promise."""

    def __init__(self, *pools: WorkerPool) -> None:
        self.described = list(pools) or [LOCAL]
        self.workers: dict[str, StartedWorker] = {}
        self.started: list[str] = []
        self.batches: list[int] = []
        self.threads: dict[str, int] = {}
        self.removed: list[str] = []
        self.refuses = ""
        """Why no worker can be started, if so."""
        self.is_away = False
        """Whether nobody answers."""

    def pools(self) -> Sequence[WorkerPool]:
        self._answer()
        return list(self.described)

    def start(self, orders: Sequence[Order]) -> Mapping[str, str]:
        self._answer()
        if self.refuses:
            return dict.fromkeys((order.name for order in orders), self.refuses)
        self.batches.append(len(orders))
        for order in orders:
            if order.name in self.workers and self.workers[order.name].running:
                continue
            self.started.append(order.name)
            self.threads[order.name] = order.threads
            self.workers[order.name] = StartedWorker(order.name, running=True, pool=order.pool)
        return {}

    def list(self) -> Sequence[StartedWorker]:
        self._answer()
        return [self.workers[name] for name in sorted(self.workers)]

    def remove(self, names: Collection[str]) -> None:
        self._answer()
        for name in names:
            self.removed.append(name)
            self.workers.pop(name, None)

    def log_path(self, name: str) -> Path | None:
        return None

    def stop_all(self) -> None:
        for name in list(self.workers):
            self.end(name)

    def end(self, name: str, failure: str = "", **values: Any) -> None:
        """Let a worker end."""
        self.workers[name] = replace(self.workers[name], running=False, failure=failure, **values)

    def hold_up(self, name: str, holdup: Any, waits: str) -> None:
        """Let a worker not begin."""
        self.workers[name] = replace(self.workers[name], holdup=holdup, waits=waits)

    def _answer(self) -> None:
        if self.is_away:
            raise ToolError("the cluster's API does not answer")
