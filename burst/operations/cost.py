"""What a farm on Google Cloud costs now, and what its newest job came to.

Whatever can't be found out is unknown and said to be; nothing here fails a command whose figures
are for reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from burst.cloud.billing import prices
from burst.cloud.google_api import GoogleApi
from burst.cloud.state_bucket import LABEL
from burst.domain.amounts import Amount
from burst.domain.costs import (
    Costs,
    FarmShape,
    estimate,
    hour_now,
    time_cost,
)
from burst.errors import (
    BurstError,
    CloudAway,
    CloudConflict,
    CloudError,
    CloudNotFound,
    StorageError,
)
from burst.operations.connect import open_client
from burst.operations.google_farm import Site, as_made, reach_cluster
from burst.operations.reach import reach_farm
from burst.operations.tfvars import farm_shape
from burst.threads import start

if TYPE_CHECKING:
    from burst.config.google import GoogleFarm
    from burst.domain.prices import PriceTable
    from burst.protocol.artist_messages import JobView, TaskView
    from burst.protocol.client import ManagerClient

_Answer = TypeVar("_Answer")

_TRIES = 3
"""Of each question: whoever wants to read figures does not want to wait for minutes."""

_MANAGER_SECONDS = 10.0
"""For the manager, which is not there yet on a cluster that just was made."""

_MOST_PAGES = 50
"""Of a thousand objects each. To count the bytes of a larger bucket takes too long."""

_ALIVE = frozenset({"PROVISIONING", "STAGING", "RUNNING", "STOPPING", "REPAIRING"})
"""States of a machine in which it bills, or may."""

_LOCATION_LABEL = "goog-k8s-cluster-location"
"""On a machine, where its cluster is."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a farm is at Google."""

    farm: str
    project: str
    bucket: str
    """With its scenes and frames."""
    shape: FarmShape
    """As its settings have it; bytes are found out."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a farm has at the moment."""

    shape: FarmShape
    is_up: bool | None
    """The cluster is there; None if nobody could say."""
    nodes: Mapping[str, int] = field(default_factory=dict)
    """How many each pool has."""
    zones: int | None = None
    """How many DNS zones it has; None if nobody asked."""
    troubles: tuple[str, ...] = ()
    """Why something is not known."""


@dataclass(frozen=True, slots=True)
class JobTime:
    """The time that one job took of its workers."""

    job: JobView
    seconds: Mapping[str, float]
    """By worker pool."""


@dataclass(frozen=True, slots=True)
class FarmCost:
    """All that `burst cost` shows."""

    place: Place
    found: Found
    table: PriceTable
    costs: Costs
    now: Amount
    """An hour as the farm stands."""
    job: JobTime | None = None
    job_cost: Amount = field(default_factory=Amount)


def ask_cost(site: Site, folder: Path, now: datetime, *, currency: str = "USD") -> FarmCost:
    """Ask Google, and the manager if there is one, what a farm costs.

    Args:
        site: whom to ask about it. One that was made is what its state bucket says.
        folder: where prices are kept.
        now: the present.
        currency: of the figures.

    Raises:
        ConfigError: another version of burst made the farm.
        CloudConflict: its state bucket is somebody else's.
        CloudNotFound: neither its state bucket nor a setting says what it is.
        CloudError: only the state bucket could say that, and nobody tells.
    """
    site = replace(site, api=GoogleApi(site.environ, project=site.farm.project, tries=_TRIES))
    try:
        site, trouble = as_made(site) or site, ""
    except CloudConflict:
        raise
    except (CloudError, StorageError) as error:
        if not site.farm.zone:
            raise
        trouble = error.message
    if not site.farm.zone:
        raise CloudNotFound(
            f"there is no farm {site.farm.name} in the project {site.farm.project}",
            hint="name another one: --farm NAME, or see what it would cost: burst up --plan",
        )
    place = place_of(site.farm)
    found = look(site.api, place)
    asked = start(lambda: _job_of(site, now), "newest job") if found.is_up else None
    table = prices(site.api, folder, now, currency=currency)
    job = None
    if asked is not None:
        try:
            job = asked.result(_MANAGER_SECONDS)
        except (BurstError, TimeoutError):
            trouble = trouble or "the manager does not answer: its newest job is not known"
    troubles = (trouble, *found.troubles) if trouble else found.troubles
    return farm_cost(place, replace(found, troubles=tuple(dict.fromkeys(troubles))), table, job)


def place_of(farm: GoogleFarm) -> Place:
    """Return where a farm is and what it is made of, by its settings; it has no bytes yet."""
    shape = farm_shape(farm)
    volume = farm.settings.cluster.manager.get("volume")
    size = volume.get("size") if isinstance(volume, Mapping) else None
    told = re.fullmatch(r"(\d+)(Gi|Ti)", str(size or ""))
    if told is not None:
        shape = replace(shape, volume_gib=int(told[1]) * (1024 if told[2] == "Ti" else 1))
    return Place(farm.name, farm.project, farm.data_bucket, shape)


