"""What a farm costs: its parts, and their sums at rest, at full size, forgotten and at zero.

The four sums are these. *Idle*: the cluster is up and nothing renders;
of a pool there is what it has at least. *Full*: each pool has as
many nodes as it may. *Forgotten*: a month of idle. *At zero*: a month of what is left when the
cluster is gone.

A price that is not in the table is unknown: its line says so, and the sums that it belongs to are
*at least* what the others come to. What depends on use alone (requests to the bucket, logs) has a
price and no sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Literal

from burst.domain.amounts import Amount
from burst.domain.machines import MACHINES
from burst.domain.prices import PriceTable
from burst.domain.skus import HOURS_PER_MONTH, Good

CREDIT_HOURS = 744
"""Of one zonal cluster, which Google credits to each billing account in a month."""

SYSTEM_POOL = "system"
"""Node pool of the system nodes, which are no worker pool's."""

_GIB = 2**30
_SSD_GIB = 375
"""Size of a local SSD."""

_SHARED = {
    "e2-micro": (Decimal("0.25"), Decimal(1)),
    "e2-small": (Decimal("0.5"), Decimal(2)),
    "e2-medium": (Decimal(1), Decimal(4)),
}
"""Types that have a part of two cores, and are billed for it: vCPUs and GiB of memory."""

_CUSTOM = re.compile(r"(?:(?P<family>[a-z]\d[a-z]?)-)?custom-(?P<vcpus>\d+)-(?P<mib>\d+)")
_STANDARD = re.compile(r"(?P<kind>[a-z]\d[a-z]?-[a-z]+)-(?P<vcpus>\d+)")

_CUSTOM_SIZE = "-custom"
"""What the catalogue's name of a family ends in where a machine is of a size of one's own."""

_HYPERDISK_ONLY = frozenset({"c4", "c4d", "n4", "n4d"})
_OWN_SSDS = frozenset({"c4"})
"""Families with local SSDs of their own price only."""


@dataclass(frozen=True, slots=True)
class PoolShape:
    """What the nodes of a worker pool are."""

    name: str
    machine: str
    spot: bool
    maximum: int
    """Most nodes at a time; there may be none."""
    gpu_type: str = ""
    """GPU beside the machine, as GKE calls it; those that a machine type has come with it."""
    gpus: int = 0
    disk_gib: int = 100
    disk_type: str = ""
    """Empty: what GKE takes for the machine."""
    local_ssds: int = 0
    minimum: int = 0
    """Nodes that are there even with nothing to do."""


@dataclass(frozen=True, slots=True)
class FarmShape:
    """All of a farm that has a price."""

    zone: str
    region: str
    """Of the zone, and of the bucket."""
    system_machine: str
    pools: tuple[PoolShape, ...] = ()
    bytes_stored: int | None = 0
    """In the data bucket; None if nobody could say."""
    image_bytes: int | None = 0
    """In the registry; likewise."""
    system_nodes: int = 1
    system_disk_gib: int = 50
    system_disk_type: str = "pd-balanced"
    volume_gib: int = 10
    """Of the manager's volume."""
    volume_type: str = "pd-balanced"
    dns_zones: int = 3
    """Private ones, which make Google's own APIs known inside of the network."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine type is billed as."""

    family: str
    vcpus: Decimal
    memory_gib: Decimal
    gpu_type: str = ""
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One part of a farm."""

    what: str
    detail: str
    """Of what it is: a machine type, a type of disk, a class of storage."""
    quantity: Decimal | None
    """How many there are when all are there; None if unknown."""
    unit: str
    per: Literal["hour", "month"]
    """What its price is for."""
    price: Amount
    """Of one."""
    cost: Amount
    """Of all, for an hour or a month."""
    zero: bool = False
    """It is there when the cluster is gone."""
    pool: str = ""
    """Whose nodes they are, if they are a worker pool's."""
    least: int = 0
    """How many of these are there while nothing renders."""

    @property
    def hour_idle(self) -> Amount:
        """Return what an hour of it costs while nothing renders."""
        return self.price.times(self.least) if self.pool else self.hour

    @property
    def month_idle(self) -> Amount:
        """Return what a month of that costs."""
        return self.hour_idle.times(HOURS_PER_MONTH) if self.pool else self.month

    @property
    def unit_price(self) -> Decimal | None:
        """Return the price of one, or None if any of it is unknown."""
        return self.price.whole

    @property
    def hour(self) -> Amount:
        """Return what all of it costs in an hour."""
        return self.cost if self.per == "hour" else self.cost.part(HOURS_PER_MONTH)

    @property
    def month(self) -> Amount:
        """Return what all of it costs in a month."""
        return self.cost if self.per == "month" else self.cost.times(HOURS_PER_MONTH)


@dataclass(frozen=True, slots=True)
class Use:
    """What is paid by use."""

    what: str
    price: Amount


