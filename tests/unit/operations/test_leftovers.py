"""What is said of a farm that should be gone. Pure."""

from __future__ import annotations

from burst.cloud.inventory import Inventory
from burst.cloud.resource_kinds import Resource
from burst.errors import ApiDisabled, CloudDenied
from burst.operations.leftovers import find_leftovers

ZONE = "europe-west4-a"


def resource(kind: str, name: str, location: str = "", **labels: str) -> Resource:
    return Resource(kind, name, location, f"projects/p/{kind}/{name}", labels, "p")


def bucket(name: str) -> Resource:
    return Resource("buckets", name, "", name, {"burst-farm": "farm"}, "p")


def inventory(*resources: Resource) -> Inventory:
    return Inventory("farm", "p", resources)


def test_nothing_left_is_said_as_zero() -> None:
    found = find_leftovers(inventory())
    assert found.is_zero
    assert found.lines() == ["0 left"]
    assert found.as_json() == {
        "farm": "farm",
        "zero": True,
        "left": [],
        "kept": [],
        "unknown": {},
        "not_enabled": {},
    }


def test_what_an_api_that_is_off_has_is_said_to_be_guessed() -> None:
    off = ApiDisabled("can't list disks: the API is off", service="compute.googleapis.com")
    found = find_leftovers(Inventory("farm", "p", (), not_enabled={"disks": off, "instances": off}))
    assert found.is_zero
    assert found.lines() == [
        "0 left",
        "taken for none: disks, instances: compute.googleapis.com is not enabled",
    ]
    assert set(found.as_json()["not_enabled"]) == {"disks", "instances"}


def test_what_only_its_name_makes_a_farms_is_not_to_be_deleted_unseen() -> None:
    named = resource("disks", "farm-backup", ZONE)
    own = resource("disks", "farm-own", ZONE, **{"burst-farm": "farm"})
    node = resource("disks", "gke-farm-cpu-1", ZONE)
    # Nothing of its kind has labels.
    firewall = resource("firewalls", "farm-f")
    lines = find_leftovers(inventory(named, own, node, firewall)).lines()[1:5]
    assert ["known by its name only" in line for line in lines] == [True, False, False, False]


def test_what_is_left_is_named_with_its_command_and_whether_it_costs() -> None:
    disk = resource("disks", "pvc-1", ZONE, **{"goog-k8s-cluster-name": "farm"})
    found = find_leftovers(inventory(disk, resource("firewalls", "farm-f")))
    assert not found.is_zero
    assert found.bills
    assert found.lines() == [
        "2 left of the farm farm: 1 at a cost",
        "  disk pvc-1 in europe-west4-a (costs money)",
        "  firewall rule farm-f",
        "remove them in this order:",
        "  gcloud compute disks delete pvc-1 --zone=europe-west4-a --project=p --quiet",
        "  gcloud compute firewall-rules delete farm-f --project=p --quiet",
    ]
    assert found.as_json()["left"][0] == {
        "kind": "disks",
        "name": "pvc-1",
        "location": ZONE,
        "api_name": "projects/p/disks/pvc-1",
        "bills": True,
        "delete": disk.deletion,
    }


def test_what_costs_nothing_is_said_to() -> None:
    found = find_leftovers(inventory(resource("networks", "farm")))
    assert not found.bills
    assert found.lines()[0] == "1 left of the farm farm: none costs anything"


def test_buckets_that_are_kept_are_none_of_it() -> None:
    found = find_leftovers(inventory(bucket("p-farm-data")), kept={"p-farm-data"})
    assert found.is_zero
    assert found.lines() == ["0 left", "kept: bucket p-farm-data (costs money)"]
    assert not find_leftovers(inventory(bucket("p-farm-data"))).is_zero


def test_zero_is_not_said_of_what_could_not_be_listed() -> None:
    error = CloudDenied("can't list disks: the login lacks the permission compute.disks.list")
    found = find_leftovers(Inventory("farm", "p", (), {"disks": error}))
    assert not found.is_zero
    assert found.lines() == [
        "0 found, but not all could be looked for",
        f"can't be sure of disks: {error.message}",
    ]


def test_of_a_farm_that_is_up_what_belongs_there_is_none_of_it() -> None:
    cluster = resource("clusters", "farm", ZONE)
    pool = Resource("nodePools", "cpu", ZONE, "x", {}, "p", parent="farm")
    made = {"goog-k8s-cluster-name": "farm"}
    own = [
        cluster,
        pool,
        resource("instances", "gke-farm-cpu-1", ZONE, **made),
        resource("instanceGroupManagers", "gke-farm-cpu-grp", ZONE),
        resource("firewalls", "gke-farm-1a2b-all"),
        resource("networks", "farm"),
    ]
    planted = [
        resource("disks", "farm-old", ZONE),
        resource("firewalls", "farm-f"),
        resource("addresses", "farm-a"),
    ]
    expected = {cluster.api_name, "projects/p/networks/farm"}
    assert find_leftovers(inventory(*own), expected=expected).is_zero
    found = find_leftovers(inventory(*own, *planted), expected=expected)
    assert list(found.left) == planted


def test_without_its_cluster_what_gke_made_is_left() -> None:
    orphan = resource("disks", "pvc-1", ZONE, **{"goog-k8s-cluster-name": "farm"})
    group = resource("instanceGroupManagers", "gke-farm-cpu-grp", ZONE)
    assert find_leftovers(inventory(orphan, group)).left == (orphan, group)
