"""Which farm on Google Cloud a command means. Nobody is asked; what it does: tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.cli.google import google_farm, site_to_make
from burst.cli.google_run import need_terminal
from burst.config.cluster import Note, write_note
from burst.config.google import GoogleFarm, remember
from burst.errors import ConfigError, UsageError

GOOGLE = '[google]\nproject = "studio-1"\nzone = "europe-west4-a"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with a state directory and no other settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    for name in ("BURST_PROJECT", "BURST_FARM", "BURST_KUBECONFIG", "BURST_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "burst.toml").write_text(text, "utf-8")


def found(*arguments: str, **typed: str) -> GoogleFarm:
    farm = google_farm(None, *arguments, **typed)
    assert farm is not None
    return farm


def test_without_a_project_none_is_meant(folder: Path) -> None:
    assert google_farm() is None
    write(folder, '[cluster]\nfarm = "film"\n')
    assert google_farm() is None


def test_the_file_says_which_and_what_is_typed_counts_more(folder: Path) -> None:
    write(folder, GOOGLE + '[cluster]\nfarm = "film"\n')
    assert (found().project, found().name, found().zone) == ("studio-1", "film", "europe-west4-a")
    typed = found("studio-2", farm="other", zone="us-east1-b")
    assert (typed.project, typed.name, typed.zone) == ("studio-2", "other", "us-east1-b")


def test_a_cluster_that_is_named_is_meant_unless_a_project_is_typed(folder: Path) -> None:
    write(folder, GOOGLE + '[cluster]\nkubeconfig = "/there"\n')
    assert google_farm() is None
    assert found("studio-1").settings.cluster.kubeconfig is None


def test_a_farm_that_was_made_is_remembered_with_its_name(folder: Path) -> None:
    remember(folder / "state", "studio-9", "film")
    assert (found().project, found().name) == ("studio-9", "film")
    assert found("studio-1").name == "burst"
    assert found(farm="other").name == "other"


def test_the_cluster_that_up_noted_is_not_one_that_somebody_named(folder: Path) -> None:
    write(folder, GOOGLE)
    write_note(folder / "state", Note("burst", "/state/kubeconfig", "burst-burst", "burst"))
    assert found().settings.cluster.kubeconfig is None


def test_a_farm_that_says_nothing_of_pools_gets_the_usual_one(folder: Path) -> None:
    write(folder, GOOGLE)
    (pool,) = found().settings.pools.values()
    assert (pool.machine, pool.spot) == ("n2d-standard-8", True)


def test_what_is_missing_and_what_is_wrong_is_told_together(folder: Path) -> None:
    write(folder, GOOGLE + '[farm]\nstorage_url = "gs://x"\n\n[pools.cpu]\ncores = 4\n')
    with pytest.raises(ConfigError) as caught:
        site_to_make(found())
    assert "line 5: farm.storage_url" in caught.value.message
    assert "line 7: pools.cpu.machine: is missing" in caught.value.message
    write(folder, "[google]\nproject = 3\n[pools.cpu]\nmaximum = -1\n")
    with pytest.raises(ConfigError, match=r"2 mistakes(?s:.*)line 2(?s:.*)line 4"):
        google_farm()


@pytest.mark.parametrize("command", ["burst up", "burst down"])
def test_who_can_not_be_asked_must_have_said_yes(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    need_terminal(yes=True, what=command)
    with pytest.raises(UsageError, match=f"{command} asks") as caught:
        need_terminal(yes=False, what=command)
    assert ("--plan" in str(caught.value.hint)) == (command == "burst up")
