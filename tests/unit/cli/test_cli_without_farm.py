"""Commands while no farm runs and nothing was ever submitted: answered without starting one.

With a farm: tests/integration. What render refuses is in tests/unit/operations.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burst.cli import console
from burst.cli.main import app
from burst.config.load import variable


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def run(*arguments: str) -> int:
    return console.exit_status(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["status", "--local", "--json"], {"running": False}),
        (["down", "--local", "--json"], {"stopped": False, "killed": False}),
        (["jobs", "--json"], None),
        (["jobs", "list", "--json"], []),
        (["workers", "list", "--json"], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_listings_are_empty_and_nothing_is_made(
    state_dir: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    answer: object,
) -> None:
    status = run(*arguments)
    out = capsys.readouterr().out
    assert not state_dir.exists()
    if answer is None:
        assert status == 2
        return
    assert status == 0
    said = json.loads(out)
    if isinstance(said, dict):
        said.pop("state_dir", None)
    assert said == answer


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "show", "last"],
        ["jobs", "cancel", "x"],
        ["jobs", "delete", "x", "--yes"],
        ["watch", "last"],
        ["download", "last"],
        ["logs", "last"],
    ],
    ids=" ".join,
)
def test_a_job_is_not_there_and_nothing_is_made(
    state_dir: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(*arguments) == 1
    assert "no job was ever submitted" in capsys.readouterr().err
    assert not state_dir.exists()


@pytest.mark.parametrize("command", ["render", "submit"])
def test_without_local_the_command_says_that_no_farm_is_set_up(
    state_dir: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(command, "shot.blend") == 2
    text = capsys.readouterr().err
    assert "no cloud farm is set up" in text
    assert f"burst {command} shot.blend --local" in text
    assert not state_dir.exists()


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_the_farm_commands_want_local_too(state_dir: Path, command: str) -> None:
    assert run(command) == 2
    assert not state_dir.exists()


def test_requeue_takes_frames_or_what_failed_but_not_both(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("jobs", "requeue", "x", "--failed", "--frames", "1") == 2
    assert "exclude" in capsys.readouterr().err


def test_requeue_refuses_what_is_no_frame_range(state_dir: Path) -> None:
    assert run("jobs", "requeue", "x", "--frames", "5-1") == 2


def test_config_shows_where_each_value_came_from_and_masks_secrets(
    state_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_WORKER_TOKEN", "swordfish")
    Path("burst.toml").write_text("[farm]\nworkers = 3\n", encoding="utf-8")
    assert run("config", "--json") == 0
    out = capsys.readouterr().out
    assert "swordfish" not in out
    values = json.loads(out)
    assert values["farm"]["workers"]["value"] == 3
    assert values["farm"]["workers"]["from"].endswith("burst.toml")
    assert values["farm"]["state_dir"] == {"value": str(state_dir), "from": variable("state_dir")}
    assert values["manager"]["worker_token"]["from"] == "BURST_WORKER_TOKEN"
    assert run("config") == 0
    captured = capsys.readouterr()
    assert "swordfish" not in captured.out
    assert "farm.workers" in captured.out


def test_a_wrong_setting_is_named_with_its_source(
    state_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_WORKERS", "many")
    assert run("status", "--local") == 2
    assert "BURST_WORKERS" in capsys.readouterr().err
