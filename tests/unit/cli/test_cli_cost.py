"""What ``burst cost`` says; the table below it has a test of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from burst.cli.cost import cost_json, cost_text
from burst.domain.costs import FarmShape, PoolShape
from burst.domain.prices import PriceTable, Rate, merge, read_skus
from burst.operations.cost import Found, JobTime, Place, farm_cost
from tests.fakes.billing_catalogue import NETHERLANDS, catalogue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHAPE = FarmShape(
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
PLACE = Place("burst", "studio", "studio-burst-data", SHAPE)
UP = Found(SHAPE, is_up=True, nodes={"cpu": 3, "gpu": 1, "system": 1})


def _table() -> PriceTable:
    rates: dict[str, dict[str, Rate]] = {}
    for service, skus in catalogue().items():
        merge(rates, read_skus(service, skus, "USD", NOW))
    return PriceTable("USD", rates, NOW)


def _job(**seconds: float) -> JobTime:
    from burst.protocol.artist_messages import JobView

    return JobTime(JobView.model_construct(id="k3f9", name="shot 10"), seconds)


def _head(*arguments: Any) -> list[str]:
    text = cost_text(farm_cost(*arguments), 120)
    return text.partition("\n\n")[0].splitlines()


def test_a_farm_that_works_says_what_it_has_and_what_that_costs() -> None:
    assert _head(PLACE, UP, _table(), _job(cpu=7200.0, gpu=1800.0)) == [
        "farm:     burst, in europe-west4-a of studio",
        "cluster:  up, 3 nodes of cpu, 1 node of gpu",
        "now:      0.765 an hour",
        "last job: shot 10 (k3f9): 0.32, for 2:30:00 of workers",
    ]


def test_a_farm_at_rest_and_one_that_is_gone() -> None:
    at_rest = replace(UP, nodes={"system": 1})
    assert _head(PLACE, at_rest, _table())[1:] == [
        "cluster:  up, no nodes of pools",
        "now:      0.186 an hour",
    ]
    gone = replace(UP, is_up=False, nodes={})
    assert _head(PLACE, gone, _table())[1:] == [
        "cluster:  not there",
        "now:      0.003 an hour",
    ]


def test_nodes_of_a_pool_that_left_the_settings_are_named() -> None:
    found = replace(UP, nodes={"cpu": 3, "gpu": 1, "old": 2, "system": 1})
    assert _head(PLACE, found, _table())[1:] == [
        "cluster:  up, 3 nodes of cpu, 1 node of gpu, 2 nodes of old",
        "now:      at least 0.765 an hour (unknown: nodes of old)",
    ]


def test_what_nobody_could_say_is_unknown_and_why_is_said() -> None:
    found = Found(SHAPE, is_up=None, troubles=("Google Cloud did not answer",))
    text = cost_text(farm_cost(PLACE, found, PriceTable(problem="no login")), 120)
    lines = text.splitlines()
    assert lines[1:4] == [
        "cluster:  unknown",
        "now:      unknown",
        "trouble:  Google Cloud did not answer",
    ]
    assert lines[-1] == "prices are unknown: no login"


def test_a_job_of_pools_that_are_gone_has_an_unknown_price() -> None:
    assert _head(PLACE, UP, _table(), _job(old=60.0))[-1] == (
        "last job: shot 10 (k3f9): unknown, for 1:00 of workers"
    )


@pytest.mark.parametrize("job", [None, _job(cpu=3600.0)], ids=["without a job", "with one"])
def test_programs_get_all_of_it(job: JobTime | None) -> None:
    value = json.loads(json.dumps(cost_json(farm_cost(PLACE, UP, _table(), job))))
    assert value["farm"] == "burst"
    assert value["project"] == "studio"
    assert value["zone"] == "europe-west4-a"
    assert value["up"] is True
    assert value["nodes"] == {"cpu": 3, "gpu": 1, "system": 1}
    assert value["hour_now"]["amount"] == 0.765084932
    assert value["hour_full"]["amount"] == 1.615715068
    assert value["troubles"] == []
    if job is None:
        assert value["last_job"] is None
    else:
        assert value["last_job"] == {
            "id": "k3f9",
            "name": "shot 10",
            "worker_seconds": {"cpu": 3600.0},
            "cost": {"amount": 0.067868493, "at_least": 0.067868493, "unknown": []},
        }
