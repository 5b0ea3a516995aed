"""A farm whose manager is real, and whose workers are Jobs on nodes that are only said to be there.

The pool is the worker chart's, so each Job is as large as a farm's. Pods run nothing: whoever
needs a worker that registers, or leaves, plays it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from burst.manager.autoscaler.loop import ROUND_SECONDS
from burst.protocol.artist_messages import SubmitJob
from tests.fakes.cluster import ROOT, Cluster, wait_until
from tests.fakes.real_manager import SCENE, RealManager

FARM, POOL = "studio", "many"
NODE_PODS = 20
"""Pods that one such node is to have; its disk is enough for a hundred."""
SECONDS = 180.0
ROUNDS = 4
"""Of the autoscaler, in which it would make what it wants besides."""


class KwokFarm:
    """A manager on this machine, with a pool of workers in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, workers: int) -> None:
        """Describe a pool of that many workers in the namespace; the manager is not started."""
        self.workers = workers
        self._cluster, self._namespace = cluster, namespace
        folder.mkdir(exist_ok=True)
        self.manager = RealManager(
            folder,
            BURST_PROVIDER="kubernetes",
            BURST_KUBERNETES_NAMESPACE=namespace,
            BURST_FARM=FARM,
            BURST_IDLE_EXIT_SECONDS="5",
            KUBECONFIG=str(cluster.kubeconfig),
        )

    def describe_pool(self) -> None:
        """Make the pool's ConfigMap, and the account that its pods name."""
        account = {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": f"{FARM}-worker"},
        }  # fmt: skip
        self._cluster.apply(self._namespace, account, self._rendered_pool())

    def start(self) -> None:
        """Start the manager; returns when it knows the pool."""
        self.manager.start()
        wait_until(lambda: bool(self.manager.artist.pools()), SECONDS)

    def submit(self) -> str:
        """Submit a job of a task for each worker, and return its id."""
        message = SubmitJob(name="s", scene=SCENE, frames=f"1-{self.workers}", new=True)
        return self.manager.artist.submit(message).job.id

    def wait_for_all(self) -> None:
        """Wait until the manager counts all its workers; it had time to make more, then."""
        wait_until(lambda: self._starting() == [self.workers], SECONDS)
        time.sleep(ROUNDS * ROUND_SECONDS)

    def kill_in_the_middle(self, kills: int, made: Callable[[], int]) -> None:
        """Kill the manager and start another, so often, while Jobs are made."""
        for number in range(1, kills + 1):
            goal = number * self.workers // (kills + 1)
            wait_until(lambda goal=goal: made() >= goal, SECONDS)  # type: ignore[misc]
            self.manager.stop(9)
            self.manager.start()

    def _starting(self) -> list[int]:
        # A manager that was just started knows of no pool yet.
        return [pool.starting for pool in self.manager.artist.pools()]

    def _rendered_pool(self) -> dict[str, Any]:
        printed = self._cluster.helm(
            "template", f"{FARM}-pool-{POOL}", str(ROOT / "charts" / "worker"),
            "--namespace", self._namespace, "--show-only", "templates/configmap.yaml",
            "--set", f"farm={FARM},storage.url=gs://frames,image.tag=none,maximum={self.workers}",
            "--set", "machine.cores=1,machine.cpuRequest=10m,machine.memory=16Mi",
            "--set", "spot.label=burst-test/kwok,startSeconds=600",
            "--set", "tolerations[0].key=kwok.x-k8s.io/node,tolerations[0].operator=Exists",
        )  # fmt: skip
        rendered: dict[str, Any] = yaml.safe_load(printed)
        return rendered


def nodes_for(workers: int) -> int:
    """Return how many nodes so many workers need."""
    return -(-workers // NODE_PODS)
