"""Commands on a farm at an address: a fake manager, and no cluster.

A real manager with a token is in tests/integration.
"""

from __future__ import annotations

import json
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.cli import console
from burst.cli.main import app
from burst.cli.settings import cluster_farm, farm_settings, where_typed
from burst.config.cluster import Note, write_note
from burst.errors import ConfigError, ManagerUnreachable
from burst.operations.reach import storage_in_use
from burst.operations.watch import Touch
from tests.fakes.manager import FakeManager


def run(*arguments: str) -> int:
    return console.exit_status(app, arguments)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeManager]:
    fake = FakeManager("gs://show")
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BURST_CONSOLE_URL", f"{fake.url}/")
    monkeypatch.delenv("BURST_STORAGE_URL", raising=False)
    yield fake
    fake.stop()


def test_every_command_means_the_farm_at_the_address(
    manager: FakeManager, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("jobs", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == manager.job.id
    assert run("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["storage_url"] == "gs://show"
    assert run("status") == 0
    assert manager.url in capsys.readouterr().out
    assert run("console", "--no-browser") == 0
    assert capsys.readouterr().out.strip() == manager.url
    assert run("workers", "list", "--json") == 0


def test_it_goes_before_the_farm_that_was_put_on_a_cluster(
    manager: FakeManager, tmp_path: Path
) -> None:
    write_note(tmp_path / "state", Note("show", str(tmp_path / "kubeconfig"), "here", "studio"))
    assert farm_settings().console_url == manager.url
    assert cluster_farm().console_url is None


def test_local_means_this_machine_and_is_said_again(manager: FakeManager) -> None:
    here = farm_settings(local=True)
    assert here.is_local
    assert where_typed(here, None) == " --local"
    assert where_typed(farm_settings(), None) == ""


def test_nobody_is_started_where_the_farm_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BURST_CONSOLE_URL", "http://127.0.0.1:9")
    assert run("jobs", "list") == 1
    assert "127.0.0.1:9" in capsys.readouterr().err
    waits: list[float] = []
    touch = Touch(farm_settings(), "http://127.0.0.1:9", wait=waits.append)
    touch.make_again(lambda text: None)
    assert (touch.url, len(waits)) == ("http://127.0.0.1:9", 1)
    with pytest.raises(ManagerUnreachable):
        storage_in_use(farm_settings())


def test_its_storage_must_be_here_as_well(manager: FakeManager, tmp_path: Path) -> None:
    assert storage_in_use(farm_settings()) == "gs://show"
    manager.storage_url = str(tmp_path)
    assert storage_in_use(farm_settings()) == str(tmp_path)
    manager.storage_url = str(tmp_path / "not-here")
    with pytest.raises(ConfigError, match="this machine has not got"):
        storage_in_use(farm_settings())


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "http://", "ftp://x", "http://h/console"])
def test_what_is_no_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv("BURST_CONSOLE_URL", address)
    assert run("status") == 2
    assert "BURST_CONSOLE_URL" in capsys.readouterr().err


@pytest.mark.parametrize(("display", "opened"), [(":0", True), ("", False)])
def test_a_browser_opens_where_there_are_windows(
    manager: FakeManager, monkeypatch: pytest.MonkeyPatch, display: str, opened: bool
) -> None:
    opens: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opens.append)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("BROWSER", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    assert run("console") == 0
    assert opens == ([manager.url] if opened else [])
