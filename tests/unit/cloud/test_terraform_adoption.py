"""What is imported in place of being made again, and what is somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from burst.cloud.terraform_adoption import IMPORT_IDS, Existing, adoptions, import_id, taken
from burst.cloud.terraform_plan import Change, Plan

OURS = {"burst-farm": "dune", "team": "films"}


def plan(*changes: Change) -> Plan:
    return Plan(Path("plan"), changes, (), is_empty=not changes)


def create(type_: str, address: str = "module.x.it", **after: Any) -> Change:
    return Change(address, type_, "create", {}, after)


def adopted(change: Change, *existing: Existing) -> list[tuple[str, str]]:
    return [tuple(one) for one in adoptions(plan(change), existing, farm="dune", project="film")]


@pytest.mark.parametrize(
    ("change", "existing", "expected"),
    [
        (create("google_compute_network", name="dune"),
         Existing("google_compute_network", "dune"), "projects/film/global/networks/dune"),
        (create("google_compute_subnetwork", name="dune-nodes", region="europe-west4"),
         Existing("google_compute_subnetwork", "dune-nodes", "europe-west4"),
         "projects/film/regions/europe-west4/subnetworks/dune-nodes"),
        (create("google_compute_firewall", name="dune-in"),
         Existing("google_compute_firewall", "dune-in"), "projects/film/global/firewalls/dune-in"),
        (create("google_compute_router_nat", name="dune", router="dune", region="r1"),
         Existing("google_compute_router_nat", "dune", "r1", "dune"),
         "projects/film/regions/r1/routers/dune/dune"),
        (create("google_container_cluster", name="dune", location="europe-west4-a"),
         Existing("google_container_cluster", "dune", "europe-west4-a", labels=OURS),
         "projects/film/locations/europe-west4-a/clusters/dune"),
        (create("google_container_node_pool", name="cpu", location="europe-west4-a",
                cluster="projects/film/locations/europe-west4-a/clusters/dune"),
         Existing("google_container_node_pool", "cpu", "europe-west4-a", "dune"),
         "film/europe-west4-a/dune/cpu"),
        (create("google_container_node_pool", name="cpu"),
         Existing("google_container_node_pool", "cpu", "europe-west4-a", "dune"),
         "film/europe-west4-a/dune/cpu"),
        (create("google_dns_managed_zone", name="dune-apis"),
         Existing("google_dns_managed_zone", "dune-apis", labels=OURS),
         "projects/film/managedZones/dune-apis"),
        (create("google_dns_record_set", name="*.googleapis.com.", type="CNAME",
                managed_zone="dune-apis"),
         Existing("google_dns_record_set", "*.googleapis.com.", "", "dune-apis", kind="CNAME"),
         "film/dune-apis/*.googleapis.com./CNAME"),
        (create("google_service_account", account_id="dune-nodes"),
         Existing("google_service_account", "dune-nodes"),
         "projects/film/serviceAccounts/dune-nodes@film.iam.gserviceaccount.com"),
        (create("google_project_iam_custom_role", role_id="dune_hibernate"),
         Existing("google_project_iam_custom_role", "dune_hibernate"),
         "projects/film/roles/dune_hibernate"),
        (create("google_storage_bucket", name="film-dune-data", location="EUROPE-WEST4"),
         Existing("google_storage_bucket", "film-dune-data", "europe-west4", labels=OURS),
         "film/film-dune-data"),
        (create("google_artifact_registry_repository", repository_id="dune", location="r1"),
         Existing("google_artifact_registry_repository", "dune", "r1", labels=OURS),
         "projects/film/locations/r1/repositories/dune"),
    ],
)  # fmt: skip
def test_what_is_the_farms_own_is_imported(
    change: Change, existing: Existing, expected: str
) -> None:
    assert adopted(change, existing) == [("module.x.it", expected)]


@pytest.mark.parametrize(
    ("change", "existing"),
    [
        (create("google_compute_network", name="dune"),
         Existing("google_compute_network", "arrakis")),
        (create("google_compute_subnetwork", name="dune", region="r1"),
         Existing("google_compute_subnetwork", "dune", "r2")),
        (create("google_container_node_pool", name="cpu", cluster="dune", location="z"),
         Existing("google_container_node_pool", "cpu", "z", "dune-two")),
        (create("google_dns_record_set", name="a.", type="A", managed_zone="dune"),
         Existing("google_dns_record_set", "a.", "", "dune", kind="CNAME")),
        (create("google_project_service", service="compute.googleapis.com"),
         Existing("google_project_service", "compute.googleapis.com")),
        (Change("a", "google_compute_network", "update", {"name": "dune"}, {"name": "dune"}),
         Existing("google_compute_network", "dune")),
    ],
)  # fmt: skip
def test_what_is_another_thing_is_left(change: Change, existing: Existing) -> None:
    assert adopted(change, existing) == []
    assert taken(plan(change), [existing], farm="dune") == ()


@pytest.mark.parametrize(
    ("type_", "labels"),
    [
        ("google_storage_bucket", {}),
        ("google_storage_bucket", {"burst-farm": "dune-two"}),
        ("google_compute_network", None),
    ],
)
def test_a_name_that_somebody_else_has_is_told(type_: str, labels: dict[str, str] | None) -> None:
    change = create(type_, name="films")
    existing = Existing(type_, "films", labels=labels)
    assert adopted(change, existing) == []
    assert [tuple(one) for one in taken(plan(change), [existing], farm="dune")] == [
        ("module.x.it", existing)
    ]


@pytest.mark.parametrize(
    ("words", "is_own"),
    [
        ("burst farm dune", True),
        ("Nodes, pods and services of the burst farm dune", True),
        ("burst farm dune: hibernate", True),
        ("burst farm dune-two", False),
        ("burst farm dunes", False),
        ("the films' own network", False),
        ("", False),
    ],
)
def test_what_takes_no_labels_says_whose_it_is(words: str, is_own: bool) -> None:
    change = create("google_compute_network", name="dune")
    existing = Existing("google_compute_network", "dune", words=words)
    assert bool(adopted(change, existing)) == is_own
    assert bool(taken(plan(change), [existing], farm="dune")) != is_own


def test_of_a_hundred_things_those_of_the_plan_are_found() -> None:
    changes = [
        create("google_compute_firewall", f"firewall[{index}]", name=f"dune-{index}")
        for index in range(100)
    ]
    there = [Existing("google_compute_firewall", f"dune-{index}") for index in range(0, 200, 2)]
    found = adoptions(plan(*changes), there, farm="dune", project="film")
    assert [one.address for one in found] == [f"firewall[{index}]" for index in range(0, 100, 2)]


@pytest.mark.parametrize("type_", IMPORT_IDS)
def test_every_kind_has_an_id_without_holes(type_: str) -> None:
    existing = Existing(type_, "NAME", "LOCATION", "PARENT", kind="KIND")
    made = import_id(existing, "film")
    assert "film" in made
    assert "NAME" in made
    assert "{" not in made
