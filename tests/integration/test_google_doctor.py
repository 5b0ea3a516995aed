"""`burst doctor` for a farm on Google Cloud, as the artist types it, against a stand-in.

Left out: each check by itself (test_doctor_cloud.py), and what is left of a farm that is gone
(test_google_faults.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.cloud.programs import pinned, this_platform
from burst.domain.cloud_needs import APIS
from tests.fakes.google_artist import FARM, REGION, Artist, an_artist
from tests.fakes.mirror_of_files import MirrorOfFiles


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Artist]:
    with an_artist(tmp_path, os.environ) as artist:
        artist.cloud.services.update(APIS)
        yield artist


def verdicts(output: str) -> dict[str, str]:
    """Return the worst verdict of each subject."""
    found: dict[str, str] = {}
    order = ("good", "warning", "bad")
    for one in json.loads(output)["findings"]:
        told = found.get(one["subject"], "good")
        found[one["subject"]] = max(told, one["verdict"], key=order.index)
    return found


def put(folder: Path, **said: str) -> str:
    """Make programs that say something, and return a path on which they come first."""
    folder.mkdir(exist_ok=True)
    for name, text in said.items():
        (folder / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (folder / name).chmod(0o755)
    return str(folder)


def path_with(artist: Artist, folder: str) -> str:
    return os.pathsep.join([folder, artist.environ["PATH"]])


def test_a_project_that_is_ready_has_nothing_bad(artist: Artist, tmp_path: Path) -> None:
    path = path_with(artist, put(tmp_path / "bin", helm="v3.21.4", kubectl="v1.36.3"))
    said = artist.run("doctor", "--json", PATH=path)
    found = verdicts(said.output)
    assert "bad" not in found.values(), said.output
    assert said.status == 0
    assert json.loads(said.output)["able"] is True
    cloud = {"clock", "login", "project", "billing", "APIs", "permissions", "region", "bucket"}
    assert cloud <= set(found)
    assert artist.cloud.writes() == []


def test_what_prevents_a_farm_is_told_with_what_mends_it(artist: Artist) -> None:
    artist.cloud.has_billing = False
    artist.cloud.quotas[REGION]["N2D_CPUS"] = 0
    said = artist.run("doctor")
    assert said.status == 1
    lines = " ".join(said.output.split())
    assert "FAIL billing no billing account pays for the project proj-x" in lines
    assert "hint: gcloud billing projects link proj-x" in lines
    assert "not one node of spot can start" in lines


def test_a_burst_toml_with_mistakes_is_not_asked_about(artist: Artist) -> None:
    artist.write('[pools.two]\nmaximum = "many"\n[google.x]\n')
    said = artist.run("doctor")
    assert said.status == 2
    assert "pools.two" in said.words
    assert artist.cloud.requests == []


def test_programs_that_are_old_are_fetched_from_the_mirror_that_is_set(
    artist: Artist, tmp_path: Path
) -> None:
    path = path_with(artist, put(tmp_path / "bin", helm="v2.17.0", kubectl="v1.36.3"))
    helm = pinned("helm", this_platform())
    with MirrorOfFiles() as mirror:
        at = helm.at(mirror.url).removeprefix(mirror.url)
        mirror.files[at] = b"something else"
        said = artist.run("doctor", "--fix", PATH=path, BURST_TOOLS_MIRROR=mirror.url)
        assert [asked for asked, _ in mirror.asked] == [at]
    assert said.status == 1
    # It is another file than the one whose sum is known, so it is not taken.
    assert "is not the file that burst knows" in said.words
    assert "2.17.0" in said.output


def test_a_program_that_was_fetched_is_the_one_that_is_used(artist: Artist, tmp_path: Path) -> None:
    path = path_with(artist, put(tmp_path / "bin", helm="v2.17.0", kubectl="v1.36.3"))
    cache = Path(artist.environ["XDG_CACHE_HOME"]) / "burst" / "programs"
    cache.mkdir(parents=True)
    put(cache / pinned("helm", this_platform()).folder, helm="v3.21.4")
    said = artist.run("doctor", "--json", PATH=path)
    assert verdicts(said.output)["helm"] == "good"


def test_of_a_farm_that_is_up_only_what_does_not_belong_is_left(artist: Artist) -> None:
    assert artist.up().status == 0
    whole = artist.run("doctor", "--leftovers")
    assert whole.status == 0, whole.output
    assert whole.output.startswith("0 left\n")
    artist.cloud.plant("addresses", {"name": f"{FARM}-ip", "region": REGION})
    said = artist.run("doctor", "--leftovers", "--json")
    assert said.status == 1
    told: dict[str, Any] = json.loads(said.output)
    assert [one["name"] for one in told["left"]] == [f"{FARM}-ip"]
    assert {one["name"] for one in told["kept"]} == {
        f"proj-x-{FARM}-state",
        f"proj-x-{FARM}-data",
    }
