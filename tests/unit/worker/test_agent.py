"""What a worker checks before it starts. A whole worker runs in the integration tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.errors import StateError
from burst.worker import agent


def test_a_work_folder_is_for_one_worker_and_its_scratch_is_cleared(tmp_path: Path) -> None:
    home = tmp_path / "w1"
    (home / "scratch" / "left").mkdir(parents=True)
    (home / "outbox").mkdir()
    (home / "outbox" / "1.json").write_text("{}")
    with agent._held_home(home):
        assert not (home / "scratch").exists()
        assert (home / "outbox" / "1.json").exists()
        with (
            pytest.raises(StateError, match="another worker uses") as caught,
            agent._held_home(home),
        ):
            raise AssertionError
        assert "BURST_WORK_DIR" in (caught.value.hint or "")
    with agent._held_home(home):
        assert home.exists()


def test_a_work_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="can't use"), agent._held_home(tmp_path / "file" / "w"):
        raise AssertionError
