"""The command line on a real cluster: a farm comes, is reached, fails to change, and goes.

Left out: rendering, and what becomes of workers. ``BURST_TEST_IMAGES`` names the folder with the
manager's image, as `scripts/images` makes it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.emulator import Emulator

SECONDS = 180
FARM = "studio"


class Farm:
    """Commands of burst on a cluster."""

    def __init__(self, cluster: Cluster, buckets: Emulator, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.environment = {
            **cluster.environment,
            **buckets.environment,
            "BURST_STATE_DIR": str(folder / "state"),
            "BURST_STORAGE_URL": buckets.url,
        }
        self.environment.pop("KUBECONFIG")
        self.endpoint = buckets.endpoint
        self.configure()

    def configure(self, manager: str = "", pools: str = "[pools.cpu]\ncores = 1\n") -> None:
        emulator = f'[{{ name = "STORAGE_EMULATOR_HOST", value = "{self.endpoint}" }}]'
        text = f'[cluster]\nfarm = "{FARM}"\n[cluster.manager]\nextraEnv = {emulator}\n{manager}\n'
        (self.folder / "burst.toml").write_text(text + pools, encoding="utf-8")

    def burst(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "burst", *arguments],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=SECONDS,
        )  # fmt: skip

    def succeed(self, *arguments: str) -> str:
        done = self.burst(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def farm(
    cluster: Cluster,
    buckets: Emulator,
    load_image: Callable[[Path], None],
    tmp_path: Path,
) -> Iterator[Farm]:
    images = os.environ.get("BURST_TEST_IMAGES")
    if not images:
        pytest.skip("no image of the manager: scripts/images could not build it here")
    load_image(Path(images) / "manager.tar")
    farm = Farm(cluster, buckets, tmp_path)
    farm.succeed("up", "--kubeconfig", str(cluster.kubeconfig), "--no-images")
    yield farm
    farm.burst("down", "--yes")
    cluster.kubectl("delete", "namespace", FARM, "--ignore-not-found", "--timeout=120s")


def test_a_farm_comes_is_reached_and_leaves_nothing(farm: Farm) -> None:
    status = json.loads(farm.succeed("status", "--json"))
    assert (status["farm"], status["namespace"]) == (FARM, FARM)
    assert [pool["name"] for pool in json.loads(farm.succeed("pools", "list", "--json"))] == ["cpu"]
    assert "manager ready" in farm.succeed("logs", "manager")
    farm.succeed("pools", "set", "cpu", "--max", "3")
    (pool,) = json.loads(farm.succeed("pools", "list", "--json"))
    assert pool["maximum"] == 3

    removal = json.loads(farm.succeed("down", "--yes", "--json"))
    assert removal == {"removed": [f"{FARM}-pool-cpu", FARM], "stays": []}
    kinds = "pods,jobs,statefulsets,services,configmaps,secrets,pvc,networkpolicies,roles"
    left = farm.cluster.get(kinds, "-n", FARM)["items"]
    assert [one["metadata"]["name"] for one in left] == ["kube-root-ca.crt"]


def test_a_change_that_does_not_come_up_is_taken_back_and_the_farm_goes_on(farm: Farm) -> None:
    farm.configure(manager='image = { tag = "no-such" }')
    done = farm.burst("deploy", "--no-images")
    assert done.returncode == 1
    assert "ErrImagePull" in done.stderr
    assert "the farm is as it was before" in done.stderr
    farm.configure(pools="[pools.other]\ncores = 1\n")
    farm.succeed("deploy", "--no-images")
    assert [pool["name"] for pool in json.loads(farm.succeed("pools", "list", "--json"))] == [
        "other"
    ]


def test_a_manager_whose_pod_is_deleted_is_reached_again(farm: Farm) -> None:
    farm.cluster.kubectl("delete", "pod", f"{FARM}-manager-0", "-n", FARM)
    assert json.loads(farm.succeed("status", "--json"))["running"]


def test_another_farm_is_refused_in_the_same_namespace(farm: Farm) -> None:
    done = farm.burst(
        "up", "--kubeconfig", str(farm.cluster.kubeconfig), "--no-images",
        "--farm", "second", "--namespace", FARM,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"has the farm {FARM} already" in done.stderr
