"""Prices as Google's catalogue lists them: which SKU is whose price, and how a rate is read.

What each family's SKUs say was seen in the places that ``burst.domain.skus`` tells of; prices are
of a catalogue made by hand.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.machines import MACHINES
from burst.domain.prices import PriceTable, Rate, as_json, from_json, merge, read_skus
from burst.domain.skus import COMPUTE, SERVICES, STORAGE, Good, good_of, units_in
from tests.fakes.billing_catalogue import (
    NETHERLANDS,
    OREGON,
    catalogue,
    price_info,
    sku,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _table(*skus: Any, service: str = COMPUTE, currency: str = "USD") -> PriceTable:
    rates: dict[str, dict[str, Rate]] = {}
    merge(rates, read_skus(service, skus, currency, NOW))
    return PriceTable(currency, rates, NOW)


def _whole() -> PriceTable:
    rates: dict[str, dict[str, Rate]] = {}
    for service, skus in catalogue().items():
        merge(rates, read_skus(service, skus, "USD", NOW))
    return PriceTable("USD", rates, NOW)


def _price(table: PriceTable, good: Good, region: str = NETHERLANDS) -> Decimal | None:
    rate = table.rate(good, region)
    return rate and rate.price


@pytest.mark.parametrize(
    ("description", "good"),
    [
        ("N1 Predefined Instance Core running in Netherlands", Good("core", "n1")),
        ("N1 Predefined Instance Ram running in Zurich", Good("memory", "n1")),
        ("Spot Preemptible N1 Predefined Instance Core running in Iowa", Good("core", "n1", True)),
        ("Preemptible N1 Predefined Instance Ram running in Iowa", Good("memory", "n1", True)),
        ("Custom Instance Core running in Sydney", Good("core", "n1-custom")),
        (
            "Spot Preemptible Custom Instance Core running in Dammam",
            Good("core", "n1-custom", True),
        ),
        ("E2 Instance Core running in Paris", Good("core", "e2")),
        ("Spot Preemptible E2 Instance Core running in Salt Lake City", Good("core", "e2", True)),
        (
            "Spot Preemptible E2 Custom Instance Ram running in Tokyo",
            Good("memory", "e2-custom", True),
        ),
        ("N2 Instance Core running in Americas", Good("core", "n2")),
        (
            "Spot Preemptible N2 Custom Instance Ram running in Japan",
            Good("memory", "n2-custom", True),
        ),
        ("N2D AMD Instance Ram running in Israel", Good("memory", "n2d")),
        (
            "Spot Preemptible N2D AMD Instance Core running in Netherlands",
            Good("core", "n2d", True),
        ),
        ("N2D AMD Custom Instance Core running in Sao Paulo", Good("core", "n2d-custom")),
        ("N4 Instance Core running in Frankfurt", Good("core", "n4")),
        ("Spot Preemptible N4 Instance Ram running in Frankfurt", Good("memory", "n4", True)),
        ("T2D AMD Instance Ram running in Americas", Good("memory", "t2d")),
        ("Spot Preemptible T2D AMD Instance Core running in EMEA", Good("core", "t2d", True)),
        ("Compute optimized Core running in Americas", Good("core", "c2")),
        ("Compute optimized Instance Core running in Dallas", Good("core", "c2")),
        ("Spot Preemptible Compute optimized Ram running in Montreal", Good("memory", "c2", True)),
        ("C2D AMD Instance Ram running in EMEA", Good("memory", "c2d")),
        ("Spot Preemptible C2D AMD Instance Core running in EMEA", Good("core", "c2d", True)),
        ("C3 Instance Core running in Belgium", Good("core", "c3")),
        ("Spot Preemptible C3 Instance Core running in Tokyo", Good("core", "c3", True)),
        ("C3D Instance Ram running in Belgium", Good("memory", "c3d")),
        ("Spot Preemptible C3D Instance Ram running in Belgium", Good("memory", "c3d", True)),
        ("C4 Instance Core running in Tokyo", Good("core", "c4")),
        ("Spot Preemptible C4 Instance Ram running in Tokyo", Good("memory", "c4", True)),
        ("G2 Instance Core running in Sao Paulo", Good("core", "g2")),
        ("Spot Preemptible G2 Instance Ram running in Singapore", Good("memory", "g2", True)),
        ("Nvidia L4 GPU running in Frankfurt", Good("gpu", "nvidia-l4")),
        (
            "Nvidia L4 GPU attached to Spot Preemptible VMs running in Hong Kong",
            Good("gpu", "nvidia-l4", True),
        ),
        ("Nvidia Tesla T4 GPU running in Americas", Good("gpu", "nvidia-tesla-t4")),
        ("Nvidia Tesla A100 GPU running in Americas", Good("gpu", "nvidia-tesla-a100")),
        ("Nvidia Tesla A100 80GB GPU running in Virginia", Good("gpu", "nvidia-a100-80gb")),
        ("Nvidia H100 80GB Mega GPU running in Tokyo", Good("gpu", "nvidia-h100-mega-80gb")),
        ("Storage PD Capacity", Good("disk", "pd-standard")),
        ("Storage PD Capacity in Mumbai", Good("disk", "pd-standard")),
        ("Balanced PD Capacity in Japan", Good("disk", "pd-balanced")),
        ("SSD backed PD Capacity in Mumbai", Good("disk", "pd-ssd")),
        ("Hyperdisk Balanced Capacity in Milan", Good("disk", "hyperdisk-balanced")),
        ("SSD backed Local Storage", Good("local-ssd")),
        ("SSD backed Local Storage in Paris", Good("local-ssd")),
        (
            "SSD backed Local Storage attached to Spot Preemptible VMs in Paris",
            Good("local-ssd", "", True),
        ),
        ("C4 Instance Local SSD running in Frankfurt", Good("local-ssd", "c4")),
    ],
)
def test_a_sku_of_compute_engine_is_the_price_of(description: str, good: Good) -> None:
    assert good_of(COMPUTE, description) == good


@pytest.mark.parametrize(
    "description",
    [
        "Commitment v1: N2D AMD Cpu in Netherlands for 1 Year",
        "Commitment v1: Nvidia L4 GPU running in Frankfurt for 1 Year",
        "C3 Sole Tenancy Instance Ram running in Turin",
        "Sole Tenancy Premium for N2 Sole Tenancy Instance Core running in Iowa",
        "N2D AMD Custom Extended Instance Ram running in Iowa",
        "N2D AMD Custom Extended Ram running in Iowa",
        "DWS Defined Duration A2 Instance Core running in Americas",
        "Nvidia L4 GPU attached to DWS Defined Duration VMs running in Iowa",
        "Reserved Nvidia Tesla A100 80GB GPU in Virginia",
        "Reserved A2 Instance Core in Virginia",
        "Memory-optimized Instance Core running in Zurich",
        "Memory Optimized Upgrade Premium for Memory-optimized Instance Core running in Iowa",
        "Micro Instance with burstable CPU running in EMEA",
        "Regional Balanced PD Capacity in Netherlands",
        "Hyperdisk Balanced Capacity in Confidential Mode in Mumbai",
        "Hyperdisk Balanced IOPS in Santiago",
        "Hyperdisk Balanced Storage Pools Advanced Capacity - Mexico",
        "Hyperdisk Balanced High Availability Capacity in Mumbai",
        "Storage PD Snapshot in Mumbai",
        "VM state: preserved local SSD in Iowa",
        "Commitment v1: C4D Local SSD in Iowa for 1 Year",
        "Network Internet Egress from Israel to South America",
        "Licensing Fee for Windows Server 2012 BYOL (CPU cost)",
    ],
)
def test_what_only_looks_like_it_is_no_price(description: str) -> None:
    assert good_of(COMPUTE, description) is None


@pytest.mark.parametrize(
    ("description", "good"),
    [
        ("Standard Storage London", Good("storage", "STANDARD")),
        ("Standard Storage US Multi-region", Good("storage", "STANDARD")),
        ("Nearline Storage Doha", Good("storage", "NEARLINE")),
        ("Coldline Storage Doha", Good("storage", "COLDLINE")),
        ("Archive Storage Doha", Good("storage", "ARCHIVE")),
        ("Regional Standard Class A Operations", Good("operations", "A")),
        ("Regional Standard Class B Operations", Good("operations", "B")),
        ("Multi-Region Standard Class A Operations", None),
        ("Regional Standard Tagging Class A Operations", None),
        ("Standard Storage Belgium/London Dual-region", None),
        ("Nearline Storage Doha (Early Delete)", None),
        ("Autoclass Standard Storage London", None),
        ("Nearline Data Retrieval", None),
    ],
)
def test_a_sku_of_cloud_storage_is_the_price_of(description: str, good: Good | None) -> None:
    assert good_of(STORAGE, description) == good


def test_every_machine_type_has_cores_and_memory_by_a_form_that_was_seen() -> None:
    forms = {
        "n1": "N1 Predefined Instance",
        "c2": "Compute optimized",
        **{family: f"{family.upper()} AMD Instance" for family in ("n2d", "t2d", "c2d")},
    }
    for machine in MACHINES.values():
        family = machine.name.partition("-")[0]
        form = forms.get(family, f"{family.upper()} Instance")
        for spot in ("", "Spot Preemptible "):
            core = good_of(COMPUTE, f"{spot}{form} Core running in Netherlands")
            memory = good_of(COMPUTE, f"{spot}{form} Ram running in Netherlands")
            assert core == Good("core", family, bool(spot))
            assert memory == Good("memory", family, bool(spot))
        if machine.gpus:
            assert good_of(COMPUTE, "Nvidia L4 GPU running in Netherlands") == Good(
                "gpu", machine.gpu
            )


def test_goods_of_one_service_are_not_those_of_another() -> None:
    for owner, skus in catalogue().items():
        for service in {*SERVICES, "0000-0000-0000"} - {owner}:
            assert {good_of(service, one["description"]) for one in skus} == {None}


def test_a_price_is_units_and_billionths() -> None:
    table = _table(sku("Nvidia Tesla A100 GPU running in Netherlands", "2.933908123"))
    assert _price(table, Good("gpu", "nvidia-tesla-a100")) == Decimal("2.933908123")


def test_units_may_be_a_number_or_absent() -> None:
    plain = sku("E2 Instance Core running in Netherlands", "0.5")
    money = plain["pricingInfo"][0]["pricingExpression"]["tieredRates"][0]["unitPrice"]
    del money["units"]
    assert _price(_table(plain), Good("core", "e2")) == Decimal("0.5")
    money["units"] = 3
    assert _price(_table(plain), Good("core", "e2")) == Decimal("3.5")


def test_the_price_that_holds_now_counts_and_not_one_of_later_or_before() -> None:
    assert _price(_whole(), Good("core", "e2")) == Decimal("0.024")


def test_a_price_that_holds_later_only_is_unknown() -> None:
    later = sku("E2 Instance Core running in Netherlands", "0.5")
    later["pricingInfo"][0]["effectiveTime"] = "2026-11-23T00:00:00Z"
    assert _price(_table(later), Good("core", "e2")) is None


@pytest.mark.parametrize(
    ("unit", "price", "expected"),
    [
        ("GiBy.mo", "0.08", "0.08"),
        ("GiBy.h", "0.0001", "0.073"),
        ("TiBy.mo", "81.92", "0.08"),
        ("MiBy.mo", "0.000078125", "0.08"),
        ("GBy.mo", "1", "1.073741824"),
    ],
)
def test_units_of_usage_are_turned_into_ours(unit: str, price: str, expected: str) -> None:
    table = _table(sku("SSD backed Local Storage in Netherlands", price, unit))
    assert _price(table, Good("local-ssd")) == Decimal(expected)


@pytest.mark.parametrize("unit", ["h", "count", "GiBy", "By.h.h", "furlong", ""])
def test_a_price_for_something_else_is_no_price(unit: str) -> None:
    table = _table(sku("Balanced PD Capacity in Netherlands", "0.1", unit))
    assert _price(table, Good("disk", "pd-balanced")) is None


def test_units_turn_into_one_another_and_back() -> None:
    assert units_in("h", "mo") == 730
    assert units_in("GiBy.mo", "TiBy.mo") == 1024
    assert units_in("s", "h") == 3600
    assert units_in("h", "GiBy.h") is None


def test_what_is_free_of_a_month_is_not_counted_on() -> None:
    rate = _whole().rate(Good("images"), NETHERLANDS)
    assert rate is not None
    assert rate.price == Decimal("0.1")
    assert rate.cost(Decimal("0.25")) == Decimal("0.025")


def test_tiers_that_are_paid_for_each_cover_their_part() -> None:
    rate = _whole().rate(Good("zone"), NETHERLANDS)
    assert rate is not None
    assert rate.cost(Decimal(1)) == Decimal("0.2")
    # 25 zones at 0.2 and five at 0.1; then 9975 at 0.1, and ten at 0.03.
    assert rate.cost(Decimal(30)) == Decimal("5.5")
    assert rate.cost(Decimal(10_010)) == Decimal("5") + Decimal("997.5") + Decimal("0.3")


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 1000)), min_size=1, max_size=5),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)
def test_more_never_costs_less(steps: list[tuple[int, int]], some: int, more: int) -> None:
    start, tiers = 0, []
    for width, price in steps:
        tiers.append((Decimal(start), Decimal(price)))
        start += width
    rate = Rate(tuple(tiers))
    assert 0 <= rate.cost(Decimal(some)) <= rate.cost(Decimal(some + more))
    # Nor is any of it dearer than the dearest step.
    assert rate.cost(Decimal(some)) <= some * max(price for _, price in tiers)


def test_a_price_without_a_region_holds_everywhere_and_others_where_they_say() -> None:
    table = _whole()
    assert _price(table, Good("cluster", "zonal"), "asia-east1") == Decimal("0.1")
    assert _price(table, Good("disk", "pd-standard"), OREGON) == Decimal("0.04")
    assert _price(table, Good("core", "n2d"), OREGON) is None
    assert _price(table, Good("storage", "STANDARD"), "EU") == Decimal("0.026")
    assert _price(table, Good("storage", "STANDARD")) == Decimal("0.02")


def test_of_two_prices_for_one_thing_the_dearer_counts_in_either_order() -> None:
    cheap = sku("Storage PD Capacity", "0.04", "GiBy.mo")
    dear = sku("Storage PD Capacity in Netherlands", "0.05", "GiBy.mo")
    for both in ((cheap, dear), (dear, cheap)):
        assert _price(_table(*both), Good("disk", "pd-standard")) == Decimal("0.05")


def test_nothing_is_free_that_has_a_price_of_zero() -> None:
    reserved = sku("Nvidia L4 GPU running in Netherlands", "0", group="GPU")
    assert _price(_table(reserved), Good("gpu", "nvidia-l4")) is None


def test_a_price_in_another_currency_is_no_price() -> None:
    euros = sku("E2 Instance Core running in Netherlands", "0.02", currency="EUR")
    assert _price(_table(euros), Good("core", "e2")) is None
    assert _price(_table(euros, currency="EUR"), Good("core", "e2")) == Decimal("0.02")


def _damaged() -> list[Any]:
    def broken(**changes: Any) -> dict[str, Any]:
        return {**sku("E2 Instance Core running in Netherlands", "0.024"), **changes}

    info = price_info([], "h")
    first = sku("E2 Instance Core running in Netherlands", "0.024")["pricingInfo"][0]
    late = {"startUsageAmount": 10, **first["pricingExpression"]["tieredRates"][0]}
    late["startUsageAmount"] = 10
    bad_money = {"unitPrice": {"currencyCode": "USD", "units": "many", "nanos": 0}}
    return [
        None,
        7,
        "E2 Instance Core running in Netherlands",
        {},
        broken(description=None),
        broken(category=None),
        broken(pricingInfo=None),
        broken(pricingInfo=[]),
        broken(pricingInfo=[info]),
        broken(pricingInfo=[price_info([late], "h")]),
        broken(pricingInfo=[price_info([bad_money], "h")]),
        broken(pricingInfo=[{**first, "effectiveTime": "yesterday"}]),
        broken(pricingInfo=[{**first, "effectiveTime": "2026-01-01T00:00:00"}]),
        broken(serviceRegions=None),
    ]


@pytest.mark.parametrize("damaged", _damaged())
def test_a_sku_that_is_not_of_the_form_leaves_its_price_unknown_and_no_other(damaged: Any) -> None:
    good = sku("E2 Instance Ram running in Netherlands", "0.0032", "GiBy.h")
    table = _table(damaged, good)
    assert _price(table, Good("core", "e2")) is None
    assert _price(table, Good("memory", "e2")) == Decimal("0.0032")


def test_a_table_comes_back_from_a_file_as_it_was() -> None:
    table = _whole()
    assert from_json(json.loads(json.dumps(as_json(table)))) == table


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"rates": {}, "as_of": "2026-11-22T12:00:00", "currency": "USD"},
        {"rates": {}, "as_of": "2026-11-22T12:00:00+00:00", "currency": None},
        {"rates": {"core/e2": {"x": [["0", "NaN"]]}}, "as_of": "2026-11-22", "currency": "USD"},
        {"rates": {"core/e2": {"x": []}}, "as_of": "2026-11-22T12:00:00Z", "currency": "USD"},
        {"rates": [], "as_of": "2026-11-22T12:00:00Z", "currency": "USD"},
    ],
)
def test_what_is_no_table_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"tiers of a price|not a price table"):
        from_json(value)


def test_a_table_without_a_date_is_not_kept() -> None:
    with pytest.raises(ValueError, match="without a date"):
        as_json(PriceTable())
