"""``burst video`` and job files as they are typed: what is refused before anything is started.

What they do with a farm is in ``tests/integration/test_video.py`` and ``test_job_files.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from burst.cli import console, video
from burst.cli.main import app
from burst.domain.commands import Codec


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def run(*arguments: str) -> int:
    return console.exit_status(app, arguments)


def test_every_codec_can_be_typed() -> None:
    assert get_args(video.CodecName) == get_args(Codec)


def test_a_video_of_no_job_is_refused(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("video", "last") == 1
    assert "no job was ever submitted" in capsys.readouterr().err
    assert not state_dir.exists()


@pytest.mark.parametrize("words", [("--fps", "0"), ("--fps", "-24"), ("--codec", "divx")])
def test_a_video_that_makes_no_sense_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run("video", "last", *words) == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("{}", ("--samples", "4"), "is a job file: it says itself what is to be done"),
        ("{}", (), "is no job file: name: Field required"),
        ('{"name": "x"}', (), "has neither frames nor commands"),
    ],
)
def test_a_job_file_that_makes_no_sense_starts_nothing(
    state_dir: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    words: tuple[str, ...],
    said: str,
) -> None:
    Path("job.json").write_text(content)
    assert run("submit", "job.json", "--local", *words) == 2
    assert said in capsys.readouterr().err
    assert not state_dir.exists()
