"""The list of all that is a farm's own in a project, from a stand-in where others have theirs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from burst.cloud.adoptable import list_existing
from burst.cloud.google_api import GoogleApi
from burst.cloud.inventory import Inventory, take_inventory
from burst.cloud.resource_kinds import (
    KINDS,
    Resource,
    farm_of,
    farm_of_name,
    from_bindings,
    from_compute,
)
from burst.cloud.terraform_adoption import Existing
from burst.domain.cloud_needs import PERMISSIONS
from burst.errors import CloudAway, CloudDenied
from tests.fakes.google_cloud import FOREVER, GoogleCloud

REGION, ZONE = "europe-west4", "europe-west4-a"


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud(operation_seconds=0.01) as cloud:
        yield cloud


def taken(cloud: GoogleCloud, farm: str = "farm") -> Inventory:
    api = GoogleApi(cloud.environ, project=cloud.project, tries=2, pause=lambda _: None)
    return take_inventory(api, cloud.project, REGION, farm)


def titles(inventory: Inventory) -> list[str]:
    return [one.title for one in inventory.resources]


def plant_network(cloud: GoogleCloud, name: str) -> str:
    cloud.plant("networks", {"name": name, "autoCreateSubnetworks": False})
    network = f"projects/{cloud.project}/global/networks/{name}"
    cloud.plant(
        "subnetworks",
        {"name": name, "network": network, "region": REGION, "ipCidrRange": "10.0.0.0/20"},
    )
    return network


def plant_cluster(cloud: GoogleCloud, name: str) -> None:
    cloud.plant(
        "clusters",
        {
            "name": name,
            "location": ZONE,
            "network": name,
            "subnetwork": name,
            "ipAllocationPolicy": {"useIpAliases": True},
            "resourceLabels": {"burst-farm": name},
        },
    )


def test_an_empty_project_has_nothing_and_all_kinds_are_known(cloud: GoogleCloud) -> None:
    inventory = taken(cloud)
    assert inventory.resources == ()
    assert inventory.unknown == {}
    assert inventory.farms == {"farm"}
    assert cloud.writes() == []


def test_everything_of_a_farm_is_found_in_the_order_of_removal(cloud: GoogleCloud) -> None:
    network = plant_network(cloud, "farm")
    plant_cluster(cloud, "farm")
    cloud.plant(
        "firewalls", {"name": "farm-f", "network": network, "allowed": [{"IPProtocol": "tcp"}]}
    )
    cloud.plant("addresses", {"name": "farm-a", "region": REGION})
    cloud.plant("disks", {"name": "farm-d", "zone": ZONE, "sizeGb": "10"})
    cloud.plant("serviceAccounts", {"accountId": "farm-nodes"})
    cloud.plant("roles", {"roleId": "farm_hibernate", "includedPermissions": ["x.y.get"]})
    found = [one.kind for one in taken(cloud).resources]
    assert found == sorted(found, key=list(KINDS).index)
    assert {
        "nodePools", "clusters", "instanceGroupManagers", "instances", "disks", "addresses",
        "firewalls", "subnetworks", "networks", "serviceAccounts", "roles",
    } <= set(found)  # fmt: skip


def test_what_has_another_name_is_known_by_label_or_network(cloud: GoogleCloud) -> None:
    network = plant_network(cloud, "farm-net")
    cloud.plant(
        "disks",
        {
            "name": "pvc-1",
            "zone": ZONE,
            "sizeGb": "10",
            "labels": {"goog-k8s-cluster-name": "farm"},
        },
    )
    cloud.plant("addresses", {"name": "odd", "region": REGION, "labels": {"burst-farm": "farm"}})
    cloud.plant(
        "firewalls", {"name": "k8s-f", "network": network, "allowed": [{"IPProtocol": "tcp"}]}
    )
    assert titles(taken(cloud)) == [
        f"disk pvc-1 in {ZONE}",
        f"address odd in {REGION}",
        "firewall rule k8s-f",
        f"subnetwork farm-net in {REGION}",
        "network farm-net",
    ]


def test_what_others_have_is_left_alone(cloud: GoogleCloud) -> None:
    plant_network(cloud, "farm-two")
    plant_cluster(cloud, "farm-two")
    plant_network(cloud, "farmhouse")
    cloud.plant(
        "disks", {"name": "farm-d", "zone": ZONE, "sizeGb": "10", "labels": {"burst-farm": "other"}}
    )
    assert titles(taken(cloud)) == []
    # Its own owner finds it.
    assert "cluster farm-two in europe-west4-a" in titles(taken(cloud, "farm-two"))


def test_what_gke_made_for_another_cluster_is_left_alone(cloud: GoogleCloud) -> None:
    def plant(name: str, cluster: str, place: str, **labels: str) -> None:
        told = {"goog-k8s-cluster-name": cluster, "goog-k8s-cluster-location": place, **labels}
        cloud.plant("disks", {"name": name, "zone": ZONE, "sizeGb": "10", "labels": told})

    plant_network(cloud, "others")
    cloud.plant(
        "clusters",
        {
            "name": "farm",
            "location": "europe-west4-b",
            "network": "others",
            "subnetwork": "others",
            "ipAllocationPolicy": {"useIpAliases": True},
        },
    )
    plant("pvc-1", "farm", ZONE)
    plant("pvc-2", "farm", "europe-west4-b", **{"burst-farm": "farm"})
    plant("pvc-3", "farm-of-others", ZONE)
    plant("pvc-4", "farm", "us-central1-a")
    plant("pvc-5", "farm", "europe-west4-b")
    assert [one.name for one in taken(cloud).of_kind("disks")] == ["pvc-1", "pvc-2"]
    assert taken(cloud).of_kind("instances") == ()


def test_the_disk_of_a_volume_is_known_by_its_claim_where_it_has_no_labels() -> None:
    told = {
        "kubernetes.io/created-for/pv/name": "pvc-1",
        "kubernetes.io/created-for/pvc/name": "farm-manager",
        "kubernetes.io/created-for/pvc/namespace": "farm",
        "storage.gke.io/created-by": "pd.csi.storage.gke.io",
    }
    disk = {"name": "pvc-1", "zone": f"zones/{ZONE}", "description": json.dumps(told)}
    found = from_compute("disks", disk, "p")
    assert farm_of(found, {"farm"}) == "farm"
    assert found.title == f"disk pvc-1 of farm-manager in {ZONE}"
    assert found.is_doubtful
    assert farm_of(from_compute("disks", {"name": "pvc-2"}, "p"), {"farm"}) is None


def test_a_node_pool_of_a_strange_cluster_is_none_of_the_farms() -> None:
    pool = Resource("nodePools", "farm-x", ZONE, "x", {}, "p", parent="other")
    assert farm_of(pool, {"farm"}) is None


def test_a_kind_that_cannot_be_listed_is_said(cloud: GoogleCloud) -> None:
    cloud.plant("addresses", {"name": "farm-a", "region": REGION})
    cloud.denied.add("compute.firewalls.list")
    cloud.faults.unavailable(r"/managedZones", times=FOREVER)
    inventory = taken(cloud)
    assert titles(inventory) == [f"address farm-a in {REGION}"]
    assert set(inventory.unknown) == {"firewalls", "managedZones"}
    assert isinstance(inventory.unknown["firewalls"], CloudDenied)
    assert isinstance(inventory.unknown["managedZones"], CloudAway)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("disks", {"unreachables": ["projects/p/zones/europe-west4-a"]}),
        ("disks", {"items": {f"zones/{ZONE}": {"warning": {"code": "UNREACHABLE"}}}}),
        ("clusters", {"missingZones": [ZONE]}),
    ],
)
def test_a_list_without_some_zones_is_no_list(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch, kind: str, answer: dict[str, Any]
) -> None:
    real = GoogleApi.get

    def get(self: GoogleApi, service: str, path: str, *more: Any, **named: Any) -> dict[str, Any]:
        found = real(self, service, path, *more, **named)
        return {**found, **answer} if path.endswith(f"/{kind}") else found

    monkeypatch.setattr(GoogleApi, "get", get)
    unknown = taken(cloud).unknown
    assert set(unknown) == {kind}
    assert f"{ZONE} did not answer" in unknown[kind].message


def test_an_api_that_is_off_has_nothing(cloud: GoogleCloud) -> None:
    cloud.services -= {"dns.googleapis.com", "artifactregistry.googleapis.com"}
    inventory = taken(cloud)
    assert inventory.unknown == {}
    assert set(inventory.not_enabled) == {"managedZones", "repositories"}


def test_what_a_list_needs_is_among_what_a_login_is_looked_at_for(cloud: GoogleCloud) -> None:
    cloud.denied |= {one for one in PERMISSIONS if one.endswith((".list", ".getIamPolicy"))}
    # Node pools come with their cluster.
    assert set(taken(cloud).unknown) == set(KINDS) - {"nodePools"}


def test_lists_of_many_pages_are_read_to_their_end(cloud: GoogleCloud) -> None:
    cloud.page_size = 2
    for i in range(5):
        cloud.plant("disks", {"name": f"farm-{i}", "zone": ZONE, "sizeGb": "10"})
    assert len(taken(cloud).of_kind("disks")) == 5


def test_bindings_of_a_service_account_that_is_gone_are_found() -> None:
    gone = "deleted:serviceAccount:farm-nodes@p.iam.gserviceaccount.com?uid=1"
    policy = {
        "bindings": [
            {"role": "roles/container.defaultNodeServiceAccount", "members": [gone, "user:a@b"]},
            {"role": "projects/p/roles/farm_hibernate", "members": ["principal://iam/x"]},
            {"role": "roles/owner", "members": ["user:farm-nodes@example.com"]},
        ]
    }
    found = from_bindings(policy, "p", {"farm"})
    assert [(one.name.rpartition("/")[2], one.parent) for one in found] == [
        ("container.defaultNodeServiceAccount", gone),
        ("farm_hibernate", "principal://iam/x"),
    ]
    assert found[0].deletion == (
        "gcloud projects remove-iam-policy-binding p "
        f"{shlex.quote(f'--member={gone}')} --role=roles/container.defaultNodeServiceAccount --all"
    )


def test_rights_on_a_bucket_that_stays_are_found(cloud: GoogleCloud) -> None:
    labels = {"burst-farm": "farm"}
    cloud.plant("buckets", {"name": "proj-x-farm-data", "location": REGION, "labels": labels})
    pool = f"projects/{cloud.number}/locations/global/workloadIdentityPools/proj-x.svc.id.goog"
    member = f"principal://iam.googleapis.com/{pool}/subject/ns/farm/sa/farm-worker"
    role = "roles/storage.objectViewer"
    others = "projectOwner:proj-x"
    cloud.perform(
        "PUT",
        "/storage/v1/b/proj-x-farm-data/iam",
        {"bindings": [{"role": role, "members": [member, others]}]},
    )
    [found] = taken(cloud).of_kind("bindings")
    assert found.title == f"IAM binding {role} of {member} on proj-x-farm-data"
    assert found.deletion == (
        "gcloud storage buckets remove-iam-policy-binding gs://proj-x-farm-data "
        f"--member={member} --role={role} --all"
    )
    cloud.denied.add("storage.buckets.getIamPolicy")
    assert set(taken(cloud).unknown) == {"bindings"}


@pytest.mark.parametrize(
    ("name", "farms", "farm"),
    [
        ("farm", {"farm"}, "farm"),
        ("farm-x", {"farm"}, "farm"),
        ("farm-two-x", {"farm", "farm-two"}, "farm-two"),
        ("farm-two", {"farm", "farm-two-x"}, "farm"),
        ("farmer", {"farm"}, None),
        ("x-farm", {"farm"}, None),
        ("", {"farm"}, None),
    ],
)
def test_the_longest_name_that_fits_is_the_farms(
    name: str, farms: set[str], farm: str | None
) -> None:
    assert farm_of_name(name, farms) == farm


@pytest.mark.parametrize(
    ("kind", "name"),
    [("instances", "gke-farm-cpu-1a2b"), ("buckets", "p-farm-data"), ("roles", "farm_hibernate")],
)
def test_what_stands_before_a_name_is_known(kind: str, name: str) -> None:
    assert farm_of(Resource(kind, name, "", name, {}, "p"), {"farm"}) == "farm"


def resource(kind: str, location: str = "", **more: str) -> Resource:
    name = "farm-x"
    return Resource(kind, name, location, f"projects/p/{kind}/{name}", {}, "p", **more)


@pytest.mark.parametrize(
    ("one", "command"),
    [
        (resource("disks", ZONE),
         "gcloud compute disks delete farm-x --zone=europe-west4-a --project=p --quiet"),
        (resource("disks", REGION),
         "gcloud compute disks delete farm-x --region=europe-west4 --project=p --quiet"),
        (resource("addresses"),
         "gcloud compute addresses delete farm-x --global --project=p --quiet"),
        (resource("firewalls"), "gcloud compute firewall-rules delete farm-x --project=p --quiet"),
        (resource("clusters", ZONE),
         "gcloud container clusters delete farm-x --location=europe-west4-a --project=p --quiet"),
        (resource("nodePools", ZONE, parent="farm"),
         "gcloud container node-pools delete farm-x --cluster=farm --location=europe-west4-a "
         "--project=p --quiet"),
        (resource("repositories", REGION),
         "gcloud artifacts repositories delete farm-x --location=europe-west4 --project=p --quiet"),
        (resource("buckets"), "gcloud storage rm --recursive gs://farm-x"),
        (resource("roles"), "gcloud iam roles delete farm-x --project=p --quiet"),
        (resource("managedZones"),
         "gcloud dns record-sets import /dev/null --delete-all-existing --zone=farm-x --project=p "
         "&& gcloud dns managed-zones delete farm-x --project=p --quiet"),
    ],
)  # fmt: skip
def test_each_is_removed_by_its_command(one: Resource, command: str) -> None:
    assert one.deletion == command


def test_every_kind_has_a_command_and_a_name_for_people() -> None:
    for kind in KINDS:
        one = resource(kind, ZONE, parent="serviceAccount:a@b")
        assert one.deletion.startswith("gcloud ")
        assert KINDS[kind].title in one.title


def test_what_exists_is_told_as_terraform_calls_it(cloud: GoogleCloud) -> None:
    plant_network(cloud, "farm")
    plant_cluster(cloud, "farm")
    cloud.plant("addresses", {"name": "farm-a", "region": REGION})
    account = {"accountId": "farm-nodes", "displayName": "Nodes of the burst farm farm"}
    cloud.plant("serviceAccounts", account)
    cloud.plant(
        "managedZones",
        {
            "name": "farm-apis",
            "dnsName": "googleapis.com.",
            "description": "x",
            "visibility": "private",
            "labels": {"burst-farm": "farm"},
        },
    )
    cloud.perform(
        "POST",
        f"/dns/v1/projects/{cloud.project}/managedZones/farm-apis/changes",
        {
            "additions": [
                {"name": "a.googleapis.com.", "type": "A", "ttl": 60, "rrdatas": ["1.2.3.4"]}
            ]
        },
    )
    cloud.finish()
    api = GoogleApi(cloud.environ, project=cloud.project)
    found = list_existing(api, taken(cloud))
    labels = {"burst-farm": "farm"}
    for wanted in (
        Existing("google_container_cluster", "farm", ZONE, labels=labels),
        Existing("google_container_node_pool", "default-pool", ZONE, "farm"),
        Existing("google_compute_network", "farm", words=""),
        Existing("google_compute_subnetwork", "farm", REGION, words=""),
        Existing("google_compute_address", "farm-a", REGION, labels={}),
        Existing("google_service_account", "farm-nodes", words=account["displayName"]),
        Existing("google_dns_managed_zone", "farm-apis", labels=labels),
        Existing("google_dns_record_set", "a.googleapis.com.", parent="farm-apis", kind="A"),
    ):
        assert wanted in found
