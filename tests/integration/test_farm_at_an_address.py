"""Commands on a farm at an address that asks for a token: a real manager, and no workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.cli import console
from burst.cli.main import app
from tests.fakes.real_manager import RealManager

TOKEN = "of-artists"


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealManager]:
    farm = RealManager(tmp_path, BURST_CONSOLE_TOKEN=TOKEN)
    farm.start()
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "artist"))
    monkeypatch.setenv("BURST_CONSOLE_URL", farm.address.console_url)
    yield farm
    farm.stop()


def test_commands_show_the_token(
    farm: RealManager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.exit_status(app, ["status"]) == 1
    said = capsys.readouterr().err
    assert "the console token is missing or wrong" in said
    assert "hint: give it as BURST_CONSOLE_TOKEN" in said
    monkeypatch.setenv("BURST_CONSOLE_TOKEN", TOKEN)
    assert console.exit_status(app, ["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["storage_url"] == str(farm.folder / "storage")
