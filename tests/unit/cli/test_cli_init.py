"""``burst init``: by options, by asking on a terminal, and what it refuses."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

PATIENCE_SECONDS = 120


def _init(
    folder: Path, *arguments: str, answers: bytes | None = None, environ: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """Run it; with answers on a terminal, else without one."""
    command = [sys.executable, "-P", "-m", "burst", "init", *arguments]
    own = {**os.environ, "HOME": str(folder), **environ}
    if answers is None:
        return subprocess.run(
            command, cwd=folder, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answers)
        return subprocess.run(
            command, cwd=folder, env=own, stdin=theirs, capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)


def _written(folder: Path) -> dict[str, object]:
    return tomllib.loads((folder / "burst.toml").read_text("utf-8"))


def test_options_are_enough(tmp_path: Path) -> None:
    done = _init(tmp_path, "--project", "studio-1", "--zone", "us-east1-b", "--pool", "gpu-l4")
    assert done.returncode == 0, done.stderr
    assert "burst up --plan" in done.stderr
    assert _written(tmp_path)["cluster"] == {"farm": "burst"}
    assert list(_written(tmp_path)["pools"]) == ["gpu-l4"]  # type: ignore[call-overload]


def test_a_region_is_as_good_as_a_zone_of_it(tmp_path: Path) -> None:
    done = _init(tmp_path, "--project", "studio-1", "--region", "us-east1")
    assert done.returncode == 0, done.stderr
    assert _written(tmp_path)["google"] == {"project": "studio-1", "zone": "us-east1-b"}


def test_a_zone_of_another_region_is_refused(tmp_path: Path) -> None:
    where = ("--region", "us-east1", "--zone", "us-east4-a")
    done = _init(tmp_path, "--project", "studio-1", *where)
    assert done.returncode == 2
    assert "zone us-east4-a is not in region us-east1" in done.stderr
    assert not (tmp_path / "burst.toml").exists()


def test_on_a_terminal_it_asks_until_the_answer_makes_sense(tmp_path: Path) -> None:
    answers = b"Nope\n\nus-east\nus-east1-c\nFilm\nfilm\nmany\ncpu-large gpu-l4\n"
    done = _init(tmp_path, answers=answers, environ={"GOOGLE_CLOUD_PROJECT": "studio-2"})
    assert done.returncode == 0, done.stderr
    assert "'Nope' is no id of a project" in done.stderr
    assert "'us-east' is no region, such as europe-west4, and no zone" in done.stderr
    assert "'Film' is no name" in done.stderr
    assert "there is no pool 'many'" in done.stderr
    told = _written(tmp_path)
    assert told["google"] == {"project": "studio-2", "zone": "us-east1-c"}
    assert list(told["pools"]) == ["cpu-large", "gpu-l4"]  # type: ignore[call-overload]


def test_who_stops_answering_has_written_nothing(tmp_path: Path) -> None:
    done = _init(tmp_path, answers=b"studio-1\n\x04")
    assert done.returncode == 1
    assert "nothing was written" in done.stderr
    assert not (tmp_path / "burst.toml").exists()


def test_without_a_terminal_it_does_not_ask(tmp_path: Path) -> None:
    done = _init(tmp_path, "--project", "studio-1")
    assert done.returncode == 2
    assert "--zone" in done.stderr


def test_a_burst_toml_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "burst.toml").write_text("# mine\n")
    done = _init(tmp_path, "--project", "studio-1", "--zone", "us-east1-b")
    assert done.returncode == 2
    assert (tmp_path / "burst.toml").read_text() == "# mine\n"
