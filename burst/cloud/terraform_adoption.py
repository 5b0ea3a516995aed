"""What exists already of what Terraform would make, and is the farm's own: to be imported. Pure.

A create whose answer was lost, or that was killed, leaves a resource which no state knows of; to
make it again fails for ever. It is the farm's own if it has the farm's label, or, where its kind
takes no labels, the farm's name before its own. Members of policies and enabled APIs are not in
here: to make one again is no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from burst.cloud.state_bucket import LABEL
from burst.cloud.terraform_plan import Change, Plan

IMPORT_IDS: Mapping[str, str] = {
    "google_artifact_registry_repository":
        "projects/{project}/locations/{location}/repositories/{name}",
    "google_compute_address": "projects/{project}/regions/{location}/addresses/{name}",
    "google_compute_firewall": "projects/{project}/global/firewalls/{name}",
    "google_compute_global_address": "projects/{project}/global/addresses/{name}",
    "google_compute_network": "projects/{project}/global/networks/{name}",
    "google_compute_route": "projects/{project}/global/routes/{name}",
    "google_compute_router": "projects/{project}/regions/{location}/routers/{name}",
    "google_compute_router_nat": "projects/{project}/regions/{location}/routers/{parent}/{name}",
    "google_compute_subnetwork": "projects/{project}/regions/{location}/subnetworks/{name}",
    "google_container_cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "google_container_node_pool": "{project}/{location}/{parent}/{name}",
    "google_dns_managed_zone": "projects/{project}/managedZones/{name}",
    "google_dns_record_set": "{project}/{parent}/{name}/{kind}",
    "google_project_iam_custom_role": "projects/{project}/roles/{name}",
    "google_service_account":
        "projects/{project}/serviceAccounts/{name}@{project}.iam.gserviceaccount.com",
    "google_storage_bucket": "{project}/{name}",
}  # fmt: skip
"""By type of resource: what Terraform imports it by."""

_NAMES = {
    "google_artifact_registry_repository": "repository_id",
    "google_project_iam_custom_role": "role_id",
    "google_service_account": "account_id",
}
"""What holds the name, where ``name`` does not."""
_PARENTS = {
    "google_compute_router_nat": "router",
    "google_container_node_pool": "cluster",
    "google_dns_record_set": "managed_zone",
}
"""What holds the name of what it is a part of; one that is part of the farm's own is so, too."""


@dataclass(frozen=True, slots=True)
class Existing:
    """A resource that is there."""

    type: str
    """As Terraform calls it."""
    name: str
    location: str = ""
    """Region or zone; nothing for what is global."""
    parent: str = ""
    """Name of the cluster, router or DNS zone that it is a part of."""
    labels: Mapping[str, str] | None = None
    """None: its kind takes none."""
    words: str | None = None
    """What it says of itself, where its kind takes no labels and burst gives it words: its
    description, title or display name. None: only its name, or what it is a part of, tells."""
    kind: str = ""
    """Of a DNS record: ``A``, ``CNAME``."""


class Adoption(NamedTuple):
    """A resource to be imported."""

    address: str
    import_id: str


class Taken(NamedTuple):
    """A resource that can't be made, as its name is taken by something of somebody else's."""

    address: str
    existing: Existing


def adoptions(
    plan: Plan, existing: Iterable[Existing], *, farm: str, project: str
) -> tuple[Adoption, ...]:
    """Return what is to be imported before the plan is made anew.

    Args:
        plan: with resources to be made.
        existing: what is there by the farm's label or under its names.
        farm: its name.
        project: of Google Cloud.
    """
    return tuple(
        Adoption(change.address, import_id(found, project))
        for change, found in _matches(plan, existing)
        if is_ours(found, farm)
    )


def taken(plan: Plan, existing: Iterable[Existing], *, farm: str) -> tuple[Taken, ...]:
    """Return what can't be made, since something that is not the farm's has its name."""
    return tuple(
        Taken(change.address, found)
        for change, found in _matches(plan, existing)
        if not is_ours(found, farm)
    )


def is_ours(existing: Existing, farm: str) -> bool:
    """Say whether a resource is the farm's own; ``terraform/modules`` has the words and labels."""
    if existing.labels is not None:
        return existing.labels.get(LABEL) == farm
    if existing.words is not None:
        return re.search(rf"\bburst farm {re.escape(farm)}(?![\w-])", existing.words) is not None
    name = existing.parent or existing.name
    # Ids of roles have no hyphens.
    own = farm.replace("-", "_") if existing.type == "google_project_iam_custom_role" else farm
    return name == own or name.startswith((f"{own}-", f"{own}_"))


def import_id(existing: Existing, project: str) -> str:
    """Return what Terraform imports a resource by."""
    return IMPORT_IDS[existing.type].format(
        project=project,
        location=existing.location,
        parent=existing.parent,
        name=existing.name,
        kind=existing.kind,
    )


def _matches(plan: Plan, existing: Iterable[Existing]) -> Iterator[tuple[Change, Existing]]:
    there: dict[tuple[str, str], list[Existing]] = {}
    for one in existing:
        if one.type in IMPORT_IDS:
            there.setdefault((one.type, one.name), []).append(one)
    for change in plan.with_action("create"):
        named = change.after.get(_NAMES.get(change.type, "name"))
        for one in there.get((change.type, str(named)), ()):
            if _is_it(change, one):
                yield change, one
                break


def _is_it(change: Change, existing: Existing) -> bool:
    """Say whether what is to be made would be that; what is not known yet does not matter."""
    place = change.after.get("location") or change.after.get("region")
    parent = change.after.get(_PARENTS.get(change.type, ""))
    kind = change.after.get("type") if existing.kind else None
    return all(
        wanted is None or not found or str(wanted).rpartition("/")[2].lower() == found.lower()
        for wanted, found in (
            (place, existing.location),
            (parent, existing.parent),
            (kind, existing.kind),
        )
    )
