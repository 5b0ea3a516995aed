"""What a farm costs, asked of the stand-in of Google Cloud with its state bucket alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from burst.cloud.google_api import GoogleApi
from burst.config.cluster import ClusterFarm, ClusterSettings, PoolSettings
from burst.config.google import GoogleFarm, GoogleSettings, to_json
from burst.config.images import ImageSettings
from burst.domain.amounts import Amount
from burst.errors import CloudAway, CloudConflict, CloudNotFound, ConfigError
from burst.operations.cost import FarmCost, JobTime, ask_cost
from burst.operations.google_farm import open_site
from tests.fakes.billing_catalogue import NETHERLANDS, catalogue
from tests.fakes.google_cloud import GoogleCloud

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
POOLS = {"cpu": PoolSettings(machine="n2d-standard-8", spot=True, maximum=10)}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    monkeypatch.setattr(
        "burst.operations.cost.GoogleApi", partial(GoogleApi, pause=lambda seconds: None)
    )
    with GoogleCloud() as cloud:
        cloud.prices = catalogue()
        for name, value in cloud.environ.items():
            monkeypatch.setenv(name, value)
        yield cloud


def _farm(cloud: GoogleCloud, place: Path, **pools: PoolSettings) -> GoogleFarm:
    settings = ClusterFarm(cluster=ClusterSettings(farm="burst"), pools=pools, state_dir=place)
    google = GoogleSettings(project=cloud.project, zone="europe-west4-a")
    return GoogleFarm(settings, google, ImageSettings())


def _make(cloud: GoogleCloud, farm: GoogleFarm, content: bytes = b"", **labels: str) -> None:
    labels = labels or {"burst-farm": "burst"}
    cloud.plant(
        "buckets", {"name": farm.state_bucket, "location": "EUROPE-WEST4", "labels": labels}
    )
    cloud.plant(
        "objects",
        {
            "bucket": farm.state_bucket,
            "name": "farm.json",
            "content": content or to_json(farm),
        },
    )


def _start(cloud: GoogleCloud, nodes: int) -> None:
    network = f"projects/{cloud.project}/global/networks/default"
    subnetwork = {"name": "default", "region": NETHERLANDS, "ipCidrRange": "10.0.0.0/20"}
    cloud.plant("networks", {"name": "default", "autoCreateSubnetworks": False})
    cloud.plant("subnetworks", {**subnetwork, "network": network})
    pools = [{"name": "cpu", "initialNodeCount": nodes}]
    cloud.plant("clusters", {"name": "burst", "location": "europe-west4-a", "nodePools": pools})


def _cost(
    farm: GoogleFarm, cloud: GoogleCloud, folder: Path, now: datetime = NOW, **changed: str
) -> FarmCost:
    site = open_site(farm, {**cloud.environ, **changed})
    return ask_cost(site, folder, now)


def test_before_there_is_a_farm_it_costs_nothing_and_would_cost_what_the_settings_say(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    cost = _cost(_farm(cloud, tmp_path, **POOLS), cloud, tmp_path)
    assert cost.found.is_up is False
    assert cost.found.troubles == ()
    assert cost.now == Amount()
    # Three zones at 0.2, and nothing stored.
    assert cost.costs.month_zero.whole == Decimal("0.6")
    # 73 + 59.228 + 1.1 + 0.6 and ten nodes at 49.544, by 730
    assert round((cost.costs.hour_full.whole or 0) * 730, 6) == Decimal("629.368")
    assert cost.job is None
    assert cloud.writes() == []


def test_a_farm_whose_cluster_alone_is_gone_costs_what_is_left_of_it(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _make(cloud, farm)
    for name, owner in (("apis", "burst"), ("registry", "burst"), ("site", "another")):
        labels = {"burst-farm": owner}
        zone = {"name": name, "dnsName": f"{name}.example.", "description": "", "labels": labels}
        cloud.plant("managedZones", zone)
    cost = _cost(farm, cloud, tmp_path)
    assert round((cost.now.whole or 0) * 730, 6) == Decimal("0.4")
    assert cost.costs.month_zero.whole == Decimal("0.6")


def test_another_laptop_that_knows_project_and_name_sees_the_farm_as_it_was_made(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _make(cloud, farm)
    elsewhere = _farm(cloud, tmp_path / "elsewhere")
    bare = replace(elsewhere, google=GoogleSettings(project=cloud.project))
    cost = _cost(bare, cloud, tmp_path)
    assert cost.place.shape.zone == "europe-west4-a"
    assert [pool.name for pool in cost.place.shape.pools] == ["cpu"]
    assert cost.found.is_up is False
    assert cloud.writes() == []


def test_a_farm_that_works_costs_its_nodes_and_its_newest_job_their_time(
    cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _make(cloud, farm)
    _start(cloud, 3)
    asked: list[Any] = []

    def reach(settings: ClusterFarm) -> Any:
        asked.append(settings.cluster.kubeconfig)
        return type("Reached", (), {"console_url": "http://127.0.0.1:1"})

    took = JobTime(None, {"cpu": 3600.0})  # type: ignore[arg-type]
    monkeypatch.setattr("burst.operations.cost.reach_farm", reach)
    monkeypatch.setattr("burst.operations.cost.newest_job", lambda client, now: took)
    cost = _cost(farm, cloud, tmp_path)
    assert cost.found.is_up is True
    assert cost.found.nodes == {"cpu": 3}
    # 133.928 + 3 x 49.544, by 730
    assert round((cost.now.whole or 0) * 730, 6) == Decimal("282.56")
    assert round(cost.job_cost.whole or 0, 8) == Decimal("0.06786849")
    assert asked == [farm.place / "kubeconfig"]
    assert cloud.writes() == []


def test_a_manager_that_can_not_be_reached_costs_only_the_job(
    cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _make(cloud, farm)
    _start(cloud, 1)
    # Whoever has no kubectl reaches no farm.
    monkeypatch.setenv("PATH", str(tmp_path))
    cost = _cost(farm, cloud, tmp_path)
    assert cost.job is None
    assert cost.found.nodes == {"cpu": 1}
    assert cost.found.troubles == ("the manager does not answer: its newest job is not known",)


def test_a_manager_that_says_nothing_is_not_waited_for(
    cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _make(cloud, farm)
    _start(cloud, 1)
    silence = threading.Event()
    monkeypatch.setattr("burst.operations.cost._MANAGER_SECONDS", 0.1)
    monkeypatch.setattr("burst.operations.cost._job_of", lambda site, now: silence.wait(120))
    try:
        cost = _cost(farm, cloud, tmp_path)
    finally:
        silence.set()
    assert cost.job is None
    assert cost.found.nodes == {"cpu": 1}
    assert len(cost.found.troubles) == 1


def test_without_a_network_there_are_the_settings_and_the_prices_of_before(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _cost(farm, cloud, tmp_path)
    away = {
        f"GOOGLE_{name}_CUSTOM_ENDPOINT": "http://127.0.0.1:1/v1/"
        for name in ("ARTIFACT_REGISTRY", "CLOUD_BILLING", "COMPUTE", "CONTAINER", "STORAGE")
    }
    later = NOW + timedelta(days=3)
    cost = _cost(farm, cloud, tmp_path, later, **away)
    assert cost.found.is_up is None
    assert len(cost.found.troubles) == 2
    assert cost.now.whole is None
    assert cost.table.as_of == NOW
    assert "does not answer" in cost.table.problem
    assert cost.costs.hour_full.unknown == ("bucket", "images in the registry")


def test_a_farm_that_nobody_knows_has_no_cost(cloud: GoogleCloud, tmp_path: Path) -> None:
    farm = _farm(cloud, tmp_path)
    unknown = replace(farm, google=GoogleSettings(project=cloud.project))
    with pytest.raises(CloudNotFound, match=f"no farm burst in the project {cloud.project}"):
        _cost(unknown, cloud, tmp_path)
    nowhere = {"GOOGLE_STORAGE_CUSTOM_ENDPOINT": "http://127.0.0.1:1/storage/v1/"}
    with pytest.raises(CloudAway):
        _cost(unknown, cloud, tmp_path, **nowhere)


def test_a_bucket_that_is_a_strangers_is_not_read(cloud: GoogleCloud, tmp_path: Path) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _make(cloud, farm, **{"burst-farm": "another"})
    with pytest.raises(CloudConflict):
        _cost(farm, cloud, tmp_path)


def test_a_farm_of_another_burst_is_refused_and_not_guessed(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    farm = _farm(cloud, tmp_path, **POOLS)
    _make(cloud, farm, b'{"format": 999, "burst": "9.9"}')
    with pytest.raises(ConfigError, match=r"9\.9"):
        _cost(farm, cloud, tmp_path)
