"""A first burst.toml, and that a farm can be made of it. How it is asked for: test_cli_init."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from burst.config.mistakes import check_file
from burst.domain.machines import machine_type
from burst.domain.presets import PRESETS, USUAL
from burst.errors import BurstError, ConfigError, UsageError
from burst.operations.init import Wishes, burst_toml, find_zone, preset_lines, write_new

ROOT = Path(__file__).resolve().parents[3]
WISHES = Wishes("studio-1", "europe-west4-a", "film", ("cpu-small", "gpu-l4", "cpu-small"))


def test_what_is_written_is_what_was_wished_and_has_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "burst.toml"
    write_new(path, burst_toml(WISHES))
    check_file({"BURST_CONFIG": str(path)})
    told = tomllib.loads(path.read_text("utf-8"))
    assert told["google"] == {"project": "studio-1", "zone": "europe-west4-a"}
    assert told["cluster"] == {"farm": "film"}
    assert list(told["pools"]) == ["cpu-small", "gpu-l4"]
    assert told["pools"]["gpu-l4"]["machine"] == "g2-standard-8"


def test_every_setting_has_a_word_about_it() -> None:
    lines = burst_toml(WISHES).splitlines()
    tables = [number for number, line in enumerate(lines) if line.startswith("[pools.")]
    assert all(lines[number - 1].startswith("# ") for number in tables)
    for name in ("project", "zone", "farm", "spot", "maximum"):
        number = next(n for n, line in enumerate(lines) if line.startswith(f"{name} = "))
        assert lines[number - 1].startswith("# ")


def test_other_zones_that_it_tells_of_are_those_of_the_region() -> None:
    assert '# zones = ["europe-west4-a", "europe-west4-b"]' in burst_toml(WISHES)
    of_b = Wishes("studio-1", "us-east1-b", "film", ("cpu-small",))
    assert '# zones = ["us-east1-b", "us-east1-c"]' in burst_toml(of_b)


def test_what_it_only_tells_of_is_no_mistake_either(tmp_path: Path) -> None:
    path = tmp_path / "burst.toml"
    told = re.sub(r"^# (\w+ = )", r"\1", burst_toml(WISHES), flags=re.MULTILINE)
    path.write_text(told)
    check_file({"BURST_CONFIG": str(path)}, is_to_be_made=True)
    assert tomllib.loads(told)["pools"]["cpu-small"]["longest_life_seconds"] == 86400


@pytest.mark.parametrize(
    ("place", "zone"), [("europe-west4", "europe-west4-b"), ("us-east1-d", "us-east1-d")]
)
def test_a_region_means_a_zone_that_it_has(place: str, zone: str) -> None:
    assert find_zone(place) == zone


def test_neither_region_nor_zone_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="'europe' is no region, such as europe-west4, and no zone"
    ):
        find_zone("europe")


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "burst.toml"
    path.write_text("# mine\n")
    with pytest.raises(UsageError, match="stays as it is"):
        write_new(path, "other")
    assert path.read_text() == "# mine\n"


def test_a_disk_without_room_leaves_no_half_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, path = Path.open, tmp_path / "burst.toml"

    def full(which: Path, *how: Any, **more: Any) -> Any:
        # What is written finds no room, once the file is there.
        plain(which, *how, **more).close()
        return plain(Path("/dev/full"), "w", encoding="utf-8")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(ConfigError, match="No space left on device"):
            write_new(path, "text")
    assert not path.exists()


def test_a_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        write_new(tmp_path / "gone" / "burst.toml", "text")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"project": "X"}, "project: 'X' is no id"),
        ({"zone": "europe"}, "zone: 'europe' is no zone"),
        ({"farm": "Film"}, "farm: 'Film' is no name"),
        ({"farm": "a" * 24}, "longer than 23"),
        ({"pools": ("cpu",)}, "there is no pool 'cpu'"),
        ({"project": 'a"\n[x]'}, "is no id of a project"),
    ],
)
def test_what_can_not_be_is_refused(changes: dict[str, object], said: str) -> None:
    wishes = {name: getattr(WISHES, name) for name in ("project", "zone", "farm", "pools")}
    with pytest.raises(BurstError, match=said):
        burst_toml(Wishes(**{**wishes, **changes}))


def test_every_preset_has_a_machine_with_figures_and_a_reason() -> None:
    assert USUAL in PRESETS
    for name, line in zip(PRESETS, preset_lines(), strict=True):
        preset = PRESETS[name]
        assert machine_type(preset.machine).vcpus <= 32
        assert name in line
        assert preset.reason in line
        assert ("gpu" in name) == bool(machine_type(preset.machine).gpus)


def test_help_and_guide_know_every_preset() -> None:
    guide = (ROOT / "docs" / "guides" / "google-cloud.md").read_text("utf-8")
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    named = next(line for line in reference.splitlines() if line.startswith("| `--pool` `NAME`"))
    told = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+) \|", guide, flags=re.MULTILINE))
    assert list(told) == list(PRESETS)
    for name, preset in PRESETS.items():
        machine = machine_type(preset.machine)
        assert f"{machine.vcpus} cores, {machine.memory_gib:g} GiB" in told[name]
        assert ("spot" in told[name]) == preset.spot
        assert name in named
