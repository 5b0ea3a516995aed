"""Every kind of resource that a farm makes, or Kubernetes for it, and how each is removed.

Pure: what an API tells of one, in; a `Resource` out. The order is that of removing: whatever needs
something else comes before it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from burst.cloud.state_bucket import LABEL

CLUSTER_LABEL = "goog-k8s-cluster-name"
"""What GKE puts on machines and disks of a cluster."""
CLUSTER_PLACE = "goog-k8s-cluster-location"
"""Where that cluster is, which GKE puts there too: a name is one cluster's in its place only."""

_LABELED = frozenset(
    {
        "addresses", "buckets", "clusters", "disks", "forwardingRules", "images", "instances",
        "managedZones", "repositories", "snapshots",
    }
)  # fmt: skip
"""Kinds that can have labels: a farm's own has one, or GKE's."""

WORDED = frozenset({"networks", "subnetworks", "serviceAccounts", "roles"})
"""Kinds that can have none: a farm's own says whose it is in its description, title or name for
people."""

_CLAIM = re.compile(r'"kubernetes\.io/created-for/pvc/name"\s*:\s*"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource."""

    name: str
    """Its collection in Google's API."""
    title: str
    """One of them, for people."""
    gcloud: str
    """The command that deletes one: its name comes next, where it is after that."""
    bills: bool = False
    service: str = "COMPUTE"
    is_zonal_or_global: bool = True
    """Its command wants to be told where it is, or that it is global."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("nodePools", "node pool", "container node-pools delete", service="CONTAINER"),
        Kind("clusters", "cluster", "container clusters delete", bills=True, service="CONTAINER"),
        Kind("instanceGroupManagers", "instance group manager",
             "compute instance-groups managed delete"),
        Kind("instanceGroups", "instance group", "compute instance-groups unmanaged delete"),
        Kind("instances", "instance", "compute instances delete", bills=True),
        Kind("instanceTemplates", "instance template", "compute instance-templates delete",
             is_zonal_or_global=False),
        Kind("disks", "disk", "compute disks delete", bills=True),
        Kind("snapshots", "snapshot", "compute snapshots delete", bills=True,
             is_zonal_or_global=False),
        Kind("images", "disk image", "compute images delete", bills=True,
             is_zonal_or_global=False),
        Kind("forwardingRules", "forwarding rule", "compute forwarding-rules delete", bills=True),
        Kind("targetPools", "target pool", "compute target-pools delete"),
        Kind("backendServices", "backend service", "compute backend-services delete"),
        Kind("networkEndpointGroups", "network endpoint group",
             "compute network-endpoint-groups delete"),
        Kind("healthChecks", "health check", "compute health-checks delete"),
        Kind("addresses", "address", "compute addresses delete", bills=True),
        Kind("firewalls", "firewall rule", "compute firewall-rules delete",
             is_zonal_or_global=False),
        Kind("routes", "route", "compute routes delete", is_zonal_or_global=False),
        Kind("routers", "router", "compute routers delete", bills=True),
        Kind("subnetworks", "subnetwork", "compute networks subnets delete"),
        Kind("managedZones", "DNS zone", "dns managed-zones delete", bills=True, service="DNS",
             is_zonal_or_global=False),
        Kind("networks", "network", "compute networks delete", is_zonal_or_global=False),
        Kind("bindings", "IAM binding", "projects remove-iam-policy-binding",
             service="RESOURCE_MANAGER", is_zonal_or_global=False),
        Kind("serviceAccounts", "service account", "iam service-accounts delete",
             service="IAM_BETA", is_zonal_or_global=False),
        Kind("roles", "custom role", "iam roles delete", service="IAM_BETA",
             is_zonal_or_global=False),
        Kind("repositories", "repository of images", "artifacts repositories delete", bills=True,
             service="ARTIFACT_REGISTRY"),
        Kind("buckets", "bucket", "storage rm --recursive", bills=True, service="STORAGE",
             is_zonal_or_global=False),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a farm."""

    kind: str
    """A key of `KINDS`."""
    name: str
    location: str
    """Zone or region; nothing if it is global."""
    api_name: str
    """As its API names it: ``projects/p/zones/z/disks/d``; what an import takes."""
    labels: Mapping[str, str]
    project: str
    network: str = ""
    """The network that it belongs to, by its name."""
    status: str = ""
    parent: str = ""
    """The cluster of a node pool; the member of an IAM binding; the claim of a volume's disk."""
    parts: tuple[str, ...] = ()
    """Names of what is made by itself and is a part of it: the NATs of a router. Of an IAM
    binding: the bucket, if it is not the project's."""
    is_managed: bool = False
    """Something else removes it: a group that its manager has."""
    has_cost: bool = True
    """Whether this one costs something, where its kind does."""
    words: str = ""
    """What it says of itself: its description, title or display name."""

    @property
    def bills(self) -> bool:
        """Whether it costs something while it is there."""
        return KINDS[self.kind].bills and self.has_cost

    @property
    def is_doubtful(self) -> bool:
        """Whether nothing but its name says whose it is, though its kind can say more."""
        if self.kind in WORDED:
            return "burst farm" not in self.words
        labeled = LABEL in self.labels or CLUSTER_LABEL in self.labels
        return self.kind in _LABELED and not labeled and not self.name.startswith("gke-")

    @property
    def title(self) -> str:
        """What it is, for people: ``disk pvc-1 in europe-west4-a``."""
        where = f" in {self.location}" if self.location else ""
        if self.kind == "bindings" and self.parts:
            where = f" on {self.parts[0]}"
        of = f" of {self.parent}" if self.parent else ""
        return f"{KINDS[self.kind].title} {self.name}{of}{where}"

    @property
    def deletion(self) -> str:
        """The command that removes it."""
        gcloud = KINDS[self.kind].gcloud
        if self.kind == "bindings" and self.parts:
            gcloud = gcloud.replace("projects", "storage buckets")
        own = shlex.join(["gcloud", *gcloud.split(), *self._arguments()])
        if self.kind == "managedZones":
            # A zone with records in it can't be deleted.
            zone = shlex.join([f"--zone={self.name}", f"--project={self.project}"])
            return f"gcloud dns record-sets import /dev/null --delete-all-existing {zone} && {own}"
        return own

    def _arguments(self) -> list[str]:
        own = f"--project={self.project}"
        match self.kind:
            case "buckets":
                return [f"gs://{self.name}"]
            case "bindings":
                of = f"gs://{self.parts[0]}" if self.parts else self.project
                return [of, f"--member={self.parent}", f"--role={self.name}", "--all"]
            case "clusters":
                return [self.name, f"--location={self.location}", own, "--quiet"]
            case "nodePools":
                told = [f"--cluster={self.parent}", f"--location={self.location}"]
                return [self.name, *told, own, "--quiet"]
            case "repositories":
                return [self.name, f"--location={self.location}", own, "--quiet"]
            case "serviceAccounts":
                return [self.api_name.rpartition("/")[2], own, "--quiet"]
        if not KINDS[self.kind].is_zonal_or_global:
            return [self.name, own, "--quiet"]
        return [self.name, self._where(), own, "--quiet"]

    def _where(self) -> str:
        if not self.location:
            return "--global"
        # europe-west4-a is a zone, europe-west4 a region.
        is_zone = self.location.count("-") > 1
        return f"--{'zone' if is_zone else 'region'}={self.location}"


def from_compute(kind: str, found: Mapping[str, Any], project: str) -> Resource:
    """Return what Compute Engine tells of a resource."""
    link = str(found.get("selfLink", ""))
    _, _, path = link.partition("/projects/")
    network = found.get("network") or ""
    if kind == "instances":
        interfaces = found.get("networkInterfaces") or [{}]
        network = interfaces[0].get("network") or ""
    if kind == "networks":
        network = found["name"]
    return Resource(
        kind=kind,
        name=str(found["name"]),
        location=_last(found.get("zone") or found.get("region") or ""),
        api_name=f"projects/{path}" if path else str(found["name"]),
        labels=dict(found.get("labels") or {}),
        project=project,
        network=_last(network),
        status=str(found.get("status", "")),
        parent=_claim(found) if kind in ("disks", "snapshots") else "",
        parts=tuple(str(nat["name"]) for nat in found.get("nats") or []),
        is_managed=kind == "instanceGroups" and _has_manager(found),
        has_cost=kind != "routers" or bool(found.get("nats")),
        words=str(found.get("description", "")),
    )


def from_cluster(found: Mapping[str, Any], project: str) -> list[Resource]:
    """Return a cluster and its node pools."""
    name, location = str(found["name"]), str(found.get("location") or found.get("zone", ""))
    path = f"projects/{project}/locations/{location}/clusters/{name}"
    labels = dict(found.get("resourceLabels") or {})
    cluster = Resource(
        kind="clusters", name=name, location=location, api_name=path, labels=labels,
        project=project, network=_last(found.get("network", "")),
        status=str(found.get("status", "")),
    )  # fmt: skip
    pools = [
        Resource(
            kind="nodePools", name=str(pool["name"]), location=location, parent=name,
            api_name=f"{path}/nodePools/{pool['name']}", labels=labels, project=project,
            status=str(pool.get("status", "")),
        )
        for pool in found.get("nodePools") or []
    ]  # fmt: skip
    return [cluster, *pools]


def from_bindings(
    policy: Mapping[str, Any], project: str, farms: Collection[str], bucket: str = ""
) -> list[Resource]:
    """Return the bindings of a project, or of a bucket, that are of one of the farms, or were.

    A service account that is deleted leaves its bindings behind; so does a custom role, and a
    Kubernetes account whose cluster is gone: one of the same name would have its rights.
    """
    found = []
    of = bucket or f"projects/{project}"
    for binding in policy.get("bindings") or []:
        role = str(binding.get("role", ""))
        role_farm = farm_of_name(_last(role).replace("_", "-"), farms) if _is_own(role) else None
        for member in binding.get("members") or []:
            farm = farm_of_name(account_name(str(member)), farms) or role_farm
            if farm is not None:
                found.append(
                    Resource(
                        kind="bindings",
                        name=role,
                        location="",
                        api_name=f"{of} {role} {member}",
                        labels={LABEL: farm},
                        project=project,
                        parent=str(member),
                        parts=(bucket,) if bucket else (),
                    )
                )
    return found


def account_name(member: str) -> str:
    """Return a service account's name, Google's or Kubernetes'; nothing for other members."""
    kind, _, name = member.removeprefix("deleted:").partition(":")
    if kind == "principal":
        _, _, account = name.partition("/subject/ns/")
        return account.partition("/sa/")[2]
    return name.partition("@")[0] if kind == "serviceAccount" else ""


def farm_of(resource: Resource, farms: Collection[str]) -> str | None:
    """Return the farm that a resource belongs to, out of those in the project.

    A label says it. What can't have one goes by its name, then by its network's; and as one farm's
    name may begin another's, the longest that fits counts.
    """
    if LABEL in resource.labels:
        return resource.labels[LABEL]
    if CLUSTER_LABEL in resource.labels:
        # A farm's cluster has its very name: what begins with it is another's.
        cluster = resource.labels[CLUSTER_LABEL]
        return cluster if cluster in farms else None
    if resource.kind == "nodePools":
        # Its labels are its cluster's; without one it is no farm's, whatever its name.
        return None
    # GKE and Cloud Storage have something before the name; ids of roles have no hyphens.
    name = resource.name.removeprefix("gke-").removeprefix(f"{resource.project}-")
    name = name.replace("_", "-")
    own = farm_of_name(name, farms) or farm_of_name(resource.network, farms)
    if own is None and resource.kind in ("disks", "snapshots"):
        return farm_of_name(resource.parent, farms)
    return own


def farm_of_name(name: str, farms: Collection[str]) -> str | None:
    """Return the farm whose name another one is, or begins."""
    fitting = [farm for farm in farms if name == farm or name.startswith(f"{farm}-")]
    return max(fitting, key=len, default=None)


def _claim(found: Mapping[str, Any]) -> str:
    """Return the claim that Kubernetes made a disk for, which it writes into the description."""
    told = _CLAIM.search(str(found.get("description", "")))
    return told[1] if told else ""


def _has_manager(found: Mapping[str, Any]) -> bool:
    """Say whether a group of machines is one that a manager made."""
    return str(found.get("description", "")).startswith("This instance group is controlled by")


def _is_own(role: str) -> bool:
    return role.startswith("projects/")


def _last(link: object) -> str:
    return str(link).rpartition("/")[2]
