"""The spot machines of a farm, asked of Compute Engine, and one of them taken away."""

from __future__ import annotations

from typing import Any

from burst.cloud.google_api import GoogleApi

_SECONDS = 300.0
"""What a preemption may take, as the limit does not cut it short."""


def spot_machines(api: GoogleApi, project: str, farm: str) -> list[dict[str, Any]]:
    """Return the farm's spot machines that run."""
    query = {"filter": f"labels.goog-k8s-cluster-name={farm}"}
    path, what = f"projects/{project}/aggregated/instances", "can't list machines"
    found = [
        one
        for page in api.pages("COMPUTE", path, query, what=what)
        for scope in (page.get("items") or {}).values()
        for one in scope.get("instances") or []
    ]
    return [one for one in found if _is_spot(one) and one.get("status") == "RUNNING"]


def preempt(api: GoogleApi, project: str, machine: dict[str, Any]) -> None:
    """Have Google take a spot machine back as it does by itself: with a notice before."""
    zone = str(machine["zone"]).rpartition("/")[2]
    path = f"projects/{project}/zones/{zone}/instances/{machine['name']}/simulateMaintenanceEvent"
    begun = api.post("COMPUTE", path, what=f"can't preempt {machine['name']}")
    api.wait("COMPUTE", begun, what=f"preempting {machine['name']}", seconds=_SECONDS)


def _is_spot(machine: dict[str, Any]) -> bool:
    scheduling = machine.get("scheduling") or {}
    return bool(scheduling.get("preemptible")) or scheduling.get("provisioningModel") == "SPOT"
