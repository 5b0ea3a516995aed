"""All services, and what is asked of them together: what there is, and how something is planted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.google_cloud import (
    accounts,
    billing,
    buckets,
    clusters,
    compute,
    compute_facts,
    dns,
    enabling,
    node_pools,
    projects,
    registries,
)
from tests.fakes.google_cloud.answering import METHODS
from tests.fakes.google_cloud.objects import Objects

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud

__all__ = ["METHODS", "Objects", "found_project", "inventory", "permission", "planting"]

ALL = (
    accounts, billing, buckets, clusters, compute, compute_facts, dns, enabling, node_pools,
    projects, registries,
)  # fmt: skip
"""Modules that answer."""

found_project = projects.found_project

_VERBS = {"insert": "create", "patch": "update", "aggregatedList": "list", "undelete": "create"}
_OTHERS = {
    "clusters.setResourceLabels": "clusters.update",
    "serviceusage.services.batchEnable": "serviceusage.services.enable",
    "crm.v1.projects": "resourcemanager.projects",
    "crm.v3.projects": "resourcemanager.projects",
}
"""Beginnings and parts of methods that permissions name otherwise."""
_HIDDEN = ("policy/", "deleted/", "changes/")
ZONE = "europe-west4-a"


def permission(method: str) -> str:
    """Return the permission that a method needs: ``container.clusters.create``."""
    name = method.replace(".projects.locations.", ".").replace("iam.projects.", "iam.")
    for told, meant in _OTHERS.items():
        name = name.replace(told, meant)
    if ".nodePools." in name:
        reads = name.endswith((".get", ".list"))
        return f"container.clusters.{'get' if reads else 'update'}"
    head, _, verb = name.rpartition(".")
    return f"{head}.{_VERBS.get(verb, verb)}"


def inventory(cloud: GoogleCloud) -> dict[str, list[str]]:
    """Return what there is, by kind; bindings of the project as ``role member``."""
    found: dict[str, list[str]] = {}
    for key, one in sorted(cloud.resources.items()):
        kind, _, name = key.rpartition("/")
        kind = {"b": "buckets"}.get(kind.rpartition("/")[2], kind.rpartition("/")[2])
        if key.startswith(_HIDDEN) or one.get("deleted"):
            continue
        if kind == "rrsets" and name.endswith((":SOA", ":NS")):
            continue
        found.setdefault(kind, []).append(name)
    for name in found.get("buckets", []):
        objects = [f"{name}/{one.name}#{one.generation}" for one in cloud.objects.versions(name)]
        if objects:
            found.setdefault("objects", []).extend(objects)
    for key, one in sorted(cloud.resources.items()):
        of = key.removeprefix("policy/")
        for binding in one["bindings"] if key.startswith("policy/") else []:
            told = [f"{of} {binding['role']} {member}" for member in binding["members"]]
            told = [text for text in told if " roles/owner " not in text]
            if told:
                found.setdefault("bindings", []).extend(told)
    return found


def planting(cloud: GoogleCloud, kind: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of the request that makes something of a kind."""
    project = f"projects/{cloud.project}"
    if kind in compute.COLLECTIONS:
        scope = compute.COLLECTIONS[kind].scope
        zone = body.pop("zone", ZONE).rpartition("/")[2]
        region = body.pop("region", zone.rpartition("-")[0]).rpartition("/")[2]
        where = {"global": "global", "zones": f"zones/{zone}", "regions": f"regions/{region}"}
        return f"/compute/v1/{project}/{where[scope]}/{compute.path_name(kind)}", body
    location = f"{project}/locations/{body.pop('location', ZONE)}"
    match kind:
        case "clusters":
            return f"/container/v1/{location}/clusters", {
                "cluster": {"initialNodeCount": 1, **body}
            }
        case "nodePools":
            cluster = body.pop("cluster")
            return f"/container/v1/{location}/clusters/{cluster}/nodePools", {"nodePool": body}
        case "serviceAccounts":
            name = body.pop("accountId")
            return f"/iam/v1/{project}/serviceAccounts", {"accountId": name, "serviceAccount": body}
        case "roles":
            name = body.pop("roleId")
            return f"/iam/v1/{project}/roles", {"roleId": name, "role": body}
        case "managedZones":
            return f"/dns/v1/{project}/managedZones", body
    raise ValueError(f"nothing of the kind {kind!r} can be planted")
