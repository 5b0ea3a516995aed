"""The moving line of a transfer: what is on a terminal, and that elsewhere there is nothing."""

from __future__ import annotations

import io
import re

import pytest

from burst.cli import progress
from burst.cli.progress import collection_progress, upload_progress
from burst.scene.collection import CollectionProgress
from burst.scene.upload import UploadProgress


class Terminal(io.StringIO):
    """What a program writes to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0)
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0)
    return Terminal()


def test_a_terminal_shows_files_bytes_speed_and_what_is_left(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not in the fixture: pytest puts its own in place when the test begins.
    monkeypatch.setattr("sys.stderr", terminal)
    with upload_progress() as watch:
        watch(UploadProgress("hashing", 1, 3, 1_000, 3_000))
        watch(UploadProgress("sending", 0, 2, 0, 2_000_000))
        watch(UploadProgress("sending", 1, 2, 1_000_000, 2_000_000))
    shown = terminal.getvalue()
    assert "hashing 1 of 3 files, 1.0 kB of 3.0 kB" in shown
    assert re.search(r"sending 1 of 2 files, 1\.0 MB of 2\.0 MB, .*/s, .* left", shown)
    assert "\x1b[2K" in shown[shown.rindex("left") :], "it stays"


def test_a_collection_shows_what_is_freed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    with collection_progress() as watch:
        watch(CollectionProgress(2, 5, 7_000))
    assert "collecting 2 of 5 files, 7.0 kB freed" in terminal.getvalue()


def test_what_is_over_at_once_shows_nothing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 3600)
    monkeypatch.setattr("sys.stderr", terminal)
    with upload_progress() as watch:
        watch(UploadProgress("sending", 1, 2, 1, 2))
    assert terminal.getvalue() == ""


def test_without_a_terminal_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0)
    with upload_progress() as watch:
        watch(UploadProgress("sending", 1, 2, 1, 2))
    assert capsys.readouterr().err == ""
