"""The state bucket: made once, refused where it is somebody else's, gone with all its versions.

Left out here: Terraform's own objects in it (tests/integration/test_terraform_runs.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from burst.cloud.google_api import GoogleApi
from burst.cloud.state_bucket import StateBucket, Wanted, ensure_bucket, judge, remove_bucket
from burst.errors import CloudConflict
from burst.storage.access import Access
from tests.fakes.google_cloud import GoogleCloud

WANTED = Wanted("film-dune-state", "film-project", "europe-west4", "dune", {"team": "films"})
GOOD: dict[str, Any] = {
    "projectNumber": "7",
    "labels": {"burst-farm": "dune"},
    "versioning": {"enabled": True},
    "iamConfiguration": {
        "uniformBucketLevelAccess": {"enabled": True, "lockedTime": "later"},
        "publicAccessPrevention": "enforced",
    },
}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    monkeypatch.setattr(Access, "first_pause_seconds", 0.001)
    with GoogleCloud(project=WANTED.project) as cloud:
        for name, value in cloud.environ.items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def api(cloud: GoogleCloud) -> GoogleApi:
    return GoogleApi(cloud.environ, project=WANTED.project, pause=lambda seconds: None)


def number(api: GoogleApi) -> str:
    return str(api.get("RESOURCE_MANAGER", f"projects/{WANTED.project}")["projectNumber"])


def test_it_is_made_once_guarded_and_labelled(cloud: GoogleCloud, api: GoogleApi) -> None:
    assert ensure_bucket(api, WANTED, number(api))
    assert not ensure_bucket(api, WANTED, number(api))
    assert len(cloud.writes()) == 1
    made = api.get("STORAGE", f"b/{WANTED.name}")
    assert made["versioning"] == {"enabled": True}
    assert made["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert made["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is True
    assert made["labels"] == {"burst-farm": "dune", "team": "films"}
    assert made["location"].lower() == WANTED.region
    condition = made["lifecycle"]["rule"][0]["condition"]
    assert condition == {"daysSinceNoncurrentTime": 30, "numNewerVersions": 20}


def test_one_that_was_opened_is_closed_again(cloud: GoogleCloud, api: GoogleApi) -> None:
    ensure_bucket(api, WANTED, number(api))
    api.patch("STORAGE", f"b/{WANTED.name}", {"versioning": {"enabled": False}})
    assert not ensure_bucket(api, WANTED, number(api))
    assert api.get("STORAGE", f"b/{WANTED.name}")["versioning"] == {"enabled": True}


def test_a_strangers_bucket_of_that_name_is_refused(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.foreign_buckets.add(WANTED.name)
    with pytest.raises(CloudConflict, match="the bucket film-dune-state is somebody else's") as bad:
        ensure_bucket(api, WANTED, number(api))
    assert "another name in burst.toml" in str(bad.value.hint)


def test_a_lost_answer_to_its_making_is_no_trouble(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.faults.lose_answer(r"/b$")
    ensure_bucket(api, WANTED, number(api))
    assert api.get("STORAGE", f"b/{WANTED.name}")["labels"]["burst-farm"] == "dune"


def test_all_versions_go_with_it(cloud: GoogleCloud, api: GoogleApi) -> None:
    ensure_bucket(api, WANTED, number(api))
    bucket = StateBucket(WANTED.name, cloud.environ)
    for content in (b"one", b"two"):
        bucket.write("farm/a state.json", content)
    bucket.write("gone", b"x")
    bucket.remove("gone")
    remove_bucket(api, WANTED.name)
    assert WANTED.name not in str(cloud.everything())
    remove_bucket(api, WANTED.name)


def test_of_two_who_find_nothing_one_writes(cloud: GoogleCloud, api: GoogleApi) -> None:
    ensure_bucket(api, WANTED, number(api))
    bucket = StateBucket(WANTED.name, cloud.environ)
    assert bucket.read("run.json") is None
    first = bucket.replace("run.json", b"mine")
    assert first
    assert bucket.replace("run.json", b"yours") is None
    assert bucket.look("run.json") == (b"mine", first)
    second = bucket.replace("run.json", b"yours", first)
    assert second
    assert bucket.replace("run.json", b"theirs", first) is None
    bucket.remove("run.json", first)
    bucket.remove("never")
    assert bucket.read("run.json") == b"yours"
    bucket.remove("run.json", second)
    assert bucket.read("run.json") is None


def test_a_lock_whose_answer_was_lost_is_held(cloud: GoogleCloud, api: GoogleApi) -> None:
    ensure_bucket(api, WANTED, number(api))
    bucket = StateBucket(WANTED.name, cloud.environ)
    cloud.faults.lose_answer(r"/upload/.*/o$")
    generation = bucket.replace("run.json", b"mine")
    assert bucket.look("run.json") == (b"mine", generation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"projectNumber": "8"}, r"in somebody else's project \(number 8\)"),
        ({"labels": {"burst-farm": "other"}}, "exists already, of the farm other"),
        ({"labels": None}, "exists already, without the label burst-farm"),
    ],
)
def test_what_is_not_the_farms_own_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CloudConflict, match=message):
        judge({**GOOD, **changes}, WANTED, "7")


@pytest.mark.parametrize(
    ("changes", "mended"),
    [
        ({}, set()),
        ({"versioning": None}, {"versioning"}),
        (
            {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}},
            {"iamConfiguration"},
        ),
    ],
)
def test_what_is_open_is_mended(changes: dict[str, Any], mended: set[str]) -> None:
    assert set(judge({**GOOD, **changes}, WANTED, "7")) == mended
