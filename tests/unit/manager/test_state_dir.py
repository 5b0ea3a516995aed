"""The manager's state directory: one manager at a time, and where it was.

The lock is taken by this process on files that are opened anew, which is to the kernel what
another process would be.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.errors import FarmRunning, StateError, StateVersionError
from burst.manager import state_dir
from burst.manager.state_dir import Address, held_state_dir

ADDRESS = Address(
    pid=1, console_url="http://c:1", worker_url="http://w:2", version="3", implicit=True
)


def test_only_one_manager_holds_a_directory(tmp_path: Path) -> None:
    with held_state_dir(tmp_path):
        with pytest.raises(FarmRunning), held_state_dir(tmp_path):
            raise AssertionError("held twice")
        assert state_dir.is_locked(state_dir.lock_path(tmp_path))
    assert not state_dir.is_locked(state_dir.lock_path(tmp_path))
    with held_state_dir(tmp_path):
        assert state_dir.is_locked(state_dir.lock_path(tmp_path))


def test_a_directory_is_free_again_after_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held_state_dir(tmp_path):
        raise ZeroDivisionError
    assert not state_dir.is_locked(state_dir.lock_path(tmp_path))


def test_a_look_at_the_lock_does_not_keep_a_manager_out(tmp_path: Path) -> None:
    lock = state_dir.lock_path(tmp_path)
    assert not state_dir.is_locked(lock)
    with held_state_dir(tmp_path):
        pass
    assert not state_dir.is_locked(lock)
    with held_state_dir(tmp_path):
        assert state_dir.is_locked(lock)


def test_a_directory_is_made_with_what_a_manager_needs(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with held_state_dir(folder):
        assert state_dir.logs_path(folder).is_dir()
        assert state_dir.workers_path(folder).is_dir()
        state_dir.check_version(folder)


def test_an_address_is_true_while_the_lock_is_held(tmp_path: Path) -> None:
    with held_state_dir(tmp_path):
        assert state_dir.find_manager(tmp_path) is None
        state_dir.write_address(tmp_path, ADDRESS)
        assert state_dir.find_manager(tmp_path) == ADDRESS
    assert state_dir.find_manager(tmp_path) is None
    assert state_dir.last_address(tmp_path) == ADDRESS


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_damaged_address_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manager.json").write_text(text)
    assert state_dir.last_address(tmp_path) is None


def test_a_directory_of_another_format_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("99\n")
    with pytest.raises(StateVersionError, match="format 99"), held_state_dir(tmp_path):
        raise AssertionError("held")
    assert [path.name for path in tmp_path.iterdir()] == ["version"]


def test_a_directory_that_can_not_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError), held_state_dir(tmp_path / "file" / "farm"):
        raise AssertionError("held")
    with pytest.raises(StateError):
        state_dir.is_locked(tmp_path / "file" / "farm" / "manager.lock")


def test_jobs_stay_with_the_storage_that_has_their_files(tmp_path: Path) -> None:
    state_dir.check_storage(tmp_path, "gs://farm")
    assert state_dir.bound_storage(tmp_path) is None
    state_dir.bind_storage(tmp_path, "gs://farm")
    state_dir.check_storage(tmp_path, "gs://farm")
    assert state_dir.bound_storage(tmp_path) == "gs://farm"
    with pytest.raises(StateError, match="scenes and frames in gs://farm, not in /elsewhere"):
        state_dir.check_storage(tmp_path, "/elsewhere")


def test_the_own_storage_moves_with_the_directory(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    state_dir.bind_storage(tmp_path / "old", str(tmp_path / "old" / "storage"))
    (tmp_path / "old").rename(tmp_path / "new")
    assert state_dir.bound_storage(tmp_path / "new") == str(tmp_path / "new" / "storage")
