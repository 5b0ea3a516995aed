"""What a worker may be told. Loading is tested with the loader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from burst.config.machine import available_cores
from burst.domain.workers import DeviceChoice
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


def test_a_worker_renders_on_the_cores_that_it_may_use() -> None:
    assert WorkerSettings().threads == available_cores()
    assert WorkerSettings(threads=3).threads == 3


@pytest.mark.parametrize("device", get_args(DeviceChoice))
def test_every_device_can_be_told(device: DeviceChoice) -> None:
    assert WorkerSettings(device=device).device == device
    assert WorkerSettings().device == "auto"


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": 0},
        {"device": "CUDA"},
        {"device": "tpu"},
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
