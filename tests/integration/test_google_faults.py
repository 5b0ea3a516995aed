"""What goes wrong with a farm on Google Cloud: what the artist reads; and the next run goes on.

The command line itself, the real Terraform, a stand-in of Google Cloud. Left out: runs that are
killed (test_up_down_google.py), and what a farm lacks on Kubernetes.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.google_artist import FARM, REGION, ZONE, Artist, an_artist
from tests.fakes.google_cloud import FOREVER


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Artist]:
    with an_artist(tmp_path, os.environ) as artist:
        yield artist


def assert_done(artist: Artist) -> None:
    """The next run has nothing to complain of, and the one after it nothing to do."""
    artist.cloud.faults.clear()
    said = artist.up()
    assert said.status == 0, said.words
    assert artist.cloud.everything()["clusters"] == [FARM]
    assert artist.cloud.everything()["nodePools"] == ["spot", "system"]


# ── What Google refuses in the middle ────────────────────────────────────────────────


def test_quota_is_named_with_the_way_to_more_of_it(artist: Artist) -> None:
    artist.cloud.faults.quota(r"/clusters$")
    said = artist.up()
    assert said.status == 1
    assert 'resource "CPUS"' in said.words
    assert "console.cloud.google.com" in said.words
    assert_done(artist)


def test_a_stock_out_is_told_in_googles_words(artist: Artist) -> None:
    artist.cloud.faults.stock_out()
    said = artist.up()
    assert said.status == 1
    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in said.words
    assert_done(artist)


@pytest.mark.parametrize("what", ["too_many", "unavailable", "drop_poll"])
def test_what_passes_is_waited_for(artist: Artist, what: str) -> None:
    for path in (r"/clusters$", r"/networks$"):
        if what == "drop_poll":
            artist.cloud.faults.drop_poll(times=2)
        else:
            getattr(artist.cloud.faults, what)(path, times=2)
    said = artist.up()
    assert said.status == 0, said.words


def test_a_cluster_that_fails_in_the_middle_is_made_anew(artist: Artist) -> None:
    artist.cloud.faults.add("POST", r"/clusters$", failure="INTERNAL: the master did not come up")
    said = artist.up()
    assert said.status == 1
    assert "the master did not come up" in said.words
    assert_done(artist)


def test_what_no_answer_came_of_is_taken_over(artist: Artist) -> None:
    for path in (r"/clusters$", r"/networks$", r"/serviceAccounts$"):
        artist.cloud.faults.lose_answer(path)
    statuses = [artist.up().status for _ in range(3)]
    assert 0 in statuses, statuses
    assert_done(artist)


def test_a_right_that_is_lacking_is_named(artist: Artist) -> None:
    artist.cloud.denied.add("container.clusters.create")
    said = artist.up()
    assert said.status == 1
    assert "container.clusters.create" in said.words
    artist.cloud.denied.clear()
    assert_done(artist)


def test_a_network_that_is_cut_loses_nothing(artist: Artist) -> None:
    artist.cloud.faults.add(".*", r"container/v1", is_dropped=True, times=FOREVER, skip=3)
    said = artist.up()
    assert said.status == 1
    assert "network" in said.words
    assert_done(artist)


# ── What is wrong before ─────────────────────────────────────────────────────────────


def test_without_a_terminal_and_a_yes_nothing_is_asked_and_nothing_made(artist: Artist) -> None:
    said = artist.run("up", "--cluster-only")
    assert said.status == 2
    assert "--yes" in said.words
    assert artist.cloud.writes() == []


def test_a_plan_writes_nothing(artist: Artist) -> None:
    said = artist.run("up", "--plan")
    assert said.status == 0, said.words
    assert artist.cloud.writes() == []
    assert_done(artist)
    before = len(artist.cloud.writes())
    said = artist.run("up", "--plan")
    assert said.status == 0, said.words
    assert len(artist.cloud.writes()) == before


def test_there_is_no_login(artist: Artist) -> None:
    del artist.environ["GOOGLE_OAUTH_ACCESS_TOKEN"]
    said = artist.up()
    assert said.status == 1
    assert "gcloud auth application-default login" in said.words


def test_a_login_that_is_taken_no_more(artist: Artist) -> None:
    artist.environ["GOOGLE_OAUTH_ACCESS_TOKEN"] = "of yesterday"
    said = artist.up()
    assert said.status == 1
    assert "is not taken any more" in said.words
    assert artist.cloud.writes() == []


def test_a_project_that_is_not_there(artist: Artist) -> None:
    text = (artist.folder / "burst.toml").read_text("utf-8")
    (artist.folder / "burst.toml").write_text(text.replace("proj-x", "proj-y"), "utf-8")
    said = artist.up()
    assert said.status == 1
    assert "proj-y" in said.words


def test_billing_is_off(artist: Artist) -> None:
    artist.cloud.has_billing = False
    said = artist.up()
    assert said.status == 1
    assert "billing" in said.words
    assert artist.cloud.everything().get("clusters", []) == []
    artist.cloud.has_billing = True
    assert_done(artist)


def test_an_api_that_is_off_is_switched_on(artist: Artist) -> None:
    artist.cloud.services.discard("container.googleapis.com")
    said = artist.up()
    assert said.status == 0, said.words
    assert "container.googleapis.com" in artist.cloud.services


def test_a_bucket_of_somebody_elses_is_left_alone(artist: Artist) -> None:
    artist.cloud.foreign_buckets.add(f"{artist.cloud.project}-{FARM}-state")
    said = artist.up()
    assert said.status == 1
    assert "somebody else's" in said.words
    assert "another name" in said.words
    assert artist.cloud.writes() == []


def test_a_cluster_of_that_name_that_is_not_burst_s_is_left_alone(artist: Artist) -> None:
    network = f"projects/{artist.cloud.project}/global/networks/theirs"
    artist.cloud.plant("networks", {"name": "theirs", "autoCreateSubnetworks": False})
    part = {"name": "theirs", "network": network, "ipCidrRange": "10.9.0.0/20", "region": REGION}
    artist.cloud.plant("subnetworks", part)
    body = {"name": FARM, "zone": ZONE, "initialNodeCount": 1, "network": "theirs"}
    body["subnetwork"] = "theirs"
    artist.cloud.plant("clusters", body)
    said = artist.up()
    assert said.status == 1
    assert "not its own" in said.words or "already" in said.words
    assert artist.cloud.everything()["clusters"] == [FARM]


def test_what_has_no_labels_and_is_somebody_elses_is_neither_taken_nor_removed(
    artist: Artist,
) -> None:
    artist.cloud.plant("networks", {"name": FARM, "autoCreateSubnetworks": False})
    account = {"accountId": f"{FARM}-nodes", "displayName": "somebody else's"}
    artist.cloud.plant("serviceAccounts", account)
    before = artist.cloud.everything()
    said = artist.up()
    assert said.status == 1
    assert f"not its own: google_service_account {FARM}-nodes" in said.words or (
        f"not its own: google_compute_network {FARM}" in said.words
    )
    gone = artist.down()
    assert gone.status == 1
    assert "0 left" not in gone.words + gone.output
    assert "see whether it is the farm's" in gone.words + gone.output
    after = artist.cloud.everything()
    for kind in ("networks", "serviceAccounts"):
        assert set(before[kind]) <= set(after[kind])


def test_a_machine_type_that_the_zone_has_not(artist: Artist) -> None:
    artist.write(
        '[pools.huge]\nmachine = "c4d-standard-384"\ncores = 380\nmemory = "1400Gi"\nmaximum = 1\n'
    )
    artist.cloud.faults.refuse(
        "GET", r"/machineTypes/c4d-standard-384$", 404, "not found", times=FOREVER
    )
    said = artist.up()
    assert said.status == 1
    assert "c4d-standard-384" in said.words


def test_a_quota_of_none(artist: Artist) -> None:
    for name in artist.cloud.quotas[REGION]:
        artist.cloud.quotas[REGION][name] = 0
    said = artist.up()
    assert said.status == 1
    assert "quota" in said.words
    assert artist.cloud.everything().get("clusters", []) == []


def test_ten_mistakes_are_told_at_once_with_their_lines(artist: Artist) -> None:
    (artist.folder / "burst.toml").write_text(
        """[google]
