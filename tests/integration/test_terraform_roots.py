"""The roots from nothing to nothing, by Terraform itself, against a stand-in of Google Cloud.

It runs with the provider of tests, or with a real one where ``BURST_TEST_TERRAFORM_MIRROR`` names
a mirror that has it; ``terraform_requests.json`` is what the real one asked for.
``BURST_TEST_TERRAFORM_RECORD=1`` writes that file anew. Left out: burst's own part in it, which
the tests of `burst up` and `burst down` look at.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud
from tests.fakes.terraform_provider.comparison import essence
from tests.fakes.terraform_provider.mirror import is_real, make_mirror, terraform

SOURCE = Path(__file__).parents[2] / "terraform"
RECORDED = Path(__file__).with_name("terraform_requests.json")
FARM, ZONE = "film", "europe-west4-a"
STATE_BUCKET, BUCKET = f"proj-x-{FARM}-state", f"proj-x-{FARM}-data"
PATIENCE_SECONDS = 120
SPOT = {"machine": "n2d-standard-8", "maximum": 4, "shutdown_seconds": 120, "memory_class": 32}
OTHER_SPOT = {
    **SPOT,
    "maximum": 7,
    "memory_class": 64,
    "shutdown_seconds": 30,
    "disk_gib": 200,
    "disk_type": "pd-balanced",
    "zones": [ZONE, "europe-west4-b"],
    "labels": {"film": "short"},
    "taints": [{"key": "film", "value": "short"}],
}
ON_DEMAND = {**OTHER_SPOT, "spot": False, "shutdown_seconds": None}
GPU = {"machine": "g2-standard-8", "maximum": 2, "gpu_type": "nvidia-l4", "gpus": 1}
POOLS = {"spot": SPOT, "gpu": {**GPU, "gpu_driver": "LATEST"}}
NOTHING, FAILED, CHANGES = 0, 1, 2
QUICK = """
provider "google" {
  batching {
    enable_batching = false
  }
}
"""
"""The real provider gathers what it asks for ten seconds long; tests have no need of that."""


@dataclass
class Run:
    """What came of a command."""

    status: int
    output: str
    seconds: float
    peak_mib: int


class Root:
    """A copy of a root, and Terraform in it."""

    def __init__(self, cloud: GoogleCloud, folder: Path, name: str, program: str) -> None:
        self.cloud, self.name, self._program = cloud, name, program
        self.folder = folder / "terraform" / name
        if not self.folder.parent.exists():
            # What somebody tried by hand there has providers and a state of its own.
            kept = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*")
            shutil.copytree(SOURCE, self.folder.parent, ignore=kept)
        (self.folder / "quick_override.tf").write_text(QUICK, encoding="utf-8")
        self.environ = {
            **os.environ,
            **cloud.environ,
            "TF_CLI_CONFIG_FILE": str(make_mirror(folder)),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def write(self, **variables: Any) -> None:
        given = {"project": "proj-x", "region": ZONE[:-2], "farm": FARM, "bucket": BUCKET}
        text = json.dumps({**given, "poll_interval": "50ms", **variables})
        (self.folder / "terraform.tfvars.json").write_text(text, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output.log").open("wb") as log:
            return subprocess.Popen(
                [self._program, *arguments],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> Run:
        began = time.monotonic()
        process = self.start(*arguments)
        watch = threading.Timer(PATIENCE_SECONDS * (5 if is_real() else 1), process.kill)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        output = (self.folder / "output.log").read_text("utf-8")
        return Run(process.returncode, output, seconds, usage.ru_maxrss // 1024)

    def done(self, *arguments: str) -> Run:
        """Run a command that has to succeed, and print what it took."""
        ran = self.run(*arguments, "-no-color")
        assert ran.status == NOTHING, ran.output
        print(f"{self.name} {arguments[0]}: {ran.seconds:.1f} s, {ran.peak_mib} MiB")
        return ran

    def init(self) -> None:
        place = f"-backend-config=bucket={STATE_BUCKET}", f"-backend-config=prefix={self.name}"
        self.done("init", "-input=false", *place)

    def apply(self) -> Run:
        return self.done("apply", "-auto-approve", "-input=false")

    def destroy(self) -> Run:
        return self.done("destroy", "-auto-approve", "-input=false")

    def plan(self) -> Run:
        ran = self.run("plan", "-input=false", "-no-color", "-detailed-exitcode")
        print(f"{self.name} plan: {ran.seconds:.1f} s, {ran.peak_mib} MiB")
        return ran

    def outputs(self) -> dict[str, Any]:
        found = json.loads(self.run("output", "-json", "-no-color").output)
        return {name: one["value"] for name, one in found.items()}

    def state(self) -> dict[str, Any]:
        found = self.run("state", "pull", "-no-color")
        return {
            ".".join((*([one["module"]] if "module" in one else []), one["type"], one["name"])): one
            for one in json.loads(found.output)["resources"]
            if one["mode"] == "managed"
        }


class Phases:
    """What was asked for, step by step."""

    def __init__(self, cloud: GoogleCloud) -> None:
        self._cloud, self._seen = cloud, 0
        self.found: dict[str, Any] = {}

    def end(self, name: str) -> None:
        asked = [one for one in self._cloud.requests[self._seen :] if STATE_BUCKET not in one.path]
        self._seen = len(self._cloud.requests)
        self.found[name] = essence(asked)


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud() as made:
        made.plant("buckets", {"name": STATE_BUCKET, "location": "EUROPE-WEST4"})
        yield made


@pytest.fixture
def storage(cloud: GoogleCloud, tmp_path: Path) -> Root:
    root = Root(cloud, tmp_path, "storage", terraform())
    root.write(force_destroy=True)
    root.init()
    return root


@pytest.fixture
def farm(cloud: GoogleCloud, tmp_path: Path) -> Root:
    root = Root(cloud, tmp_path, "farm", terraform())
    root.write(zone=ZONE, pools=POOLS)
    root.init()
    return root


def left(cloud: GoogleCloud) -> dict[str, list[str]]:
    """Return what there is, but for the bucket of the states."""
    found = cloud.everything()
    found.pop("objects", None)
    others = [one for one in found.pop("buckets", []) if one != STATE_BUCKET]
    return {**found, **({"buckets": others} if others else {})}


def test_the_roots_are_valid(storage: Root, farm: Root) -> None:
    storage.done("validate")
    farm.done("validate")


def test_from_nothing_to_nothing(storage: Root, farm: Root, cloud: GoogleCloud) -> None:
    phases = Phases(cloud)
    for root in (storage, farm):
        assert root.plan().status == CHANGES
        phases.end(f"{root.name}: plan of what is not there")
        root.apply()
        phases.end(f"{root.name}: apply")
        ran = root.plan()
        assert ran.status == NOTHING, ran.output
        phases.end(f"{root.name}: plan of what is there")
    assert storage.outputs()["url"] == f"gs://{BUCKET}"
    outputs = farm.outputs()
    assert outputs["cluster"]["location"] == ZONE
    assert set(outputs["pools"]) == set(POOLS)

    farm.write(zone=ZONE, pools={**POOLS, "spot": {**SPOT, "maximum": 7}})
    assert "1 changed, 0 destroyed" in farm.apply().output
    phases.end("farm: change of a pool")
    others = {"labels": {"film": "short"}, "system_machine": "e2-standard-4"}
    farm.write(zone=ZONE, pools={**POOLS, "spot": OTHER_SPOT}, **others)
    assert "0 added, " in farm.apply().output
    phases.end("farm: change of much")
    farm.write(zone=ZONE, pools={**POOLS, "spot": ON_DEMAND}, **others)
    assert "1 added, 0 changed, 1 destroyed" in farm.apply().output
    phases.end("farm: a pool made anew")
    farm.write(zone=ZONE, pools={"spot": ON_DEMAND}, **others)
    assert "0 changed, 1 destroyed" in farm.apply().output
    phases.end("farm: removal of a pool")
    assert farm.plan().status == NOTHING

    phases.end("farm: plan")
    for root in (farm, storage):
        root.destroy()
        phases.end(f"{root.name}: destroy")
    assert left(cloud) == {}
    compare(phases.found)


def compare(found: dict[str, Any]) -> None:
    """Compare what was asked for with what the real provider asked for."""
    if os.environ.get("BURST_TEST_TERRAFORM_RECORD"):
        assert is_real(), "only a real provider's requests are kept"
        text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
        RECORDED.write_text(f"{text}\n", encoding="utf-8")
    recorded = json.loads(RECORDED.read_text("utf-8"))
    for name, phase in recorded.items():
        assert found[name]["writes"] == phase["writes"], name
        assert found[name]["reads"] == phase["reads"], name
    assert set(found) == set(recorded)


def test_a_pool_that_failed_is_made_again(farm: Root, cloud: GoogleCloud) -> None:
    cloud.plant("buckets", {"name": BUCKET, "location": "EUROPE-WEST4"})
    cloud.faults.stock_out(skip=1)

    ran = farm.run("apply", "-auto-approve", "-input=false", "-no-color")

    assert ran.status == FAILED
    assert 'was created in the error state "ERROR"' in ran.output
    assert "must be replaced" in farm.plan().output
    farm.apply()
    assert farm.plan().status == NOTHING


def test_a_cluster_that_the_state_does_not_know_is_taken_in(farm: Root, cloud: GoogleCloud) -> None:
    cloud.plant("buckets", {"name": BUCKET, "location": "EUROPE-WEST4"})
    cloud.faults.lose_answer(r"/clusters$")
    assert farm.run("apply", "-auto-approve", "-input=false", "-no-color").status == FAILED
    cloud.finish()

    ran = farm.run("apply", "-auto-approve", "-input=false", "-no-color")
    assert "Already exists" in ran.output

    name = f"projects/proj-x/locations/{ZONE}/clusters/{FARM}"
    farm.done("import", "-input=false", "module.cluster.google_container_cluster.this", name)
    farm.apply()
    assert farm.plan().status == NOTHING
    assert "module.cluster.google_container_cluster.this" in farm.state()


def test_an_interrupt_keeps_the_operation_and_leaves_the_default_pool(
    farm: Root, cloud: GoogleCloud
) -> None:
    cloud.plant("buckets", {"name": BUCKET, "location": "EUROPE-WEST4"})
    cloud.operations.seconds["CREATE_CLUSTER"] = PATIENCE_SECONDS
    process = farm.start("apply", "-auto-approve", "-input=false", "-no-color")
    limit = time.monotonic() + PATIENCE_SECONDS
    while not any(
        one.path.startswith("/container/") and "/operations/" in one.path for one in cloud.requests
    ):
        assert process.poll() is None, (farm.folder / "output.log").read_text("utf-8")
        assert time.monotonic() < limit
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == FAILED
    cloud.finish()

    farm.apply()

    assert farm.plan().status == NOTHING
    assert "default-pool" in cloud.everything()["nodePools"]
