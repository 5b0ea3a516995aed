"""Prices asked of the stand-in of Google Cloud: the requests themselves, and their refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from burst.cloud.billing import prices
from burst.cloud.google_api import GoogleApi
from burst.domain.costs import FarmShape, PoolShape, estimate
from burst.domain.skus import COMPUTE, SERVICES, Good
from burst.operations.cost import Place, look
from tests.fakes.billing_catalogue import NETHERLANDS, catalogue
from tests.fakes.google_cloud import FOREVER, GoogleCloud

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHAPE = FarmShape("europe-west4-a", NETHERLANDS, "e2-standard-2")


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud() as cloud:
        cloud.prices = catalogue()
        yield cloud


def _api(cloud: GoogleCloud, tries: int = 3) -> GoogleApi:
    return GoogleApi(cloud.environ, project=cloud.project, tries=tries, pause=lambda seconds: None)


def test_all_pages_of_all_services_are_asked_for_and_nothing_is_written(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    cloud.page_size = 7
    table = prices(_api(cloud), tmp_path, NOW)
    assert table.problem == ""
    assert table.rate(Good("zone"), NETHERLANDS) is not None
    found = estimate(
        FarmShape(
            "europe-west4-a",
            NETHERLANDS,
            "e2-standard-2",
            (PoolShape("cpu", "n2d-standard-8", spot=True, maximum=10),),
            bytes_stored=100 * 2**30,
            image_bytes=2 * 2**30,
            dns_zones=1,
        ),
        table,
    )
    # As in test_costs: 135.728 and 495.44 a month.
    assert round((found.hour_full.whole or 0) * 730, 6) == Decimal("631.168")
    asked = [request.path for request in cloud.requests]
    assert len(asked) > len(SERVICES)
    assert {path.split("/")[-2] for path in asked} == set(SERVICES)
    assert cloud.writes() == []


def test_a_busy_moment_is_asked_again(cloud: GoogleCloud, tmp_path: Path) -> None:
    cloud.faults.too_many(f"/services/{COMPUTE}/skus")
    assert prices(_api(cloud), tmp_path, NOW).problem == ""


def test_an_api_that_is_away_makes_every_price_unknown_and_says_why(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    cloud.faults.unavailable("/skus", times=FOREVER)
    table = prices(_api(cloud), tmp_path, NOW)
    assert table.rates == {}
    assert table.problem.startswith("the catalogue of prices: ")
    assert estimate(SHAPE, table).hour_idle.whole is None


def test_an_api_that_is_off_is_named_with_the_command_that_mends_it(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    cloud.services.discard("cloudbilling.googleapis.com")
    table = prices(_api(cloud), tmp_path, NOW)
    assert f"is not enabled in the project {cloud.project}; gcloud services" in table.problem


def test_a_network_that_is_gone_leaves_the_prices_of_before(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    prices(_api(cloud), tmp_path, NOW)
    nowhere = {**cloud.environ, "GOOGLE_CLOUD_BILLING_CUSTOM_ENDPOINT": "http://127.0.0.1:1/v1/"}
    api = GoogleApi(nowhere, tries=2, pause=lambda seconds: None)
    table = prices(api, tmp_path, datetime(2027, 1, 1, tzinfo=UTC))
    assert table.as_of == NOW
    assert "does not answer" in table.problem
    assert table.rate(Good("core", "e2"), NETHERLANDS) is not None


def test_a_project_without_a_farm_has_none_of_it(cloud: GoogleCloud) -> None:
    place = Place("burst", cloud.project, f"{cloud.project}-burst-data", SHAPE)
    found = look(_api(cloud), place)
    assert found.is_up is False
    assert found.troubles == ()
    assert (found.shape.bytes_stored, found.shape.image_bytes) == (0, 0)
    assert cloud.writes() == []


def test_what_a_farm_has_is_found_by_its_names(cloud: GoogleCloud) -> None:
    network = f"projects/{cloud.project}/global/networks/default"
    subnetwork = {"name": "default", "region": NETHERLANDS, "ipCidrRange": "10.0.0.0/20"}
    bucket = f"{cloud.project}-burst-data"
    cloud.plant("networks", {"name": "default", "autoCreateSubnetworks": False})
    cloud.plant("subnetworks", {**subnetwork, "network": network})
    for name, nodes in (("burst", 2), ("other", 3)):
        pools = [{"name": "cpu", "initialNodeCount": nodes}]
        cloud.plant("clusters", {"name": name, "location": SHAPE.zone, "nodePools": pools})
    cloud.plant("buckets", {"name": bucket, "location": NETHERLANDS})
    cloud.plant("objects", {"bucket": bucket, "name": "a", "content": b"12345"})
    cloud.plant("objects", {"bucket": bucket, "name": "b/c", "content": b"123"})
    place = Place("burst", cloud.project, bucket, SHAPE)

    found = look(_api(cloud), place)
    assert found.is_up is True
    assert found.nodes == {"cpu": 2}
    assert found.shape.bytes_stored == 8
    assert found.troubles == ()
    assert cloud.writes() == []

    cloud.services.discard("compute.googleapis.com")
    lost = look(_api(cloud), place)
    assert lost.is_up is None
    assert len(lost.troubles) == 1
