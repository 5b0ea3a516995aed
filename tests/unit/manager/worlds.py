"""Worlds that workers are started in, for what every worker provider promises.

The machine's workers are a script, the cluster's are what its fake says they are.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fake_provider import FakeProvider
from kubernetes import client

from burst.manager.autoscaler.kubernetes import KubernetesProvider
from burst.manager.autoscaler.processes import ProcessProvider
from burst.manager.autoscaler.provider import Order, StartedWorker, WorkerProvider
from tests.fakes.kube_api import FARM, NAMESPACE, KubeApi, pool_map

SCRIPT = """#!/bin/sh
echo "$BURST_WORKER_NAME with $BURST_THREADS threads and ${BURST_LEFT_OVER:-nothing} left over"
echo "cage $BURST_CAGE, scenes $BURST_SCENES, emulator $STORAGE_EMULATOR_HOST"
case "$BURST_WORKER_NAME" in
  fails*) echo "error: no Blender" >&2; exit 1 ;;
  leaves*) exit 0 ;;
  stubborn*) trap "" TERM ;;
esac
echo ready
exec sleep 60
"""


class World(Protocol):
    """A provider whose workers the test can end."""

    provider: WorkerProvider

    def restart(self) -> WorkerProvider:
        """Return the provider of another manager in the same world."""

    def kill(self, name: str) -> None:
        """Let SIGKILL end a worker."""


class FakeWorld:
    """No world at all."""

    def __init__(self) -> None:
        self.fake = FakeProvider()
        self.provider: WorkerProvider = self.fake

    def restart(self) -> WorkerProvider:
        return self.fake

    def kill(self, name: str) -> None:
        self.fake.end(name, "killed by SIGKILL")


class MachineWorld:
    """Workers are processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[ProcessProvider] = []
        self.provider: WorkerProvider = self.restart()

    def restart(self) -> ProcessProvider:
        self.opened.append(
            ProcessProvider(self.folder / "workers", self.folder / "logs", {}, maximum=4)
        )
        return self.opened[-1]

    def pid(self, name: str) -> int:
        return int((self.folder / "workers" / name / "pid").read_text())

    def kill(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)
        wait_for(lambda: not find(self.provider, name).running)

    def log(self, name: str) -> str:
        path = self.provider.log_path(name)
        assert path is not None
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        # Each collects its own children.
        names = [home.name for home in (self.folder / "workers").glob("*/")]
        for provider in reversed(self.opened):
            provider.remove(names)


class ClusterWorld:
    """Workers are Jobs, and nothing runs."""

    def __init__(self) -> None:
        self.api = KubeApi()
        self.api.put("configmaps", pool_map("local"))
        self.opened: list[KubernetesProvider] = []
        self.provider: WorkerProvider = self.restart()

    def restart(self) -> KubernetesProvider:
        settings = client.Configuration(host=self.api.url)
        settings.retries = False
        self.opened.append(KubernetesProvider(settings, NAMESPACE, FARM))
        return self.opened[-1]

    def kill(self, name: str) -> None:
        self.api.end(name, 137, reason="Error")
        wait_for(lambda: not find(self.provider, name).running)

    def close(self) -> None:
        for provider in self.opened:
            provider.stop_all()
        self.api.close()


def find(provider: WorkerProvider, name: str) -> StartedWorker:
    """Return a worker that must be listed."""
    return next(worker for worker in provider.list() if worker.name == name)


def order(name: str, threads: int = 1, pool: str = "local") -> Order:
    """Return the order of one worker."""
    return Order(name, pool, threads)


def wait_for(look: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)
