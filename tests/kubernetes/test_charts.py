"""The charts on a real cluster by plain helm, under the strictest pod security.

Left out: what the command line does with them, rendering frames (`test_journey`), and who reaches
the manager (`test_forwarded_console`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import burst
from tests.fakes.cluster import ROOT, Cluster, wait_until
from tests.fakes.emulator import Emulator

CHARTS = ROOT / "charts"
FARM = "studio"
POOL = f"{FARM}-pool-cpu"
WAIT = ("--wait", "--timeout", "150s")
LEFT = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,persistentvolumeclaims," \
    "resourcequotas,networkpolicies,poddisruptionbudgets"  # fmt: skip
WORKER_SECONDS = 150
"""For a worker to start, try its Blender, and leave again."""
OF_EVERY_NAMESPACE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


@pytest.fixture
def images(load_image: Callable[[Path], None]) -> None:
    """The nodes have both images."""
    folder = os.environ.get("BURST_TEST_IMAGES")
    if not folder:
        pytest.skip("no images: scripts/images builds them")
    for name in ("manager", "worker"):
        load_image(Path(folder) / f"{name}.tar")


class Farm:
    """A farm in a namespace, by plain helm."""

    def __init__(self, cluster: Cluster, namespace: str, bucket: Emulator, folder: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._folder = folder
        environment = [{"name": key, "value": value} for key, value in bucket.environment.items()]
        self._common: dict[str, Any] = {
            "storage": {"url": bucket.url},
            "extraEnv": environment,
        }
        self._manager_image = {"registry": "localhost", "tag": burst.__version__}
        self._worker_image = {"registry": "localhost", "tag": f"{burst.__version__}-debian"}

    def install_manager(self, **values: Any) -> str:
        return self._upgrade(FARM, "manager", {"image": self._manager_image, **values})

    def install_pool(self, **values: Any) -> str:
        own = {
            "farm": FARM,
            "image": self._worker_image,
            "spot": {"enabled": False},
            "machine": {"cores": 1, "cpuRequest": "200m", "memory": "1500Mi"},
        }
        return self._upgrade(POOL, "worker", {**own, **values})

    def uninstall(self, release: str) -> None:
        self.cluster.helm("uninstall", release, "-n", self.namespace, *WAIT)

    def check(self, release: str) -> str:
        return self.cluster.helm("test", release, "-n", self.namespace, "--timeout", "150s")

    def get(self, *arguments: str) -> Any:
        return self.cluster.get(*arguments, "-n", self.namespace)

    def left(self) -> set[str]:
        """Return all that is in the namespace, but for what every one has."""
        listed = self.get(LEFT)["items"]
        found = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in listed}
        return found - OF_EVERY_NAMESPACE

    def ask(self, method: str, path: str, body: str = "") -> Any:
        """Call the console from within its pod, where alone it listens."""
        program = (
            "import sys, urllib.request as u\n"
            "request = u.Request('http://127.0.0.1:8080' + sys.argv[2], method=sys.argv[1],\n"
            "    data=sys.argv[3].encode() or None, headers={'Content-Type': 'application/json'})\n"
            "print(u.urlopen(request, timeout=20).read().decode())"
        )
        said = self.cluster.kubectl(
            "exec", "-n", self.namespace, f"{FARM}-manager-0", "--", "python", "-c", program,
            method, f"/api/burst/v1{path}", body,
        )  # fmt: skip
        return json.loads(said)

    def submit_nap(self) -> str:
        """Have a worker do nothing for a second, and return the job's id."""
        nap = {"name": "nap", "commands": [{"kind": "sleep", "seconds": 1}]}
        submitted = self.ask("POST", "/jobs", json.dumps({"name": "waits", "commands": [nap]}))
        return str(submitted["job"]["id"])

    def _upgrade(self, release: str, chart: str, values: dict[str, Any]) -> str:
        file = self._folder / f"{release}.json"
        file.write_text(json.dumps({**self._common, **values}))
        return self.cluster.helm(
            "upgrade", "--install", release, str(CHARTS / chart), "-n", self.namespace,
            "--values", str(file), *WAIT,
        )  # fmt: skip


@pytest.fixture
def farm(cluster: Cluster, namespace: str, images: None, buckets: Emulator, tmp_path: Path) -> Farm:
    return Farm(cluster, namespace, buckets, tmp_path)


