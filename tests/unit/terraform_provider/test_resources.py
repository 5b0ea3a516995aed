"""Each type against the stand-in: made, read, changed, taken in and taken away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud
from tests.fakes.terraform_provider.resources import RESOURCES
from tests.unit.terraform_provider.conftest import ZONE, Calls

NETWORK = ("google_compute_network", {"name": "net", "auto_create_subnetworks": False})
SUBNETWORK = (
    "google_compute_subnetwork",
    {
        "name": "nodes",
        "network": "net",
        "ip_cidr_range": "10.0.0.0/20",
        "secondary_ip_range": [
            {"range_name": "pods", "ip_cidr_range": "10.4.0.0/14"},
            {"range_name": "services", "ip_cidr_range": "10.8.0.0/20"},
        ],
    },
)
ACCOUNT = ("google_service_account", {"account_id": "film-nodes"})
MAIL = "film-nodes@proj-x.iam.gserviceaccount.com"
BUCKET = ("google_storage_bucket", {"name": "proj-x-film-data", "location": "europe-west4"})
REPOSITORY = (
    "google_artifact_registry_repository",
    {"repository_id": "film", "location": "europe-west4", "format": "DOCKER"},
)
ZONE_OF_NAMES = (
    "google_dns_managed_zone",
    {
        "name": "film",
        "dns_name": "gcr.io.",
        "description": "Names of Google's APIs",
        "visibility": "private",
        "private_visibility_config": [{"networks": [{"network_url": "net"}]}],
    },
)
CLUSTER = (
    "google_container_cluster",
    {
        "name": "film",
        "location": ZONE,
        "network": "projects/proj-x/global/networks/net",
        "subnetwork": "projects/proj-x/regions/europe-west4/subnetworks/nodes",
        "initial_node_count": 1,
        "remove_default_node_pool": True,
        "deletion_protection": False,
        "ip_allocation_policy": [
            {"cluster_secondary_range_name": "pods", "services_secondary_range_name": "services"}
        ],
    },
)
POOL = (
    "google_container_node_pool",
    {
        "name": "spot",
        "cluster": f"projects/proj-x/locations/{ZONE}/clusters/film",
        "initial_node_count": 0,
        "autoscaling": [{"total_min_node_count": 0, "total_max_node_count": 4}],
        "node_config": [{"machine_type": "e2-medium", "spot": True}],
    },
)


@dataclass
class Case:
    """One type: what it needs, what it is, what changes it, and its name for an import."""

    kind: str
    config: dict[str, Any]
    needs: tuple[tuple[str, dict[str, Any]], ...] = ()
    change: dict[str, Any] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)
    identifier: str = ""


def case(made: tuple[str, dict[str, Any]], *needs: tuple[str, dict[str, Any]], **rest: Any) -> Case:
    return Case(made[0], made[1], needs, **rest)


CASES = [
    case(
        NETWORK,
        change={"routing_mode": "GLOBAL"},
        new={"name": "other"},
        identifier="projects/proj-x/global/networks/net",
    ),
    case(
        SUBNETWORK,
        NETWORK,
        change={"private_ip_google_access": True},
        new={"name": "other"},
        identifier="projects/proj-x/regions/europe-west4/subnetworks/nodes",
    ),
    case(
        ZONE_OF_NAMES,
        NETWORK,
        change={"description": "Other words"},
        new={"name": "other"},
        identifier="projects/proj-x/managedZones/film",
    ),
    case(
        (
            "google_dns_record_set",
            {
                "name": "gcr.io.",
                "managed_zone": "film",
                "type": "A",
                "ttl": 300,
                "rrdatas": ["199.36.153.8"],
            },
        ),
        NETWORK,
        ZONE_OF_NAMES,
        change={"ttl": 600},
        new={"name": "other.gcr.io."},
        identifier="proj-x/film/gcr.io./A",
    ),
    case(
        ("google_project_service", {"service": "dns.googleapis.com", "disable_on_destroy": False}),
        new={"service": "iam.googleapis.com"},
        identifier="proj-x/dns.googleapis.com",
    ),
    case(
        ACCOUNT,
        change={"display_name": "Nodes"},
        new={"account_id": "film-others"},
        identifier=f"projects/proj-x/serviceAccounts/{MAIL}",
    ),
    case(
        (
            "google_project_iam_custom_role",
            {"role_id": "film", "title": "Film", "permissions": ["container.clusters.delete"]},
        ),
        change={"permissions": ["container.clusters.delete", "container.clusters.get"]},
        new={"role_id": "other"},
        identifier="projects/proj-x/roles/film",
    ),
    case(
        (
            "google_project_iam_member",
            {"project": "proj-x", "role": "roles/viewer", "member": f"serviceAccount:{MAIL}"},
        ),
        ACCOUNT,
        new={"role": "roles/editor"},
        identifier=f"proj-x roles/viewer serviceAccount:{MAIL}",
    ),
    case(
        (
            "google_project_iam_member",
            {
                "project": "proj-x",
                "role": "roles/viewer",
                "member": f"serviceAccount:{MAIL}",
                "condition": [{"title": "one-cluster", "expression": "true"}],
            },
        ),
        ACCOUNT,
        new={"condition": [{"title": "one-cluster", "expression": "false"}]},
        identifier=f"proj-x roles/viewer serviceAccount:{MAIL} one-cluster",
    ),
    case(
        BUCKET,
        change={
            "labels": {"a": "b"},
            "lifecycle_rule": [
                {"action": [{"type": "Delete"}], "condition": [{"age": 3, "with_state": "LIVE"}]}
            ],
        },
        new={"location": "US"},
        identifier="proj-x-film-data",
    ),
    case(
        (
            "google_storage_bucket_iam_member",
            {
                "bucket": "proj-x-film-data",
                "role": "roles/storage.objectUser",
                "member": "user:artist@example.com",
            },
        ),
        BUCKET,
        new={"role": "roles/storage.objectViewer"},
        identifier="b/proj-x-film-data roles/storage.objectUser user:artist@example.com",
    ),
    case(
        REPOSITORY,
        change={"description": "Images"},
        new={"format": "PYTHON"},
        identifier="projects/proj-x/locations/europe-west4/repositories/film",
    ),
    case(
        (
            "google_artifact_registry_repository_iam_member",
            {
                "repository": "film",
                "location": "europe-west4",
                "role": "roles/artifactregistry.reader",
                "member": "user:artist@example.com",
            },
        ),
        REPOSITORY,
        new={"role": "roles/artifactregistry.writer"},
        identifier=(
            "projects/proj-x/locations/europe-west4/repositories/film"
            " roles/artifactregistry.reader user:artist@example.com"
        ),
    ),
    case(
        CLUSTER,
        NETWORK,
        SUBNETWORK,
        change={"resource_labels": {"burst-farm": "film"}},
        new={"location": "europe-west4-b"},
        identifier=f"projects/proj-x/locations/{ZONE}/clusters/film",
    ),
    case(
        POOL,
        NETWORK,
        SUBNETWORK,
        CLUSTER,
        change={"autoscaling": [{"total_min_node_count": 0, "total_max_node_count": 9}]},
        new={"node_config": [{"machine_type": "e2-medium", "spot": False}]},
        identifier=f"proj-x/{ZONE}/film/spot",
    ),
]

STAY = ("google_project_service", "google_project_iam_custom_role")
"""An API stays enabled if nobody says otherwise, and a role stays for a week as a deleted one."""

TOLD_TWICE = ("google_dns_record_set",)
"""The API refuses to take away what is not there, and so does the real provider."""

EACH = pytest.mark.parametrize("case", CASES, ids=lambda one: one.kind)
EACH_CHANGED = pytest.mark.parametrize(
    "case", [one for one in CASES if one.change], ids=lambda one: one.kind
)
"""Without those of which every change makes a new one."""


def made(calls: Calls, case: Case) -> Any:
    for kind, config in case.needs:
        calls.make(kind, **config)
    return calls.make(case.kind, **case.config)


def test_every_type_has_a_case() -> None:
    assert {one.kind for one in CASES} == set(RESOURCES)


@EACH
def test_what_was_made_needs_no_change(calls: Calls, case: Case) -> None:
    state = calls.read(case.kind, made(calls, case))

    assert calls.changes(case.kind, state, case.config) == {}
    assert calls.replaced_by(case.kind, state, case.config) == []


@EACH_CHANGED
def test_a_change_is_made_in_place_and_stays(calls: Calls, case: Case) -> None:
    state = made(calls, case)
    config = {**case.config, **case.change}
    assert calls.replaced_by(case.kind, state, config) == []

    changed, problems = calls.apply(case.kind, state, config)

    assert problems == []
    assert changed["id"] == state["id"]
    assert calls.changes(case.kind, calls.read(case.kind, changed), config) == {}


@EACH
def test_what_makes_it_another_thing_makes_a_new_one(calls: Calls, case: Case) -> None:
    state = made(calls, case)

    assert calls.replaced_by(case.kind, state, {**case.config, **case.new}) == [*case.new]


@EACH
def test_what_is_there_is_taken_into_the_state(calls: Calls, case: Case) -> None:
    state = made(calls, case)

    imported = calls.import_(case.kind, case.identifier)

    assert imported["id"] == state["id"]
    assert calls.replaced_by(case.kind, imported, case.config) == []


@EACH
def test_what_is_taken_away_is_gone_and_taking_it_away_again_is_no_error(
    cloud: GoogleCloud, calls: Calls, case: Case
) -> None:
    state = made(calls, case)

    assert calls.apply(case.kind, state, None) == (None, [])

    if case.kind not in STAY:
        assert calls.read(case.kind, state) is None
    if case.kind not in (*STAY, *TOLD_TWICE):
        assert calls.apply(case.kind, state, None) == (None, [])


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("google_compute_network", {"name": "No Name"}),
        ("google_compute_subnetwork", {"name": "a" * 64}),
        ("google_service_account", {"account_id": "short"}),
        ("google_container_cluster", {"name": "a" * 41}),
    ],
)
def test_a_name_that_is_none_is_told_before_anything_is_made(
    calls: Calls, kind: str, config: dict[str, Any]
) -> None:
    ((name, value),) = config.items()

    assert any(f'"{name}" ("{value}")' in text for text in calls.problems(kind, **config))


@EACH
def test_a_type_as_it_is_used_has_nothing_wrong(calls: Calls, case: Case) -> None:
    assert calls.problems(case.kind, **case.config) == []