@dataclass(frozen=True, slots=True)
class Costs:
    """An estimate."""

    currency: str
    lines: tuple[Line, ...]
    uses: tuple[Use, ...]
    hour_idle: Amount
    hour_full: Amount
    month_forgotten: Amount
    month_zero: Amount
    month_credit: Decimal | None
    """What Google may give back of the cluster's fee each month; in none of the sums."""


def estimate(shape: FarmShape, table: PriceTable) -> Costs:
    """Return what a farm of a shape costs at these prices."""
    lines = (*_standing(shape, table), *(_pool_line(pool, shape, table) for pool in shape.pools))
    fee = table.rate(Good("cluster", "zonal"), shape.region)
    return Costs(
        table.currency,
        lines,
        tuple(_uses(shape.region, table)),
        hour_idle=_sum(line.hour_idle for line in lines),
        hour_full=_sum(line.hour for line in lines),
        month_forgotten=_sum(line.month_idle for line in lines),
        month_zero=_sum(line.month for line in lines if line.zero),
        month_credit=None if fee is None else fee.cost(Decimal(CREDIT_HOURS)),
    )


def node_hour(pool: PoolShape, region: str, table: PriceTable) -> Amount:
    """Return what one node of a pool costs in an hour, with its disks and GPUs."""
    name = f"{pool.machine}{' on spot' if pool.spot else ''}"
    hardware = hardware_of(pool.machine)
    if hardware is None:
        return Amount(unknown=(name,))
    parts = [
        (Good("core", hardware.family, pool.spot), hardware.vcpus, f"cores of {name}"),
        (Good("memory", hardware.family, pool.spot), hardware.memory_gib, f"memory of {name}"),
    ]
    gpu_type, gpus = hardware.gpu_type, hardware.gpus
    if not gpus:
        gpu_type, gpus = pool.gpu_type, pool.gpus
    if gpus:
        what = f"GPU {gpu_type}{' on spot' if pool.spot else ''}"
        parts.append((Good("gpu", gpu_type, pool.spot), Decimal(gpus), what))
    hourly = _sum(_priced(*part, region, table) for part in parts)
    disks = _disk_month(pool.disk_type, pool.disk_gib, hardware.family, region, table)
    if pool.local_ssds:
        disks += _local_ssds(pool, hardware.family, region, table)
    return hourly + disks.part(HOURS_PER_MONTH)


def hour_now(costs: Costs, nodes: Mapping[str, int], *, is_up: bool) -> Amount:
    """Return what a farm costs in an hour as it stands.

    Args:
        costs: its estimate.
        nodes: how many each pool has. Of one that the estimate has not the price is unknown: it was
            taken from the settings while it has nodes, or GKE made it for a while.
        is_up: the cluster is there.
    """
    if not is_up:
        return costs.month_zero.part(HOURS_PER_MONTH)
    parts = [
        line.price.times(nodes.get(line.pool, 0)) if line.pool else line.hour
        for line in costs.lines
    ]
    known = {line.pool for line in costs.lines} | {SYSTEM_POOL}
    others = (
        Amount(unknown=(f"nodes of {name or 'no pool'}",)).times(many)
        for name, many in nodes.items()
        if name not in known or not name
    )
    return _sum((*parts, *others))


def time_cost(seconds: Mapping[str, float], shape: FarmShape, table: PriceTable) -> Amount:
    """Return what the time of nodes cost.

    Args:
        seconds: of the nodes of each pool together.
        shape: the farm's, with these pools; the price of another one is unknown.
        table: prices.
    """
    pools = {pool.name: pool for pool in shape.pools}
    spent = Amount()
    for name, many in seconds.items():
        pool = pools.get(name)
        hour = (
            Amount(unknown=(f"pool {name}",))
            if pool is None
            else node_hour(pool, shape.region, table)
        )
        spent += hour.times(Decimal(many) / 3600)
    return spent


def hardware_of(machine: str) -> Hardware | None:
    """Return what a machine type is billed as; None if burst can't tell."""
    if machine in _SHARED:
        return Hardware("e2", *_SHARED[machine])
    if found := MACHINES.get(machine):
        family = machine.partition("-")[0]
        memory = Decimal(str(found.memory_gib))
        return Hardware(family, Decimal(found.vcpus), memory, found.gpu, found.gpus)
    if custom := _CUSTOM.fullmatch(machine):
        family = f"{custom['family'] or 'n1'}{_CUSTOM_SIZE}"
        return Hardware(family, Decimal(custom["vcpus"]), Decimal(custom["mib"]) / 1024)
    return _by_ratio(machine)