def refusal(cluster: Cluster, *arguments: str) -> str:
    """Return what helm says when it refuses."""
    done = subprocess.run(
        ["helm", *arguments], env=cluster.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


def token(farm: Farm) -> str:
    return str(farm.get("secret", f"{FARM}-worker-token")["data"]["token"])


def test_a_farm_comes_by_plain_helm_and_leaves_nothing(farm: Farm) -> None:
    assert "burst status" in farm.install_manager()
    assert "the pool cpu: 0 to 10 workers" in farm.install_pool()
    farm.check(FARM)
    farm.uninstall(POOL)
    farm.uninstall(FARM)
    assert farm.left() == set()


def test_what_failed_tests_leave_goes_with_their_releases(farm: Farm) -> None:
    farm.install_manager()
    farm.install_pool(nodeSelector={"burst-test/none": "yes"})
    manager = f"statefulset/{FARM}-manager"
    farm.cluster.kubectl("scale", manager, "-n", farm.namespace, "--replicas=0")
    farm.cluster.wait_for_phase(farm.namespace, f"{FARM}-manager-0", "gone")
    for release, seconds in ((FARM, 40), (POOL, 3)):
        options = ("-n", farm.namespace, "--timeout", f"{seconds}s")
        assert "Error" in refusal(farm.cluster, "test", release, *options)
    said = farm.cluster.kubectl("logs", f"job/{FARM}-test", "-n", farm.namespace)
    assert "URLError" in said
    assert {f"job/{FARM}-test", f"job/{POOL}-test"} <= farm.left()
    farm.uninstall(POOL)
    farm.uninstall(FARM)
    wait_until(lambda: farm.left() == set(), WORKER_SECONDS, lambda: str(farm.left()))


def test_an_upgrade_loses_neither_queue_nor_token(farm: Farm) -> None:
    farm.install_manager()
    before, pod = token(farm), farm.get("pod", f"{FARM}-manager-0")["metadata"]["uid"]
    job = farm.submit_nap()
    farm.install_manager(logLevel="debug", podAnnotations={"example.org/new": "yes"})
    assert farm.get("pod", f"{FARM}-manager-0")["metadata"]["uid"] != pod
    assert token(farm) == before
    assert [one["id"] for one in farm.ask("GET", "/jobs")["jobs"]] == [job]


def test_a_pod_of_a_pool_reads_the_mount_and_renders(farm: Farm) -> None:
    farm.install_manager()
    farm.install_pool()
    farm.check(POOL)


def test_workers_come_for_a_job_and_go_after_it(farm: Farm) -> None:
    farm.install_manager()
    farm.install_pool()
    assert farm.get("jobs")["items"] == []
    job = farm.submit_nap()
    wait_until(
        lambda: farm.ask("GET", f"/jobs/{job}")["status"] == "completed",
        WORKER_SECONDS,
        lambda: str(farm.ask("GET", f"/jobs/{job}/explain")),
    )
    wait_until(lambda: farm.get("jobs")["items"] == [], WORKER_SECONDS)


def test_a_second_farm_in_a_namespace_is_refused(farm: Farm) -> None:
    farm.install_manager()
    said = refusal(
        farm.cluster, "install", "other", str(CHARTS / "manager"), "-n", farm.namespace,
        "--set", "storage.url=gs://farm",
    )  # fmt: skip
    assert f"has a farm already, the release {FARM}" in said


@pytest.mark.parametrize(
    ("chart", "options"),
    [
        ("manager", ["--values", str(CHARTS / "manager" / "all-values.yaml")]),
        ("worker", ["--values", str(CHARTS / "worker" / "all-values.yaml")]),
        ("worker", ["--set", "farm=studio,storage.url=gs://farm,blender.versions={4.5.14}"]),
    ],
)
def test_the_cluster_takes_all_that_can_be_rendered(
    cluster: Cluster, namespace: str, chart: str, options: list[str]
) -> None:
    rendered = cluster.helm(
        "template", "studio", str(CHARTS / chart), "-n", namespace, *options, "--no-hooks"
    )
    cluster.kubectl("apply", "-n", namespace, "--dry-run=server", "-f", "-", text=rendered)
    if chart == "worker":
        found = json.loads(
            cluster.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=rendered)
        )
        job = json.loads(found["data"]["job.json"])
        job["metadata"]["name"] = "studio-1"
        made = cluster.kubectl(
            "create", "-n", namespace, "--dry-run=server", "-f", "-", text=json.dumps(job)
        )
        assert "studio-1" in made
