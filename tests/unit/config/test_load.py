"""Where settings come from, and how wrong ones are named. The programs' own are shown too."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.config.cluster import ClusterSettings
from burst.config.farm import FarmSettings
from burst.config.load import config_file, load, variable, variables
from burst.errors import ConfigError
from burst.manager.settings import ManagerSettings
from burst.worker.settings import WorkerSettings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder and an empty home."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def _environ(folder: Path, **values: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder / "config"), **values}


def _write(folder: Path, text: str) -> Path:
    path = folder / "here" / "burst.toml"
    path.write_text(text)
    return path


def test_without_anything_everything_is_default(folder: Path) -> None:
    loaded = load(FarmSettings, environ=_environ(folder))
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.settings.workers is None


def test_file_then_environment_then_option(folder: Path) -> None:
    path = _write(folder, '[farm]\nworkers = 1\nblender = "from file"\nstorage_url = "f"\n')
    environ = _environ(folder, BURST_WORKERS="2", BURST_BLENDER="from environment")
    loaded = load(FarmSettings, {"workers": 3, "blender": None}, environ)
    assert loaded.settings.workers == 3
    assert loaded.settings.blender == "from environment"
    assert loaded.settings.storage_url == "f"
    assert loaded.sources["workers"] == "--workers"
    assert loaded.sources["blender"] == "BURST_BLENDER"
    assert loaded.sources["storage_url"] == str(path)
    assert loaded.sources["state_dir"] == "default"


def test_an_empty_variable_is_not_set(folder: Path) -> None:
    assert load(FarmSettings, environ=_environ(folder, BURST_WORKERS="")).settings.workers is None


def test_every_program_reads_its_own_table(folder: Path) -> None:
    _write(folder, "[farm]\nworkers = 1\n[manager]\nworkers = 2\n[worker]\nthreads = 3\n")
    environ = _environ(folder)
    assert load(FarmSettings, environ=environ).settings.workers == 1
    assert load(ManagerSettings, environ=environ).settings.workers == 2
    assert load(WorkerSettings, environ=environ).settings.threads == 3


def test_all_errors_are_named_at_once_with_their_sources(folder: Path) -> None:
    path = _write(folder, "[manager]\ntypo = 1\nlease_seconds = 0\n")
    environ = _environ(folder, BURST_LOG_LEVEL="loud")
    with pytest.raises(ConfigError) as caught:
        load(ManagerSettings, {"console_listen": "nowhere"}, environ)
    message = caught.value.message
    assert f"typo ({path})" in message
    assert f"lease_seconds ({path})" in message
    assert "log_level (BURST_LOG_LEVEL)" in message
    assert "console_listen (--console-listen): 'nowhere' is not host:port" in message


def test_a_rule_over_several_settings_is_said_as_a_sentence(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(ManagerSettings, environ=_environ(folder, BURST_CONSOLE_LISTEN="0.0.0.0:1"))
    assert caught.value.message.startswith("console_listen 0.0.0.0:1 is not on the loopback")


def test_unknown_tables_are_refused(folder: Path) -> None:
    _write(folder, "[framers]\nx = 1\n[farm]\n")
    with pytest.raises(ConfigError, match="unknown framers") as caught:
        load(FarmSettings, environ=_environ(folder))
    assert caught.value.hint == "tables are farm, manager, worker, google, cluster, pools, images"


@pytest.mark.parametrize("text", ["not toml", "farm = 3", "\0", "[farm\n"])
def test_a_file_that_makes_no_sense_is_an_error(folder: Path, text: str) -> None:
    path = _write(folder, text)
    with pytest.raises(ConfigError, match=str(path)):
        load(FarmSettings, environ=_environ(folder))


def test_the_file_is_the_named_one_or_this_folders_or_the_users(folder: Path) -> None:
    environ = _environ(folder)
    assert config_file(environ) is None
    users = folder / "config" / "burst" / "burst.toml"
    users.parent.mkdir(parents=True)
    users.touch()
    assert config_file(environ) == users
    here = _write(folder, "")
    assert config_file(environ) == here
    named = folder / "named.toml"
    named.touch()
    assert config_file({**environ, "BURST_CONFIG": str(named)}) == named
    with pytest.raises(ConfigError, match="is not there"):
        config_file({**environ, "BURST_CONFIG": str(folder / "none.toml")})


def test_secrets_are_masked_and_never_in_an_error(folder: Path) -> None:
    environ = _environ(folder, BURST_WORKER_TOKEN="s3cret", BURST_THREADS="none")
    with pytest.raises(ConfigError) as caught:
        load(WorkerSettings, environ=environ)
    assert "s3cret" not in str(caught.value)
    made = load(WorkerSettings, environ=_environ(folder, BURST_WORKER_TOKEN="s3cret")).settings
    assert "s3cret" not in repr(made)
    assert made.worker_token is not None
    assert made.worker_token.get_secret_value() == "s3cret"


def test_every_field_of_every_program_says_what_it_means() -> None:
    for model in (FarmSettings, ManagerSettings, WorkerSettings):
        for name, field in model.model_fields.items():
            assert field.description, (model, name)
            assert variable(name) == f"BURST_{name.upper()}"


def test_a_table_has_no_variable(folder: Path) -> None:
    environ = _environ(folder, BURST_WORKER="whatever somebody calls so")
    assert load(ClusterSettings, environ=environ).settings.worker == {}
    assert "worker" not in variables(ClusterSettings)
    assert variables(ClusterSettings)["context"] == "BURST_CONTEXT"
