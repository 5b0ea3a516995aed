"""A farm of real Blenders on a real cluster that tests hurt, and what they see of it.

Its database lies on this machine, where the cluster has its volumes: it is looked at past the
manager, whoever is away, and by the checker at the end. All times are of one clock.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.fakes import checker
from tests.fakes.checker import ExpectedJob, KilledWorker, Left
from tests.fakes.cluster import Cluster, wait_until
from tests.fakes.emulator import Emulator
from tests.fakes.farm import HEIGHT, WIDTH
from tests.kubernetes.test_cli_on_cluster import FARM, Farm

MANAGER = f"{FARM}-manager"
STEADY, SHAKY = "node-1", "node-2"
"""The node of the API server and the manager, and the one that is taken away."""
WORKERS = 4
SECONDS = 180
IDLE_EXIT_SECONDS = 3
NOTICE = b"the machine goes off"
LOG_BYTES = 1 << 16
SEEN_LATE_SECONDS = 5.0
"""A busy machine may see a notice after its workers have answered it."""

KILL = """
pids=$(grep -lzxF "HOSTNAME=$1" /proc/[0-9]*/environ 2> /dev/null | cut -d / -f 3)
date +%s.%N
kill -KILL $pids 2> /dev/null
true
"""
"""Run on a node: ends every process of a pod at once, and says when."""


@dataclass
class Figures:
    """How long tasks were away from the queue, by what was done to their workers."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def table(self) -> str:
        """Return one line for each kind of trouble."""
        width = max(map(len, self.seconds), default=0)
        lines = [f"{'until a task is queued again':<{width}}  tasks  median   worst"]
        lines += [
            f"{what:<{width}}  {len(took):5}  {statistics.median(took):5.2f} s {max(took):5.2f} s"
            for what, took in self.seconds.items()
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Busy:
    """A worker that has a task, and its pod."""

    name: str
    pod: str
    node: str


class HurtFarm(Farm):
    """A farm by the command line, and its jobs."""

    def __init__(self, cluster: Cluster, buckets: Emulator, folder: Path) -> None:
        super().__init__(cluster, buckets, folder)
        self.buckets = buckets
        self.jobs: list[ExpectedJob] = []
        self.killed: list[KilledWorker] = []
        self.figures = Figures()
        self._state_dir = Path()

    def set_up(self, pools: str) -> None:
        """Put the farm on the cluster, with tables of pools as burst.toml has them."""
        self.configure_pools(pools)
        self.succeed("up", "--kubeconfig", str(self.cluster.kubeconfig), "--no-images")
        claim = self.cluster.get("pvc", f"{MANAGER}-state", "-n", FARM)["spec"]["volumeName"]
        there = Path(self.cluster.get("pv", claim)["spec"]["hostPath"]["path"])
        # On every node the same folder of this machine is mounted for all volumes.
        self._state_dir = self.cluster.kubeconfig.parent / "run" / "volumes" / there.name

    def configure_pools(self, pools: str) -> None:
        """Say in burst.toml which pools there are."""
        manager = (
            f"idleExitSeconds = {IDLE_EXIT_SECONDS}\n"
            f'nodeSelector = {{ "kubernetes.io/hostname" = "{STEADY}" }}\n'
        )
        emulator = f'[{{ name = "STORAGE_EMULATOR_HOST", value = "{self.endpoint}" }}]'
        common = f'[cluster.worker]\nextraEnv = {emulator}\n[images]\nimage_blender = "debian"\n'
        self.configure(manager, common + pools)

    # ── Jobs ─────────────────────────────────────────────────────────────────────────

    def submit(self, blend: Path, count: int, *options: str) -> str:
        """Have frames 1 to ``count`` rendered, and return the job's id."""
        said = self.succeed("submit", str(blend), "--frames", f"1-{count}", "--new", *options)
        job = said.strip()
        self.jobs.append(ExpectedJob(job, range(1, count + 1), WIDTH, HEIGHT))
        return job

    def wait_for_middle(self, job: str, published: int, busy: int = 1) -> None:
        """Wait until so many frames are published and so many workers have a task."""
        wait_until(
            lambda: self.published(job) >= published and len(self.active()) >= busy,
            SECONDS, self.account,
        )  # fmt: skip

    def finish(self) -> None:
        """See all jobs through and all workers go, and check everything that they leave.

        The manager is stopped for it, and started again.
        """
        wait_until(
            lambda: not self.rows("SELECT id FROM jobs WHERE status NOT IN ('completed')"),
            SECONDS, self.account,
        )  # fmt: skip
        wait_until(
            lambda: not self.rows("SELECT name FROM workers UNION SELECT name FROM worker_starts"),
            SECONDS, self.account,
        )  # fmt: skip
        assert self.cluster.get("jobs", "-n", FARM)["items"] == []
        self._scale_manager(0)
        try:
            wrong = self._check()
        finally:
            self._scale_manager(1)
        assert not wrong, "\n".join(wrong)

    def _check(self) -> list[str]:
        storage = self.folder / f"bucket-{len(self.jobs)}"
        checker.bring_bucket(self.buckets.endpoint, self.buckets.bucket, storage)
        return checker.check(Left(self._state_dir, storage, killed=self.killed), self.jobs)

    def note(self, what: str, at: float, workers: Sequence[str]) -> int:
        """Remember how long it took until what workers had at a moment was queued again.

        Returns how many tasks that were.
        """
        took = []
        for row in self.rows("SELECT * FROM attempts WHERE status IN ('interrupted', 'lost')"):
            late = checker.instant(row["ended_at"]) - at
            if row["worker"] in workers and late > -SEEN_LATE_SECONDS:
                took.append(max(late, 0.0))
                print(f"{what}: {late:.2f} s, {row['status']}: {row['reason']}")
        if took:
            self.figures.seconds[what] += took
        return len(took)

    # ── What there is ────────────────────────────────────────────────────────────────

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Ask the database, past the manager."""
        with closing(checker.open_database(self._state_dir)) as database:
            return [dict(row) for row in database.execute(query, values)]

    def active(self) -> list[str]:
        """Return the workers that have a task."""
        return [r["worker"] for r in self.rows("SELECT worker FROM attempts WHERE status='active'")]

    def published(self, job: str) -> int:
        """Return how many frames of a job are published."""
        query = "SELECT count(*) AS n FROM frames WHERE job_id = ? AND status = 'published'"
        return int(self.rows(query, job)[0]["n"])

    def unfinished(self, job: str) -> list[str]:
        """Return why attempts of a job have not ended well, but for a mount that was slow.

        On a busy machine a bucket's folder may say nothing for seconds: what was read then is no
        good, and is rendered again.
        """
        rows = self.rows("SELECT * FROM attempts WHERE job_id = ? AND status != 'completed'", job)
        slow = "did not answer for"
        return [f"{r['status']}: {r['reason']}" for r in rows if slow not in r["reason"]]

    def busy(self, node: str = "") -> list[Busy]:
        """Return the workers that have a task, of a node or of all."""
        pods = self.cluster.get("pods", "-n", FARM, "-l", "burst/worker")["items"]
        names = set(self.active())
        found = [
            Busy(pod["metadata"]["labels"]["burst/worker"], pod["metadata"]["name"], where)
            for pod in pods
            if (where := pod["spec"].get("nodeName", "")) and node in ("", where)
        ]
        return [worker for worker in found if worker.name in names]

    def running_jobs(self) -> list[str]:
        """Return the names of the Jobs that have not ended."""
        listed = self.cluster.get("jobs", "-n", FARM)["items"]
        return [job["metadata"]["name"] for job in listed if "conditions" not in job["status"]]

    def account(self) -> str:
        """Tell how the farm is, for the message of a test that failed."""
        tables = ("jobs", "workers", "worker_starts", "attempts WHERE status != 'completed'")
        rows = "\n".join(f"{table}: {self.rows(f'SELECT * FROM {table}')}" for table in tables)
        log = self.cluster.kubectl("logs", f"{MANAGER}-0", "-n", FARM, "--tail=40")
        pods = self.cluster.kubectl("get", "pods", "-n", FARM, "-o", "wide")
        return f"{rows}\n{pods}\n{log}"

    # ── Trouble ──────────────────────────────────────────────────────────────────────

    def delete(self, pods: Sequence[str]) -> float:
        """Delete pods with the grace that they have; return when."""
        open_api = config.new_client_from_config
        with open_api(str(self.cluster.kubeconfig)) as api:  # type: ignore[no-untyped-call]
            core = client.CoreV1Api(api)
            # So that no connection has to be made at the moment that counts.
            core.list_namespaced_pod(FARM)
            at = time.time()
            for pod in pods:
                core.delete_namespaced_pod(pod, FARM)
        return at

    def kill(self, worker: Busy) -> float:
        """End every process of a worker's pod without notice; return when."""
        at = float(self.cluster.run_on(worker.node, "sh", "-c", KILL, "sh", worker.pod))
        self.killed.append(KilledWorker(worker.name, at))
        return at

    def preempt(self, node: str) -> float:
        """Take a node away as a spot machine is taken; return when its kubelet was told."""
        log = self.cluster.kubeconfig.parent / "run" / node / "log" / "notice.log"
        # With the node the file goes.
        with log.open("rb") as file, ThreadPoolExecutor(1) as beside:
            done = beside.submit(self.cluster.preempt, node)
            wait_until(lambda: NOTICE in os.pread(file.fileno(), LOG_BYTES, 0), SECONDS)
            # Written at the notice, or by what followed it before this process had its turn.
            at = os.fstat(file.fileno()).st_mtime
            done.result()
        return at

    def delete_manager(self) -> None:
        """Delete the manager's pod, and wait until another one answers."""
        before = self._manager()
        self.delete([f"{MANAGER}-0"])
        self._wait_for_other_manager(before)

    def kill_manager(self) -> None:
        """End the manager without notice, and wait until another one answers."""
        before = self._manager()
        self.cluster.run_on(STEADY, "sh", "-c", KILL, "sh", f"{MANAGER}-0")
        self._wait_for_other_manager(before)

    def _wait_for_other_manager(self, before: object) -> None:
        wait_until(lambda: self._manager() not in (None, before), SECONDS, self.account)

    def _manager(self) -> object:
        """Return which manager answers: its pod, and how often it was started there."""
        here = ("-n", FARM, "--field-selector", f"metadata.name={MANAGER}-0")
        for pod in self.cluster.get("pods", *here)["items"]:
            for container in pod["status"].get("containerStatuses", ()):
                if container["ready"] and "deletionTimestamp" not in pod["metadata"]:
                    return pod["metadata"]["uid"], container["restartCount"]
        return None

    def _scale_manager(self, replicas: int) -> None:
        kind = f"statefulset/{MANAGER}"
        self.cluster.kubectl("scale", kind, "-n", FARM, f"--replicas={replicas}")
        if not replicas:
            self.cluster.wait_for_phase(FARM, f"{MANAGER}-0", "gone", seconds=SECONDS)
        else:
            self.cluster.kubectl("rollout", "status", kind, "-n", FARM, f"--timeout={SECONDS}s")


@contextmanager
def running_farm(
    cluster: Cluster, load_image: Callable[[Path], None], folder: Path, pools: str
) -> Iterator[HurtFarm]:
    """Have a farm on the cluster with these pools; afterwards its figures are printed."""
    images = os.environ.get("BURST_TEST_IMAGES")
    if not images:
        pytest.skip("no images: scripts/images builds them")
    for name in ("manager", "worker"):
        load_image(Path(images) / f"{name}.tar")
    with ExitStack() as stack:
        buckets = stack.enter_context(cluster.running_buckets(folder / "buckets"))
        farm = HurtFarm(cluster, buckets, folder)
        delete = ("delete", "namespace", FARM, "--ignore-not-found", "--timeout=120s")
        stack.callback(cluster.kubectl, *delete)
        stack.callback(farm.burst, "down", "--yes")
        farm.set_up(pools)
        yield farm
        if farm.figures.seconds:
            print(f"\n{farm.figures.table()}")
