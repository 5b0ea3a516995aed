"""Worker pools as ConfigMaps, good ones and those of people in a hurry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.manager.autoscaler.pool_maps import read_pools
from tests.fakes.kube_api import pool_map

JOB = json.loads(pool_map()["data"]["job.json"])


def _trouble(**data: Any) -> str:
    item = pool_map()
    texts = {key.replace("_", "."): value for key, value in data.items()}
    item["data"] = {key: value for key, value in {**item["data"], **texts}.items() if value}
    (found,) = read_pools([item]).values()
    assert found.pool.name == "cpu"
    assert found.pool.maximum == 0
    return found.pool.trouble


def _job(**spec: Any) -> str:
    return json.dumps({**JOB, "spec": {**JOB["spec"], **spec}})


def test_a_pool_is_what_its_config_map_says() -> None:
    item = pool_map("big", preference=2, memory_class=3, device="gpu", spot=True,
                    blender=["5.0.1", "4.2"], minimum=1)  # fmt: skip
    pool = read_pools([item])["big"].pool
    assert (pool.preference, pool.memory_class, pool.device) == (2, 3, "gpu")
    assert pool.blender == ((5, 0), (4, 2))
    assert (pool.minimum, pool.maximum, pool.spot, pool.trouble) == (1, 4, True, "")
    assert not pool.is_shared


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"pool_json": ""}, "it has no pool.json"),
        ({"job_json": ""}, "it has no job.json"),
        ({"pool_json": "{"}, "pool.json: Invalid JSON"),
        ({"pool_json": '{"name": "cpu"}'}, "pool.json: maximum: Field required"),
        ({"job_json": "{"}, "job.json is not JSON"),
        ({"job_json": "[]"}, "job.json is no Job"),
        ({"job_json": "{}"}, "job.json is no Job: it lacks 'spec'"),
        ({"job_json": json.dumps({**JOB, "kind": "Pod"})}, "no batch/v1 Job, but batch/v1 Pod"),
        ({"job_json": _job(backoffLimit=6)}, "must have backoffLimit 0"),
        ({"job_json": _job(template={"spec": {"containers": [{"name": "main"}]}})},
         "no container named worker"),
    ],
)  # fmt: skip
def test_a_wrong_config_map_says_what_is_wrong(data: dict[str, str], says: str) -> None:
    trouble = _trouble(**data)
    assert says in trouble
    assert "ConfigMap farm-pool-cpu" in trouble


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"maximum": -1}, "maximum"),
        ({"device": "tpu"}, "device"),
        ({"blender": ["latest"]}, "'latest' is no version of Blender"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"memory_bytes": "2Gi"}, "memory_bytes"),
    ],
)
def test_wrong_facts_are_told_with_their_key(facts: dict[str, Any], says: str) -> None:
    assert says in _trouble(pool_json=pool_map(**facts)["data"]["pool.json"])


def test_a_label_that_says_another_name_is_trouble() -> None:
    item = pool_map()
    item["metadata"]["labels"]["burst/pool"] = "gpu"
    assert "label says gpu" in read_pools([item])["gpu"].pool.trouble


def test_two_that_describe_the_same_pool_are_both_named() -> None:
    first, second = pool_map(), pool_map()
    second["metadata"]["name"] = "another"
    found = read_pools([first, second])
    assert found["cpu"].pool.trouble == "two ConfigMaps describe it: another and farm-pool-cpu"


json_like = st.text(alphabet='{}[]":, abcdinpsetv012', max_size=30)


@given(st.dictionaries(st.sampled_from(["pool.json", "job.json"]), json_like))
def test_nothing_that_somebody_writes_is_a_bug(data: dict[str, str]) -> None:
    (found,) = read_pools([{**pool_map(), "data": data}]).values()
    assert found.pool.trouble
