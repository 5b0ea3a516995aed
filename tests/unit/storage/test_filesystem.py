"""One suite for looking around in a storage, bucket or directory, and what only a bucket has."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from burst.errors import ConfigError, StorageAway, StorageDenied, StorageError
from burst.storage.access import Access
from burst.storage.filesystem import open_files
from burst.storage.gcs_files import BucketFiles
from burst.storage.storage import open_storage
from tests.fakes.strict_gcs import CALLER, StrictGcs

NAMES = ("scenes/a/v1.json", "scenes/a/v2.json", "scenes/b #1/v3.json", "logs/j/job.jsonl")


@pytest.fixture(params=["bucket", "directory"])
def files(request: pytest.FixtureRequest, gcs: StrictGcs, tmp_path: Path) -> Any:
    url = "gs://farm" if request.param == "bucket" else str(tmp_path / "storage")
    storage = open_storage(url)
    for name in NAMES:
        storage.put_bytes(f"content of {name}".encode(), name)
    return open_files(url)


@pytest.fixture
def bucket(gcs: StrictGcs) -> Any:
    open_storage("gs://farm").put_bytes(b"x", "logs/x")
    gcs.requests.clear()
    return open_files("gs://farm")


def test_paths_are_names_in_the_storage(files: Any) -> None:
    assert {"logs", "scenes"} <= set(files.ls("", detail=False))
    assert sorted(files.ls("scenes", detail=False)) == ["scenes/a", "scenes/b #1"]
    assert sorted(files.ls("scenes/a/", detail=False)) == ["scenes/a/v1.json", "scenes/a/v2.json"]
    assert sorted(files.find("scenes")) == sorted(NAMES[:3])
    assert sorted(files.glob("scenes/*/v*.json")) == sorted(NAMES[:3])


def test_what_is_there_is_told_with_kind_size_and_time(files: Any) -> None:
    told = {one["name"]: one for one in files.ls("scenes/a", detail=True)}
    one = told["scenes/a/v1.json"]
    assert (one["type"], one["size"]) == ("file", len("content of scenes/a/v1.json"))
    assert abs(files.modified("scenes/a/v1.json").timestamp() - time.time()) < 60
    assert [one["type"] for one in files.ls("scenes", detail=True)] == ["directory"] * 2
    assert files.info("scenes")["type"] == files.info("")["type"] == "directory"
    assert files.isfile("logs/j/job.jsonl")
    assert files.isdir("logs/j")


def test_contents_are_read_whole_and_in_part(files: Any) -> None:
    assert files.cat_file("scenes/b #1/v3.json") == b"content of scenes/b #1/v3.json"
    with files.open("logs/j/job.jsonl") as file:
        file.seek(8)
        assert file.read(2) == b"of"


def test_what_is_not_there_is_not(files: Any) -> None:
    assert not files.exists("logs/none")
    for deed in (files.ls, files.cat_file, files.info):
        with pytest.raises(FileNotFoundError):
            deed("logs/none")


def test_nothing_is_remembered_of_a_listing(files: Any, gcs: StrictGcs, tmp_path: Path) -> None:
    assert not files.exists("logs/new")
    files.ls("logs")
    is_bucket = isinstance(files.fs, BucketFiles)
    storage = open_storage("gs://farm" if is_bucket else str(tmp_path / "storage"))
    storage.put_bytes(b"x", "logs/new")
    assert files.exists("logs/new")
    assert "logs/new" in files.ls("logs", detail=False)


def test_other_kinds_of_urls_are_refused() -> None:
    with pytest.raises(ConfigError, match="ftp://x is no storage"):
        open_files("ftp://x")
    with pytest.raises(ConfigError, match="is a folder of a bucket"):
        open_files("gs://farm/shots")


def test_a_long_listing_comes_in_pages(bucket: Any, gcs: StrictGcs) -> None:
    storage = open_storage("gs://farm")
    for number in range(7):
        storage.put_bytes(b"x", f"previews/{number}/x")
    gcs.page = 3
    assert len(bucket.ls("previews")) == 7
    assert len(bucket.find("previews")) == 7


def test_a_busy_bucket_is_asked_again_up_to_a_bound(
    bucket: Any, gcs: StrictGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcs.fail("list", status=503, times=2)
    gcs.fail("list", lost=True)
    assert bucket.ls("logs", detail=False) == ["logs/x"]
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.1)
    gcs.fail("list", status=503, times=10_000)
    with pytest.raises(StorageAway, match="too busy"):
        bucket.ls("logs")


def test_refusals_are_the_storage_s_own(bucket: Any, gcs: StrictGcs) -> None:
    gcs.denied = {"storage.objects.list"}
    with pytest.raises(StorageDenied, match=f"{CALLER} has no storage.objects.list on gs://farm"):
        bucket.ls("logs")
    gcs.denied = {"storage.objects.get"}
    with pytest.raises(StorageDenied, match=r"storage\.objects\.get"):
        bucket.cat_file("logs/x")
    del gcs.buckets["farm"]
    with pytest.raises(StorageError, match="there is no bucket farm"):
        bucket.ls("")


def test_the_bucket_is_not_asked_about_itself(bucket: Any, gcs: StrictGcs) -> None:
    # That takes a permission which who may read objects need not have.
    gcs.denied = {"storage.buckets.get"}
    bucket.ls("")
    bucket.find("")
    assert bucket.isdir("")
    assert {asked.operation for asked in gcs.requests} <= {"list", "look"}


def test_a_token_that_ends_before_its_time_is_renewed(
    gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_storage("gs://farm").put_bytes(b"x", "logs/x")
    gcs.token = "first"
    gcs.write_key(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    files = BucketFiles(Access("farm", gcs.endpoint))
    assert files.cat_file("farm/logs/x") == b"x"
    gcs.token = "second"
    assert files.cat_file("farm/logs/x") == b"x"
    gcs.token, gcs.has_revoked_keys = "third", True
    with pytest.raises(StorageDenied, match="is not taken"):
        files.cat_file("farm/logs/x")
