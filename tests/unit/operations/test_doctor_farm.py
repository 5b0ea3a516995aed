"""The checks for the farm that burst.toml has, put together; and its leftovers while it is up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.config.cluster import ClusterFarm, ClusterSettings, PoolSettings
from burst.config.google import GoogleFarm, GoogleSettings
from burst.config.images import ImageSettings
from burst.domain.cloud_needs import APIS
from burst.operations.doctor import Finding
from burst.operations.doctor_farm import examine_farm, for_the_cloud, look_for_leftovers
from burst.operations.google_farm import open_site
from tests.fakes.google_cloud import GoogleCloud

REGION = "europe-west4"
ZONE = f"{REGION}-a"
LABELS = {"burst-farm": "film"}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    with GoogleCloud(operation_seconds=0.01) as cloud:
        cloud.services.update(APIS)
        for name, value in cloud.environ.items():
            monkeypatch.setenv(name, value)
        yield cloud


def farm(folder: Path, machine: str | None = "n2d-standard-8") -> GoogleFarm:
    settings = ClusterFarm(
        state_dir=folder,
        cluster=ClusterSettings(farm="film"),
        pools={"cpu": PoolSettings(machine=machine, spot=True, maximum=2)},
    )
    google = GoogleSettings(project="proj-x", zone=ZONE)
    return GoogleFarm(settings, google, ImageSettings())


def test_all_is_looked_at_for_the_farm_of_the_settings(cloud: GoogleCloud, tmp_path: Path) -> None:
    findings = examine_farm(farm(tmp_path), cloud.environ)
    assert [one for one in findings if one.verdict != "good"] == []
    texts = " ".join(one.text for one in findings)
    assert "proj-x-film-state" in texts
    assert "n2d-standard-8" in texts


def test_settings_that_make_no_sense_are_not_asked_about(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    [finding] = examine_farm(farm(tmp_path, machine=None), cloud.environ)
    assert (finding.subject, finding.verdict) == ("burst.toml", "bad")
    assert "pools.cpu.machine" in finding.text
    assert cloud.requests == []


def test_no_blender_here_is_no_harm_where_others_render() -> None:
    found = for_the_cloud(
        [
            Finding("blender", "bad", "there is none"),
            Finding("CYCLES", "bad", "it breaks", blender="5.0"),
            Finding("state", "bad", "can't be written"),
            Finding("python", "good", "3.11"),
        ]
    )
    assert [one.verdict for one in found] == ["warning", "warning", "bad", "good"]


def test_what_the_state_knows_of_is_no_leftover(cloud: GoogleCloud, tmp_path: Path) -> None:
    site = open_site(farm(tmp_path), cloud.environ)
    for name in ("film", "film-old"):
        cloud.plant("networks", {"name": name, "autoCreateSubnetworks": False})
    names = {one.name for one in look_for_leftovers(site).left}
    assert names == {"film", "film-old"}
    bucket = site.farm.state_bucket
    cloud.plant("buckets", {"name": bucket, "location": REGION, "labels": LABELS})
    network = {"id": "projects/proj-x/global/networks/film"}
    resource = {
        "mode": "managed",
        "type": "google_compute_network",
        "instances": [{"attributes": network}],
    }
    state = {"version": 4, "resources": [resource]}
    site.bucket.write("farm/default.tfstate", json.dumps(state).encode())
    found = look_for_leftovers(site)
    assert [one.name for one in found.left] == ["film-old"]
    assert [one.name for one in found.kept] == [bucket]
