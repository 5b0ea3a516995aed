"""The table of prices as people and programs read it, to the letter; figures as in test_costs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from burst.cli.price_table import amount_words, number, price_json, price_text
from burst.domain.amounts import Amount
from burst.domain.costs import FarmShape, PoolShape, estimate
from burst.domain.prices import PriceTable, Rate, merge, read_skus
from burst.domain.skus import Good
from tests.fakes.billing_catalogue import NETHERLANDS, catalogue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FARM = FarmShape(
    zone="europe-west4-a",
    region=NETHERLANDS,
    system_machine="e2-standard-2",
    pools=(
        PoolShape("cpu", "n2d-standard-8", spot=True, maximum=10),
        PoolShape("gpu", "g2-standard-8", spot=True, maximum=2, local_ssds=1),
    ),
    bytes_stored=100 * 2**30,
    image_bytes=2 * 2**30,
    dns_zones=1,
)


def _table() -> PriceTable:
    rates: dict[str, dict[str, Rate]] = {}
    for service, skus in catalogue().items():
        merge(rates, read_skus(service, skus, "USD", NOW))
    return PriceTable("USD", rates, NOW)


TABLE = _table()
AWAY = PriceTable(problem="Google Cloud did not answer")

SUMS = """
while nothing renders:    0.186 an hour
at full size:             1.616 an hour
if it is forgotten:       135.73 a month
when the cluster is gone: 2.40 a month

