"""What Google would refuse of pools, machines and ranges. Terraform's words of it: terraform/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from burst.config.cluster import PoolSettings
from burst.config.google_rules import (
    ARM,
    DISKS,
    HYPERDISK_ONLY,
    MOST_NODES,
    PRIVATE,
    RANGES,
    TOO_SMALL,
    WITHOUT_LOCAL_SSDS,
    gpus_of,
    only_on_google,
    pool_mistakes,
    range_mistakes,
    system_machine_mistakes,
)
from burst.domain.presets import PRESETS

TERRAFORM = Path(__file__).resolve().parents[3] / "terraform"
N2D = "n2d-standard-8"


def told(name: str = "cpu", farm: str = "film", **values: Any) -> list[str]:
    pool = PoolSettings.model_validate({"machine": N2D, **values})
    return list(pool_mistakes({name: pool}, region="europe-west4", farm=farm))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "system"}, "pools.system: the cluster has a pool of that name"),
        ({"name": "p" * 25, "farm": "f" * 23}, "more than 47 characters"),
        ({"maximum": 5001}, "cpu.maximum: a pool has at most 5000"),
        ({"machine": None}, "cpu.machine: is missing"),
        ({"machine": "N2D"}, "cpu.machine: 'N2D' is no machine type"),
        ({"machine": "c4a-standard-8"}, "cpu.machine: c4a-standard-8 is an Arm machine"),
        ({"machine": "n2d-custom-8-20480"}, "cpu.machine: burst has no figures"),
        ({"machine": "g2-standard-8", "gpus": 2}, "cpu.gpus: g2-standard-8 has 1 nvidia-l4"),
        ({"machine": "g2-standard-8", "gpu_type": "nvidia-tesla-t4"}, "cpu.gpu_type: g2-sta"),
        ({"gpus": 1}, "cpu.gpu_type: is missing"),
        ({"gpu_type": "nvidia-tesla-t4"}, "cpu.gpus: is missing"),
        ({"disk_type": "pd-extreme"}, "cpu.disk_type: 'pd-extreme' is none of"),
        ({"machine": "n4-standard-8", "disk_type": "pd-ssd"}, "takes hyperdisk-balanced only"),
        ({"machine": "e2-standard-8", "local_ssds": 1}, "cpu.local_ssds: e2-standard-8 takes none"),
        ({"zones": ["us-east1-b"]}, "cpu.zones: us-east1-b is not in europe-west4"),
        ({"zones": ["europe-west4-a"] * 2}, "cpu.zones: one of them stands there twice"),
        ({"labels": {"a b": ""}}, "cpu.labels: a b = '' is no label"),
        ({"labels": {"burst/pool": "x"}}, "cpu.labels: burst/pool is set by others"),
        ({"taints": [{"key": "a b"}]}, "cpu.taints: 'a b' is no key"),
    ],
)
def test_what_google_would_refuse_of_a_pool_is_one_sentence_with_its_key(
    values: dict[str, Any], said: str
) -> None:
    (found,) = told(**values)
    assert found.startswith("pools.")
    assert said in found


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "p" * 24, "farm": "f" * 23},
        {"machine": "n2d-custom-8-20480", "cores": 8, "memory": "16Gi"},
        {"machine": "g2-standard-8", "gpus": 1, "gpu_type": "nvidia-l4"},
        {"machine": "n1-standard-8", "gpus": 2, "gpu_type": "nvidia-tesla-t4"},
        {"machine": "n4-standard-8", "disk_type": "hyperdisk-balanced"},
        {"local_ssds": 2, "zones": ["europe-west4-b", "europe-west4-c"]},
        {"labels": {"studio/kind": "fast"}, "taints": [{"key": "studio/dear", "value": "yes"}]},
    ],
)
def test_what_google_takes_is_no_mistake(values: dict[str, Any]) -> None:
    assert told(**values) == []


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_no_preset_is_a_mistake(preset: Any) -> None:
    values = {"machine": preset.machine, "spot": preset.spot, "disk_type": preset.disk_type}
    assert told(preset.name, **values) == []


@pytest.mark.parametrize(
    ("machine", "gpus"),
    [
        ({"machine": "g2-standard-8"}, ("nvidia-l4", 1)),
        ({"machine": N2D}, ("", 0)),
        ({"machine": "n1-standard-8", "gpus": 2, "gpu_type": "t4"}, ("t4", 2)),
        ({"machine": "n1-standard-8", "gpus": 0, "gpu_type": "t4"}, ("", 0)),
    ],
)
def test_gpus_are_those_of_the_machine_or_what_is_said(
    machine: dict[str, Any], gpus: tuple[str, int]
) -> None:
    assert gpus_of(PoolSettings.model_validate(machine)) == gpus


def test_settings_of_machines_are_told_where_burst_makes_none() -> None:
    plain = PoolSettings(machine=N2D, spot=True, shutdown_seconds=120)
    own = PoolSettings(zones=("europe-west4-b",), disk_gib=100)
    assert only_on_google({"plain": plain, "own": own}) == ["pools.own.disk_gib", "pools.own.zones"]


@pytest.mark.parametrize("machine", ["e2-micro", "c4a-standard-2", "n4-standard-2", "Large"])
def test_a_machine_that_can_not_bear_the_manager_is_refused(machine: str) -> None:
    (found,) = system_machine_mistakes(machine)
    assert found.startswith("google.system_machine: ")
    assert list(system_machine_mistakes("e2-standard-2")) == []


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ({"pods": "10.64.0.1/14"}, "google.ranges.pods: '10.64.0.1/14' is no range"),
        ({"nodes": "8.8.0.0/20"}, "google.ranges.nodes: 8.8.0.0/20 is not within 10.0.0.0/8"),
        ({"nodes": "10.0.0.0"}, "google.ranges.nodes: 10.0.0.0 is not within"),
        ({"pods": "10.0.0.0/9"}, "google.ranges: nodes and pods overlap"),
    ],
)
def test_ranges_that_can_not_be_are_refused(ranges: dict[str, str], said: str) -> None:
    assert said in "\n".join(range_mistakes(ranges))
    assert list(range_mistakes({"pods": "192.168.0.0/16"})) == []


def test_the_rules_are_those_of_the_modules() -> None:
    pool = (TERRAFORM / "modules" / "node-pool" / "variables.tf").read_text("utf-8")
    for families in (ARM, HYPERDISK_ONLY, WITHOUT_LOCAL_SSDS):
        assert f"^({'|'.join(families)})-" in pool
    assert ", ".join(f'"{disk}"' for disk in DISKS) in pool
    assert f"var.pool.maximum <= {MOST_NODES} " in pool
    system = (TERRAFORM / "modules" / "cluster" / "variables.tf").read_text("utf-8")
    assert ", ".join(f'"{machine}"' for machine in TOO_SMALL) in system
    farm = (TERRAFORM / "farm" / "variables.tf").read_text("utf-8")
    assert all(one in farm for one in PRIVATE[:2])
    assert dict(re.findall(r"^    (\w+) = optional\(string, \"([\d./]+)\"\)", farm, re.M)) == RANGES
