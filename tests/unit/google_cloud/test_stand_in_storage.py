"""Cloud Storage of the stand-in: buckets, versions, preconditions, uploads, and what is not empty.

Left out: what `strict_gcs` is for, contents that break off or change on their way.
"""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest

from tests.fakes.google_cloud import GoogleCloud

BUCKETS = "/storage/v1/b"
DATA = f"{BUCKETS}/farm-data"
OBJECTS = f"{DATA}/o"
CHUNK = 256 * 1024


def make(ask: Any, **more: Any) -> Any:
    """Make the bucket of these tests."""
    body = {"name": "farm-data", "location": "europe-west4", **more}
    return ask("POST", BUCKETS, body, project="proj-x")


def send(cloud: GoogleCloud, name: str, content: bytes, **query: str) -> tuple[int, dict[str, Any]]:
    """Upload an object in one piece."""
    answer = httpx.post(
        f"{cloud.url}/upload/storage/v1/b/farm-data/o",
        params={"uploadType": "media", "name": name, **query},
        content=content,
        headers={"Authorization": f"Bearer {cloud.token}"},
        trust_env=False,
    )
    return answer.status_code, answer.json()


def names(ask: Any, **query: str) -> list[str]:
    return [one["name"] for one in ask("GET", OBJECTS, **query).get("items", [])]


def test_a_bucket_is_shown_as_it_was_wanted_and_as_google_completes_it(ask: Any) -> None:
    rule = {"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["tmp/"]}}
    access = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
    make(
        ask, labels={"burst-farm": "farm"}, lifecycle={"rule": [rule]}, iamConfiguration=access,
        softDeletePolicy={"retentionDurationSeconds": "0"}, versioning={"enabled": True},
    )  # fmt: skip
    found = ask("GET", DATA)
    assert (found["location"], found["locationType"]) == ("EUROPE-WEST4", "region")
    assert found["lifecycle"] == {"rule": [rule]}
    assert found["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
    assert found["softDeletePolicy"]["retentionDurationSeconds"] == "0"
    assert ask("GET", BUCKETS, project="proj-x", prefix="farm")["items"] == [found]


def test_a_bucket_keeps_what_is_deleted_for_a_week_if_nothing_is_said(ask: Any) -> None:
    assert make(ask)["softDeletePolicy"]["retentionDurationSeconds"] == "604800"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Farm-data"},
        {"name": "fd"},
        {"name": "goog-data"},
        {"name": "farm-data", "location": "mars"},
        {"name": "farm-data", "labels": {"Farm": "x"}},
        {"name": "farm-data", "softDeletePolicy": {"retentionDurationSeconds": "60"}},
        {"name": "farm-data", "lifecycle": {"rule": [{"action": {"type": "Burn"}}]}},
        {"name": "farm-data", "lifecycle": {"rule": [{"action": {"type": "Delete"}}]}},
        {"name": "farm-data", "nonsense": True},
    ],
)
def test_a_bucket_that_can_not_be_is_refused(body: Any, cloud: GoogleCloud, ask: Any) -> None:
    assert ask.refused("POST", BUCKETS, body, project="proj-x")[0] == 400
    assert cloud.everything() == {}


def test_a_name_may_be_ours_already_or_somebody_elses(cloud: GoogleCloud, ask: Any) -> None:
    make(ask)
    body = {"name": "farm-data"}
    status, told = ask.refused("POST", BUCKETS, body, project="proj-x")
    assert (status, "you already own it" in told["error"]["message"]) == (409, True)
    cloud.foreign_buckets.add("taken")
    status, told = ask.refused("POST", BUCKETS, {"name": "taken"}, project="proj-x")
    assert (status, "not available" in told["error"]["message"]) == (409, True)
    assert ask.refused("GET", f"{BUCKETS}/taken")[0] == 403
    assert ask.refused("GET", f"{BUCKETS}/none")[0] == 404


def test_a_bucket_changes_only_for_who_has_seen_it(ask: Any) -> None:
    seen = make(ask)["metageneration"]
    ask("PATCH", DATA, {"labels": {"a": "b"}}, ifMetagenerationMatch=seen)
    assert ask.refused("PATCH", DATA, {"labels": {"c": "d"}}, ifMetagenerationMatch=seen)[0] == 412
    assert ask.refused("PATCH", DATA, {"location": "us-west1"})[0] == 400
    ask("PATCH", DATA, {"labels": {"a": None}})
    assert ask("GET", DATA)["labels"] == {}


def test_who_may_use_a_bucket(cloud: GoogleCloud, ask: Any) -> None:
    make(ask, iamConfiguration={"publicAccessPrevention": "enforced"})
    policy = ask("GET", f"{DATA}/iam", optionsRequestedPolicyVersion="3")
    policy["bindings"] = [{"role": "roles/storage.objectUser", "members": ["user:a@example.com"]}]
    ask("PUT", f"{DATA}/iam", policy)
    assert ask.refused("PUT", f"{DATA}/iam", policy)[0] == 409
    public = {"bindings": [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]}
    assert ask.refused("PUT", f"{DATA}/iam", public)[0] == 412
    assert cloud.everything()["bindings"] == [
        "b/farm-data roles/storage.objectUser user:a@example.com"
    ]
    ask("DELETE", DATA)
    assert cloud.everything() == {}


def test_a_bucket_with_anything_in_it_is_not_deleted(cloud: GoogleCloud, ask: Any) -> None:
    make(ask, versioning={"enabled": True})
    send(cloud, "a", b"1")
    ask("DELETE", f"{OBJECTS}/a")
    assert names(ask) == []
    status, told = ask.refused("DELETE", DATA)
    assert (status, "not empty" in told["error"]["message"]) == (409, True)
    (old,) = ask("GET", OBJECTS, versions="true")["items"]
    assert "timeDeleted" in old
    ask("DELETE", f"{OBJECTS}/a", generation=old["generation"])
    ask("DELETE", DATA)


