"""What the roots of Terraform are told of a farm. That Terraform takes it: tests/integration."""

from __future__ import annotations

import re
from pathlib import Path

from burst.config.cluster import ClusterFarm, ClusterSettings, PoolSettings
from burst.config.farm import FarmSettings
from burst.config.google import GoogleFarm, GoogleSettings
from burst.config.images import ImageSettings
from burst.operations.farm_values import WORKER_TAINT, farm_values
from burst.operations.tfvars import (
    POOL_LABEL,
    farm_shape,
    farm_variables,
    on_own_nodes,
    storage_variables,
)

TERRAFORM = Path(__file__).resolve().parents[3] / "terraform"


def farm(pools: dict[str, PoolSettings], **google: object) -> GoogleFarm:
    values = {"project": "studio-1", "zone": "europe-west4-a", **google}
    cluster = ClusterSettings(farm="film")
    settings = ClusterFarm(**FarmSettings().model_dump(), cluster=cluster, pools=pools)
    return GoogleFarm(settings, GoogleSettings.model_validate(values), ImageSettings())


CPU = PoolSettings(machine="n2d-standard-8", spot=True, maximum=40, disk_type="pd-ssd")
LARGE = PoolSettings(machine="n2d-standard-32")
L4 = PoolSettings(machine="g2-standard-8", spot=True, gpu_driver="LATEST")


def variables_of(root: str) -> set[str]:
    text = (TERRAFORM / root / "variables.tf").read_text("utf-8")
    return set(re.findall(r'^variable "(\w+)"', text, re.M))


def test_every_variable_that_is_told_is_one_of_the_root() -> None:
    there = farm({"cpu": CPU})
    assert set(storage_variables(there)) <= variables_of("storage")
    assert set(farm_variables(there)) <= variables_of("farm")
    text = (TERRAFORM / "farm" / "variables.tf").read_text("utf-8")
    fields = set(re.findall(r"^    (\w+) += ", text, re.M))
    assert set(farm_variables(there)["pools"]["cpu"]) <= fields


def test_names_and_places_are_those_of_the_farm() -> None:
    told = farm_variables(farm({"cpu": CPU}, labels={"team": "x"}))
    assert (told["project"], told["region"], told["zone"]) == (
        "studio-1",
        "europe-west4",
        "europe-west4-a",
    )
    assert (told["farm"], told["namespace"]) == ("film", "film")
    assert told["bucket"] == storage_variables(farm({}))["bucket"] == "studio-1-film-data"
    assert told["labels"] == {"team": "x"}


def test_scenes_and_frames_are_deleted_only_where_that_is_said() -> None:
    assert storage_variables(farm({}))["force_destroy"] is False
    assert storage_variables(farm({}), force_destroy=True)["force_destroy"] is True


def test_pools_are_told_as_they_are_set() -> None:
    pools = farm_variables(farm({"cpu": CPU, "large": LARGE, "gpu": L4}))["pools"]
    assert list(pools) == ["cpu", "large", "gpu"]
    assert pools["cpu"]["maximum"] == 40
    assert (pools["cpu"]["spot"], pools["large"]["spot"]) == (True, False)
    assert pools["cpu"]["disk_type"] == "pd-ssd"
    assert (pools["gpu"]["gpu_type"], pools["gpu"]["gpus"]) == ("nvidia-l4", 1)
    assert (pools["gpu"]["gpu_driver"], pools["cpu"]["gpu_driver"]) == ("LATEST", "")


def test_pools_of_more_memory_are_of_a_larger_class_unless_it_is_said() -> None:
    own = PoolSettings(machine="n2d-standard-8", memory_class=7)
    pools = farm_variables(farm({"large": LARGE, "cpu": CPU, "own": own}))["pools"]
    assert pools["large"]["memory_class"] > pools["cpu"]["memory_class"]
    assert pools["own"]["memory_class"] == 7


def test_a_pool_that_rests_keeps_its_machines_shape() -> None:
    resting = PoolSettings(machine="n2d-standard-8", maximum=0)
    assert farm_variables(farm({"cpu": resting}))["pools"]["cpu"]["maximum"] == 1
    assert farm_shape(farm({"cpu": resting})).pools[0].maximum == 0


def test_the_shape_has_all_that_costs_money() -> None:
    shape = farm_shape(farm({"cpu": CPU, "gpu": L4}, system_machine="e2-standard-4"))
    assert (shape.zone, shape.region, shape.system_machine) == (
        "europe-west4-a",
        "europe-west4",
        "e2-standard-4",
    )
    cpu, gpu = shape.pools
    assert (cpu.machine, cpu.spot, cpu.maximum, cpu.disk_type) == (
        "n2d-standard-8",
        True,
        40,
        "pd-ssd",
    )
    assert (gpu.gpu_type, gpu.gpus) == ("nvidia-l4", 1)


def test_workers_run_on_the_nodes_of_their_own_pool() -> None:
    own = PoolSettings(machine="n2d-standard-8", values={"nodeSelector": {"mine": "x"}})
    settings = on_own_nodes(farm({"cpu": CPU, "own": own}).settings).model_copy(
        update={"storage_url": "gs://studio-1-film-data"}
    )
    values = farm_values(settings, ImageSettings(), "csi").pools
    machine = {"node.kubernetes.io/instance-type": "n2d-standard-8"}
    assert values["cpu"]["nodeSelector"] == {**machine, POOL_LABEL: "cpu"}
    assert values["own"]["nodeSelector"] == {**machine, POOL_LABEL: "own", "mine": "x"}


def test_label_and_taint_of_the_nodes_are_those_that_terraform_gives_them() -> None:
    pool = (TERRAFORM / "modules" / "node-pool" / "main.tf").read_text("utf-8")
    assert re.search(rf'"{POOL_LABEL}" += var\.name', pool)
    assert f'"{WORKER_TAINT}"' in pool
