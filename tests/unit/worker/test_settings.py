"""What a worker may be told. Loading is tested with the loader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from burst.worker.settings import WorkerSettings


def test_a_worker_has_a_name_of_its_own_that_the_protocol_takes() -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", WorkerSettings().worker_name)


@pytest.mark.parametrize("name", ["", "-a", "UPPER", "a/b", "a" * 64, "ä", "a b"])
def test_names_that_are_no_path_or_host_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        WorkerSettings(worker_name=name)


def test_work_is_kept_in_the_named_folder_or_below_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert WorkerSettings(work_dir=tmp_path / "w").home == tmp_path / "w"
    home = WorkerSettings(worker_name="w1").home
    assert home == tmp_path / "burst" / "own-workers" / "w1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": 0},
        {"manager_away_seconds": 0},
        {"progress_seconds": -1},
        {"verify": "never"},
        {"log_level": "loud"},
        {"typo": 1},
    ],
)
def test_settings_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WorkerSettings.model_validate(wrong)
