"""Kubernetes Engine: clusters, their operations, and the versions there are."""

from __future__ import annotations

import base64
import re
from typing import Any

from tests.fakes.google_cloud import cluster_parts as parts
from tests.fakes.google_cloud import machines, node_pools, places
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.compute_rules import merge
from tests.fakes.google_cloud.operations import Operation, Style
from tests.fakes.google_cloud.refusals import RefusedError, exists, not_found

NAME = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"
ROOT = "container.projects.locations"

RENAMED = {
    "desiredClusterAutoscaling": "autoscaling",
    "desiredMasterVersion": "currentMasterVersion",
    "desiredLoggingService": "loggingService",
    "desiredMonitoringService": "monitoringService",
    "desiredControlPlaneEndpointsConfig": "controlPlaneEndpointsConfig",
}
"""Parts of an update whose field is called otherwise than by what follows ``desired``."""
COMPONENTS = {"loggingConfig", "monitoringConfig"}
OF_NETWORK = {"desiredDatapathProvider", "desiredEnableMultiNetworking", "desiredDnsConfig"}


def scope_of(call: Call) -> str:
    """Return where a call is about, checked: ``projects/p/locations/z``."""
    location = call.names["locationsId"]
    if location != "-" and location not in (*places.REGIONS, *places.zones()):
        raise RefusedError(400, f'Location "{location}" does not exist.')
    return f"projects/{call.project}/locations/{location}"


def named(call: Call) -> str:
    """Return the relative name of the cluster that a call is about."""
    return f"{scope_of(call)}/clusters/{call.names['clustersId']}"


def look(call: Call) -> dict[str, Any]:
    """Return the cluster that a call is about."""
    found = call.cloud.resources.get(f"container/{named(call)}")
    if found is None:
        raise not_found("container", named(call))
    return found


def start(call: Call, kind: str, target: str, settle: Any = lambda _failure: None) -> Operation:
    """Start an operation on a cluster or one of its pools."""
    return call.cloud.operations.start(
        Style.CONTAINER, kind, scope_of(call), target, settle, failure=call.failure
    )


def check_free(call: Call, *, with_pools: bool) -> None:
    """Refuse a change of a cluster that is being changed."""
    name = named(call)
    for one in call.cloud.operations.running(name):
        if with_pools or one.target == name:
            raise RefusedError(
                400,
                f"Cluster is running incompatible operation {one.name}.",
                status="FAILED_PRECONDITION",
            )


@answers(f"{ROOT}.clusters.create")
def create(call: Call) -> Operation:
    """Make a cluster with a default pool, or the pools that were named."""
    cluster, scope = call.body.get("cluster", {}), scope_of(call)
    name = cluster.get("name", "")
    if not re.fullmatch(NAME, name):
        raise RefusedError(
            400,
            f'Cluster name "{name}" must start with a lowercase letter followed by up to 39 '
            "lowercase letters, numbers, or hyphens, and cannot end with a hyphen.",
        )
    relative = f"{scope}/clusters/{name}"
    key = f"container/{relative}"
    if key in call.cloud.resources:
        raise exists("container", relative)
    pools = cluster.pop("nodePools", None)
    default = cluster.pop("nodeConfig", None)
    if not pools:
        count = cluster.get("initialNodeCount", 0)
        if count < 1:
            raise RefusedError(400, "Cluster.initial_node_count must be greater than zero.")
        pools = [{"name": "default-pool", "config": default or {}, "initialNodeCount": count}]
    made = parts.cluster(call, relative, cluster)
    for pool in pools:
        node_pools.check(call, pool)
    call.cloud.resources[key] = made
    keys = [node_pools.add(call, made, relative, pool) for pool in pools]
    parts.add_firewalls(call.cloud, made)

    def settle(failure: str) -> None:
        made["status"] = "ERROR" if failure else "RUNNING"
        if failure:
            made["statusMessage"] = failure
        for pool in keys:
            node_pools.settled(call.cloud, pool, failure)

    return start(call, "CREATE_CLUSTER", relative, settle)


@answers(f"{ROOT}.clusters.get")
def get(call: Call) -> dict[str, Any]:
    """Show a cluster."""
    look(call)
    return shown(call, named(call))


@answers(f"{ROOT}.clusters.list")
def list_(call: Call) -> dict[str, Any]:
    """Show the clusters of a location, or of all (``-``)."""
    where = scope_of(call).replace("/-", "/[^/]+")
    names = [
        key.removeprefix("container/")
        for key in sorted(call.cloud.resources)
        if re.fullmatch(f"container/{where}/clusters/[^/]+", key)
    ]
    return {"clusters": [shown(call, name) for name in names]} if names else {}


