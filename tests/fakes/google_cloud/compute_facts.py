"""Compute Engine: the project, regions with their quotas, zones, machine types and GPUs."""

from __future__ import annotations

from typing import Any

from tests.fakes.google_cloud import listing, places
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.operations import COMPUTE
from tests.fakes.google_cloud.refusals import not_found


@answers("compute.projects.get")
def get_project(call: Call) -> dict[str, Any]:
    """Show the project."""
    return {
        "kind": "compute#project",
        "id": call.cloud.number,
        "name": call.project,
        "quotas": _quotas(call, "global"),
        "defaultServiceAccount": f"{call.cloud.number}-compute@developer.gserviceaccount.com",
        "selfLink": f"{COMPUTE}/projects/{call.project}",
    }


@answers("compute.regions.get")
def get_region(call: Call) -> dict[str, Any]:
    """Show a region."""
    return _region(call, _one(call, "region", list(places.REGIONS)))


@answers("compute.regions.list")
def list_regions(call: Call) -> dict[str, Any]:
    """Show all regions."""
    return _page(call, [_region(call, name) for name in sorted(places.REGIONS)])


@answers("compute.zones.get")
def get_zone(call: Call) -> dict[str, Any]:
    """Show a zone."""
    return _zone(call, _one(call, "zone", places.zones()))


@answers("compute.zones.list")
def list_zones(call: Call) -> dict[str, Any]:
    """Show all zones."""
    return _page(call, [_zone(call, name) for name in places.zones()])


@answers("compute.machineTypes.get")
def get_machine_type(call: Call) -> dict[str, Any]:
    """Show a machine type of a zone."""
    zone = _one(call, "zone", places.zones())
    name = call.names["machineType"]
    if name not in places.machine_names(zone):
        what = f"projects/{call.project}/zones/{zone}/machineTypes/{name}"
        raise not_found("compute", what)
    return _machine(call, name, zone)


@answers("compute.machineTypes.list")
def list_machine_types(call: Call) -> dict[str, Any]:
    """Show the machine types of a zone."""
    zone = _one(call, "zone", places.zones())
    return _page(call, [_machine(call, name, zone) for name in places.machine_names(zone)])


@answers("compute.acceleratorTypes.list")
def list_accelerators(call: Call) -> dict[str, Any]:
    """Show the GPUs of a zone."""
    zone = _one(call, "zone", places.zones())
    return _page(call, [_accelerator(call, name, zone) for name in _gpus(zone)])


@answers("compute.acceleratorTypes.get")
def get_accelerator(call: Call) -> dict[str, Any]:
    """Show a GPU of a zone."""
    zone = _one(call, "zone", places.zones())
    return _accelerator(call, _one(call, "acceleratorType", _gpus(zone)), zone)


def _gpus(zone: str) -> list[str]:
    known = places.machine_names(zone)
    missing = {
        gpu
        for start, gpu in places.GPU_MACHINES.items()
        if not any(name.startswith(start) for name in known)
    }
    return [name for name in places.ACCELERATORS if name not in missing]


def _one(call: Call, kind: str, known: list[str]) -> str:
    name = call.names[kind]
    if name not in known:
        raise not_found("compute", f"projects/{call.project}/{kind}s/{name}")
    return name


def _page(call: Call, found: list[dict[str, Any]]) -> dict[str, Any]:
    chosen = listing.filtered(found, call.query.get("filter", ""))
    return listing.page(call, chosen, "items")


def _region(call: Call, name: str) -> dict[str, Any]:
    root = f"{COMPUTE}/projects/{call.project}"
    return {
        "kind": "compute#region",
        "name": name,
        "status": "UP",
        "selfLink": f"{root}/regions/{name}",
        "zones": [f"{root}/zones/{zone}" for zone in places.zones(name)],
        "quotas": _quotas(call, name),
    }


def _zone(call: Call, name: str) -> dict[str, Any]:
    root = f"{COMPUTE}/projects/{call.project}"
    return {
        "kind": "compute#zone",
        "name": name,
        "status": "UP",
        "selfLink": f"{root}/zones/{name}",
        "region": f"{root}/regions/{places.region_of(name)}",
    }


def _machine(call: Call, name: str, zone: str) -> dict[str, Any]:
    link = f"{COMPUTE}/projects/{call.project}/zones/{zone}/machineTypes/{name}"
    return {**places.machine(name, zone), "selfLink": link}


def _accelerator(call: Call, name: str, zone: str) -> dict[str, Any]:
    root = f"{COMPUTE}/projects/{call.project}/zones/{zone}"
    return {
        "kind": "compute#acceleratorType",
        "name": name,
        "zone": root,
        "selfLink": f"{root}/acceleratorTypes/{name}",
        "maximumCardsPerInstance": 8,
    }


def _quotas(call: Call, region: str) -> list[dict[str, Any]]:
    used = usage(call, region)
    return [
        {"metric": metric, "limit": float(limit), "usage": float(used.get(metric, 0))}
        for metric, limit in sorted(call.cloud.quotas[region].items())
    ]


def usage(call: Call, region: str) -> dict[str, int]:
    """Return how much of each quota of a region is used."""
    used: dict[str, int] = {}

    def add(metric: str, amount: int) -> None:
        used[metric] = used.get(metric, 0) + amount

    for key, one in call.cloud.resources.items():
        zone = key.split("/")[4] if "/zones/" in key else ""
        if places.region_of(zone) != region:
            continue
        if "/instances/" in key:
            kind = one["machineType"].rpartition("/")[2]
            add("INSTANCES", 1)
            spot = bool(one.get("scheduling", {}).get("preemptible"))
            add(places.family(kind, spot=spot), places.MACHINES[kind][0])
        elif "/disks/" in key:
            is_slow = one["type"].endswith("/pd-standard")
            add("DISKS_TOTAL_GB" if is_slow else "SSD_TOTAL_GB", int(one["sizeGb"]))
    if region == "global":
        add("NETWORKS", sum("/global/networks/" in key for key in call.cloud.resources))
        add("FIREWALLS", sum("/global/firewalls/" in key for key in call.cloud.resources))
    return used
