"""A farm on Google Cloud in burst.toml: all mistakes at once, and settings that come back whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.config.cluster import ClusterFarm, ClusterSettings, PoolSettings
from burst.config.farm import FarmSettings
from burst.config.google import (
    GoogleFarm,
    GoogleSettings,
    forget,
    from_json,
    google_settings,
    mistakes,
    remember,
    remembered,
    to_json,
)
from burst.config.images import ImageSettings
from burst.config.lines import key_lines, line_of
from burst.config.mistakes import check_file
from burst.errors import ConfigError

TEN = """\
# ten mistakes
[framers]
[farm]
workers = -1
[google]
project = "P"
zone = "europe"
mirrors = 3
labels = { Team = "x" }
[pools.cpu]
machin = "n2d-standard-8"
zones = [
  "europe-west4",
]
maximum = "many"
[pools.gpu]
shutdown_seconds = 45
[pools.Bad_Name]
"""


def farm(**changes: object) -> GoogleFarm:
    google = GoogleSettings.model_validate(
        {"project": "studio-1", "zone": "europe-west4-a", **changes}
    )
    pools = {"cpu": PoolSettings(machine="n2d-standard-8", spot=True)}
    settings = ClusterFarm(
        **FarmSettings(state_dir=Path("/state")).model_dump(),
        cluster=ClusterSettings(farm="film"),
        pools=pools,
    )
    return GoogleFarm(settings, google, ImageSettings())


def changed(there: GoogleFarm, **changes: object) -> GoogleFarm:
    settings = there.settings.model_copy(update=changes)
    return GoogleFarm(settings, there.google, there.images)


def test_ten_mistakes_are_told_at_once_with_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "burst.toml"
    path.write_text(TEN)
    with pytest.raises(ConfigError) as caught:
        check_file({"BURST_CONFIG": str(path)}, ["cluster.farm: is too long"])
    head, *lines = caught.value.message.splitlines()
    assert head == f"{path} has 12 mistakes:"
    told = [line.strip().partition(": ") for line in lines]
    assert [(where, rest.partition(": ")[0]) for where, _, rest in told] == [
        ("cluster.farm", "is too long"),
        ("line 2", "framers"),
        ("line 4", "farm.workers"),
        ("line 6", "google.project"),
        ("line 7", "google.zone"),
        ("line 8", "google.mirrors"),
        ("line 9", "google.labels"),
        ("line 11", "pools.cpu.machin"),
        ("line 12", "pools.cpu.zones"),
        ("line 15", "pools.cpu.maximum"),
        ("line 17", "pools.gpu.shutdown_seconds"),
        ("line 18", "pools.Bad_Name"),
    ]


def test_what_google_would_refuse_is_told_with_the_rest_where_a_farm_is_to_be_made(
    tmp_path: Path,
) -> None:
    path = tmp_path / "burst.toml"
    path.write_text(
        '[google]\nproject = "studio-1"\nzone = "europe-west4-a"\nattempt_days = 0\n'
        '[pools.cpu]\nmachine = "c4a-standard-8"\nzones = ["us-east1-b"]\n[pools.odd]\nspot = 7\n'
        'labels = { "burst/pool" = "x" }\nmachine = 3\n[pools.none]\nminimum = 99\n'
    )
    environ = {"BURST_CONFIG": str(path)}
    with pytest.raises(ConfigError) as caught:
        check_file(environ, ["pools.cpu.zones: us-east1-b is not in europe-west4"],
                   is_to_be_made=True)  # fmt: skip
    told = [line.strip().partition(": ") for line in caught.value.message.splitlines()[1:]]
    assert [(where, rest.partition(": ")[0]) for where, _, rest in told] == [
        ("line 4", "google.attempt_days"),
        ("line 6", "pools.cpu.machine"),
        ("line 7", "pools.cpu.zones"),
        ("line 9", "pools.odd.spot"),
        ("line 10", "pools.odd.labels"),
        ("line 11", "pools.odd.machine"),
        ("line 12", "pools.none"),
        ("line 12", "pools.none.machine"),
    ]
    with pytest.raises(ConfigError, match="has 4 mistakes"):
        check_file(environ)
    path.write_text("[pools.cpu]\nmachine = 'c4a-standard-8'\n")
    check_file(environ, is_to_be_made=True)


def test_keys_that_do_not_fit_together_hide_no_other_mistake_and_none_hides_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "burst.toml"
    path.write_text(
        '[google]\nproject = "studio-1"\nzone = "europe-west4-a"\nregion = "us-east1"\n'
        'system_machine = "e2-micro"\nattempt_days = 0\n'
        '[pools.cpu]\nmachine = "c4a-standard-8"\nminimum = 9\nmaximum = 3\n'
        'shutdown_seconds = 120\ndisk_gib = 1\ndisk_type = "floppy"\n'
    )
    with pytest.raises(ConfigError) as caught:
        check_file({"BURST_CONFIG": str(path)}, is_to_be_made=True)
    told = [line.strip() for line in caught.value.message.splitlines()[1:]]
    assert [(line.split(": ")[0], line.split(": ")[1]) for line in told] == [
        ("line 1", "google"),
        ("line 5", "google.system_machine"),
        ("line 6", "google.attempt_days"),
        ("line 7", "pools.cpu"),
        ("line 8", "pools.cpu.machine"),
        ("line 12", "pools.cpu.disk_gib"),
        ("line 13", "pools.cpu.disk_type"),
    ]
    assert "zone europe-west4-a is not in region us-east1" in told[0]
    assert "shutdown_seconds is for spot machines: others are not taken back; minimum" in told[3]


def test_a_name_that_a_farm_can_not_have_is_told_with_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "burst.toml"
    path.write_text(
        '[google]\nproject = "studio-1"\nzone = "europe-west4-a"\nlabels = { burst-farm = "x" }\n'
        '[cluster]\nfarm = "a-film-about-the-google-office"\n'
    )
    with pytest.raises(ConfigError) as caught:
        check_file({"BURST_CONFIG": str(path)}, is_to_be_made=True)
    told = [line.strip().split(": ")[:2] for line in caught.value.message.splitlines()[1:]]
    assert told == [
        ["line 4", "google.labels"],
        ["line 6", "cluster.farm"],
        ["line 6", "cluster.farm"],
    ]


def test_one_mistake_is_one_sentence_and_none_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "burst.toml"
    path.write_text("\n[google]\nregion = 'europe'\n")
    with pytest.raises(ConfigError, match=r"line 3: google.region: 'europe' is no region"):
        check_file({"BURST_CONFIG": str(path)})
    path.write_text("[google]\nregion = 'europe-west4'\n[manager]\nwhatever = 'is its own'\n")
    check_file({"BURST_CONFIG": str(path)})
    check_file({"XDG_CONFIG_HOME": str(tmp_path / "none")})


def test_lines_are_found_through_all_that_toml_has() -> None:
    text = (
        'a.b = 1\n[t."x.y"]\nlong = """\n[no]\nno = 1\n"""\nlist = [\n  1, # [n]\n]\n'
        "[[many]]\nk = 1\n[[many]]\nk = 2\n"
    )
    lines = key_lines(text)
    assert lines[("a", "b")] == 1
    assert lines[("t", "x.y")] == 2
    assert lines[("t", "x.y", "long")] == 3
    assert lines[("t", "x.y", "list")] == 7
    assert lines[("many", "k")] == 11
    assert ("no",) not in lines
    assert line_of(("t", "x.y", "missing"), lines) == 2
    assert line_of(("nowhere",), lines) is None


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=9),
    )
)
def test_every_key_has_the_line_that_it_is_on(values: dict[str, str]) -> None:
    written = [f"{key} = {json.dumps(text, ensure_ascii=False)}" for key, text in values.items()]
    lines = key_lines("\r\n".join(["[google]", *written]))
    for number, key in enumerate(values, start=2):
        assert lines[("google", key)] == number


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (farm(project=None), "google.project: is missing"),
        (farm(zone=None, region="europe-west4"), "google.zone: is missing"),
        (changed(farm(), cluster=ClusterSettings(farm="a" * 24)), "longer than 23"),
        (changed(farm(), cluster=ClusterSettings(farm="google")), "is no name for a bucket"),
        (changed(farm(), storage_url="gs://other"), "has a bucket of its own"),
        (changed(farm(), pools={"system": PoolSettings(machine="x")}), "a pool of that name"),
        (changed(farm(), pools={"cpu": PoolSettings()}), "pools.cpu.machine: is missing"),
        (
            changed(farm(), pools={"cpu": PoolSettings(machine="x", zones=("us-east1-b",))}),
            "us-east1-b is not in europe-west4",
        ),
    ],
)
def test_what_keeps_a_farm_from_being_made_is_said_with_its_key(
    there: GoogleFarm, said: str
) -> None:
    assert mistakes(farm()) == []
    (found,) = [one for one in mistakes(there) if said in one]
    assert ": " in found


@pytest.mark.parametrize(
    "values",
    [
        {"zone": "europe-west4-a", "region": "us-east1"},
        {"ranges": {"machines": "10.0.0.0/8"}},
        {"poll_interval": "soon"},
        {"labels": {"Team": "x"}},
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"is (no|not|none)\b"):
        GoogleSettings.model_validate(values)


def test_names_follow_from_project_and_farm() -> None:
    there = farm()
    assert there.region == "europe-west4"
    assert there.state_bucket == "studio-1-film-state"
    assert there.with_storage().settings.storage_url == "gs://studio-1-film-data"
    assert there.registry == "europe-west4-docker.pkg.dev/studio-1/film"
    named = GoogleFarm(there.settings, there.google, ImageSettings(registry="docker.io/studio"))
    assert named.registry == "docker.io/studio"
    assert there.place == Path("/state/google/studio-1-film-state")


def test_settings_come_back_from_the_bucket_with_this_machines_own() -> None:
    there = changed(
        farm(labels={"team": "x"}, terraform="tofu"),
        pools={"gpu": PoolSettings(machine="g2-standard-8", values={"a": {"b": 1}})},
    )
    here = farm(project="studio-1", zone=None, terraform="/opt/terraform")
    came = from_json(to_json(there), here)
    assert came.google == there.google.model_copy(update={"terraform": "/opt/terraform"})
    assert came.settings.pools == there.settings.pools
    assert came.name == "film"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 1}', b"\xff"])
def test_what_can_not_be_read_in_the_bucket_is_said(content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"farm\.json in the state bucket can't be read"):
        from_json(content, farm())


def test_a_farm_of_a_newer_burst_is_not_touched() -> None:
    told = json.loads(to_json(farm()))
    newer = json.dumps({**told, "format": 2, "burst": "9.1"}).encode()
    with pytest.raises(ConfigError, match=r"made by burst 9\.1, this is"):
        from_json(newer, farm())


def test_without_a_project_there_is_no_farm_on_google(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert google_settings({}, environ) is None
    found = google_settings({}, {**environ, "BURST_PROJECT": "studio-1"})
    assert found is not None
    assert found.project == "studio-1"


def test_the_farm_that_was_made_last_is_remembered(tmp_path: Path) -> None:
    assert remembered(tmp_path / "state") is None
    remember(tmp_path / "state", "studio-1", "film")
    assert remembered(tmp_path / "state") == ("studio-1", "film")
    (tmp_path / "state" / "google.json").write_text("{}")
    assert remembered(tmp_path / "state") is None
    forget(tmp_path / "state")
    forget(tmp_path / "state")
