"""All services, and what is asked of them together: what there is, and how something is planted."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    machines,
    node_pools,
    projects,
    registries,
)
from tests.fakes.google_cloud.answering import METHODS
from tests.fakes.google_cloud.objects import Objects, keeps

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud

__all__ = [
    "METHODS",
    "Objects",
    "found_project",
    "inventory",
    "permission",
    "planting",
    "put",
    "scale",
]

ALL = (
    accounts, billing, buckets, clusters, compute, compute_facts, dns, enabling, machines,
    node_pools, projects, registries,
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
REGION = "europe-west4"
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


def scale(cloud: GoogleCloud, cluster: str, pool: str, nodes: int) -> None:
    """Change the size of a pool."""
    end = f"/clusters/{cluster}/nodePools/{pool}"
    key = next(key for key in cloud.resources if key.endswith(end))
    machines.resize(cloud, key, nodes)


def put(cloud: GoogleCloud, kind: str, body: dict[str, Any]) -> None:
    """Put an object in a bucket, or an image in a repository: no plain request does."""
    if kind == "objects":
        bucket = body["bucket"]
        kept = keeps(cloud.resources[f"storage/b/{bucket}"])
        cloud.objects.write(bucket, body["name"], body.get("content", b""), {}, keep=kept)
        return
    where = f"projects/{cloud.project}/locations/{body.get('location', REGION)}"
    name = f"{where}/repositories/{body['repository']}/dockerImages/{body['name']}"
    told = {key: value for key, value in body.items() if key not in ("repository", "location")}
    cloud.resources[f"artifactregistry/{name}"] = {**told, "name": name}


@dataclass(frozen=True)
class Planting:
    """The request that makes something."""

    path: str
    body: dict[str, Any]
    query: dict[str, str] = field(default_factory=dict)


def planting(cloud: GoogleCloud, kind: str, body: dict[str, Any]) -> Planting:
    """Return the request that makes something of a kind, of its resource and where it is to be."""
    project = f"projects/{cloud.project}"
    if kind in compute.COLLECTIONS:
        scope = compute.COLLECTIONS[kind].scope
        zone = body.pop("zone", ZONE).rpartition("/")[2]
        region = body.pop("region", zone.rpartition("-")[0]).rpartition("/")[2]
        where = {"global": "global", "zones": f"zones/{zone}", "regions": f"regions/{region}"}
        path = f"/compute/v1/{project}/{where[scope]}/{compute.path_name(kind)}"
        return Planting(path, body)
    location = body.pop("location", REGION if kind == "repositories" else ZONE)
    where_gke = f"/container/v1/{project}/locations/{location}/clusters"
    match kind:
        case "clusters":
            return Planting(where_gke, {"cluster": {"initialNodeCount": 1, **body}})
        case "nodePools":
            cluster = body.pop("cluster")
            return Planting(f"{where_gke}/{cluster}/nodePools", {"nodePool": body})
        case "serviceAccounts":
            told = {"accountId": body.pop("accountId"), "serviceAccount": body}
            return Planting(f"/iam/v1/{project}/serviceAccounts", told)
        case "roles":
            return Planting(
                f"/iam/v1/{project}/roles", {"roleId": body.pop("roleId"), "role": body}
            )
        case "managedZones":
            return Planting(f"/dns/v1/{project}/managedZones", body)
        case "buckets":
            told = {"location": REGION, **body}
            return Planting("/storage/v1/b", told, {"project": cloud.project})
        case "repositories":
            name = {"repositoryId": body.pop("repositoryId")}
            path = f"/artifactregistry/v1/{project}/locations/{location}/repositories"
            return Planting(path, {"format": "DOCKER", **body}, name)
    raise ValueError(f"nothing of the kind {kind!r} can be planted")
