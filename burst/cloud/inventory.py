"""What there is of a farm in its project: by label, and by name where a kind has no labels.

All kinds are listed side by side, each by itself: what can't be listed is said, as "nothing left"
would be a lie then. It serves the sweep after a `burst down`, the search for leftovers, and the
adoption of what exists and Terraform does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

from burst.cloud.google_api import GoogleApi
from burst.cloud.resource_kinds import (
    CLUSTER_LABEL,
    CLUSTER_PLACE,
    KINDS,
    Resource,
    farm_of,
    from_bindings,
    from_cluster,
    from_compute,
)
from burst.cloud.state_bucket import LABEL
from burst.errors import ApiDisabled, CloudAway, CloudError, CloudNotFound
from burst.threads import side_by_side

AT_ONCE = 12
_AGGREGATED = (
    "instances", "instanceGroups", "instanceGroupManagers", "instanceTemplates", "disks",
    "addresses", "forwardingRules", "targetPools", "backendServices", "networkEndpointGroups",
    "healthChecks", "routers", "subnetworks",
)  # fmt: skip
"""Kinds that one request lists in all zones and regions."""
_GLOBAL = ("snapshots", "images", "firewalls", "routes", "networks")
_EMPTY = "NO_RESULTS_ON_PAGE"
"""What Compute Engine warns of where there is nothing; other warnings are of what it can't say."""
_OF_NETWORK = ("default-route-", "peering-route-")
"""Routes that come and go with a network."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is of a farm."""

    farm: str
    project: str
    resources: tuple[Resource, ...]
    """In the order in which they can be removed."""
    unknown: Mapping[str, CloudError] = field(default_factory=dict)
    """Kinds that could not be listed, and why."""
    farms: frozenset[str] = frozenset()
    """All farms that there are traces of in the project."""
    not_enabled: Mapping[str, ApiDisabled] = field(default_factory=dict)
    """Kinds of which there are none while their API is off, and what says so."""

    def of_kind(self, kind: str) -> tuple[Resource, ...]:
        """Return what there is of one kind."""
        return tuple(one for one in self.resources if one.kind == kind)


def take_inventory(api: GoogleApi, project: str, region: str, farm: str) -> Inventory:
    """List everything of a farm. Takes seconds; blocks.

    Args:
        api: Google's.
        project: where to look.
        region: of the farm: a registry can't be listed without one.
        farm: its name.
    """
    found: list[Resource] = []
    unknown: dict[str, CloudError] = {}
    not_enabled: dict[str, ApiDisabled] = {}
    policies: list[Mapping[str, Any]] = []
    lock = Lock()

    def take(kind: str, ask: Callable[[], Iterator[Resource]]) -> None:
        try:
            resources = list(ask())
        except ApiDisabled as error:
            # Most likely nobody ever made any there; who switched it off later has to be told.
            with lock:
                not_enabled[kind] = error
        except CloudError as error:
            with lock:
                unknown[kind] = error
        else:
            with lock:
                found.extend(resources)

    def policy() -> Iterator[Resource]:
        body = {"options": {"requestedPolicyVersion": 3}}
        path = f"projects/{project}:getIamPolicy"
        policies.append(api.post("RESOURCE_MANAGER", path, body, what="can't list IAM bindings"))
        return iter(())

    asking = {**_asking(api, project, region), "bindings": policy}
    side_by_side([partial(take, kind, ask) for kind, ask in asking.items()], AT_ONCE)
    farms = frozenset({farm, *(one.labels[LABEL] for one in found if LABEL in one.labels)})
    for told in policies:
        found += from_bindings(told, project, farms)
    buckets = [one.name for one in found if one.kind == "buckets" and farm_of(one, farms) == farm]
    for name in buckets:
        take("bindings", partial(_bucket_bindings, api, project, name, farms))
    ours = _sorted_out(found, region, farm, farms)
    return Inventory(
        farm, project, tuple(ours), dict(sorted(unknown.items())), farms,
        dict(sorted(not_enabled.items())),
    )  # fmt: skip


def _sorted_out(
    found: Sequence[Resource], region: str, farm: str, farms: Collection[str]
) -> list[Resource]:
    """Return a farm's own among what was found, in the order in which it can be removed."""
    strange = _strange_clusters(found)
    ours = [
        one
        for one in found
        if farm_of(one, farms) == farm
        and not _is_attendant(one)
        and not _is_of_stranger(one, region, strange)
    ]
    order = list(KINDS)
    ours.sort(key=lambda one: (order.index(one.kind), one.location, one.name))
    return ours


def _strange_clusters(found: Iterable[Resource]) -> frozenset[tuple[str, str]]:
    """Return name and place of clusters that no farm's label is on: burst made none of them."""
    return frozenset(
        (one.name, one.location)
        for one in found
        if one.kind == "clusters" and LABEL not in one.labels
    )


def _is_of_stranger(resource: Resource, region: str, strange: Collection[tuple[str, str]]) -> bool:
    """Say whether GKE made it for a cluster of the farm's name that is somebody else's."""
    where = resource.labels.get(CLUSTER_PLACE, "")
    if LABEL in resource.labels or not where:
        return False
    is_elsewhere = where != region and not where.startswith(f"{region}-")
    return is_elsewhere or (resource.labels.get(CLUSTER_LABEL, ""), where) in strange


def _is_attendant(resource: Resource) -> bool:
    """Say whether it goes when something else that is listed goes, and can't go alone."""
    return resource.is_managed or (
        resource.kind == "routes" and resource.name.startswith(_OF_NETWORK)
    )


