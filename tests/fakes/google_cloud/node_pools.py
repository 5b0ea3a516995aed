"""Kubernetes Engine: node pools, and the machines that follow their size."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from tests.fakes.google_cloud import clusters, machines, places
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.cluster_parts import VERSIONS
from tests.fakes.google_cloud.compute_rules import defaults, gone
from tests.fakes.google_cloud.operations import COMPUTE, CONTAINER, Operation
from tests.fakes.google_cloud.refusals import RefusedError, exists, not_found

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud

ROOT = "container.projects.locations.clusters.nodePools"
SCOPES = [
    f"https://www.googleapis.com/auth/{name}"
    for name in ("devstorage.read_only", "logging.write", "monitoring")
]
WRAPPED = frozenset({"labels", "taints", "tags", "resourceLabels"})
"""Fields of a change that come in an object of the same name."""
OF_POOL = frozenset({"locations", "upgradeSettings"})


def below(cloud: GoogleCloud, cluster: str) -> list[str]:
    """Return the keys of a cluster's pools."""
    prefix = f"container/{cluster}/nodePools/"
    return [key for key in sorted(cloud.resources) if key.startswith(prefix)]


def shown(pool: dict[str, Any]) -> dict[str, Any]:
    """Return a pool as it is seen from outside."""
    return {key: value for key, value in pool.items() if not key.startswith("_")}


def check(call: Call, pool: dict[str, Any]) -> None:
    """Refuse a pool that can't be."""
    name = pool.get("name", "")
    if not re.fullmatch(clusters.NAME, name):
        raise RefusedError(400, f'Node pool name "{name}" is invalid.')
    config = pool.get("config", {})
    location = call.names["locationsId"]
    zones = pool.get("locations") or (
        [location] if location in places.zones() else places.zones(location)[:3]
    )
    kind = config.get("machineType", "e2-medium")
    for zone in zones:
        if zone not in places.zones(places.region_of(location)):
            raise RefusedError(400, f'Zone "{zone}" is not in the region of the cluster.')
        if kind not in places.machine_names(zone):
            raise RefusedError(
                400, f'Machine type with name "{kind}" does not exist in zone {zone}.'
            )
    for one in config.get("accelerators", []):
        if one.get("acceleratorType") not in places.ACCELERATORS:
            raise RefusedError(400, f'Accelerator type "{one.get("acceleratorType")}" is unknown.')
    _check_account(call, config.get("serviceAccount", "default"))
    _check_grace(config)
    check_autoscaling(pool.get("autoscaling", {}))


def _check_grace(config: dict[str, Any]) -> None:
    told = config.get("kubeletConfig", {})
    grace = told.get("shutdownGracePeriodSeconds", 0)
    critical = told.get("shutdownGracePeriodCriticalPodsSeconds", 0)
    if grace not in (0, 30, 120) or critical > grace:
        raise RefusedError(
            400, "shutdown_grace_period_seconds must be 0, 30 or 120, and not below the critical."
        )
    if grace and not config.get("spot"):
        raise RefusedError(400, "shutdown_grace_period_seconds is only valid for Spot VMs.")


def _check_account(call: Call, account: str) -> None:
    key = f"iam/projects/{call.project}/serviceAccounts/{account}"
    ours = account.endswith(f"@{call.project}.iam.gserviceaccount.com")
    if ours and key not in call.cloud.resources:
        raise RefusedError(400, f'The user does not have access to service account "{account}".')


def check_autoscaling(told: dict[str, Any]) -> None:
    """Refuse bounds that contradict each other."""
    if not told.get("enabled"):
        return
    per_zone = told.get("minNodeCount", 0), told.get("maxNodeCount", 0)
    total = told.get("totalMinNodeCount", 0), told.get("totalMaxNodeCount", 0)
    if any(per_zone) and any(total):
        raise RefusedError(400, "Only one of max_node_count and total_max_node_count can be set.")
    low, high = total if any(total) else per_zone
    if high < 1 or low > high:
        raise RefusedError(
            400, "Autoscaling maximum must be at least one, and not below the minimum."
        )