def test_a_lock_is_taken_once_and_given_back_by_its_owner(cloud: GoogleCloud, ask: Any) -> None:
    make(ask)
    status, mine = send(cloud, "farm/default.tflock", b"me", ifGenerationMatch="0")
    assert status == 200
    assert send(cloud, "farm/default.tflock", b"you", ifGenerationMatch="0")[0] == 412
    lock = f"{OBJECTS}/farm%2Fdefault.tflock"
    assert ask.refused("DELETE", lock, ifGenerationMatch="1")[0] == 412
    ask("DELETE", lock, ifGenerationMatch=mine["generation"])
    assert ask.refused("GET", lock)[0] == 404


def test_an_object_that_is_written_again_is_another_generation(
    cloud: GoogleCloud, ask: Any
) -> None:
    make(ask, versioning={"enabled": True})
    first, second = (send(cloud, "a", content)[1] for content in (b"1", b"22"))
    assert int(second["generation"]) > int(first["generation"])
    assert ask("GET", f"{OBJECTS}/a")["size"] == "2"
    assert ask("GET", f"{OBJECTS}/a", generation=first["generation"])["size"] == "1"
    both = [one["generation"] for one in ask("GET", OBJECTS, versions="true")["items"]]
    assert both == [first["generation"], second["generation"]]


def test_listings_have_folders_and_pages(cloud: GoogleCloud, ask: Any) -> None:
    make(ask)
    for name in ("a", "b/1", "b/2", "c", "d/1"):
        send(cloud, name, b"")
    page = ask("GET", OBJECTS, delimiter="/")
    assert ([one["name"] for one in page["items"]], page["prefixes"]) == (
        ["a", "c"],
        ["b/", "d/"],
    )
    assert names(ask, prefix="b/") == ["b/1", "b/2"]
    assert names(ask, startOffset="b/2", endOffset="d") == ["b/2", "c"]
    found, token = [], {}
    for _ in itertools.count():
        page = ask("GET", OBJECTS, maxResults="2", fields="items/name,nextPageToken", **token)
        found += page["items"]
        if "nextPageToken" not in page:
            break
        token = {"pageToken": page["nextPageToken"]}
    assert found == [{"name": name} for name in ("a", "b/1", "b/2", "c", "d/1")]


def test_an_upload_in_pieces_goes_on_where_it_was(cloud: GoogleCloud, ask: Any) -> None:
    make(ask)
    login = {"Authorization": f"Bearer {cloud.token}"}
    start = httpx.post(
        f"{cloud.url}/upload/storage/v1/b/farm-data/o",
        params={"uploadType": "resumable", "name": "big"},
        json={"contentType": "image/x-exr"},
        headers=login,
        trust_env=False,
    )
    where, whole = start.headers["Location"], 2 * CHUNK + 5

    def put(content: bytes, told: str) -> httpx.Response:
        headers = {**login, "Content-Range": f"bytes {told}"}
        return httpx.put(where, content=content, headers=headers, trust_env=False)

    assert put(b"x" * 7, "0-6/*").status_code == 400
    assert put(b"x" * CHUNK, f"0-{CHUNK - 1}/{whole}").headers["Range"] == f"bytes=0-{CHUNK - 1}"
    assert put(b"", f"*/{whole}").status_code == 308
    done = put(b"y" * (whole - CHUNK), f"{CHUNK}-{whole - 1}/{whole}")
    assert done.json()["size"] == str(whole)
    assert ask("GET", f"{OBJECTS}/big")["contentType"] == "image/x-exr"


def test_a_content_is_read_in_part_by_either_api(cloud: GoogleCloud, ask: Any) -> None:
    make(ask)
    send(cloud, "b/1.txt", b"0123456789")
    login = {"Authorization": f"Bearer {cloud.token}", "Range": "bytes=2-4"}
    for where in (f"{OBJECTS}/b%2F1.txt?alt=media", "/farm-data/b/1.txt"):
        answer = httpx.get(cloud.url + where, headers=login, trust_env=False)
        assert (answer.status_code, answer.content) == (206, b"234")
        assert answer.headers["X-Goog-Generation"]


def test_a_checksum_that_does_not_fit_is_refused(cloud: GoogleCloud, ask: Any) -> None:
    make(ask)
    answer = httpx.post(
        f"{cloud.url}/upload/storage/v1/b/farm-data/o",
        params={"uploadType": "media", "name": "a"},
        content=b"1",
        headers={"Authorization": f"Bearer {cloud.token}", "X-Goog-Hash": "crc32c=AAAAAA=="},
        trust_env=False,
    )
    assert answer.status_code == 400
    assert names(ask) == []


def test_objects_are_copied_and_put_together(cloud: GoogleCloud, ask: Any) -> None:
    make(ask)
    send(cloud, "a", b"1")
    send(cloud, "b", b"2")
    ask("POST", f"{OBJECTS}/a/rewriteTo/b/farm-data/o/c", {})
    parts = [{"name": name} for name in "abc"]
    made = ask("POST", f"{OBJECTS}/whole/compose", {"sourceObjects": parts})
    assert made["size"] == "3"
    wrong = [{"name": "a", "objectPreconditions": {"ifGenerationMatch": "1"}}]
    assert ask.refused("POST", f"{OBJECTS}/whole/compose", {"sourceObjects": wrong})[0] == 412
    assert ask.refused("POST", f"{OBJECTS}/x/compose", {"sourceObjects": []})[0] == 400


def test_an_upload_needs_its_own_path(ask: Any) -> None:
    make(ask)
    assert ask.refused("POST", OBJECTS, {"name": "a"})[0] == 400
