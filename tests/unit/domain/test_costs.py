"""What a farm costs: sums worked out by hand, and what happens to them when a price is unknown.

All prices are those of ``tests.fakes.billing_catalogue``. The farm of most tests, for an hour
unless it says a month of 730:

======================= ========================================================= ==============
cluster                                                                            0.1
system node             e2-standard-2: 2 x 0.024 + 8 x 0.0032                      0.0736
its disk                50 GiB x 0.11                                              5.5 a month
manager's volume        10 GiB x 0.11                                              1.1 a month
DNS zone                                                                           0.2 a month
bucket                  100 GiB x 0.02                                             2 a month
images                  2 GiB x 0.1                                                0.2 a month
node of pool cpu        n2d-standard-8 on spot: 8 x 0.0042 + 32 x 0.0006           0.0528
its disk                100 GiB x 0.11                                             11 a month
node of pool gpu        g2-standard-8 on spot: 8 x 0.01 + 32 x 0.0012 + 0.224      0.3424
its disks               100 GiB x 0.11 + 375 GiB x 0.0352                          24.2 a month
======================= ========================================================= ==============
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.amounts import Amount
from burst.domain.costs import (
    Costs,
    FarmShape,
    Hardware,
    PoolShape,
    estimate,
    hardware_of,
    hour_now,
    node_hour,
    time_cost,
)
from burst.domain.machines import MACHINES
from burst.domain.prices import PriceTable, Rate, merge, read_skus
from burst.domain.skus import Good
from tests.fakes.billing_catalogue import NETHERLANDS, OREGON, catalogue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIB = 2**30

CPU = PoolShape("cpu", "n2d-standard-8", spot=True, maximum=10)
GPU = PoolShape("gpu", "g2-standard-8", spot=True, maximum=2, local_ssds=1)
FARM = FarmShape(
    zone="europe-west4-a",
    region=NETHERLANDS,
    system_machine="e2-standard-2",
    pools=(CPU, GPU),
    bytes_stored=100 * GIB,
    image_bytes=2 * GIB,
    dns_zones=1,
)


def _table() -> PriceTable:
    rates: dict[str, dict[str, Rate]] = {}
    for service, skus in catalogue().items():
        merge(rates, read_skus(service, skus, "USD", NOW))
    return PriceTable("USD", rates, NOW)


TABLE = _table()


def _without(*goods: Good) -> PriceTable:
    rates = dict(TABLE.rates)
    for good in goods:
        del rates[good.key]
    return replace(TABLE, rates=rates)


def _cents(amount: Amount) -> Decimal:
    """Return a whole sum to the hundred-thousandth, so that thirds compare."""
    assert amount.whole is not None
    return round(amount.whole, 5)


def test_the_sums_are_those_worked_out_by_hand() -> None:
    costs = estimate(FARM, TABLE)
    # 73 + (53.728 + 5.5) + 1.1 + 0.2 + 2 + 0.2
    assert _cents(costs.month_forgotten) == Decimal("135.72800")
    # the same by 730
    assert _cents(costs.hour_idle) == Decimal("0.18593")
    # 135.728 + 10 x (38.544 + 11) + 2 x (249.952 + 24.2) = 1179.472, by 730
    assert _cents(costs.hour_full) == Decimal("1.61572")
    # zone, bucket, images
    assert _cents(costs.month_zero) == Decimal("2.40000")
    # 744 hours of the cluster
    assert costs.month_credit == Decimal("74.4")
    assert costs.currency == "USD"


def test_nodes_that_a_pool_has_at_least_are_there_while_nothing_renders() -> None:
    costs = estimate(replace(FARM, pools=(replace(CPU, minimum=2), GPU)), TABLE)
    # 135.728 + 2 x 49.544
    assert _cents(costs.month_forgotten) == Decimal("234.81600")
    assert _cents(costs.hour_full) == Decimal("1.61572")


def test_each_line_has_what_of_what_and_its_price() -> None:
    lines = {line.what: line for line in estimate(FARM, TABLE).lines}
    assert list(lines) == [
        "cluster",
        "system nodes",
        "manager's volume",
        "private DNS zones",
        "bucket",
        "images in the registry",
        "pool cpu",
        "pool gpu",
    ]
    assert lines["cluster"].unit_price == Decimal("0.1")
    assert lines["bucket"].unit_price == Decimal("0.02")
    assert lines["bucket"].quantity == 100
    assert lines["pool cpu"].detail == "n2d-standard-8, spot"
    assert lines["pool cpu"].quantity == 10
    # 0.0528 + 11 / 730
    assert round(lines["pool cpu"].unit_price or 0, 8) == Decimal("0.06786849")
    # 0.3424 + 24.2 / 730
    assert round(lines["pool gpu"].unit_price or 0, 8) == Decimal("0.37555068")
    assert [line.what for line in lines.values() if line.pool] == ["pool cpu", "pool gpu"]
    assert [line.what for line in lines.values() if line.zero] == [
        "private DNS zones",
        "bucket",
        "images in the registry",
    ]


def test_what_is_paid_by_use_has_a_price_and_no_sum() -> None:
    uses = {use.what: use.price.whole for use in estimate(FARM, TABLE).uses}
    assert uses == {
        "1,000 writes or listings of the bucket": Decimal("0.005"),
        "1,000 reads of the bucket": Decimal("0.0004"),
        "1 GiB of logs, beyond what is free": Decimal("0.5"),
    }


def test_without_prices_everything_is_unknown_and_nothing_is_made_up() -> None:
    costs = estimate(FARM, PriceTable())
    assert all(line.unit_price is None for line in costs.lines)
    for amount in (costs.hour_idle, costs.hour_full, costs.month_forgotten, costs.month_zero):
        assert amount.whole is None
        assert amount.known == 0
    assert costs.month_credit is None
    assert all(use.price.whole is None for use in costs.uses)


def test_one_unknown_price_makes_its_sums_at_least_what_the_others_are() -> None:
    costs = estimate(FARM, _without(Good("gpu", "nvidia-l4", True)))
    assert costs.hour_full.unknown == ("GPU nvidia-l4 on spot",)
    # without 2 x 0.224
    assert round(costs.hour_full.known, 5) == Decimal("1.16772")
    assert costs.hour_idle.unknown == ()
    assert _cents(costs.hour_idle) == Decimal("0.18593")
    gpu = costs.lines[-1]
    assert gpu.unit_price is None
    assert round(gpu.price.known, 8) == Decimal("0.15155068")


def test_a_spot_pool_is_not_priced_as_if_it_were_on_demand() -> None:
    table = _without(Good("core", "n2d", True))
    assert node_hour(CPU, NETHERLANDS, table).unknown == ("cores of n2d-standard-8 on spot",)
    on_demand = node_hour(replace(CPU, spot=False), NETHERLANDS, table)
    # 8 x 0.0303 + 32 x 0.00406 + 11 / 730
    assert round(on_demand.whole or 0, 8) == Decimal("0.38738849")


def test_bytes_that_nobody_could_count_are_unknown_though_their_price_is_not() -> None:
    costs = estimate(replace(FARM, bytes_stored=None), TABLE)
    assert costs.month_zero == Amount(Decimal("0.4"), ("bucket",))
    bucket = next(line for line in costs.lines if line.what == "bucket")
    assert bucket.quantity is None
    assert bucket.unit_price == Decimal("0.02")


def test_an_empty_bucket_costs_nothing_even_where_its_price_is_unknown() -> None:
    empty = replace(FARM, bytes_stored=0, image_bytes=0)
    costs = estimate(empty, _without(Good("storage", "STANDARD"), Good("images")))
    assert costs.month_zero == Amount(Decimal("0.2"))


def test_a_farm_elsewhere_has_the_prices_of_elsewhere() -> None:
    there = FarmShape("us-west1-a", OREGON, "e2-standard-2", bytes_stored=100 * GIB)
    costs = estimate(there, TABLE)
    # Of a hundred gigabytes none is taken for free.
    assert next(line.cost for line in costs.lines if line.what == "bucket") == Amount(Decimal(2))
    assert costs.hour_idle.unknown == (
        "cores of e2-standard-2",
        "memory of e2-standard-2",
        "disk pd-balanced",
    )


def test_a_disk_that_bills_its_speed_is_at_least_its_size() -> None:
    pool = replace(CPU, disk_type="hyperdisk-balanced")
    price = node_hour(pool, NETHERLANDS, TABLE)
    assert price.unknown == ("performance of hyperdisk-balanced",)
    # 0.0528 + 100 x 0.088 / 730
    assert round(price.known, 8) == Decimal("0.06485479")


def test_machines_that_take_no_other_disk_get_hyperdisks() -> None:
    assert (
        "disk hyperdisk-balanced"
        in node_hour(PoolShape("new", "n4-standard-8", False, 1), OREGON, TABLE).unknown
    )
    assert (
        "disk pd-balanced"
        in node_hour(PoolShape("new", "c3-standard-8", False, 1), OREGON, TABLE).unknown
    )


def test_local_ssds_of_a_family_that_has_its_own_are_not_priced_as_others() -> None:
    rates = dict(TABLE.rates)
    pool = PoolShape("new", "c4-standard-8", True, 1, local_ssds=2)
    name = "local SSDs of c4-standard-8 on spot"
    assert name in node_hour(pool, NETHERLANDS, TABLE).unknown
    rates[Good("local-ssd", "c4", True).key] = {NETHERLANDS: Rate(((Decimal(0), Decimal("0.1")),))}
    known = node_hour(pool, NETHERLANDS, replace(TABLE, rates=rates))
    assert name not in known.unknown
    # 750 GiB x 0.1 and 100 GiB x 0.088, by 730
    assert round(known.known, 8) == Decimal("0.11479452")


def test_gpus_beside_a_machine_count_and_those_of_a_machine_count_once() -> None:
    beside = PoolShape("t4", "n1-standard-8", False, 1, gpu_type="nvidia-tesla-t4", gpus=1)
    assert "GPU nvidia-tesla-t4" in node_hour(beside, NETHERLANDS, TABLE).unknown
    named = replace(GPU, gpu_type="nvidia-l4", gpus=1)
    assert node_hour(named, NETHERLANDS, TABLE) == node_hour(GPU, NETHERLANDS, TABLE)


@pytest.mark.parametrize(
    ("machine", "hardware"),
    [
        ("n2d-standard-8", Hardware("n2d", Decimal(8), Decimal(32))),
        ("c4-standard-8", Hardware("c4", Decimal(8), Decimal(30))),
        ("g2-standard-24", Hardware("g2", Decimal(24), Decimal(96), "nvidia-l4", 2)),
        # Shared cores are billed as parts of cores.
        ("e2-micro", Hardware("e2", Decimal("0.25"), Decimal(1))),
        ("e2-small", Hardware("e2", Decimal("0.5"), Decimal(2))),
        ("e2-medium", Hardware("e2", Decimal(1), Decimal(4))),
        # Smaller than a worker may be, for the system pool.
        ("e2-standard-2", Hardware("e2", Decimal(2), Decimal(8))),
        ("n1-standard-2", Hardware("n1", Decimal(2), Decimal("7.5"))),
        ("e2-highcpu-4", Hardware("e2", Decimal(4), Decimal(4))),
        # Of any ratio.
        ("n2d-custom-10-20480", Hardware("n2d-custom", Decimal(10), Decimal(20))),
        ("custom-2-5376", Hardware("n1-custom", Decimal(2), Decimal("5.25"))),
        ("e2-custom-4-8192", Hardware("e2-custom", Decimal(4), Decimal(8))),
    ],
)
def test_a_machine_type_is_billed_as(machine: str, hardware: Hardware) -> None:
    assert hardware_of(machine) == hardware


@pytest.mark.parametrize(
    "machine",
    [
        "",
        "x9-standard-8",
        "e2-turbo-8",
        "g2-standard-7",
        "n2d-custom-8-65536-ext",
        "c3-standard-8-lssd",
        "f1-micro",
        "custom-2",
    ],
)
def test_a_machine_type_that_burst_does_not_know_has_no_price(machine: str) -> None:
    assert hardware_of(machine) is None
    assert node_hour(PoolShape("p", machine, False, 1), NETHERLANDS, TABLE).unknown == (machine,)


def test_every_machine_type_of_burst_is_billed_by_its_figures() -> None:
    for machine in MACHINES.values():
        hardware = hardware_of(machine.name)
        assert hardware is not None
        assert (hardware.vcpus, hardware.memory_gib) == (machine.vcpus, machine.memory_gib)


def test_a_custom_machine_has_its_own_price() -> None:
    pool = replace(CPU, machine="n2d-custom-10-20480")
    # 10 x 0.0044 + 20 x 0.0007 + 11 / 730
    price = node_hour(pool, NETHERLANDS, TABLE).whole
    assert round(price or 0, 8) == Decimal("0.07306849")


@pytest.mark.parametrize("machine", ["n4-custom-8-16384", "n4d-custom-8-16384"])
def test_a_custom_machine_has_the_disk_that_its_family_takes(machine: str) -> None:
    price = node_hour(PoolShape("p", machine, spot=True, maximum=1), NETHERLANDS, TABLE)
    assert "performance of hyperdisk-balanced" in price.unknown


_machines = st.sampled_from(["n2d-standard-8", "g2-standard-8", "n4-standard-8", "e2-medium", "x1"])
_pools = st.lists(
    st.builds(
        PoolShape,
        name=st.sampled_from("abc"),
        machine=_machines,
        spot=st.booleans(),
        maximum=st.integers(5, 1000),
        minimum=st.integers(0, 5),
        disk_gib=st.integers(10, 1000),
        disk_type=st.sampled_from(["", "pd-standard", "pd-ssd"]),
        local_ssds=st.integers(0, 4),
    ),
    max_size=4,
)
_farms = st.builds(
    FarmShape,
    zone=st.just("europe-west4-a"),
    region=st.sampled_from([NETHERLANDS, OREGON]),
    system_machine=_machines,
    pools=_pools.map(tuple),
    bytes_stored=st.none() | st.integers(0, 2**50),
    image_bytes=st.none() | st.integers(0, 2**40),
    system_nodes=st.integers(1, 3),
    dns_zones=st.integers(0, 30),
)


def _sums(costs: Costs) -> tuple[Amount, ...]:
    return costs.hour_idle, costs.hour_full, costs.month_forgotten, costs.month_zero


@given(_farms)
def test_full_is_never_less_than_idle_nor_a_month_less_than_zero(farm: FarmShape) -> None:
    costs = estimate(farm, TABLE)
    assert costs.hour_full.known >= costs.hour_idle.known >= 0
    assert costs.month_forgotten.known >= costs.month_zero.known >= 0
    assert set(costs.hour_idle.unknown) <= set(costs.hour_full.unknown)
    assert round(costs.hour_idle.known * 730, 9) == round(costs.month_forgotten.known, 9)


@given(_farms, st.integers(0, 3), st.integers(1, 50))
def test_more_of_anything_never_costs_less(farm: FarmShape, which: int, more: int) -> None:
    grown = {
        0: replace(farm, bytes_stored=(farm.bytes_stored or 0) + more),
        1: replace(farm, pools=(*farm.pools, replace(CPU, maximum=more))),
        2: replace(farm, system_nodes=farm.system_nodes + more),
        3: replace(farm, dns_zones=farm.dns_zones + more),
    }[which]
    for less, larger in zip(
        _sums(estimate(farm, TABLE)), _sums(estimate(grown, TABLE)), strict=True
    ):
        assert larger.known >= less.known


@given(_farms)
def test_the_sums_are_those_of_the_lines_that_are_shown(farm: FarmShape) -> None:
    costs = estimate(farm, TABLE)
    assert costs.hour_full.known == sum(line.hour.known for line in costs.lines)
    unknown = {name for line in costs.lines for name in line.cost.unknown}
    assert set(costs.hour_full.unknown) == unknown
    assert costs.month_zero.known == sum(line.month.known for line in costs.lines if line.zero)


@given(_farms, st.sampled_from(sorted(TABLE.rates)))
def test_a_price_that_goes_missing_takes_from_a_sum_and_never_adds(
    farm: FarmShape, key: str
) -> None:
    rates = {name: value for name, value in TABLE.rates.items() if name != key}
    before, after = estimate(farm, TABLE), estimate(farm, replace(TABLE, rates=rates))
    for was, now in zip(_sums(before), _sums(after), strict=True):
        assert now.known <= was.known
        if now.known < was.known:
            assert now.whole is None


def test_amounts_add_up_and_name_each_unknown_once() -> None:
    one = Amount(Decimal(1), ("disk",))
    assert one + one == Amount(Decimal(2), ("disk",))
    assert one.times(0) == Amount()
    assert one.times(3) == Amount(Decimal(3), ("disk",))
    assert Amount(Decimal(73)).part(730).whole == Decimal("0.1")


def test_a_farm_as_it_stands_has_the_nodes_that_are_there() -> None:
    costs = estimate(FARM, TABLE)
    # 135.728 + 3 x 49.544 + 274.152 = 558.512, by 730
    now = hour_now(costs, {"cpu": 3, "gpu": 1, "system": 1, "gone": 0}, is_up=True)
    assert _cents(now) == Decimal("0.76508")
    # A pool that left the settings before its nodes did: they bill.
    more = hour_now(costs, {"cpu": 3, "gpu": 1, "gone": 7, "": 1}, is_up=True)
    assert (more.known, more.unknown) == (now.known, ("nodes of gone", "nodes of no pool"))
    assert hour_now(costs, {}, is_up=True) == costs.hour_idle
    assert hour_now(costs, {"cpu": 10, "gpu": 2}, is_up=True) == costs.hour_full
    # 2.4 by 730, whatever somebody says of nodes
    assert _cents(hour_now(costs, {"cpu": 3}, is_up=False)) == Decimal("0.00329")


def test_the_time_of_nodes_costs_by_pool() -> None:
    # half an hour at 0.06786849 and six minutes at 0.37555068
    spent = time_cost({"cpu": 1800.0, "gpu": 360.0}, FARM, TABLE)
    assert _cents(spent) == Decimal("0.07149")
    assert time_cost({}, FARM, TABLE) == Amount()
    assert time_cost({"cpu": 0.0, "gone": 0.0}, FARM, TABLE) == Amount()
    assert time_cost({"cpu": 1800.0, "gone": 60.0}, FARM, TABLE).unknown == ("pool gone",)