def farm_cost(
    place: Place, found: Found, table: PriceTable, job: JobTime | None = None
) -> FarmCost:
    """Return what a farm costs, of what was found out."""
    costs = estimate(found.shape, table)
    if found.is_up is None:
        now = Amount(unknown=("whether the cluster is there",))
    else:
        zones = found.shape.dns_zones if found.zones is None else found.zones
        standing = estimate(replace(found.shape, dns_zones=zones), table)
        now = hour_now(standing, found.nodes, is_up=found.is_up)
    spent = Amount() if job is None else time_cost(job.seconds, found.shape, table)
    return FarmCost(place, found, table, costs, now, job, spent)


def look(api: GoogleApi, place: Place) -> Found:
    """Ask Google what a farm has: its cluster, its nodes, its bytes."""
    troubles: list[str] = []
    is_away = False

    def known(question: Callable[[GoogleApi, Place], _Answer]) -> _Answer | None:
        nonlocal is_away
        # Who is away for one question is so for the next, and each would be waited for.
        if is_away:
            return None
        try:
            return question(api, place)
        except CloudError as error:
            is_away = isinstance(error, CloudAway)
            troubles.append(error.message)
            return None

    is_up = known(_is_up)
    nodes = known(_nodes) if is_up else {}
    shape = replace(place.shape, bytes_stored=known(_bytes_stored), image_bytes=known(_image_bytes))
    zones = known(_zones) if is_up is False else None
    # Of nodes that nobody could count the price of now is no sum.
    is_known = nodes is not None
    said = tuple(dict.fromkeys(troubles))
    return Found(shape, is_up if is_known else None, nodes or {}, zones, said)


def newest_job(client: ManagerClient, now: datetime) -> JobTime | None:
    """Return the time of the newest job, from the manager; None if there is none.

    Raises:
        ManagerError: it does not tell.
        ManagerUnreachable: it does not answer.
    """
    jobs = client.jobs()
    if not jobs:
        return None
    job = max(jobs, key=lambda job: job.created_at)
    return JobTime(job, worker_seconds(client.tasks(job.id), now))


def _job_of(site: Site, now: datetime) -> JobTime | None:
    settings = reach_cluster(site)
    if settings is None:
        return None
    with open_client(reach_farm(settings).console_url) as client:
        return newest_job(client, now)


def worker_seconds(tasks: tuple[TaskView, ...], now: datetime) -> dict[str, float]:
    """Return how long the attempts at some tasks took together, by worker pool.

    Those that failed took their time too; those under way have taken it until now.
    """
    seconds: dict[str, float] = {}
    for task in tasks:
        for attempt in task.attempts:
            # The autoscaler numbers the workers of a pool.
            pool = attempt.worker.rpartition("-")[0]
            took = ((attempt.ended_at or now) - attempt.started_at).total_seconds()
            seconds[pool] = seconds.get(pool, 0.0) + max(took, 0.0)
    return seconds


def _is_up(api: GoogleApi, place: Place) -> bool:
    path = f"projects/{place.project}/locations/{place.shape.zone}/clusters/{place.farm}"
    try:
        return bool(api.get("CONTAINER", path).get("status") != "STOPPING")
    except CloudNotFound:
        return False


def _nodes(api: GoogleApi, place: Place) -> dict[str, int]:
    """Count machines by the pool whose name GKE has put on them."""
    query = {"filter": f"labels.goog-k8s-cluster-name={place.farm}"}
    nodes: dict[str, int] = {}
    for page in api.pages("COMPUTE", f"projects/{place.project}/aggregated/instances", query):
        for scope in page.get("items", {}).values():
            for machine in scope.get("instances", []):
                labels = machine.get("labels", {})
                pool = labels.get("goog-k8s-node-pool-name", "")
                # A name is a cluster's in its zone alone: another one's nodes are not the farm's.
                is_own = labels.get(_LOCATION_LABEL, place.shape.zone) == place.shape.zone
                if is_own and machine.get("status") in _ALIVE:
                    nodes[pool] = nodes.get(pool, 0) + 1
    return nodes


def _bytes_stored(api: GoogleApi, place: Place) -> int | None:
    query = {"fields": "items/size,nextPageToken", "maxResults": "1000", "versions": "true"}
    total = 0
    try:
        for number, page in enumerate(api.pages("STORAGE", f"b/{place.bucket}/o", query)):
            if number == _MOST_PAGES:
                return None
            total += sum(int(item["size"]) for item in page.get("items", []))
    except CloudNotFound:
        return 0
    return total


def _image_bytes(api: GoogleApi, place: Place) -> int:
    path = f"projects/{place.project}/locations/{place.shape.region}/repositories/{place.farm}"
    try:
        return int(api.get("ARTIFACT_REGISTRY", path).get("sizeBytes") or 0)
    except CloudNotFound:
        return 0


def _zones(api: GoogleApi, place: Place) -> int:
    """Count DNS zones: they stay when the manager alone takes the cluster away."""
    pages = api.pages("DNS", f"projects/{place.project}/managedZones")
    return sum(
        zone.get("labels", {}).get(LABEL) == place.farm
        for page in pages
        for zone in page.get("managedZones", [])
    )
