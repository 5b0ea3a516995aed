"""Compute Engine of the stand-in: what it refuses as Google does, lists, and deletes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud

ROOT = "/compute/v1/projects/proj-x"
NETWORKS = f"{ROOT}/global/networks"
SUBNETWORKS = f"{ROOT}/regions/europe-west4/subnetworks"
FIREWALLS = f"{ROOT}/global/firewalls"
DISKS = f"{ROOT}/zones/europe-west4-a/disks"


def reason(told: Any) -> str:
    return str(told["error"]["errors"][0]["reason"])


def test_a_network_is_made_by_an_operation_that_takes_its_time(
    cloud: GoogleCloud, ask: Any
) -> None:
    cloud.operations.seconds["insert"] = 1000
    started = ask("POST", NETWORKS, {"name": "farm", "autoCreateSubnetworks": False}, finish=False)
    where = f"{ROOT}/global/operations/{started['name']}"
    assert (started["status"], ask("GET", where, finish=False)["status"]) == ("RUNNING", "RUNNING")
    status, told = ask.refused(
        "POST", FIREWALLS, {"name": "web", "network": "global/networks/farm"}
    )
    assert (status, reason(told)) == (400, "resourceNotReady")
    cloud.finish()
    assert ask("GET", where)["status"] == "DONE"
    ask("POST", FIREWALLS, {"name": "web", "network": "global/networks/farm"})


def test_an_operation_is_found_only_where_it_is(ask: Any) -> None:
    started = ask("POST", NETWORKS, {"name": "farm"})
    status, _ = ask.refused("GET", f"{ROOT}/regions/europe-west4/operations/{started['name']}")
    assert status == 404


def test_a_name_that_is_taken_is_refused(ask: Any) -> None:
    ask("POST", NETWORKS, {"name": "farm"})
    status, told = ask.refused("POST", NETWORKS, {"name": "farm"})
    assert (status, reason(told)) == (409, "alreadyExists")
    assert told["error"]["message"] == (
        "The resource 'projects/proj-x/global/networks/farm' already exists"
    )


@pytest.mark.parametrize("name", ["", "Farm", "1farm", "farm-", "f" * 64, "fa_rm"])
def test_a_bad_name_is_refused(name: str, cloud: GoogleCloud, ask: Any) -> None:
    status, told = ask.refused("POST", NETWORKS, {"name": name})
    assert (status, reason(told)) == (400, "invalid")
    assert cloud.everything() == {}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "farm", "autoCreateSubnetwork": False},
        {"name": "farm", "routingConfig": {"mode": "REGIONAL"}},
        {"name": "farm", "autoCreateSubnetworks": "no"},
        {"name": "farm", "routingConfig": {"routingMode": "LOCAL"}},
    ],
)
def test_what_google_does_not_know_is_refused(body: Any, cloud: GoogleCloud, ask: Any) -> None:
    status, _ = ask.refused("POST", NETWORKS, body)
    assert status == 400
    assert cloud.everything() == {}


def test_a_parameter_that_google_does_not_know_is_refused(ask: Any) -> None:
    status, told = ask.refused("GET", NETWORKS, filters="name=x")
    assert (status, "Cannot bind query parameter" in told["error"]["message"]) == (400, True)


def test_a_network_in_use_is_not_deleted(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("networks", {"name": "farm"})
    cloud.plant("firewalls", {"name": "k8s-fw-1", "network": "global/networks/farm"})
    status, told = ask.refused("DELETE", f"{NETWORKS}/farm")
    assert (status, reason(told)) == (400, "resourceInUseByAnotherResource")
    assert "'projects/proj-x/global/firewalls/k8s-fw-1'" in told["error"]["message"]
    ask("DELETE", f"{FIREWALLS}/k8s-fw-1")
    ask("DELETE", f"{NETWORKS}/farm")
    assert cloud.everything() == {}


@pytest.mark.parametrize(
    ("kind", "body", "user"),
    [
        ("addresses", {"name": "x"}, ("routers", {"nats": [{"name": "n", "natIps": ["LINK"]}]})),
        ("healthChecks", {"name": "x"}, ("backendServices", {"healthChecks": ["LINK"]})),
        ("targetPools", {"name": "x"}, ("forwardingRules", {"target": "LINK"})),
        ("backendServices", {"name": "x"}, ("forwardingRules", {"backendService": "LINK"})),
    ],
)
def test_what_another_needs_is_not_deleted(
    kind: str, body: Any, user: tuple[str, Any], cloud: GoogleCloud, ask: Any
) -> None:
    link = cloud.plant(kind, body)["targetLink"]
    text = json.dumps(user[1]).replace("LINK", link)
    cloud.plant(user[0], {"name": "user", **json.loads(text)})
    status, told = ask.refused("DELETE", link.replace("https://www.googleapis.com", ""))
    assert (status, reason(told)) == (400, "resourceInUseByAnotherResource")
    assert told["error"]["message"].endswith("/user'")


def test_a_snapshot_does_without_its_disk(cloud: GoogleCloud, ask: Any) -> None:
    link = cloud.plant("disks", {"name": "pvc-1"})["targetLink"]
    cloud.plant("snapshots", {"name": "old", "sourceDisk": link})
    ask("DELETE", f"{DISKS}/pvc-1")
    assert cloud.everything() == {"snapshots": ["old"]}


def test_a_group_goes_with_its_machines_and_their_disks(farm: GoogleCloud, ask: Any) -> None:
    name = farm.everything()["instanceGroupManagers"][0]
    managers = f"{ROOT}/zones/europe-west4-a/instanceGroupManagers"
    managed = ask("POST", f"{managers}/{name}/listManagedInstances")["managedInstances"]
    assert len(managed) == 1
    ask("DELETE", f"{managers}/{name}")
    assert not farm.everything().keys() & {"instances", "instanceGroups", "disks"}


def test_a_disk_only_grows(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("disks", {"name": "pvc-1", "sizeGb": "20"})
    assert ask.refused("POST", f"{DISKS}/pvc-1/resize", {"sizeGb": "10"})[0] == 400
    ask("POST", f"{DISKS}/pvc-1/resize", {"sizeGb": "30"})
    assert ask("GET", f"{DISKS}/pvc-1")["sizeGb"] == "30"


def test_what_is_named_has_to_be_there(ask: Any) -> None:
    body = {"name": "nodes", "network": "global/networks/none", "ipCidrRange": "10.0.0.0/20"}
    status, told = ask.refused("POST", SUBNETWORKS, body)
    assert (status, reason(told)) == (404, "notFound")


def test_ranges_must_not_overlap(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("networks", {"name": "farm"})
    body = {"name": "nodes", "network": "global/networks/farm", "ipCidrRange": "10.0.0.0/20"}
    ask("POST", SUBNETWORKS, body)
    status, _ = ask.refused("POST", SUBNETWORKS, {**body, "name": "more"})
    assert status == 400
    ask("POST", SUBNETWORKS, {**body, "name": "more", "ipCidrRange": "10.1.0.0/20"})
    network = ask("GET", f"{NETWORKS}/farm")
    assert [link.rpartition("/")[2] for link in network["subnetworks"]] == ["nodes", "more"]


def test_an_unknown_zone_or_project_is_refused(ask: Any) -> None:
    assert ask.refused("GET", f"{ROOT}/zones/mars-north1-a/disks")[0] == 400
    assert ask.refused("GET", "/compute/v1/projects/other/global/networks")[0] == 404


def test_a_project_may_be_named_by_its_number(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("networks", {"name": "farm"})
    found = ask("GET", f"/compute/v1/projects/{cloud.number}/global/networks/farm")
    assert found["selfLink"].endswith("/projects/proj-x/global/networks/farm")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("labels.burst-farm=farm", ["farm-a"]),
        ("labels.burst-farm:*", ["farm-a", "other-b"]),
        ("name:farm*", ["farm-a"]),
        ("name=pvc-*", ["pvc-c"]),
        ("(name eq farm.*) (name ne .*b)", ["farm-a"]),
        ("labels.burst-farm=farm OR name=pvc-c", ["farm-a", "pvc-c"]),
        ("labels.burst-farm=farm AND name=pvc-c", []),
        ("NOT labels.burst-farm=farm AND -name=pvc-c", ["other-b"]),
        ("status=READY", ["farm-a", "other-b", "pvc-c"]),
        ('labels.burst-farm="farm"', ["farm-a"]),
    ],
)
def test_lists_are_filtered(text: str, names: list[str], cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("disks", {"name": "farm-a", "labels": {"burst-farm": "farm"}})
    cloud.plant("disks", {"name": "other-b", "labels": {"burst-farm": "other"}})
    cloud.plant("disks", {"name": "pvc-c", "sizeGb": "20"})
    found = ask("GET", DISKS, filter=text).get("items", [])
    assert [one["name"] for one in found] == names


@pytest.mark.parametrize("text", ["name", "name=", "(name=x", "name=x)", "name ~ x"])
def test_a_filter_that_makes_no_sense_is_refused(text: str, ask: Any) -> None:
    status, told = ask.refused("GET", DISKS, filter=text)
    assert (status, "filter" in told["error"]["message"]) == (400, True)


def test_a_list_comes_in_pages(cloud: GoogleCloud, ask: Any) -> None:
    for number in range(5):
        cloud.plant("disks", {"name": f"pvc-{number}"})
    cloud.page_size = 2
    names, token = [], {}
    for _ in range(3):
        page = ask("GET", DISKS, **token)
        names += [one["name"] for one in page["items"]]
        token = {"pageToken": page.get("nextPageToken", "")}
    assert names == [f"pvc-{number}" for number in range(5)]
    assert token == {"pageToken": ""}


def test_all_zones_are_listed_at_once(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("disks", {"name": "pvc-1", "zone": "europe-west4-b"})
    cloud.plant("disks", {"name": "pvc-2", "zone": "us-west1-a"})
    items = ask("GET", f"{ROOT}/aggregated/disks")["items"]
    found = {where: one["disks"][0]["name"] for where, one in items.items() if "disks" in one}
    assert found == {"zones/europe-west4-b": "pvc-1", "zones/us-west1-a": "pvc-2"}
    assert items["zones/europe-west4-a"]["warning"]["code"] == "NO_RESULTS_ON_PAGE"


def test_addresses_and_rules_of_all_regions_and_the_global_ones(
    cloud: GoogleCloud, ask: Any
) -> None:
    cloud.plant("addresses", {"name": "lb", "region": "us-west1"})
    cloud.plant("globalAddresses", {"name": "everywhere"})
    items = ask("GET", f"{ROOT}/aggregated/addresses")["items"]
    found = {where: one["addresses"][0]["name"] for where, one in items.items() if len(one) == 1
             and "addresses" in one}  # fmt: skip
    assert found == {"global": "everywhere", "regions/us-west1": "lb"}


def test_labels_change_only_for_who_has_seen_them(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("disks", {"name": "pvc-1"})
    seen = ask("GET", f"{DISKS}/pvc-1")
    body = {"labels": {"burst-farm": "farm"}, "labelFingerprint": seen["labelFingerprint"]}
    ask("POST", f"{DISKS}/pvc-1/setLabels", body)
    assert ask("GET", f"{DISKS}/pvc-1")["labels"] == {"burst-farm": "farm"}
    assert ask.refused("POST", f"{DISKS}/pvc-1/setLabels", body)[0] == 412


def test_bad_labels_are_refused(ask: Any) -> None:
    assert ask.refused("POST", DISKS, {"name": "d", "labels": {"Farm": "x"}})[0] == 400
    assert ask.refused("POST", DISKS, {"name": "d", "labels": {"farm": "a b"}})[0] == 400


def test_a_disk_in_use_is_not_deleted(farm: GoogleCloud, ask: Any) -> None:
    disk = farm.everything()["disks"][0]
    status, told = ask.refused("DELETE", f"{DISKS}/{disk}")
    assert (status, reason(told)) == (400, "resourceInUseByAnotherResource")


def test_an_operation_that_fails_leaves_nothing(cloud: GoogleCloud, ask: Any) -> None:
    cloud.faults.add("POST", "/networks$", failure="QUOTA_EXCEEDED: Quota 'NETWORKS' exceeded.")
    started = ask("POST", NETWORKS, {"name": "farm"})
    told = ask("GET", f"{ROOT}/global/operations/{started['name']}")
    assert told["error"]["errors"] == [
        {"code": "QUOTA_EXCEEDED", "message": "Quota 'NETWORKS' exceeded."}
    ]
    assert cloud.everything() == {}


def test_a_region_shows_its_quotas_and_what_is_used(farm: GoogleCloud, ask: Any) -> None:
    farm.quotas["europe-west4"]["N2D_CPUS"] = 0
    farm.plant("disks", {"name": "pvc-1", "sizeGb": "20"})
    quotas = {
        one["metric"]: (one["limit"], one["usage"])
        for one in ask("GET", f"{ROOT}/regions/europe-west4")["quotas"]
    }
    assert quotas["N2D_CPUS"] == (0, 0)
    assert quotas["E2_CPUS"][1] == 2
    assert quotas["DISKS_TOTAL_GB"][1] == 20
    assert ask("GET", ROOT)["quotas"][0]["metric"] == "CPUS_ALL_REGIONS"


def test_a_zone_has_its_own_machine_types_and_gpus(ask: Any) -> None:
    there = f"{ROOT}/zones/europe-west4-a"
    machine = ask("GET", f"{there}/machineTypes/g2-standard-4")
    assert (machine["guestCpus"], machine["accelerators"][0]["guestAcceleratorCount"]) == (4, 1)
    assert ask.refused("GET", f"{ROOT}/zones/us-west1-c/machineTypes/g2-standard-4")[0] == 404
    gpus = [one["name"] for one in ask("GET", f"{there}/acceleratorTypes")["items"]]
    assert "nvidia-l4" in gpus
    elsewhere = ask("GET", f"{ROOT}/zones/us-west1-c/acceleratorTypes")["items"]
    assert "nvidia-l4" not in [one["name"] for one in elsewhere]
    assert ask.refused("GET", f"{ROOT}/regions/mars-north1")[0] == 404


def test_a_router_keeps_what_a_change_does_not_name(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("networks", {"name": "farm"})
    cloud.plant("routers", {"name": "nat", "network": "global/networks/farm"})
    where = f"{ROOT}/regions/europe-west4/routers/nat"
    ask("PATCH", where, {"nats": [{"name": "nat", "natIpAllocateOption": "AUTO_ONLY"}]})
    found = ask("GET", where)
    assert found["network"].endswith("/networks/farm")
    assert found["nats"][0]["name"] == "nat"