list prices of 2026-11-22 in USD, without taxes
by use, in no sum: 1,000 writes or listings of the bucket, 0.0050
by use, in no sum: 1,000 reads of the bucket, 0.0004
by use, in no sum: 1 GiB of logs, beyond what is free, 0.5000
Google credits a billing account 74.40 a month for one zonal cluster; no sum counts on it"""

WIDE = """\
WHAT                             HOW MANY       EACH            AN HOUR IDLE  AT FULL SIZE  A MONTH GONE
cluster (zonal)                  1 cluster      0.1000 an hour         0.100         0.100             -
system nodes (e2-standard-2)     1 node         0.0811 an hour         0.081         0.081             -
manager's volume (pd-balanced)   10 GiB         0.1100 a month         0.002         0.002             -
private DNS zones                1 zone         0.2000 a month        <0.001        <0.001          0.20
bucket (standard)                100 GiB        0.0200 a month         0.003         0.003          2.00
images in the registry           2 GiB          0.1000 a month        <0.001        <0.001          0.20
pool cpu (n2d-standard-8, spot)  0 to 10 nodes  0.0679 an hour             -         0.679             -
pool gpu (g2-standard-8, spot)   0 to 2 nodes   0.3756 an hour             -         0.751             -
sum                                                                    0.186         1.616          2.40
"""  # noqa: E501

NARROW = """\
WHAT                             AN HOUR IDLE  AT FULL SIZE  A MONTH GONE
cluster (zonal)                         0.100         0.100             -
system nodes (e2-standard-2)            0.081         0.081             -
manager's volume (pd-balanced)          0.002         0.002             -
private DNS zones                      <0.001        <0.001          0.20
bucket (standard)                       0.003         0.003          2.00
images in the registry                 <0.001        <0.001          0.20
pool cpu (n2d-standard-8, spot)             -         0.679             -
pool gpu (g2-standard-8, spot)              -         0.751             -
sum                                     0.186         1.616          2.40
"""

NARROWEST = """\
cluster (zonal): 1 cluster, 0.1000 an hour each
system nodes (e2-standard-2): 1 node, 0.0811 an hour each
manager's volume (pd-balanced): 10 GiB, 0.1100 a month each
private DNS zones: 1 zone, 0.2000 a month each
bucket (standard): 100 GiB, 0.0200 a month each
images in the registry: 2 GiB, 0.1000 a month each
pool cpu (n2d-standard-8, spot): 0 to 10 nodes, 0.0679 an hour each
pool gpu (g2-standard-8, spot): 0 to 2 nodes, 0.3756 an hour each
"""


@pytest.mark.parametrize(
    ("width", "parts"), [(120, WIDE), (80, NARROW), (40, NARROWEST)], ids=["120", "80", "40"]
)
def test_the_table_in_terminals_of_each_width(width: int, parts: str) -> None:
    assert price_text(estimate(FARM, TABLE), TABLE, width) == parts + SUMS


@pytest.mark.parametrize("width", [66, 70, 99, 100, 101, 300])
def test_no_line_of_the_table_is_wider_than_the_terminal(width: int) -> None:
    long = replace(FARM, pools=(replace(FARM.pools[0], name="a-pool-with-a-name-of-30-chars"),))
    table, _, _ = price_text(estimate(long, TABLE), TABLE, width).partition("\n\n")
    assert max(map(len, table.splitlines())) <= width


def test_what_is_unknown_is_said_to_be_where_it_stands_in_its_sums_and_by_name() -> None:
    rates = {key: rate for key, rate in TABLE.rates.items() if key != "gpu/nvidia-l4/spot"}
    table = replace(TABLE, rates=rates, problem="Google Cloud did not answer")
    text = price_text(estimate(replace(FARM, bytes_stored=None), table), table, 120)
    lines = text.splitlines()
    gpu = next(line for line in lines if line.startswith("pool gpu"))
    assert "at least 0.1516 an hour" in gpu
    assert "at least 0.303" in gpu
    bucket = next(line for line in lines if line.startswith("bucket"))
    assert bucket.split() == [
        *("bucket", "(standard)", "unknown", "0.0200", "a", "month"),
        *("unknown", "unknown", "unknown"),
    ]
    assert "at full size:             at least 1.165 an hour" in lines
    assert "when the cluster is gone: at least 0.40 a month" in lines
    assert "unknown: bucket, GPU nvidia-l4 on spot" in lines
    assert "there are none of today: Google Cloud did not answer" in lines


@pytest.mark.parametrize("width", [120, 80, 40])
def test_without_prices_no_figure_of_money_is_shown(width: int) -> None:
    text = price_text(estimate(FARM, AWAY), AWAY, width)
    assert "0.0" not in text
    assert "prices are unknown: Google Cloud did not answer" in text.splitlines()
    assert "at full size:             unknown" in text.splitlines()


def test_a_pool_that_never_empties_costs_while_nothing_renders() -> None:
    kept = replace(FARM, pools=(replace(FARM.pools[0], minimum=2),))
    text = price_text(estimate(kept, TABLE), TABLE, 120)
    pool = next(line for line in text.splitlines() if line.startswith("pool cpu"))
    # 2 x 0.06786849
    assert pool.split()[-10:-3] == ["2", "to", "10", "nodes", "0.0679", "an", "hour"]
    assert pool.split()[-3:] == ["0.136", "0.679", "-"]
    # 135.728 + 2 x 49.544
    assert "if it is forgotten:       234.82 a month" in text.splitlines()


def test_programs_get_the_same_figures_and_null_for_what_is_unknown() -> None:
    value = json.loads(json.dumps(price_json(estimate(FARM, TABLE), TABLE)))
    assert value["prices_of"] == "2026-11-22T12:00:00+00:00"
    assert value["hour_full"] == {"amount": 1.615715068, "at_least": 1.615715068, "unknown": []}
    assert value["month_forgotten"]["amount"] == 135.728
    assert value["month_zero"]["amount"] == 2.4
    assert value["month_credit"] == 74.4
    assert value["parts"][-2] == {
        "what": "pool cpu",
        "detail": "n2d-standard-8, spot",
        "quantity": 10.0,
        "unit": "node",
        "price_per": "hour",
        "price": {"amount": 0.067868493, "at_least": 0.067868493, "unknown": []},
        "hour_idle": {"amount": 0.0, "at_least": 0.0, "unknown": []},
        "hour_full": {"amount": 0.678684932, "at_least": 0.678684932, "unknown": []},
        "month_zero": {"amount": 0.0, "at_least": 0.0, "unknown": []},
    }
    away = price_json(estimate(replace(FARM, bytes_stored=None), AWAY), AWAY)
    assert away["prices_of"] is None
    assert away["problem"] == "Google Cloud did not answer"
    assert away["hour_idle"]["amount"] is None
    assert away["hour_idle"]["at_least"] == 0
    assert away["month_credit"] is None
    assert "cluster" in away["hour_idle"]["unknown"]
    assert away["parts"][4]["quantity"] is None


@pytest.mark.parametrize(
    ("money", "digits", "text"),
    [
        ("0", 3, "0.000"),
        ("0.0004", 3, "<0.001"),
        ("0.0005", 4, "0.0005"),
        ("0.0015", 3, "0.002"),
        ("0.125", 2, "0.13"),
        ("1204.5", 2, "1,204.50"),
    ],
)
def test_a_number_is_rounded_as_people_do_and_never_to_nothing(
    money: str, digits: int, text: str
) -> None:
    assert number(Decimal(money), digits) == text


def test_an_amount_in_words() -> None:
    part = Amount(Decimal("0.5"), ("disk",))
    assert amount_words(part, 2, "month") == "at least 0.50 a month"
    assert amount_words(Amount(unknown=("disk",)), 2, "hour") == "unknown"
    assert amount_words(Amount(Decimal(2)), 1) == "2.0"


def test_a_good_that_is_free_is_not_called_unknown() -> None:
    free = replace(TABLE, rates={**TABLE.rates, Good("zone").key: {"global": _nothing()}})
    zone = estimate(FARM, free).lines[3]
    assert amount_words(zone.cost, 2) == "0.00"


def _nothing() -> Rate:
    return Rate(((Decimal(0), Decimal(0)),))