def _by_ratio(machine: str) -> Hardware | None:
    """Return a type of another size than those that workers may have: memory goes with cores."""
    found = _STANDARD.fullmatch(machine)
    alike = found and next(
        (one for name, one in MACHINES.items() if name.rpartition("-")[0] == found["kind"]), None
    )
    if not found or not alike or alike.gpus:
        return None
    vcpus = Decimal(found["vcpus"])
    memory = vcpus * Decimal(str(alike.memory_gib)) / alike.vcpus
    return Hardware(machine.partition("-")[0], vcpus, memory)


def _standing(shape: FarmShape, table: PriceTable) -> Iterator[Line]:
    """Return what is there whatever the pools do."""
    region = shape.region
    yield _line("cluster", "zonal", (Good("cluster", "zonal"), 1, "cluster"), region, table)
    node = PoolShape(
        SYSTEM_POOL,
        shape.system_machine,
        spot=False,
        maximum=shape.system_nodes,
        disk_gib=shape.system_disk_gib,
        disk_type=shape.system_disk_type,
    )
    yield _nodes("system nodes", node, region, table)
    volume = _disk_month(shape.volume_type, shape.volume_gib, "", region, table)
    yield Line(
        "manager's volume",
        shape.volume_type,
        Decimal(shape.volume_gib),
        "GiB",
        "month",
        _disk_month(shape.volume_type, 1, "", region, table),
        volume,
    )
    zones = (Good("zone"), shape.dns_zones, "zone")
    yield _line("private DNS zones", "", zones, region, table, zero=True)
    stored = (Good("storage", "STANDARD"), _gib(shape.bytes_stored), "GiB")
    yield _line("bucket", "standard", stored, region, table, zero=True)
    images = (Good("images"), _gib(shape.image_bytes), "GiB")
    yield _line("images in the registry", "", images, region, table, zero=True)


def _pool_line(pool: PoolShape, shape: FarmShape, table: PriceTable) -> Line:
    line = _nodes(f"pool {pool.name}", pool, shape.region, table)
    return replace(line, pool=pool.name, least=pool.minimum)


def _nodes(what: str, pool: PoolShape, region: str, table: PriceTable) -> Line:
    price = node_hour(pool, region, table)
    detail = f"{pool.machine}{', spot' if pool.spot else ''}"
    many = Decimal(pool.maximum)
    return Line(what, detail, many, "node", "hour", price, price.times(many))


def _line(
    what: str,
    detail: str,
    wanted: tuple[Good, Decimal | int | None, str],
    region: str,
    table: PriceTable,
    *,
    zero: bool = False,
) -> Line:
    good, quantity, unit = wanted
    rate = table.rate(good, region)
    price = Amount(rate.price) if rate else Amount(unknown=(what,))
    if quantity is None:
        cost = Amount(unknown=(what,))
    else:
        quantity = Decimal(quantity)
        cost = Amount(rate.cost(quantity)) if rate else price.times(quantity)
    per: Literal["hour", "month"] = "hour" if good.kind == "cluster" else "month"
    return Line(what, detail, quantity, unit, per, price, cost, zero=zero)


def _uses(region: str, table: PriceTable) -> Iterator[Use]:
    for what, good, many in (
        ("1,000 writes or listings of the bucket", Good("operations", "A"), 1000),
        ("1,000 reads of the bucket", Good("operations", "B"), 1000),
        ("1 GiB of logs, beyond what is free", Good("logs"), 1),
    ):
        rate = table.rate(good, region)
        yield Use(what, Amount(rate.price * many) if rate else Amount(unknown=(what,)))


def _disk_month(kind: str, gib: int, family: str, region: str, table: PriceTable) -> Amount:
    is_hyperdisk = family.removesuffix(_CUSTOM_SIZE) in _HYPERDISK_ONLY
    kind = kind or ("hyperdisk-balanced" if is_hyperdisk else "pd-balanced")
    price = _priced(Good("disk", kind), Decimal(gib), f"disk {kind}", region, table)
    if kind.startswith("hyperdisk") and gib:
        # It bills requests and throughput above what is free, by default as it is made.
        price += Amount(unknown=(f"performance of {kind}",))
    return price


def _local_ssds(pool: PoolShape, family: str, region: str, table: PriceTable) -> Amount:
    name = f"local SSDs of {pool.machine}{' on spot' if pool.spot else ''}"
    gib = Decimal(pool.local_ssds * _SSD_GIB)
    own = Good("local-ssd", family, pool.spot)
    if table.rate(own, region) is None and family not in _OWN_SSDS:
        own = Good("local-ssd", "", pool.spot)
    return _priced(own, gib, name, region, table)


def _priced(good: Good, many: Decimal, name: str, region: str, table: PriceTable) -> Amount:
    rate = table.rate(good, region)
    return Amount(rate.price * many) if rate else Amount(unknown=(name,)).times(many)


def _gib(count_bytes: int | None) -> Decimal | None:
    return None if count_bytes is None else Decimal(count_bytes) / _GIB


def _sum(amounts: Iterable[Amount]) -> Amount:
    return reduce(add, amounts, Amount())
