"""Kubernetes Engine of the stand-in: clusters, pools, and the machines that follow their size."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud, RealCluster

ROOT = "/container/v1/projects/proj-x/locations/europe-west4-a"
CLUSTER = f"{ROOT}/clusters/farm"
POOLS = f"{CLUSTER}/nodePools"


def machines(cloud: GoogleCloud, pool: str) -> int:
    return sum(f"-{pool}-" in name for name in cloud.everything().get("instances", []))


def test_a_cluster_comes_with_a_default_pool_and_its_machines(farm: GoogleCloud, ask: Any) -> None:
    found = ask("GET", CLUSTER)
    assert (found["status"], found["currentNodeCount"]) == ("RUNNING", 1)
    assert [pool["name"] for pool in found["nodePools"]] == ["default-pool"]
    link = found["instanceGroupUrls"][0]
    assert "/instanceGroupManagers/" in link
    assert ask("GET", link.replace("https://www.googleapis.com", ""))["targetSize"] == 1
    listed = ask(
        "GET",
        "/compute/v1/projects/proj-x/aggregated/instances",
        filter="labels.goog-k8s-cluster-name=farm",
    )["items"]["zones/europe-west4-a"]["instances"]
    assert [one["labels"]["burst-farm"] for one in listed] == ["farm"]


def test_a_cluster_goes_with_its_pools_machines_and_firewalls_but_not_its_volumes(
    farm: GoogleCloud, ask: Any
) -> None:
    farm.plant("disks", {"name": "pvc-1"})
    ask("DELETE", CLUSTER)
    assert farm.everything() == {
        "disks": ["pvc-1"], "networks": ["farm"], "subnetworks": ["farm-nodes"],
    }  # fmt: skip
    assert ask.refused("GET", CLUSTER)[0] == 404


def test_a_network_waits_for_its_cluster(farm: GoogleCloud, ask: Any) -> None:
    where = "/compute/v1/projects/proj-x/regions/europe-west4/subnetworks/farm-nodes"
    status, told = ask.refused("DELETE", where)
    assert (status, told["error"]["errors"][0]["reason"]) == (400, "resourceInUseByAnotherResource")


def test_a_name_that_is_taken_is_refused(farm: GoogleCloud, ask: Any) -> None:
    status, told = ask.refused(
        "POST", f"{ROOT}/clusters", {"cluster": {"name": "farm", "initialNodeCount": 1}}
    )
    assert (status, told["error"]["status"]) == (409, "ALREADY_EXISTS")
    status, _ = ask.refused("POST", POOLS, {"nodePool": {"name": "default-pool"}})
    assert status == 409


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": "Farm"}, "name"),
        ({"initialNodeCount": 0}, "initial_node_count"),
        ({"network": "none"}, "Network"),
        ({"subnetwork": "none"}, "Subnetwork"),
        ({"initialClusterVersion": "0.9"}, "version"),
        ({"ipAllocationPolicy": {"clusterSecondaryRangeName": "none"}}, "range"),
        ({"nodeConfig": {"machineType": "z9-mega-1"}}, "Machine type"),
        ({"nonsense": 1}, "Unknown name"),
        ({"nodePools": [{"name": "a", "config": {"nonsense": 1}}]}, "cluster.nodePools[0].config"),
    ],
)
def test_a_cluster_that_can_not_be_is_refused(
    change: dict[str, Any], word: str, farm: GoogleCloud, ask: Any
) -> None:
    before = farm.everything()
    body = {"name": "more", "initialNodeCount": 1, "network": "farm", "subnetwork": "farm-nodes"}
    status, told = ask.refused("POST", f"{ROOT}/clusters", {"cluster": {**body, **change}})
    assert status == 400
    assert word in told["error"]["message"]
    assert farm.everything() == before


def test_machines_follow_a_pool(farm: GoogleCloud, ask: Any) -> None:
    zones = ["europe-west4-a", "europe-west4-b"]
    ask("POST", POOLS, {"nodePool": {"name": "spot", "locations": zones}})
    assert machines(farm, "spot") == 0
    ask("POST", f"{POOLS}/spot:setSize", {"nodeCount": 2})
    assert machines(farm, "spot") == 4
    farm.scale("farm", "spot", 1)
    assert machines(farm, "spot") == 2
    ask("PUT", f"{POOLS}/spot", {"locations": zones[:1]})
    assert machines(farm, "spot") == 1
    assert ask("GET", f"{POOLS}/spot")["locations"] == zones[:1]
    ask("DELETE", f"{POOLS}/spot")
    assert machines(farm, "spot") == 0
    assert farm.everything()["nodePools"] == ["default-pool"]


@pytest.mark.parametrize("is_spot", [True, False])
def test_a_spot_machine_that_is_preempted_is_replaced(
    is_spot: bool, farm: GoogleCloud, ask: Any
) -> None:
    pool = {"name": "more", "initialNodeCount": 2, "config": {"spot": is_spot}}
    ask("POST", POOLS, {"nodePool": pool})
    before = {name for name in farm.everything()["instances"] if "-more-" in name}
    one = min(before)
    zone = "/compute/v1/projects/proj-x/zones/europe-west4-a"
    ask("POST", f"{zone}/instances/{one}/simulateMaintenanceEvent")
    after = {name for name in farm.everything()["instances"] if "-more-" in name}
    assert (len(after), one in after) == (2, not is_spot)


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"machineType": "z9-mega-1"}},
        {"config": {"accelerators": [{"acceleratorType": "tpu", "acceleratorCount": "1"}]}},
        {"config": {"serviceAccount": "none@proj-x.iam.gserviceaccount.com"}},
        {"config": {"spot": True, "kubeletConfig": {"shutdownGracePeriodSeconds": 5}}},
        {"config": {"kubeletConfig": {"shutdownGracePeriodSeconds": 30}}},
        {
            "config": {
                "spot": True,
                "kubeletConfig": {
                    "shutdownGracePeriodSeconds": 30,
                    "shutdownGracePeriodCriticalPodsSeconds": 60,
                },
            }
        },
        {"autoscaling": {"enabled": True, "minNodeCount": 1, "totalMaxNodeCount": 4}},
        {"autoscaling": {"enabled": True, "totalMaxNodeCount": 0}},
        {"autoscaling": {"enabled": True, "totalMaxNodeCount": 2, "locationPolicy": "SOME"}},
        {"locations": ["us-west1-a"]},
        {"name": "Spot"},
    ],
)
def test_a_pool_that_can_not_be_is_refused(
    change: dict[str, Any], farm: GoogleCloud, ask: Any
) -> None:
    status, _ = ask.refused("POST", POOLS, {"nodePool": {"name": "spot", **change}})
    assert status == 400
    assert farm.everything()["nodePools"] == ["default-pool"]


def test_a_cluster_that_is_being_made_is_left_alone(farm: GoogleCloud, ask: Any) -> None:
    farm.operations.seconds["CREATE_NODE_POOL"] = 1000
    ask("POST", POOLS, {"nodePool": {"name": "spot"}}, finish=False)
    ask("POST", POOLS, {"nodePool": {"name": "more"}}, finish=False)
    status, told = ask.refused("DELETE", CLUSTER)
    assert (status, told["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert "incompatible operation" in told["error"]["message"]
    assert ask.refused("DELETE", f"{POOLS}/spot")[0] == 400
    farm.finish()
    ask("DELETE", CLUSTER)


def test_a_stock_out_says_why_in_the_operation_and_in_the_pool(farm: GoogleCloud, ask: Any) -> None:
    farm.faults.stock_out()
    started = ask("POST", POOLS, {"nodePool": {"name": "spot", "initialNodeCount": 1}})
    operation = ask("GET", f"{ROOT}/operations/{started['name']}")
    pool = ask("GET", f"{POOLS}/spot")
    assert (operation["status"], pool["status"]) == ("DONE", "ERROR")
    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in operation["statusMessage"]
    assert pool["statusMessage"] == operation["statusMessage"]
    assert machines(farm, "spot") == 0
    ask("DELETE", f"{POOLS}/spot")


def test_a_cluster_whose_making_fails_stays_until_it_is_deleted(
    farm: GoogleCloud, ask: Any
) -> None:
    farm.faults.add("POST", "/clusters$", failure="All cluster resources were brought up, but: no.")
    body = {"name": "two", "initialNodeCount": 1, "network": "farm", "subnetwork": "farm-nodes"}
    ask("POST", f"{ROOT}/clusters", {"cluster": body})
    found = ask("GET", f"{ROOT}/clusters/two")
    assert (found["status"], found["statusMessage"][:3]) == ("ERROR", "All")
    ask("DELETE", f"{ROOT}/clusters/two")
    assert farm.everything()["clusters"] == ["farm"]


def test_all_locations_are_listed_at_once(farm: GoogleCloud, ask: Any) -> None:
    everywhere = "/container/v1/projects/proj-x/locations/-"
    assert [one["name"] for one in ask("GET", f"{everywhere}/clusters")["clusters"]] == ["farm"]
    kinds = [one["operationType"] for one in ask("GET", f"{everywhere}/operations")["operations"]]
    assert kinds == ["CREATE_CLUSTER"]
    elsewhere = "/container/v1/projects/proj-x/locations/us-west1-a"
    assert ask("GET", f"{elsewhere}/clusters") == {}
    assert ask.refused("GET", f"{elsewhere[:-10]}mars-a/clusters")[0] == 400


def test_labels_and_autoscaling_change(farm: GoogleCloud, ask: Any) -> None:
    seen = ask("GET", CLUSTER)["labelFingerprint"]
    body = {"resourceLabels": {"a": "b"}, "labelFingerprint": seen}
    ask("POST", f"{CLUSTER}:setResourceLabels", body)
    assert ask("GET", CLUSTER)["resourceLabels"] == {"a": "b"}
    assert ask.refused("POST", f"{CLUSTER}:setResourceLabels", body)[0] == 400
    bounds = {"enabled": True, "totalMaxNodeCount": 7}
    ask("POST", f"{POOLS}/default-pool:setAutoscaling", {"autoscaling": bounds})
    assert ask("GET", f"{POOLS}/default-pool")["autoscaling"] == bounds
    profile = {"autoscalingProfile": "OPTIMIZE_UTILIZATION"}
    ask("PUT", CLUSTER, {"update": {"desiredClusterAutoscaling": profile}})
    assert ask("GET", CLUSTER)["autoscaling"] == profile


def test_what_only_google_sets_is_not_taken_from_others(farm: GoogleCloud, ask: Any) -> None:
    pool = {"name": "spot", "status": "ERROR", "config": {"machineType": "e2-small"}}
    ask("POST", POOLS, {"nodePool": {**pool, "selfLink": "elsewhere", "etag": "mine"}})
    found = ask("GET", f"{POOLS}/spot")
    assert (found["status"], found["config"]["machineType"]) == ("RUNNING", "e2-small")
    assert found["selfLink"].endswith("/nodePools/spot")
    assert found["etag"] != "mine"


def test_a_cluster_says_that_it_is_a_real_kubernetes(farm: GoogleCloud, ask: Any) -> None:
    farm.cluster = RealCluster("127.0.0.1:6443", "PEM")
    found = ask("GET", CLUSTER)
    endpoint = found["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"]
    assert endpoint == "127.0.0.1:6443"
    assert base64.b64decode(found["masterAuth"]["clusterCaCertificate"]) == b"PEM"


def test_versions_are_told(ask: Any) -> None:
    told = ask("GET", f"{ROOT}/serverConfig")
    assert told["defaultClusterVersion"] in told["validMasterVersions"]
