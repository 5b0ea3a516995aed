"""What a farm costs as it is found at Google, and what its newest job came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from burst.config.cluster import ClusterFarm, ClusterSettings, PoolSettings
from burst.config.google import GoogleFarm, GoogleSettings
from burst.config.images import ImageSettings
from burst.domain.amounts import Amount
from burst.domain.costs import FarmShape, PoolShape
from burst.domain.prices import PriceTable, Rate, merge, read_skus
from burst.errors import CloudAway, CloudNotFound, ManagerUnreachable
from burst.operations.cost import (
    Found,
    JobTime,
    Place,
    farm_cost,
    look,
    newest_job,
    place_of,
    worker_seconds,
)
from burst.protocol.artist_messages import AttemptView, TaskView
from tests.fakes.billing_catalogue import NETHERLANDS, catalogue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHAPE = FarmShape(
    zone="europe-west4-a",
    region=NETHERLANDS,
    system_machine="e2-standard-2",
    pools=(PoolShape("cpu", "n2d-standard-8", spot=True, maximum=10),),
    dns_zones=1,
)
PLACE = Place("burst", "studio", "studio-burst-data", SHAPE)


def _table() -> PriceTable:
    rates: dict[str, dict[str, Rate]] = {}
    for service, skus in catalogue().items():
        merge(rates, read_skus(service, skus, "USD", NOW))
    return PriceTable("USD", rates, NOW)


TABLE = _table()


class Google:
    """Answers by path; an error is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "clusters": {"status": "RUNNING"},
            "instances": [{"items": {}}],
            "objects": [{}],
            "repositories": {},
            "managedZones": [{"managedZones": [{"labels": {"burst-farm": "burst"}}]}],
            **answers,
        }
        self.asked: list[str] = []

    def get(self, service: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        kind = path.split("/")[-2]
        return self._answer(kind, f"{service} {path}")

    def pages(
        self, service: str, path: str, query: Mapping[str, str] | None = None
    ) -> Iterator[Any]:
        kind = "objects" if path.endswith("/o") else path.rpartition("/")[2]
        yield from self._answer(kind, f"{service} {path}")

    def _answer(self, kind: str, asked: str) -> Any:
        self.asked.append(asked)
        answer = self.answers[kind]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _machine(pool: str, status: str = "RUNNING", of: str = "europe-west4-a") -> dict[str, Any]:
    labels = {"goog-k8s-node-pool-name": pool, "goog-k8s-cluster-location": of}
    return {"status": status, "labels": labels}


def test_what_is_there_is_counted_by_pool() -> None:
    scopes = {
        "zones/europe-west4-a": {
            "instances": [
                *([_machine("cpu")] * 2),
                _machine("system"),
                _machine("cpu", "TERMINATED"),
                # Of another cluster of this name.
                _machine("cpu", of="europe-west4"),
            ]
        },
        "zones/europe-west4-b": {"instances": [_machine("cpu", "STAGING")]},
        "zones/europe-west4-c": {"warning": {"code": "NO_RESULTS_ON_PAGE"}},
    }
    google = Google(
        instances=[{"items": scopes}, {}],
        objects=[{"items": [{"size": "100"}, {"size": "20"}]}, {"items": [{"size": "3"}]}],
        repositories={"sizeBytes": "4096"},
    )
    found = look(google, PLACE)
    assert found.is_up is True
    assert found.nodes == {"cpu": 3, "system": 1}
    assert (found.shape.bytes_stored, found.shape.image_bytes) == (123, 4096)
    assert found.troubles == ()
    # 135.728 of the farm of test_costs, without its bytes: 133.528, and 3 x 49.544, by 730
    now = farm_cost(PLACE, found, TABLE).now
    assert round(now.whole or 0, 5) == Decimal("0.38652")


def test_a_farm_that_is_gone_costs_its_bytes() -> None:
    google = Google(
        clusters=CloudNotFound("no cluster"),
        objects=[{"items": [{"size": str(100 * 2**30)}]}],
        repositories=CloudNotFound("no repository"),
    )
    found = look(google, PLACE)
    assert found.is_up is False
    assert not any("instances" in asked for asked in google.asked)
    assert found.zones == 1
    # (100 x 0.02 + 0.2) a month
    now = farm_cost(PLACE, found, TABLE).now
    assert round((now.whole or 0) * 730, 6) == Decimal("2.2")


def test_a_bucket_that_is_gone_has_no_bytes() -> None:
    assert look(Google(objects=CloudNotFound("no bucket")), PLACE).shape.bytes_stored == 0


def test_a_bucket_too_large_to_count_has_unknown_bytes() -> None:
    page = {"items": [{"size": "1"}]}
    assert look(Google(objects=[page] * 50), PLACE).shape.bytes_stored == 50
    found = look(Google(objects=[page] * 51), PLACE)
    assert found.shape.bytes_stored is None
    assert farm_cost(PLACE, found, TABLE).costs.month_zero.unknown == ("bucket",)


@pytest.mark.parametrize("kind", ["clusters", "instances"])
def test_while_google_is_away_what_it_costs_now_is_unknown(kind: str) -> None:
    found = look(Google(**{kind: CloudAway("Google Cloud did not answer")}), PLACE)
    assert found.is_up is None
    assert found.troubles == ("Google Cloud did not answer",)
    now = farm_cost(PLACE, found, TABLE).now
    assert now == Amount(unknown=("whether the cluster is there",))


def test_bytes_that_nobody_may_see_are_unknown_and_the_rest_is_not() -> None:
    away = CloudAway("Google Cloud did not answer")
    found = look(Google(objects=away, repositories=away), PLACE)
    assert found.is_up is True
    assert (found.shape.bytes_stored, found.shape.image_bytes) == (None, None)
    assert found.troubles == ("Google Cloud did not answer",)
    now = farm_cost(PLACE, found, TABLE).now
    assert now.unknown == ("bucket", "images in the registry")
    assert now.known > 0


def _attempt(worker: str, begin: int, end: int | None) -> AttemptView:
    return AttemptView.model_construct(
        worker=worker,
        started_at=NOW - timedelta(seconds=begin),
        ended_at=None if end is None else NOW - timedelta(seconds=end),
    )


def _task(*attempts: AttemptView) -> TaskView:
    return TaskView.model_construct(attempts=attempts)


def test_a_job_took_all_that_its_attempts_took() -> None:
    tasks = (
        _task(_attempt("cpu-1", 100, 70), _attempt("cpu-12", 70, 10)),
        _task(_attempt("gpu-l4-3", 50, None)),
        # The clocks of two machines differ.
        _task(_attempt("cpu-2", -5, 0)),
    )
    assert worker_seconds(tasks, NOW) == {"cpu": 90.0, "gpu-l4": 50.0}


class Manager:
    """Answers with jobs and their tasks."""

    def __init__(self, *jobs: Any) -> None:
        self._jobs = jobs

    def jobs(self) -> tuple[Any, ...]:
        if self._jobs and isinstance(self._jobs[0], Exception):
            raise self._jobs[0]
        return self._jobs

    def tasks(self, job: str) -> tuple[TaskView, ...]:
        return (_task(_attempt(f"{job}-1", 60, 0)),)


def _job(name: str, age: int) -> Any:
    from burst.protocol.artist_messages import JobView

    return JobView.model_construct(id=name, name=name, created_at=NOW - timedelta(hours=age))


def test_the_newest_job_is_the_one_that_was_made_last() -> None:
    found = newest_job(Manager(_job("old", 3), _job("new", 1), _job("older", 7)), NOW)
    assert found is not None
    assert found.job.id == "new"
    assert found.seconds == {"new": 60.0}


def test_without_jobs_there_is_no_newest_one() -> None:
    assert newest_job(Manager(), NOW) is None
    with pytest.raises(ManagerUnreachable):
        newest_job(Manager(ManagerUnreachable("away")), NOW)


def test_a_job_costs_the_time_of_its_workers() -> None:
    job = JobTime(_job("a", 1), {"cpu": 3600.0})
    found = Found(SHAPE, is_up=True)
    cost = farm_cost(PLACE, found, TABLE, job)
    # 0.0528 + 11 / 730
    assert round(cost.job_cost.whole or 0, 8) == Decimal("0.06786849")
    elsewhere = replace(job, seconds={"local": 3600.0})
    assert farm_cost(PLACE, found, TABLE, elsewhere).job_cost.unknown == ("pool local",)


def _farm(**changes: Any) -> GoogleFarm:
    cluster = ClusterSettings(farm="burst", **changes)
    pools = {
        "cpu": PoolSettings(machine="n2d-standard-8", spot=True, maximum=7, minimum=2),
        "gpu": PoolSettings(
            machine="n1-standard-8",
            maximum=3,
            gpu_type="nvidia-tesla-t4",
            gpus=2,
            disk_gib=200,
            disk_type="pd-ssd",
            local_ssds=1,
        ),
    }
    settings = ClusterFarm(cluster=cluster, pools=pools)
    google = GoogleSettings(
        project="studio-1234", zone="europe-west4-a", system_machine="e2-standard-4"
    )
    return GoogleFarm(settings, google, ImageSettings())


def test_a_shape_is_what_the_settings_say() -> None:
    place = place_of(_farm())
    assert (place.farm, place.project) == ("burst", "studio-1234")
    assert place.bucket == "studio-1234-burst-data"
    assert place.shape == FarmShape(
        zone="europe-west4-a",
        region=NETHERLANDS,
        system_machine="e2-standard-4",
        pools=(
            PoolShape("cpu", "n2d-standard-8", spot=True, maximum=7, minimum=2),
            PoolShape(
                "gpu",
                "n1-standard-8",
                spot=False,
                maximum=3,
                gpu_type="nvidia-tesla-t4",
                gpus=2,
                disk_gib=200,
                disk_type="pd-ssd",
                local_ssds=1,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("manager", "gib"),
    [
        ({}, 10),
        ({"volume": {"size": "64Gi"}}, 64),
        ({"volume": {"size": "1Ti"}}, 1024),
        ({"volume": {"keep": True}}, 10),
    ],
)
def test_the_managers_volume_is_as_large_as_its_chart_was_told(manager: Any, gib: int) -> None:
    assert place_of(_farm(manager=manager)).shape.volume_gib == gib
