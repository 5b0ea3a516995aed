"""What a manager in the background is given, and what its last words mean.

Starting and stopping real managers: tests/integration/test_cli_farm.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from burst.config.farm import FarmSettings
from burst.errors import FarmRunning, StateError
from burst.manager.state_dir import Address, bind_storage, held_state_dir, write_address
from burst.operations import local_farm
from burst.operations.local_farm import explain_death, manager_environment, stop_farm


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_ports_are_free_ones_unless_the_user_has_set_them(tmp_path: Path) -> None:
    settings = FarmSettings(state_dir=tmp_path / "state")
    mine = {"BURST_WORKER_LISTEN": "127.0.0.1:7777"}
    given = manager_environment(settings, mine, implicit=True)
    assert given["BURST_CONSOLE_LISTEN"] == "127.0.0.1:0"
    assert given["BURST_WORKER_LISTEN"] == "127.0.0.1:7777"


def test_ports_in_the_settings_file_are_not_overruled(tmp_path: Path) -> None:
    Path("burst.toml").write_text('[manager]\nconsole_listen = "127.0.0.1:9999"\n')
    given = manager_environment(FarmSettings(state_dir=tmp_path), {}, implicit=True)
    assert "BURST_CONSOLE_LISTEN" not in given
    assert given["BURST_WORKER_LISTEN"] == "127.0.0.1:0"


def test_only_a_farm_for_one_command_leaves_by_itself(tmp_path: Path) -> None:
    settings = FarmSettings(state_dir=tmp_path)
    name = "BURST_EXIT_WHEN_IDLE_SECONDS"
    assert name in manager_environment(settings, {}, implicit=True)
    assert name not in manager_environment(settings, {}, implicit=False)


def test_a_manager_gets_the_settings_of_the_command(tmp_path: Path) -> None:
    settings = FarmSettings(state_dir=tmp_path / "s", workers=3, blender="blender")
    programs = (Path("/opt/blender"), Path("/opt/bpy"))
    given = manager_environment(settings, {"HOME": "/home/me"}, False, programs)
    assert given["BURST_STATE_DIR"] == str(tmp_path / "s")
    assert given["BURST_STORAGE_URL"] == str(tmp_path / "s" / "storage")
    assert given["BURST_WORKERS"] == "3"
    assert given["BURST_BLENDER"] == "/opt/blender:/opt/bpy"
    assert given["HOME"] == "/home/me"


def test_a_farm_goes_on_with_the_storage_that_its_jobs_are_in(tmp_path: Path) -> None:
    bind_storage(tmp_path, "gs://farm")
    assert local_farm.storage_url(FarmSettings(state_dir=tmp_path)) == "gs://farm"
    settings = FarmSettings(state_dir=tmp_path, storage_url="gs://other")
    assert local_farm.storage_url(settings) == "gs://other"


def test_what_is_not_set_is_left_to_the_manager(tmp_path: Path) -> None:
    given = manager_environment(FarmSettings(state_dir=tmp_path), {}, implicit=True)
    assert not {"BURST_WORKERS", "BURST_BLENDER"} & set(given)


def test_a_managers_own_error_and_hint_are_passed_on() -> None:
    words = ["10:00:00 manager ready", "error: port 8080 is taken", "", "hint: use another"]
    assert explain_death(words) == ("port 8080 is taken", "use another")


def test_a_manager_that_died_in_another_way_is_quoted_by_its_last_lines() -> None:
    words = [f"line {number}" for number in range(30)]
    message, hint = explain_death(words)
    assert message.endswith("line 29")
    assert "line 3\n" not in message
    assert hint is None
    assert explain_death([])[0] == "it ended without a word"


def test_losing_the_race_for_the_directory_is_known_by_the_managers_words(tmp_path: Path) -> None:
    with (
        held_state_dir(tmp_path),
        pytest.raises(FarmRunning, match=local_farm.LOST_RACE),
        held_state_dir(tmp_path),
    ):
        pass


def test_stopping_a_farm_that_does_not_run_is_no_error(tmp_path: Path) -> None:
    assert stop_farm(tmp_path / "state") is None
    assert not (tmp_path / "state").exists()


def test_a_process_that_is_no_manager_is_never_stopped(tmp_path: Path) -> None:
    with held_state_dir(tmp_path):
        address = Address(pid=1, console_url="", worker_url="", version="", implicit=False)
        write_address(tmp_path, address)
        with pytest.raises(StateError, match="no manager"):
            stop_farm(tmp_path)


def test_a_state_directory_that_can_not_be_made_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = FarmSettings(state_dir=tmp_path / "file" / "state")
    with pytest.raises(StateError) as caught:
        local_farm.ensure_farm(settings, implicit=True)
    assert "--state-dir" in (caught.value.hint or "")


def test_the_child_imports_this_burst_and_nothing_from_the_artists_folder(tmp_path: Path) -> None:
    given = manager_environment(FarmSettings(state_dir=tmp_path), {}, implicit=True)
    roots = given.get("PYTHONPATH", "").split(":")
    assert str(Path(local_farm.__file__).parents[2]) in roots + sys.path
    assert str(tmp_path) not in roots
