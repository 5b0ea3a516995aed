"""From burst.toml to the charts' values; that the charts take them is in tests/unit/charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from burst.config.cluster import ClusterFarm, ClusterSettings, PoolSettings
from burst.config.images import ImageSettings
from burst.domain.machines import machine_type, worker_share
from burst.errors import ConfigError
from burst.operations.farm_values import DEFAULT_POOL, FarmValues, farm_values, merged

IMAGES = ImageSettings(registry="registry.example/show", image_blender="4.5.14")


def values(**changes: Any) -> FarmValues:
    cluster = ClusterSettings(**{"farm": "show", **changes.pop("cluster", {})})
    pools = {name: PoolSettings(**pool) for name, pool in changes.pop("pools", {}).items()}
    settings = ClusterFarm(
        state_dir=Path("/state"), storage_url="gs://show", cluster=cluster, pools=pools
    )
    return farm_values(settings, IMAGES, "csi")


def test_a_machine_is_taken_whole_and_no_other_is() -> None:
    pool = values(pools={"a": {"machine": "n2d-standard-8"}}).pools["a"]
    share = worker_share(machine_type("n2d-standard-8"), fuse=True)
    assert pool["machine"] == {
        "cores": share.cores,
        "cpuRequest": f"{share.cpu_request_milli}m",
        "memory": f"{share.memory_mib}Mi",
    }
    assert pool["nodeSelector"] == {"node.kubernetes.io/instance-type": "n2d-standard-8"}


def test_a_pool_that_fetches_its_scenes_has_the_memory_of_the_mount_too() -> None:
    pools = {
        "mounts": {"machine": "n2d-standard-8"},
        "fetches": {"machine": "n2d-standard-8", "scenes_by": "fetch"},
    }
    found = values(pools=pools).pools
    sizes = {name: int(pool["machine"]["memory"][:-2]) for name, pool in found.items()}
    assert sizes["fetches"] > sizes["mounts"]
    assert found["fetches"]["scenes"] == {"source": "fetch"}


def test_what_is_said_counts_more_than_the_machine() -> None:
    pools = {"a": {"machine": "n2d-standard-8", "cores": 2, "memory": "3Gi"}}
    assert values(pools=pools).pools["a"]["machine"] == {
        "cores": 2, "cpuRequest": "", "memory": "3Gi",
    }  # fmt: skip


def test_memory_classes_are_the_order_of_memory_and_preferences_that_of_the_file() -> None:
    pools = {
        "large": {"memory": "64Gi"},
        "small": {"memory": "4096Mi"},
        "same": {"memory": "4Gi"},
        "set": {"memory": "1Gi", "memory_class": 7, "preference": 9},
    }
    found = values(pools=pools).pools
    assert {name: pool["memoryClass"] for name, pool in found.items()} == {
        "large": 2, "small": 1, "same": 1, "set": 7,
    }  # fmt: skip
    assert [pool["preference"] for pool in found.values()] == [0, 1, 2, 9]


def test_workers_bear_the_taints_of_their_nodes_that_the_chart_does_not_know() -> None:
    own = {"key": "mine", "operator": "Exists"}
    pools: dict[str, Any] = {
        "spot": {"spot": True},
        "gpu": {"gpus": 1},
        "steady": {"values": {"tolerations": [own]}},
        "dear": {"spot": True, "taints": [{"key": "dear", "effect": "NO_EXECUTE"}]},
    }
    worker = {"key": "burst/worker", "operator": "Exists", "effect": "NoSchedule"}
    dear = {"key": "dear", "operator": "Exists", "effect": "NoExecute"}
    found = {name: pool.get("tolerations") for name, pool in values(pools=pools).pools.items()}
    assert found == {"spot": None, "gpu": None, "steady": [worker, own], "dear": [dear]}
    every = {"key": "all", "operator": "Exists"}
    found = {
        name: pool["tolerations"]
        for name, pool in values(
            pools=pools, cluster={"worker": {"tolerations": [every]}}
        ).pools.items()
    }
    assert found == {"spot": [every], "gpu": [every], "steady": [worker, every, own],
                     "dear": [dear, every]}  # fmt: skip


def test_workers_use_the_time_that_their_machine_has_to_shut_down() -> None:
    pools = {"long": {"spot": True, "shutdown_seconds": 120}, "short": {"spot": True}}
    found = values(pools=pools).pools
    assert found["long"]["gracePeriodSeconds"] == 104
    assert "gracePeriodSeconds" not in found["short"]


def test_a_machine_without_figures_is_taken_where_cores_and_memory_are_said() -> None:
    pool = {"machine": "n2d-custom-8-20480", "cores": 7, "memory": "16Gi"}
    found = values(pools={"a": pool}).pools["a"]
    assert found["machine"] == {"cores": 7, "cpuRequest": "", "memory": "16Gi"}
    assert found["gpu"] == {"count": 0}
    assert found["nodeSelector"] == {"node.kubernetes.io/instance-type": "n2d-custom-8-20480"}
    with pytest.raises(ConfigError, match="no figures"):
        values(pools={"a": {**pool, "memory": None}})


def test_each_pool_may_have_a_blender_of_its_own() -> None:
    pools = {"a": {}, "b": {"blender": "bpy5.0.1"}, "c": {"blender": "debian"}}
    found = values(pools=pools).pools
    assert [pool["image"]["tag"].partition("-")[2] for pool in found.values()] == [
        "4.5.14", "bpy5.0.1", "debian",
    ]  # fmt: skip
    assert [pool["blender"]["versions"] for pool in found.values()] == [["4.5.14"], ["5.0.1"], []]


def test_values_of_the_file_are_laid_over_ours_for_all_pools_and_for_one() -> None:
    found = values(
        cluster={
            "worker": {"scratch": {"size": "1Gi"}, "logLevel": "debug"},
            "manager": {"image": {"tag": "mine"}},
        },
        pools={"a": {"values": {"logLevel": "error"}}, "b": {}},
    )
    assert [pool["logLevel"] for pool in found.pools.values()] == ["error", "debug"]
    assert found.pools["a"]["scratch"] == {"size": "1Gi"}
    assert found.manager["image"]["tag"] == "mine"
    assert found.manager["image"]["repository"] == "burst-manager"


def test_a_farm_that_says_nothing_of_pools_has_one() -> None:
    assert list(values().pools) == [DEFAULT_POOL]


def test_the_quota_lets_all_pools_be_full() -> None:
    assert values(pools={"a": {"maximum": 900}, "b": {"maximum": 900}}).manager["quota"] == {
        "workers": 1800
    }


def test_lists_are_replaced_and_tables_merged() -> None:
    assert merged({"a": [1], "b": {"c": 1}}, {"a": [2], "b": {"d": 2}}) == {
        "a": [2], "b": {"c": 1, "d": 2},
    }  # fmt: skip


def test_names_that_make_a_release_too_long_for_helm_are_refused() -> None:
    farm, pool = "f" * 24, "p" * 23
    assert list(values(cluster={"farm": farm}, pools={pool: {}}).pools) == [pool]
    with pytest.raises(ConfigError, match=f"pool {pool}p .* 54 characters"):
        values(cluster={"farm": farm}, pools={f"{pool}p": {}})
