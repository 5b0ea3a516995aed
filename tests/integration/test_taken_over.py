"""What no state knows of is taken over: made by a terraform that was killed, or left behind.

The real terraform with the provider that tests have, state and everything else in the stand-in
of Google Cloud, and a root as small as it can be. Left out here: burst's own roots.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from burst.cloud.adoptable import list_existing
from burst.cloud.google_api import GoogleApi
from burst.cloud.inventory import take_inventory
from burst.cloud.state_bucket import StateBucket, Wanted, ensure_bucket
from burst.cloud.terraform import Terraform
from burst.cloud.terraform_adoption import Adoption, adoptions, taken
from burst.cloud.terraform_copies import root_folder
from burst.cloud.terraform_events import Event, Started
from burst.cloud.terraform_plan import Plan
from burst.cloud.terraform_run import held_farm, open_root, open_to_plan
from burst.errors import CloudConflict, ToolError
from tests.fakes.google_cloud import GoogleCloud
from tests.fakes.terraform_provider.mirror import make_mirror

PROJECT, REGION, FARM = "film-project", "europe-west4", "dune"
PATIENCE_SECONDS = 120

ROOT = """
terraform {
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "= 7.45.0"
    }
  }
  backend "gcs" {}
}
provider "google" {
  project       = "film-project"
  region        = "europe-west4"
  poll_interval = "50ms"
}
resource "google_compute_network" "network" {
  name                    = "dune"
  description             = "burst farm dune"
  auto_create_subnetworks = false
}
resource "google_compute_subnetwork" "nodes" {
  name          = "dune-nodes"
  description   = "Nodes of the burst farm dune"
  network       = google_compute_network.network.id
  ip_cidr_range = "10.0.0.0/20"
}
resource "google_service_account" "nodes" {
  account_id   = "dune-nodes"
  display_name = "Nodes of the burst farm dune"
}
resource "google_storage_bucket" "data" {
  name                        = "film-project-dune-data"
  location                    = "europe-west4"
  uniform_bucket_level_access = true
  labels                      = { burst-farm = "dune" }
}
resource "google_artifact_registry_repository" "images" {
  repository_id = "dune"
  format        = "DOCKER"
  location      = "europe-west4"
  labels        = { burst-farm = "dune" }
}
"""


class Farm:
    """One run after the other of a farm in the stand-in."""

    def __init__(self, cloud: GoogleCloud, folder: Path, program: str) -> None:
        self.cloud = cloud
        self.program = program
        self.source = folder / "source"
        (self.source / "farm").mkdir(parents=True)
        (self.source / "farm" / "main.tf").write_text(ROOT, "utf-8")
        settings = make_mirror(folder)
        self.environ = {**os.environ, **cloud.environ, "TF_CLI_CONFIG_FILE": str(settings)}
        self.api = GoogleApi(self.environ, project=PROJECT)
        self.bucket = StateBucket("film-project-dune-state", self.environ)
        self.place = folder / "google" / self.bucket.name
        self.told: list[str] = []
        self.terraform = Terraform(
            root_folder(self.place, "farm"), self.environ, program=program, project=PROJECT,
            tell=self.told.append,
        )  # fmt: skip
        wanted = Wanted(self.bucket.name, PROJECT, REGION, FARM, {})
        ensure_bucket(self.api, wanted, cloud.number)

    def open(self) -> None:
        open_root(self.terraform, self.bucket, self.source, "farm", tell=self.told.append)

    def adoptions(self, plan: Plan) -> tuple[Adoption, ...]:
        existing = list_existing(self.api, take_inventory(self.api, PROJECT, REGION, FARM))
        assert taken(plan, existing, farm=FARM) == ()
        return adoptions(plan, existing, farm=FARM, project=PROJECT)

    def adopt(self) -> Plan:
        """Take over what is there, and return what is left to do."""
        plan = self.terraform.plan()
        while found := self.adoptions(plan):
            for address, import_id in found:
                self.terraform.import_(address, import_id)
            plan = self.terraform.plan()
        return plan


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Farm]:
    program = os.environ.get("BURST_TEST_TERRAFORM") or shutil.which("terraform")
    if not program:
        pytest.skip("no terraform: scripts/setup --terraform could not get one here")
    with GoogleCloud(project=PROJECT, operation_seconds=0.2) as cloud:
        for name, value in cloud.environ.items():
            monkeypatch.setenv(name, value)
        yield Farm(cloud, tmp_path, program)


def up(farm: Farm) -> Plan:
    with held_farm(farm.bucket, farm.place, "up", farm.told.append):
        farm.open()
        plan = farm.adopt()
        farm.terraform.apply(plan)
        return plan


def test_what_a_killed_terraform_made_is_taken_over(farm: Farm) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, Started) and event.resource.type == "google_storage_bucket":
            deadline = time.monotonic() + PATIENCE_SECONDS
            while "film-project-dune-data" not in str(farm.cloud.everything()):
                assert time.monotonic() < deadline, "the bucket was never made"
                time.sleep(0.01)
            call = farm.terraform.last_call
            assert call
            psutil.Process(call.pid).kill()

    with held_farm(farm.bucket, farm.place, "up", farm.told.append):
        farm.open()
        with pytest.raises(ToolError, match="ended by SIGKILL"):
            farm.terraform.apply(farm.terraform.plan(), kill)
    done = up(farm)
    assert len(done.with_action("create")) < 5
    assert done.with_action("replace", "delete") == ()
    assert any("freed the state of the lock" in told for told in farm.told)
    assert farm.terraform.plan().is_empty
    assert len(farm.terraform.state_addresses()) == 5


def test_with_its_state_lost_a_farm_is_taken_over_whole(farm: Farm) -> None:
    made = up(farm)
    assert len(made.changes) == 5
    farm.bucket.remove("farm/default.tfstate")
    writes = len(farm.cloud.writes())
    with held_farm(farm.bucket, farm.place, "up", farm.told.append):
        farm.open()
        assert len(farm.terraform.plan().with_action("create")) == 5
        left = farm.adopt()
        assert [change.address for change in left.with_action("create", "replace")] == []
    touched = [one.path for one in farm.cloud.writes()[writes:]]
    assert all(farm.bucket.name in path for path in touched), "only the state was written"
    with held_farm(farm.bucket, farm.place, "down", farm.told.append):
        farm.open()
        farm.terraform.destroy()
    assert take_inventory(farm.api, PROJECT, REGION, FARM).of_kind("networks") == ()


def test_a_taken_name_is_found_before_anything_is_made(farm: Farm) -> None:
    farm.cloud.plant("buckets", {"name": "film-project-dune-data", "location": "europe-west4"})
    with held_farm(farm.bucket, farm.place, "up", farm.told.append):
        farm.open()
        plan = farm.terraform.plan()
        existing = list_existing(farm.api, take_inventory(farm.api, PROJECT, REGION, FARM))
        found = taken(plan, existing, farm=FARM)
        assert [one.address for one in found] == ["google_storage_bucket.data"]
        with pytest.raises(CloudConflict) as refused:
            farm.terraform.apply(plan)
    assert "needs another name" in str(refused.value.hint)


def test_before_there_is_a_bucket_and_beside_a_run_all_is_planned_and_nothing_written(
    farm: Farm, tmp_path: Path
) -> None:
    look = Terraform(root_folder(tmp_path / "look", "farm"), farm.environ, program=farm.program)
    writes = len(farm.cloud.writes())
    open_to_plan(look, farm.source)
    assert len(look.plan(lock=False).with_action("create")) == 5
    assert len(farm.cloud.writes()) == writes
    up(farm)
    with held_farm(farm.bucket, farm.place, "up", farm.told.append):
        writes = len(farm.cloud.writes())
        open_to_plan(look, farm.source, farm.bucket, "farm")
        assert look.plan(lock=False).is_empty
        assert len(farm.cloud.writes()) == writes


def test_the_providers_lock_file_goes_to_the_bucket_and_comes_from_there(farm: Farm) -> None:
    up(farm)
    kept = farm.bucket.read("farm/terraform.lock.hcl")
    assert kept
    assert b'version     = "7.45.0"' in kept
    shutil.rmtree(farm.terraform.folder)
    with held_farm(farm.bucket, farm.place, "up", farm.told.append):
        farm.open()
        assert farm.terraform.plan().is_empty
    assert (farm.terraform.folder / ".terraform.lock.hcl").read_bytes() == kept