def _asking(
    api: GoogleApi, project: str, region: str
) -> dict[str, Callable[[], Iterator[Resource]]]:
    """Return a call for each kind that lists it, of all farms."""
    return {
        **{kind: _aggregated(api, project, kind) for kind in _AGGREGATED},
        **{kind: _global(api, project, kind) for kind in _GLOBAL},
        "clusters": lambda: _clusters(api, project),
        "managedZones": lambda: _zones(api, project),
        "serviceAccounts": lambda: _accounts(api, project),
        "roles": lambda: _roles(api, project),
        "repositories": lambda: _repositories(api, project, region),
        "buckets": lambda: _buckets(api, project),
    }


def _what(kind: str) -> str:
    return f"can't list {KINDS[kind].title}s"


def _aggregated(api: GoogleApi, project: str, kind: str) -> Callable[[], Iterator[Resource]]:
    def ask() -> Iterator[Resource]:
        path = f"projects/{project}/aggregated/{kind}"
        for page in api.pages("COMPUTE", path, what=_what(kind)):
            _need_all(page, kind)
            for scope in (page.get("items") or {}).values():
                for one in scope.get(kind) or []:
                    yield from_compute(kind, one, project)

    return ask


def _need_all(page: Mapping[str, Any], kind: str) -> None:
    """Refuse a list that lacks whole zones: nothing left of it would be no proof.

    Raises:
        CloudAway: some did not answer.
    """
    silent = [str(one).rpartition("/")[2] for one in page.get("unreachables") or []]
    for scope, told in (page.get("items") or {}).items():
        code = (told.get("warning") or {}).get("code", _EMPTY)
        if code != _EMPTY:
            silent.append(str(scope).rpartition("/")[2])
    if silent:
        raise CloudAway(f"{_what(kind)}: {', '.join(sorted(set(silent)))} did not answer")


def _global(api: GoogleApi, project: str, kind: str) -> Callable[[], Iterator[Resource]]:
    def ask() -> Iterator[Resource]:
        path = f"projects/{project}/global/{kind}"
        for page in api.pages("COMPUTE", path, what=_what(kind)):
            for one in page.get("items") or []:
                yield from_compute(kind, one, project)

    return ask


def _clusters(api: GoogleApi, project: str) -> Iterator[Resource]:
    path, what = f"projects/{project}/locations/-/clusters", _what("clusters")
    told = api.get("CONTAINER", path, what=what)
    if told.get("missingZones"):
        raise CloudAway(f"{what}: {', '.join(told['missingZones'])} did not answer")
    for one in told.get("clusters") or []:
        yield from from_cluster(one, project)


def _zones(api: GoogleApi, project: str) -> Iterator[Resource]:
    path = f"projects/{project}/managedZones"
    for page in api.pages("DNS", path, what=_what("managedZones")):
        for one in page.get("managedZones") or []:
            seen = (one.get("privateVisibilityConfig") or {}).get("networks") or [{}]
            network = str(seen[0].get("networkUrl", "")).rpartition("/")[2]
            name, labels = str(one["name"]), dict(one.get("labels") or {})
            yield Resource(
                "managedZones", name, "", f"{path}/{name}", labels, project, network=network
            )


def _accounts(api: GoogleApi, project: str) -> Iterator[Resource]:
    path = f"projects/{project}/serviceAccounts"
    for page in api.pages("IAM_BETA", path, {"pageSize": "100"}, what=_what("serviceAccounts")):
        for one in page.get("accounts") or []:
            name = str(one["email"]).partition("@")[0]
            api_name = f"{path}/{one['email']}"
            words = str(one.get("displayName", ""))
            yield Resource("serviceAccounts", name, "", api_name, {}, project, words=words)


def _roles(api: GoogleApi, project: str) -> Iterator[Resource]:
    path = f"projects/{project}/roles"
    for page in api.pages("IAM_BETA", path, {"pageSize": "300"}, what=_what("roles")):
        for one in page.get("roles") or []:
            # A role that is deleted keeps its name for weeks, and can be had back.
            if not one.get("deleted"):
                name = str(one["name"]).rpartition("/")[2]
                words = str(one.get("title", ""))
                yield Resource("roles", name, "", str(one["name"]), {}, project, words=words)


def _repositories(api: GoogleApi, project: str, region: str) -> Iterator[Resource]:
    path = f"projects/{project}/locations/{region}/repositories"
    for page in api.pages("ARTIFACT_REGISTRY", path, what=_what("repositories")):
        for one in page.get("repositories") or []:
            name, labels = str(one["name"]).rpartition("/")[2], dict(one.get("labels") or {})
            yield Resource("repositories", name, region, str(one["name"]), labels, project)


def _buckets(api: GoogleApi, project: str) -> Iterator[Resource]:
    query = {"project": project, "projection": "noAcl"}
    for page in api.pages("STORAGE", "b", query, what=_what("buckets")):
        for one in page.get("items") or []:
            name, labels = str(one["name"]), dict(one.get("labels") or {})
            yield Resource("buckets", name, "", name, labels, project)


def _bucket_bindings(
    api: GoogleApi, project: str, bucket: str, farms: frozenset[str]
) -> Iterator[Resource]:
    path, query = f"b/{bucket}/iam", {"optionsRequestedPolicyVersion": "3"}
    try:
        policy = api.get("STORAGE", path, query, what=f"can't list who may use gs://{bucket}")
    except CloudNotFound:
        # It went meanwhile, and they with it.
        return
    yield from from_bindings(policy, project, farms, bucket)
