"""Whether the wanted machines are there where the farm is to be, and whether the quotas suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from burst.cloud.google_api import GoogleApi
from burst.domain.costs import FarmShape
from burst.domain.quotas import SYSTEM, Machine, Quota, Shortage, needs, shortages, untold
from burst.errors import CloudNotFound
from burst.operations.doctor import Finding
from burst.threads import side_by_side

_Found = TypeVar("_Found")
_LINK = "https://console.cloud.google.com/iam-admin/quotas?project={project}"


def examine_machines(
    api: GoogleApi, project: str, shape: FarmShape, zones: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """Look at region, zones, machine types, GPUs and quotas.

    Args:
        api: Google's.
        project: whose quotas.
        shape: the farm that is wanted.
        zones: worker pool → its zones, where they are others than the farm's.

    Raises:
        CloudError: Google does not tell of the region.
    """
    try:
        told = api.get(
            "COMPUTE", f"projects/{project}/regions/{shape.region}", what="can't look at the region"
        )
    except CloudNotFound:
        hint = f"see them: gcloud compute regions list --project={project}"
        return [Finding("region", "bad", f"there is no region {shape.region}", hint)]
    there = sorted(str(one).rpartition("/")[2] for one in told.get("zones") or [])
    wanted = _zones_of(shape, zones)
    strange = sorted({zone for of_pool in wanted.values() for zone in of_pool} - set(there))
    if strange:
        hint = f"one of {', '.join(there)}"
        text = f"the region {shape.region} has no zone {', '.join(strange)}"
        return [Finding("zone", "bad", text, hint)]
    machines, findings = _machines(api, project, shape, wanted, there)
    place = Finding("region", "good", f"{shape.region}, zone {shape.zone}")
    overall = api.get("COMPUTE", f"projects/{project}", what="can't look at the project's quotas")
    quotas = _quotas(told.get("quotas")) | _overall(overall.get("quotas"))
    return [place, *findings, *quota_findings(project, shape, machines, quotas)]


def quota_findings(
    project: str, shape: FarmShape, machines: Mapping[str, Machine], quotas: Mapping[str, Quota]
) -> list[Finding]:
    """Say which quotas are too small for the farm, and where to ask for more. Pure."""
    found = needs(shape, machines, quotas)
    link = _LINK.format(project=project)
    findings = [_short(one, link) for one in shortages(found, quotas)]
    if not findings:
        findings = [Finding("quotas", "good", "enough for all pools at full size")]
    if unknown := untold(found, quotas):
        text = f"Google does not tell how many are allowed of {', '.join(unknown)}"
        findings.append(Finding("quotas", "warning", text, f"look there: {link}"))
    return findings


def _short(one: Shortage, link: str) -> Finding:
    limit, used, needed = (f"{value:g}" for value in (one.quota.limit, one.quota.usage, one.needed))
    told = f"{one.metric}: {limit} allowed, {used} in use, {needed} wanted"
    hint = f"ask for more: {link}"
    if one.stuck:
        text = f"{told}; not one node of {', '.join(one.stuck)} can start"
        return Finding("quotas", "bad", text, hint)
    text = f"{told}; {', '.join(one.pools)} can't all grow to their maximum"
    return Finding("quotas", "warning", text, hint)


def _zones_of(shape: FarmShape, zones: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the zones of each pool, the cluster's own among them."""
    own = {pool.name: tuple(zones.get(pool.name) or (shape.zone,)) for pool in shape.pools}
    return {SYSTEM: (shape.zone,), **own}


def _machines(
    api: GoogleApi,
    project: str,
    shape: FarmShape,
    wanted: Mapping[str, tuple[str, ...]],
    there: Sequence[str],
) -> tuple[dict[str, Machine], list[Finding]]:
    """Return what the wanted machine types have, and where one or its GPU is missing."""
    types = {SYSTEM: shape.system_machine, **{pool.name: pool.machine for pool in shape.pools}}
    gpus = {pool.name: pool.gpu_type for pool in shape.pools if pool.gpus and pool.gpu_type}
    # All zones of the region: where a type is missing, it is good to know where there is one.
    machines = _in_zones(there, types.values(), partial(_machine, api, project))
    cards = _in_zones(there, gpus.values(), partial(_gpu, api, project))
    findings = [
        _missing(pool, named[pool], zone, [one for one in there if found[one, named[pool]]])
        for named, found in ((types, machines), (gpus, cards))
        for pool in named
        for zone in wanted[pool]
        if not found[zone, named[pool]]
    ]
    if not findings:
        findings = [Finding("machines", "good", ", ".join(sorted(set(types.values()))))]
    return {name: found for (_, name), found in machines.items() if found}, findings


def _in_zones(
    zones: Sequence[str], names: Iterable[str], look: Callable[[str, str], _Found | None]
) -> dict[tuple[str, str], _Found | None]:
    """Return what is found for each of the names in each of the zones."""
    found: dict[tuple[str, str], _Found | None] = {}

    def take(zone: str, name: str) -> None:
        found[zone, name] = look(zone, name)

    calls = [partial(take, zone, name) for zone in zones for name in sorted(set(names))]
    side_by_side(calls)
    return found


def _gpu(api: GoogleApi, project: str, zone: str, name: str) -> str | None:
    path = f"projects/{project}/zones/{zone}/acceleratorTypes/{name}"
    try:
        return str(api.get("COMPUTE", path, what="can't look at GPUs")["name"])
    except CloudNotFound:
        return None


def _missing(pool: str, name: str, zone: str, elsewhere: Sequence[str]) -> Finding:
    hint = (
        f"take {' or '.join(elsewhere)}"
        if elsewhere
        else f"take another: gcloud compute machine-types list --zones={zone}"
    )
    return Finding("machines", "bad", f"{zone} has no {name}, which the pool {pool} wants", hint)


def _machine(api: GoogleApi, project: str, zone: str, name: str) -> Machine | None:
    path = f"projects/{project}/zones/{zone}/machineTypes/{name}"
    try:
        told = api.get("COMPUTE", path, what=f"can't look at {name}")
    except CloudNotFound:
        return None
    own = (told.get("accelerators") or [{}])[0]
    return Machine(
        int(told["guestCpus"]),
        str(own.get("guestAcceleratorType", "")),
        int(own.get("guestAcceleratorCount", 0)),
    )


def _quotas(told: object) -> dict[str, Quota]:
    if not isinstance(told, list):
        return {}
    return {
        str(one["metric"]): Quota(float(one.get("limit", 0)), float(one.get("usage", 0)))
        for one in told
    }


def _overall(told: object) -> dict[str, Quota]:
    """Return the quotas of all regions together that no region has by the same name."""
    return {key: quota for key, quota in _quotas(told).items() if key.endswith("_ALL_REGIONS")}