project = "X"
zone = "mars"
colour = "red"
attempt_days = 0
[cluster]
farm = "Film"
[pools.a]
machine = 7
maximum = -1
[pools.b]
memory = "lots"
speed = 9
[pools.C]
machine = "n2d-standard-8"
""",
        "utf-8",
    )
    said = artist.up()
    assert said.status == 2
    for line, key in (
        (2, "project"), (3, "zone"), (4, "colour"), (5, "attempt_days"), (7, "farm"),
        (9, "machine"), (10, "maximum"), (12, "memory"), (13, "speed"), (14, "pools.C"),
    ):  # fmt: skip
        assert f"{line}" in said.words, said.words
        assert key in said.words, said.words
    assert artist.cloud.requests == []


def test_a_farm_of_another_version_is_not_touched(artist: Artist) -> None:
    assert_done(artist)
    name = f"{artist.cloud.project}-{FARM}-state"
    newer = json.dumps({"format": 99, "burst": "9.9.9"}).encode()
    artist.cloud.plant("objects", {"bucket": name, "name": "farm.json", "content": newer})
    before = len(artist.cloud.writes())
    said = artist.down()
    assert said.status == 2 or said.status == 1
    assert "9.9.9" in said.words
    assert len(artist.cloud.writes()) == before


def test_there_is_no_terraform(artist: Artist) -> None:
    said = artist.up(PATH=os.defpath)
    if said.status == 0:
        pytest.skip("there is a terraform in the system's own path")
    assert said.status == 1
    assert "burst doctor --fix" in said.words
    assert artist.cloud.writes() == []


def test_terraform_is_too_old(artist: Artist, tmp_path: Path) -> None:
    old = tmp_path / "old" / "terraform"
    old.parent.mkdir()
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.2.3"}\'\n', "utf-8")
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    said = artist.up(PATH=f"{old.parent}:{artist.environ['PATH']}")
    assert said.status == 1
    assert "1.2.3 is too old" in said.words
    assert artist.cloud.writes() == []


# ── What is left behind ──────────────────────────────────────────────────────────────


def test_what_somebody_planted_is_found_and_named(artist: Artist) -> None:
    assert_done(artist)
    mark = {"burst-farm": FARM}
    artist.cloud.plant(
        "disks", {"name": "pvc-1", "zone": f"{REGION}-a", "sizeGb": "10", "labels": mark}
    )
    artist.cloud.plant("addresses", {"name": f"{FARM}-ip", "region": REGION})
    artist.cloud.plant("networks", {"name": "theirs", "autoCreateSubnetworks": True})
    artist.cloud.plant("firewalls", {"name": f"{FARM}-hole", "network": "global/networks/theirs"})
    found = artist.run("doctor", "--leftovers")
    assert found.status == 1
    gone = artist.down()
    assert gone.status == 1
    for said in (found.words + found.output, gone.words + gone.output):
        for name in ("pvc-1", f"{FARM}-ip", f"{FARM}-hole"):
            assert name in said
        assert "gcloud compute disks delete pvc-1" in said
        assert "0 left" not in said


def test_a_farm_that_went_leaves_nothing(artist: Artist) -> None:
    assert_done(artist)
    gone = artist.down()
    assert gone.status == 0, gone.words
    assert "0 left" in gone.words + gone.output
    left = artist.cloud.everything()
    assert {kind for kind, names in left.items() if names} == {"buckets", "objects"}
    again = artist.down()
    assert again.status == 0, again.words


def test_the_default_pool_that_an_interrupted_run_left_is_removed(artist: Artist) -> None:
    assert_done(artist)
    artist.cloud.plant(
        "nodePools", {"name": "default-pool", "cluster": FARM, "initialNodeCount": 1}
    )
    said = artist.up()
    assert said.status == 0, said.words
    assert "removing default-pool" in said.words
    assert artist.cloud.everything()["nodePools"] == ["spot", "system"]
