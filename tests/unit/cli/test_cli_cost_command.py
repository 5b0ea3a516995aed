"""``burst cost`` typed: whose farm it is, what it says where there is none, and its options.

Google Cloud is the stand-in; what is found there is in tests/unit/operations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.cli import console
from burst.cli.main import app
from tests.fakes.billing_catalogue import catalogue
from tests.fakes.google_cloud import GoogleCloud


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    with GoogleCloud() as cloud:
        cloud.prices = catalogue()
        for name, value in cloud.environ.items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def settings(cloud: GoogleCloud, tmp_path: Path) -> Path:
    file = tmp_path / "burst.toml"
    file.write_text(
        f'[google]\nproject = "{cloud.project}"\nzone = "europe-west4-a"\n'
        '[pools.cpu]\nmachine = "n2d-standard-8"\nspot = true\nmaximum = 10\n'
    )
    return file


def run(*arguments: str) -> int:
    return console.exit_status(app, arguments)


def test_the_farm_of_burst_toml_is_the_one_that_is_meant(
    cloud: GoogleCloud, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cost") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:2] == [
        f"farm:     burst, in europe-west4-a of {cloud.project}",
        "cluster:  not there",
    ]
    # 629.368 of tests/unit/operations/test_cost_of_a_farm.py, by 730
    assert "at full size:             0.862 an hour" in said.out.splitlines()
    assert said.err == ""
    assert cloud.writes() == []


def test_programs_get_json(
    cloud: GoogleCloud, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cost", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["project"] == cloud.project
    assert value["up"] is False
    assert value["month_zero"]["amount"] == 0.6
    assert value["currency"] == "USD"


def test_another_currency_is_asked_for_by_its_code(
    cloud: GoogleCloud, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cost", "--currency", "eur", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    # That catalogue has no prices in it.
    assert value["currency"] == "EUR"
    assert value["hour_full"]["amount"] is None
    assert "no prices in EUR" in value["problem"]
    asked = [one.query for one in cloud.requests if one.path.endswith("/skus")]
    assert {query["currencyCode"] for query in asked} == {"EUR"}


@pytest.mark.parametrize("currency", ["", "euro", "E1R", "../x"])
def test_what_is_no_currency_is_refused_before_anybody_is_asked(
    cloud: GoogleCloud, settings: Path, currency: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cost", "--currency", currency) == 2
    assert "is no currency" in capsys.readouterr().err
    assert cloud.requests == []


def test_without_a_farm_on_google_it_says_so_in_a_sentence(
    cloud: GoogleCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cost") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == (
        "error: no farm on Google Cloud is set up, and others cost nothing there"
    )
    assert "hint: name its project: --project ID" in said.err
    assert cloud.requests == []


def test_a_project_without_a_farm_of_that_name_is_told(
    cloud: GoogleCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cost", "--project", cloud.project, "--farm", "night") == 1
    error = capsys.readouterr().err
    assert f"there is no farm night in the project {cloud.project}" in error
