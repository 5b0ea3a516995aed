"""A farm on Google Cloud whose burst.toml says something else than it was made with.

The command line itself, the real Terraform, a stand-in of Google Cloud.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.google_artist import FARM, REGION, ZONE, Artist, an_artist

OTHER_ZONE = f"{REGION}-b"


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Artist]:
    with an_artist(tmp_path, os.environ) as artist:
        made = artist.up()
        assert made.status == 0, made.words
        yield artist


def test_a_farm_that_is_up_is_not_moved(artist: Artist) -> None:
    artist.write(zone=OTHER_ZONE)
    writes = len(artist.cloud.writes())
    for arguments in ((), ("--plan",)):
        said = artist.up(*arguments)
        assert said.status == 1
        assert f"the farm {FARM} is in {ZONE}, and is not moved to {OTHER_ZONE}" in said.words
        assert "say zones in [pools.NAME]" in said.words
    assert len(artist.cloud.writes()) == writes

    # Machines in another zone are no move, and nor is a farm that is down.
    artist.write(f'zones = ["{OTHER_ZONE}"]')
    said = artist.up()
    assert said.status == 0, said.words
    assert artist.down().status == 0
    artist.write(zone=OTHER_ZONE)
    said = artist.up()
    assert said.status == 0, said.words
    assert artist.cloud.everything()["clusters"] == [FARM]


def test_a_farm_does_not_leave_its_scenes_behind(artist: Artist) -> None:
    assert artist.down().status == 0
    artist.write(zone="us-east1-b")
    said = artist.up()
    assert said.status == 1
    assert f"the scenes and frames of the farm {FARM} are in {REGION}" in said.words
    assert artist.cloud.everything().get("clusters", []) == []


def test_an_older_burst_changes_nothing_of_a_newer_ones_farm(artist: Artist) -> None:
    name = f"{artist.cloud.project}-{FARM}-state"
    newer = json.dumps({"format": 99, "burst": "9.9.9"}).encode()
    artist.cloud.plant("objects", {"bucket": name, "name": "farm.json", "content": newer})
    writes = len(artist.cloud.writes())
    said = artist.up()
    assert said.status == 2
    assert "made by burst 9.9.9" in said.words
    assert len(artist.cloud.writes()) == writes


def test_settings_in_the_bucket_that_can_not_be_read_are_written_anew(artist: Artist) -> None:
    name = f"{artist.cloud.project}-{FARM}-state"
    artist.cloud.plant("objects", {"bucket": name, "name": "farm.json", "content": b"{"})
    said = artist.up()
    assert said.status == 0, said.words
    said = artist.run("down", "--yes")
    assert said.status == 0, said.words