def add(call: Call, cluster: dict[str, Any], relative: str, told: dict[str, Any]) -> str:
    """Note a new pool, and return its key."""
    name = told["name"]
    key = f"container/{relative}/nodePools/{name}"
    if key in call.cloud.resources:
        raise exists("container", key.removeprefix("container/"))
    config = _config(cluster, dict(told.get("config", {})))
    zones = told.get("locations") or cluster["locations"]
    pool = defaults(
        {**told, "config": config},
        initialNodeCount=0,
        version=cluster["currentMasterVersion"],
        locations=zones,
        status="PROVISIONING",
        podIpv4CidrSize=24,
        maxPodsConstraint={"maxPodsPerNode": "110"},
        management={"autoRepair": True, "autoUpgrade": True},
        upgradeSettings={"maxSurge": 1, "strategy": "SURGE"},
        etag=uuid.uuid4().hex,
        networkConfig={
            "podRange": cluster["ipAllocationPolicy"].get("clusterSecondaryRangeName", "pods"),
            "podIpv4CidrBlock": cluster["clusterIpv4Cidr"],
            "enablePrivateNodes": cluster["networkConfig"].get("defaultEnablePrivateNodes", False),
        },
        selfLink=f"{CONTAINER}/{relative}/nodePools/{name}",
    )
    if pool.get("autoscaling", {}).get("enabled"):
        defaults(pool["autoscaling"], locationPolicy="ANY" if config.get("spot") else "BALANCED")
    pool[machines.SIZE] = pool["initialNodeCount"]
    call.cloud.resources[key] = pool
    pool["instanceGroupUrls"] = [
        machines.make_group(call.cloud, cluster, pool, zone) for zone in zones
    ]
    return key


