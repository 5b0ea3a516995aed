"""What there is of a farm, as Terraform calls it: what an adoption chooses from."""

from __future__ import annotations

from burst.cloud.google_api import GoogleApi
from burst.cloud.inventory import Inventory
from burst.cloud.resource_kinds import WORDED, Resource
from burst.cloud.terraform_adoption import Existing

_TYPES = {
    "addresses": "google_compute_address",
    "buckets": "google_storage_bucket",
    "clusters": "google_container_cluster",
    "firewalls": "google_compute_firewall",
    "managedZones": "google_dns_managed_zone",
    "networks": "google_compute_network",
    "nodePools": "google_container_node_pool",
    "repositories": "google_artifact_registry_repository",
    "roles": "google_project_iam_custom_role",
    "routers": "google_compute_router",
    "routes": "google_compute_route",
    "serviceAccounts": "google_service_account",
    "subnetworks": "google_compute_subnetwork",
}
"""Kind → type."""
_LABELED = frozenset({"addresses", "buckets", "clusters", "managedZones", "repositories"})


def list_existing(api: GoogleApi, inventory: Inventory) -> list[Existing]:
    """Return what there is, with the records of its DNS zones, which are asked for here.

    Args:
        api: Google's.
        inventory: of the farm.

    Raises:
        CloudError: the records can't be listed.
    """
    found: list[Existing] = []
    for resource in inventory.resources:
        found += _existing(resource)
        if resource.kind == "managedZones":
            found += _records(api, resource)
    return found


def _existing(resource: Resource) -> list[Existing]:
    kind = _TYPES.get(resource.kind, "")
    if resource.kind == "addresses" and not resource.location:
        kind = "google_compute_global_address"
    if not kind:
        return []
    labels = resource.labels if resource.kind in _LABELED else None
    parent = resource.parent if resource.kind == "nodePools" else ""
    words = resource.words if resource.kind in WORDED else None
    own = Existing(kind, resource.name, resource.location, parent, labels, words)
    nats = [
        Existing("google_compute_router_nat", nat, resource.location, resource.name)
        for nat in resource.parts
    ]
    return [own, *nats]


def _records(api: GoogleApi, zone: Resource) -> list[Existing]:
    path, what = f"{zone.api_name}/rrsets", f"can't list the records of the DNS zone {zone.name}"
    return [
        Existing("google_dns_record_set", one["name"], parent=zone.name, kind=one["type"])
        for page in api.pages("DNS", path, what=what)
        for one in page.get("rrsets") or []
        # Every zone has those two from the start.
        if one["type"] not in ("NS", "SOA")
    ]
