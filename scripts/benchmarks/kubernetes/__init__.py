"""A thousand workers as Jobs: the manager against a client that only posts them.

docs/benchmarks.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.kubernetes.bare import BareClient, in_threads
from benchmarks.kubernetes.seen import SeenJobs
from burst.domain.workers import BlenderFacts, Capabilities
from burst.manager.autoscaler.pool_maps import WORKER_LABEL, job_of, read_pools
from burst.manager.autoscaler.provider import Order
from burst.protocol.worker_messages import RegisterWorker, SignOff
from tests.fakes.cluster import Cluster, running_cluster
from tests.fakes.kwok_farm import FARM, POOL, KwokFarm, nodes_for

ROOT = Path(__file__).resolve().parents[3]
WORKERS, ROUNDS, KILLS = 1000, 3, 10
QUICK_WORKERS, QUICK_ROUNDS, QUICK_KILLS = 100, 1, 2
THREADS = (16, 32, 64)
"""Of the bare client; its best counts."""
SECONDS = 300.0
CALM_SECONDS = 3.0
"""Between two sides, after the last pod of the one is gone."""
PLAYERS = 16
"""Threads that play workers."""
IDLE_SECONDS = 5.0


class NotMeasured(Exception):
    """It could not be measured."""


@dataclass(frozen=True, slots=True)
class Making:
    """How one side made all Jobs."""

    seconds: float
    """From its beginning until the API server told of the last one."""
    cpu_seconds: float
    """Processor time of the side itself."""


class Bench:
    """A namespace with nodes that are only said to be there, and both sides."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, workers: int) -> None:
        """Follow the Jobs of the namespace."""
        self.workers = workers
        self._cluster, self._namespace, self._folder = cluster, namespace, folder
        self._api = BareClient(cluster.kubeconfig, PLAYERS)
        self.seen = SeenJobs(cluster.kubeconfig, namespace)
        self._farms = 0
        self._new_farm().describe_pool()

    @contextmanager
    def running_farm(self) -> Iterator[KwokFarm]:
        """Run a manager with an empty database; nothing is there at its beginning and end."""
        farm = self._new_farm()
        farm.start()
        try:
            yield farm
        finally:
            farm.manager.stop()
            self._clear()

    def make_by_farm(self) -> tuple[Making, float]:
        """Have the manager make all, and take them back; return also how long that took."""
        with self.running_farm() as farm:
            before, began = _cpu_seconds(farm), time.monotonic()
            job = farm.submit()
            ended = self.seen.wait_for(self.workers, SECONDS)
            making = Making(ended - began, _cpu_seconds(farm) - before)
            farm.wait_for_all()
            canceled = time.monotonic()
            farm.manager.artist.act(job, "cancel")
            return making, self.seen.wait_for(0, SECONDS) - canceled

    def make_bare(self, threads: int) -> Making:
        """Have a bare client post the same Jobs."""
        given = {
            "kubeconfig": str(self._cluster.kubeconfig),
            "namespace": self._namespace,
            "threads": threads,
            "jobs": self._bodies(),
        }
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("bare.py"))],
            input=json.dumps(given), capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NotMeasured(f"the bare client failed: {done.stderr}")
        said = json.loads(done.stdout)
        ended = self.seen.wait_for(self.workers, SECONDS)
        self._clear()
        return Making(ended - said["began"], said["cpu_seconds"])

    def drain(self) -> float:
        """Have all workers come, find nothing to do, and leave; return how long their Jobs stay.

        From the end of the idle time, when the workers sign off, to no Job left.
        """
        with self.running_farm() as farm:
            job = farm.submit()
            self.seen.wait_for(self.workers, SECONDS)
            names = list(self.seen.names)
            self._wait_for_pods(self.workers, "Running")
            pods = self._pods()
            sessions: dict[str, str] = {}
            in_threads(deque(names), PLAYERS, lambda name: _register(farm, name, sessions))
            farm.manager.artist.act(job, "cancel")
            time.sleep(IDLE_SECONDS)

            def leave(name: str) -> None:
                farm.manager.worker.sign_off(name, SignOff(session=sessions[name], reason="idle"))
                self._end_pod(pods[name])

            began = time.monotonic()
            in_threads(deque(names), PLAYERS, leave)
            return self.seen.wait_for(0, SECONDS) - began

    def kill_managers(self, kills: int) -> int:
        """Kill the manager while it makes Jobs, and return how many were made too many."""
        with self.running_farm() as farm:
            farm.submit()
            farm.kill_in_the_middle(kills, lambda: len(self.seen.names))
            farm.wait_for_all()
            return len(self.seen.names) - self.workers

    def _new_farm(self) -> KwokFarm:
        self._farms += 1
        folder = self._folder / f"farm-{self._farms}"
        return KwokFarm(self._cluster, self._namespace, folder, self.workers)

    def _bodies(self) -> list[dict[str, object]]:
        """Return the Jobs as the manager makes them."""
        found = self._cluster.get("configmap", f"{FARM}-pool-{POOL}", "-n", self._namespace)
        (pool,) = read_pools([found]).values()
        names = (f"{POOL}-{number}" for number in range(1, self.workers + 1))
        return [job_of(pool, Order(name, POOL, 1), FARM) for name in names]

    def _clear(self) -> None:
        """Remove all Jobs and pods, and let the cluster come to rest."""
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs"
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        self._api.ask("DELETE", path, json.dumps(options).encode())
        self.seen.wait_for(0, SECONDS)
        self._wait_for_pods(0)
        time.sleep(CALM_SECONDS)
        self.seen.forget()

    def _wait_for_pods(self, count: int, phase: str = "") -> None:
        """Wait until there are so many pods, in a phase if one is given."""
        deadline = time.monotonic() + SECONDS
        while len(self._pods(phase)) != count:
            if time.monotonic() > deadline:
                raise NotMeasured(f"there are not {count} pods")
            time.sleep(0.5)

    def _pods(self, phase: str = "") -> dict[str, str]:
        """Return the name of each worker's pod."""
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        listed = self._api.ask(
            "GET", f"{path}?fieldSelector=status.phase={phase}" if phase else path
        )
        pods = [pod["metadata"] for pod in listed["items"]]
        return {pod["labels"][WORKER_LABEL]: pod["name"] for pod in pods}

    def _end_pod(self, name: str) -> None:
        """Have a pod exit with 0."""
        patch = {"metadata": {"annotations": {"burst/exit": "0"}}}
        self._api.ask(
            "PATCH", f"/api/v1/namespaces/{self._namespace}/pods/{name}",
            json.dumps(patch).encode(), **{"Content-Type": "application/merge-patch+json"},
        )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Measure and print; the exit status says whether it could be measured, not how good it is."""
    parser = argparse.ArgumentParser(prog="scripts/bench kubernetes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few workers: does it work at all")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=None)
    options = parser.parse_args(arguments)
    workers = options.workers or (QUICK_WORKERS if options.quick else WORKERS)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    try:
        with _namespace(workers) as (cluster, namespace, folder):
            bench = Bench(cluster, namespace, folder, workers)
            kills = QUICK_KILLS if options.quick else KILLS
            print(json.dumps(_measure(bench, rounds, kills)))
    except (NotMeasured, TimeoutError, RuntimeError, AssertionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _namespace(workers: int) -> Iterator[tuple[Cluster, str, Path]]:
    """Give a cluster of our own with nodes for so many workers, a namespace and a folder."""
    if os.geteuid() != 0:
        raise NotMeasured("a cluster needs root: for namespaces, mounts and cgroups")
    if not os.environ.get("BURST_TEST_KUBERNETES"):
        built = subprocess.run(
            [str(ROOT / "scripts" / "cluster"), "build"],
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if built.returncode:
            raise NotMeasured("scripts/cluster can't build a Kubernetes here")
        os.environ["BURST_TEST_KUBERNETES"] = built.stdout.strip()
    # Nodes that are only said to be there are those of our own cluster.
    os.environ.pop("BURST_TEST_KUBECONFIG", None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="burst-kubernetes-")))
        # A manager shares no machine with a control plane. As for tests, the cluster would get
        # nearly all of this one, and whoever needs less of the little that is left would win.
        cluster = stack.enter_context(running_cluster(1, "--share=1"))
        cluster.set_kwok_nodes(nodes_for(workers))
        stack.callback(cluster.set_kwok_nodes, 0)
        name = f"burst-bench-{secrets.token_hex(3)}"
        cluster.kubectl("create", "namespace", name)
        stack.callback(cluster.kubectl, "delete", "namespace", name, "--wait=false")
        yield cluster, name, folder


def _measure(bench: Bench, rounds: int, kills: int) -> dict[str, float | int | str]:
    farms: list[Making] = []
    bares: list[Making] = []
    cancels: list[float] = []
    ratios: list[float] = []
    threads = _best_threads(bench) if rounds > 1 else THREADS[1]
    for number in range(rounds):
        # By turns, and by turns first.
        for side in ("farm", "bare") if number % 2 else ("bare", "farm"):
            if side == "bare":
                bares.append(bench.make_bare(threads))
                _say(bench, f"bare client, {threads} threads", bares[-1])
            else:
                making, canceled = bench.make_by_farm()
                farms.append(making)
                cancels.append(canceled)
                _say(bench, f"manager; gone {canceled:.1f} s after the job was canceled", making)
        ratios.append(bares[-1].seconds / farms[-1].seconds)
    drained = bench.drain()
    print(f"no Job left {drained:.1f} s after the idle time")
    doubled = bench.kill_managers(kills)
    print(f"{doubled} Jobs too many over {kills} killed managers")
    return {
        "benchmark": "kubernetes",
        "workers": bench.workers,
        "farm_jobs_per_second": round(bench.workers / _median(farms), 1),
        "bare_jobs_per_second": round(bench.workers / _median(bares), 1),
        "bare_threads": threads,
        "farm_to_bare": round(statistics.median(ratios), 3),
        "farm_to_bare_least": round(min(ratios), 3),
        "farm_cpu_seconds": round(statistics.median(one.cpu_seconds for one in farms), 2),
        "bare_cpu_seconds": round(statistics.median(one.cpu_seconds for one in bares), 2),
        "canceled_to_none_seconds": round(max(cancels), 2),
        "idle_to_none_seconds": round(drained, 2),
        "manager_kills": kills,
        "doubled": doubled,
    }


def _best_threads(bench: Bench) -> int:
    """Return with how many threads the bare client is fastest."""
    tried = {}
    for threads in THREADS:
        tried[threads] = bench.make_bare(threads)
        _say(bench, f"bare client, {threads} threads, to choose", tried[threads])
    return min(tried, key=lambda threads: tried[threads].seconds)


def _say(bench: Bench, side: str, making: Making) -> None:
    rate = bench.workers / making.seconds
    print(f"{making.seconds:6.2f} s  {rate:6.1f} Jobs/s  {making.cpu_seconds:5.2f} CPU-s  {side}")


def _median(makings: list[Making]) -> float:
    return statistics.median(making.seconds for making in makings)


def _cpu_seconds(farm: KwokFarm) -> float:
    times = psutil.Process(farm.manager.address.pid).cpu_times()
    return float(times.user + times.system)


def _register(farm: KwokFarm, name: str, sessions: dict[str, str]) -> None:
    facts = BlenderFacts(version=(5, 0, 1), kind="binary", engines={"CYCLES": ""})
    able = Capabilities(blenders=(facts,), memory_bytes=1 << 24)
    message = RegisterWorker(name=name, pool=POOL, host=name, pid=1, capabilities=able, threads=1)
    sessions[name] = farm.manager.worker.register(message).session
