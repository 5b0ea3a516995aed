"""Kubernetes Engine: the groups of machines that node pools have, and the machines in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.google_cloud import compute
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.cluster_parts import short
from tests.fakes.google_cloud.compute_rules import gone
from tests.fakes.google_cloud.operations import COMPUTE, Operation, timestamp

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud

SIZE = "_size"
"""Nodes per zone: not shown, for Google does not show it."""


def count(cloud: GoogleCloud, cluster: str) -> int:
    """Return how many machines a cluster has."""
    return sum(
        "/instances/" in key and one.get("labels", {}).get("goog-k8s-cluster-name") == cluster
        for key, one in cloud.resources.items()
    )


def make_group(cloud: GoogleCloud, cluster: dict[str, Any], pool: dict[str, Any], zone: str) -> str:
    """Make the group of a pool's machines in a zone, and return its link."""
    mark = short(cluster["name"], pool["name"], zone)
    base = f"gke-{cluster['name']}-{pool['name']}-{mark}"
    root = f"{COMPUTE}/projects/{cloud.project}/zones/{zone}"
    link = f"{root}/instanceGroupManagers/{base}-grp"
    common = {"name": f"{base}-grp", "zone": root, "creationTimestamp": timestamp()}
    for kind, more in (
        ("instanceGroup", {"size": 0}),
        (
            "instanceGroupManager",
            {
                "baseInstanceName": base,
                "targetSize": 0,
                "instanceGroup": f"{root}/instanceGroups/{base}-grp",
                "status": {"isStable": True},
            },
        ),
    ):
        where = f"{root}/{kind}s/{base}-grp"
        cloud.resources[f"compute/{where.removeprefix(f'{COMPUTE}/')}"] = {
            **common,
            "kind": f"compute#{kind}",
            "id": cloud.next_number(),
            "selfLink": where,
            **more,
        }
    return link


def resize(cloud: GoogleCloud, key: str, nodes: int) -> None:
    """Have so many machines in each of a pool's zones."""
    pool = cloud.resources[key]
    pool[SIZE] = nodes
    cluster = cloud.resources[key.rpartition("/nodePools/")[0]]
    for link in pool["instanceGroupUrls"]:
        manager = cloud.resources[f"compute/{link.removeprefix(f'{COMPUTE}/')}"]
        manager["targetSize"] = nodes
        group = manager["instanceGroup"].removeprefix(f"{COMPUTE}/")
        cloud.resources[f"compute/{group}"]["size"] = nodes
        zone = manager["zone"].removeprefix(f"{COMPUTE}/")
        prefix = f"compute/{zone}/instances/{manager['baseInstanceName']}-"
        there = [one for one in sorted(cloud.resources) if one.startswith(prefix)]
        for one in there[nodes:]:
            gone(cloud, one)
        for _ in range(nodes - len(there)):
            _machine(cloud, cluster, pool, manager)


def _machine(
    cloud: GoogleCloud, cluster: dict[str, Any], pool: dict[str, Any], manager: dict[str, Any]
) -> None:
    # The last of such numbers are all different.
    name = f"{manager['baseInstanceName']}-{int(cloud.next_number()) % 0x10000:04x}"
    root, config = manager["zone"], pool["config"]
    where = root.removeprefix(f"{COMPUTE}/")
    labels = {
        **cluster.get("resourceLabels", {}),
        **config.get("resourceLabels", {}),
        "goog-gke-node": "",
        "goog-k8s-cluster-name": cluster["name"],
        "goog-k8s-cluster-location": cluster["location"],
        "goog-k8s-node-pool-name": pool["name"],
    }
    disk = f"{root}/disks/{name}"
    common = {"name": name, "zone": root, "labels": labels, "creationTimestamp": timestamp()}
    is_spot = bool(config.get("spot"))
    cloud.resources[f"compute/{where}/instances/{name}"] = {
        **common,
        "kind": "compute#instance",
        "id": cloud.next_number(),
        "selfLink": f"{root}/instances/{name}",
        "status": "RUNNING",
        "machineType": f"{root}/machineTypes/{config['machineType']}",
        "scheduling": {
            "preemptible": is_spot,
            "provisioningModel": "SPOT" if is_spot else "STANDARD",
        },
        "disks": [{"source": disk, "boot": True, "autoDelete": True}],
        "networkInterfaces": [
            {
                "network": f"{COMPUTE}/{cluster['networkConfig']['network']}",
                "subnetwork": f"{COMPUTE}/{cluster['networkConfig']['subnetwork']}",
            }
        ],
        "labelFingerprint": short(name),
    }
    cloud.resources[f"compute/{where}/disks/{name}"] = {
        **common,
        "kind": "compute#disk",
        "id": cloud.next_number(),
        "selfLink": disk,
        "status": "READY",
        "sizeGb": str(config["diskSizeGb"]),
        "type": f"{root}/diskTypes/{config['diskType']}",
        "users": [f"{root}/instances/{name}"],
        "labelFingerprint": short(name),
    }


def move(cloud: GoogleCloud, key: str, zones: list[str]) -> None:
    """Have a pool's machines in these zones, and in no other."""
    pool = cloud.resources[key]
    cluster = cloud.resources[key.rpartition("/nodePools/")[0]]
    known = {link.split("/zones/")[1].partition("/")[0]: link for link in pool["instanceGroupUrls"]}
    for zone in known.keys() - set(zones):
        gone(cloud, f"compute/{known[zone].removeprefix(f'{COMPUTE}/')}")
    pool["locations"] = zones
    pool["instanceGroupUrls"] = [
        known.get(zone) or make_group(cloud, cluster, pool, zone) for zone in zones
    ]
    resize(cloud, key, pool[SIZE])


@answers("compute.instances.simulateMaintenanceEvent")
def preempt(call: Call) -> Operation:
    """Take a spot machine away, which its group replaces; others are moved, and notice nothing."""
    found, name = compute.look(call), compute.named(call)

    def settle(failure: str) -> None:
        if failure or not found.get("scheduling", {}).get("preemptible"):
            return
        gone(call.cloud, f"compute/{name}")
        labels = found.get("labels", {})
        cluster, pool = (labels.get(f"goog-k8s-{of}-name") for of in ("cluster", "node-pool"))
        end = f"/clusters/{cluster}/nodePools/{pool}"
        for key in [key for key in call.cloud.resources if key.endswith(end)]:
            resize(call.cloud, key, call.cloud.resources[key][SIZE])

    return compute.start(call, "simulateMaintenanceEvent", name, settle)