def _config(cluster: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    model = "spot" if config.get("spot") else "on-demand"
    boot = config.get("bootDisk", {})
    kind = config.get("diskType") or boot.get("diskType") or "pd-balanced"
    size = int(config.get("diskSizeGb") or boot.get("sizeGb") or 100)
    config = defaults(
        config,
        machineType="e2-medium",
        diskSizeGb=size,
        diskType=kind,
        bootDisk={"diskType": kind, "sizeGb": str(size)},
        imageType="COS_CONTAINERD",
        oauthScopes=SCOPES,
        serviceAccount="default",
        metadata={"disable-legacy-endpoints": "true"},
        shieldedInstanceConfig={"enableIntegrityMonitoring": True, "enableSecureBoot": False},
        effectiveCgroupMode="EFFECTIVE_CGROUP_MODE_V2",
        windowsNodeConfig={},
        resourceLabels={"goog-gke-node-pool-provisioning-model": model},
        kubeletConfig={"insecureKubeletReadonlyPortEnabled": False, "maxParallelImagePulls": 2},
    )
    if cluster.get("workloadIdentityConfig"):
        defaults(config, workloadMetadataConfig={"mode": "GKE_METADATA"})
    return config


def settled(cloud: GoogleCloud, key: str, failure: str) -> None:
    """Tell a pool how the operation that made it ended."""
    pool = cloud.resources.get(key)
    if pool is None:
        return
    pool["status"] = "ERROR" if failure else "RUNNING"
    if failure:
        pool["statusMessage"] = failure
        return
    machines.resize(cloud, key, pool[machines.SIZE])


def remove(cloud: GoogleCloud, key: str) -> None:
    """Delete a pool with all that was made for it."""
    pool = cloud.resources.pop(key, None)
    for link in pool["instanceGroupUrls"] if pool else []:
        gone(cloud, f"compute/{link.removeprefix(f'{COMPUTE}/')}")


def named(call: Call) -> str:
    """Return the relative name of the pool that a call is about."""
    return f"{clusters.named(call)}/nodePools/{call.names['nodePoolsId']}"


def look(call: Call) -> dict[str, Any]:
    """Return the pool that a call is about."""
    clusters.look(call)
    found = call.cloud.resources.get(f"container/{named(call)}")
    if found is None:
        raise not_found("container", named(call))
    return found


@answers(f"{ROOT}.create")
def create(call: Call) -> Operation:
    """Make a pool."""
    cluster, name = clusters.look(call), clusters.named(call)
    clusters.check_free(call, with_pools=False)
    told = call.body.get("nodePool", {})
    check(call, told)
    key = add(call, cluster, name, told)

    def settle(failure: str) -> None:
        settled(call.cloud, key, failure)

    return clusters.start(call, "CREATE_NODE_POOL", key.removeprefix("container/"), settle)


@answers(f"{ROOT}.get")
def get(call: Call) -> dict[str, Any]:
    """Show a pool."""
    return shown(look(call))


@answers(f"{ROOT}.list")
def list_(call: Call) -> dict[str, Any]:
    """Show a cluster's pools."""
    clusters.look(call)
    found = below(call.cloud, clusters.named(call))
    return {"nodePools": [shown(call.cloud.resources[key]) for key in found]} if found else {}


@answers(f"{ROOT}.delete")
def delete(call: Call) -> Operation:
    """Delete a pool."""
    pool, name = look(call), named(call)
    _check_free(call)
    before, pool["status"] = pool["status"], "STOPPING"

    def settle(failure: str) -> None:
        if failure:
            pool["status"] = before
        else:
            remove(call.cloud, f"container/{name}")

    return clusters.start(call, "DELETE_NODE_POOL", name, settle)


def _check_free(call: Call) -> None:
    clusters.check_free(call, with_pools=False)
    for one in call.cloud.operations.running(named(call)):
        raise RefusedError(
            400,
            f"Cluster is running incompatible operation {one.name}.",
            status="FAILED_PRECONDITION",
        )


@answers(f"{ROOT}.setSize")
def set_size(call: Call) -> Operation:
    """Change how many nodes each zone of a pool has."""
    look(call)
    _check_free(call)
    nodes = int(call.body.get("nodeCount", 0))

    def settle(failure: str) -> None:
        if not failure:
            machines.resize(call.cloud, f"container/{named(call)}", nodes)
            call.cloud.resources[f"container/{named(call)}"]["initialNodeCount"] = nodes

    return clusters.start(call, "SET_NODE_POOL_SIZE", named(call), settle)


@answers(f"{ROOT}.setAutoscaling", f"{ROOT}.setManagement")
def set_part(call: Call) -> Operation:
    """Change a pool's bounds, or who looks after it."""
    pool = look(call)
    _check_free(call)
    field = "autoscaling" if call.method.endswith("setAutoscaling") else "management"
    wanted = call.body.get(field, {})
    if field == "autoscaling":
        check_autoscaling(wanted)

    def settle(failure: str) -> None:
        if not failure:
            pool[field] = wanted

    return clusters.start(call, "SET_NODE_POOL_MANAGEMENT", named(call), settle)


@answers(f"{ROOT}.update")
def update(call: Call) -> Operation:
    """Change what a pool's nodes are like."""
    pool = look(call)
    _check_free(call)
    left_out = {"name", "clusterId", "projectId", "nodePoolId", "zone", "etag"}
    wanted = {key: value for key, value in call.body.items() if key not in left_out}
    check(call, {**shown(pool), "locations": wanted.get("locations", pool["locations"])})

    def settle(failure: str) -> None:
        for key, value in {} if failure else wanted.items():
            _change(pool, key, value)
        if not failure and "locations" in wanted:
            machines.move(call.cloud, f"container/{named(call)}", wanted["locations"])

    return clusters.start(call, "UPDATE_NODE_POOL", named(call), settle)


def _change(pool: dict[str, Any], key: str, value: Any) -> None:
    if key == "nodeVersion":
        pool["version"] = VERSIONS[0] if value in ("latest", "-", "") else value
    elif key in OF_POOL:
        pool[key] = value
    elif key == "nodeNetworkConfig":
        pool["networkConfig"] |= value
    elif key in WRAPPED and isinstance(value, dict):
        pool["config"][key] = value.get("labels" if key == "resourceLabels" else key, {})
    elif key == "diskSizeGb":
        pool["config"] |= {key: int(value)}
    else:
        pool["config"][key] = value


def update_by_cluster(call: Call, wanted: dict[str, Any]) -> Operation:
    """Change a pool as an update of its cluster does."""
    call.names["nodePoolsId"] = wanted["desiredNodePoolId"]
    pool = look(call)
    fields = {
        "desiredNodePoolAutoscaling": "autoscaling",
        "desiredLocations": "locations",
        "desiredNodeVersion": "version",
    }
    check_autoscaling(wanted.get("desiredNodePoolAutoscaling", {}))

    def settle(failure: str) -> None:
        for key in {} if failure else fields.keys() & wanted.keys():
            pool[fields[key]] = wanted[key]
        if not failure and "desiredLocations" in wanted:
            machines.move(call.cloud, f"container/{named(call)}", wanted["desiredLocations"])

    return clusters.start(call, "UPDATE_CLUSTER", named(call), settle)
