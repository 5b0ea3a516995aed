"""What a farm needs of a project's quotas, and how far they go.

A quota bounds what all of a region may have at a time: virtual processors of a machine family,
those of spot machines, GPUs of a kind, gigabytes of disk. A pool that can't have one single node
can't render at all; one that can't grow to its maximum renders slower than it might.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from burst.domain.costs import FarmShape, PoolShape

SYSTEM = "system"
"""How the pool of the cluster's own is called here."""

_BASIC = frozenset({"e2", "f1", "g1", "n1"})
"""Families without a quota of their own: they count as ``CPUS``."""
_ALL_CPUS = "CPUS_ALL_REGIONS"
"""Not every project has this quota."""
_SSD_GIB = 375
_SLOW = "pd-standard"
_HYPERDISKS = {
    "hyperdisk-balanced": "HDB_TOTAL_GB",
    "hyperdisk-throughput": "HDT_TOTAL_GB",
    "hyperdisk-extreme": "HDX_TOTAL_GB",
}


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of something there may be, and is."""

    limit: float
    usage: float

    @property
    def room(self) -> float:
        """How much more there may be."""
        return max(0.0, self.limit - self.usage)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine type has."""

    vcpus: int
    gpu: str = ""
    """Of its own, as Google calls it."""
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What one pool needs of one quota."""

    pool: str
    metric: str
    each: float
    """For one node."""
    nodes: int
    """At its full size."""

    @property
    def most(self) -> float:
        """For all of its nodes."""
        return self.each * self.nodes


@dataclass(frozen=True, slots=True)
class Shortage:
    """A quota that does not go as far as the farm's pools may grow."""

    metric: str
    quota: Quota
    needed: float
    """By all pools at full size."""
    stuck: tuple[str, ...]
    """Pools that can't have a single node."""
    pools: tuple[str, ...]
    """All that need it."""


def needs(
    shape: FarmShape, machines: Mapping[str, Machine], quotas: Mapping[str, Quota]
) -> list[Need]:
    """Return what a farm needs at full size.

    Args:
        shape: the farm.
        machines: its machine types; those that are not known are left out.
        quotas: by metric; which metrics there are decides what counts as what.
    """
    system = PoolShape(
        SYSTEM, shape.system_machine, spot=False, maximum=shape.system_nodes,
        disk_gib=shape.system_disk_gib, disk_type=shape.system_disk_type,
    )  # fmt: skip
    found = []
    for pool in (system, *shape.pools):
        machine = machines.get(pool.machine)
        if machine is not None:
            found += list(_of_pool(pool, machine, quotas))
    return found


def shortages(found: list[Need], quotas: Mapping[str, Quota]) -> list[Shortage]:
    """Return the quotas that are too small; a quota that nobody tells of is none of them."""
    short = []
    for metric in dict.fromkeys(need.metric for need in found):
        quota = quotas.get(metric)
        if quota is None:
            continue
        of_it = [need for need in found if need.metric == metric]
        needed = sum(need.most for need in of_it)
        stuck = tuple(need.pool for need in of_it if need.nodes and need.each > quota.room)
        if stuck or needed > quota.room:
            pools = tuple(need.pool for need in of_it)
            short.append(Shortage(metric, quota, needed, stuck, pools))
    return short


def untold(found: list[Need], quotas: Mapping[str, Quota]) -> list[str]:
    """Return the metrics that are needed, and that nobody tells of."""
    return sorted({need.metric for need in found} - set(quotas))


def _of_pool(pool: PoolShape, machine: Machine, quotas: Mapping[str, Quota]) -> Iterator[Need]:
    def need(metric: str, each: float) -> Need:
        return Need(pool.name, metric, each, pool.maximum)

    yield need(_cpu_metric(pool, quotas), machine.vcpus)
    if _ALL_CPUS in quotas:
        # Spot machines count as well: of all quotas it is the smallest of a new project.
        yield need(_ALL_CPUS, machine.vcpus)
    gpu, gpus = (pool.gpu_type, pool.gpus) if pool.gpus else (machine.gpu, machine.gpus)
    if gpus:
        yield need(_gpu_metric(gpu, quotas, spot=pool.spot), gpus)
        yield need("GPUS_ALL_REGIONS", gpus)
    yield need("INSTANCES", 1)
    yield need(_disk_metric(pool.disk_type), pool.disk_gib)
    if pool.local_ssds:
        yield need("LOCAL_SSD_TOTAL_GB", pool.local_ssds * _SSD_GIB)


def _cpu_metric(pool: PoolShape, quotas: Mapping[str, Quota]) -> str:
    # A project without a quota for spot machines has them count for the ordinary one.
    spot = quotas.get("PREEMPTIBLE_CPUS")
    if pool.spot and spot is not None and spot.limit > 0:
        return "PREEMPTIBLE_CPUS"
    family = pool.machine.partition("-")[0]
    return "CPUS" if family in _BASIC else f"{family.upper()}_CPUS"


def _gpu_metric(gpu: str, quotas: Mapping[str, Quota], *, spot: bool) -> str:
    kind = re.sub(r"^nvidia-(tesla-)?", "", gpu).replace("-", "_").upper()
    preemptible = f"PREEMPTIBLE_NVIDIA_{kind}_GPUS"
    return preemptible if spot and preemptible in quotas else f"NVIDIA_{kind}_GPUS"


def _disk_metric(disk: str) -> str:
    if disk == _SLOW:
        return "DISKS_TOTAL_GB"
    return _HYPERDISKS.get(disk, "SSD_TOTAL_GB")