def shown(call: Call, name: str) -> dict[str, Any]:
    """Return a cluster as it is seen from outside."""
    known = call.cloud.resources
    cluster = dict(known[f"container/{name}"])
    pools = [node_pools.shown(known[key]) for key in node_pools.below(call.cloud, name)]
    real = call.cloud.cluster
    if real:
        pem = base64.b64encode(real.certificate.encode()).decode()
        cluster["masterAuth"] = {**cluster["masterAuth"], "clusterCaCertificate": pem}
        told = cluster["controlPlaneEndpointsConfig"]
        dns = {**told["dnsEndpointConfig"], "endpoint": real.endpoint}
        cluster["controlPlaneEndpointsConfig"] = {**told, "dnsEndpointConfig": dns}
    if pools:
        cluster |= {"nodePools": pools, "nodeConfig": pools[0]["config"]}
        cluster["instanceGroupUrls"] = [url for one in pools for url in one["instanceGroupUrls"]]
    cluster["currentNodeCount"] = machines.count(call.cloud, cluster["name"])
    return cluster


@answers(f"{ROOT}.clusters.update")
def update(call: Call) -> Operation:
    """Change one thing of a cluster."""
    found = look(call)
    check_free(call, with_pools=False)
    wanted = call.body.get("update", {})
    if wanted.get("desiredNodePoolId"):
        return node_pools.update_by_cluster(call, wanted)
    if len([key for key in wanted if key.startswith("desired")]) == 0:
        raise RefusedError(400, "Must specify a field to update.")

    def settle(failure: str) -> None:
        for key, value in {} if failure else wanted.items():
            field = RENAMED.get(key) or key[7].lower() + key[8:]
            target = found["networkConfig"] if key in OF_NETWORK else found
            if field in COMPONENTS:  # which components: all that are named, and no others
                target[field].pop("componentConfig", None)
            merge(target, {field: value})

    return start(call, "UPDATE_CLUSTER", named(call), settle)


@answers(f"{ROOT}.clusters.setResourceLabels")
def set_labels(call: Call) -> Operation:
    """Change a cluster's labels."""
    found = look(call)
    check_free(call, with_pools=False)
    if call.body.get("labelFingerprint") != found["labelFingerprint"]:
        raise RefusedError(400, "Labels could not be set due to fingerprint mismatch.")

    def settle(failure: str) -> None:
        if not failure:
            found["resourceLabels"] = call.body.get("resourceLabels", {})
            found["labelFingerprint"] = call.cloud.next_number()[-8:]

    return start(call, "UPDATE_CLUSTER", named(call), settle)


@answers(f"{ROOT}.clusters.setMaintenancePolicy")
def set_maintenance(call: Call) -> Operation:
    """Say when a cluster may be upgraded."""
    found = look(call)
    wanted = call.body.get("maintenancePolicy", {})
    return start(
        call, "UPDATE_CLUSTER", named(call), lambda _: found.update(maintenancePolicy=wanted)
    )


@answers(f"{ROOT}.clusters.delete")
def delete(call: Call) -> Operation:
    """Delete a cluster with its pools, machines and firewalls; volumes stay, as they do."""
    found, name = look(call), named(call)
    check_free(call, with_pools=True)
    before, found["status"] = found["status"], "STOPPING"

    def settle(failure: str) -> None:
        if failure:
            found["status"] = before
            return
        for key in node_pools.below(call.cloud, name):
            node_pools.remove(call.cloud, key)
        parts.remove_firewalls(call.cloud, found)
        call.cloud.resources.pop(f"container/{name}", None)

    return start(call, "DELETE_CLUSTER", name, settle)


@answers(f"{ROOT}.operations.get")
def get_operation(call: Call) -> Operation:
    """Show an operation."""
    return call.cloud.operations.get(call.names["operationsId"], scope_of(call))


@answers(f"{ROOT}.operations.list")
def list_operations(call: Call) -> dict[str, Any]:
    """Show the operations of a location, or of all."""
    found = call.cloud.operations.among(Style.CONTAINER, scope_of(call))
    return {"operations": [one.shown() for one in found]} if found else {}


@answers(f"{ROOT}.operations.cancel")
def cancel_operation(call: Call) -> dict[str, Any]:
    """Refuse to cancel: a cluster's operations can't be."""
    found = call.cloud.operations.get(call.names["operationsId"], scope_of(call))
    raise RefusedError(
        400, f"Operation {found.name} cannot be canceled.", status="FAILED_PRECONDITION"
    )


@answers(f"{ROOT}.getServerConfig")
def server_config(call: Call) -> dict[str, Any]:
    """Show the versions that there are."""
    scope_of(call)
    versions = list(parts.VERSIONS)
    channels = [
        {"channel": name, "defaultVersion": versions[1], "validVersions": versions}
        for name in ("RAPID", "REGULAR", "STABLE")
    ]
    return {
        "defaultClusterVersion": versions[1],
        "validMasterVersions": versions,
        "validNodeVersions": versions,
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD"],
        "defaultImageType": "COS_CONTAINERD",
        "channels": channels,
    }
