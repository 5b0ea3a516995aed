"""Worker pools as a cluster describes them: a ConfigMap each, and the Jobs made after it.

Pure: what the cluster said in, pools and Jobs out. The worker chart renders the ConfigMaps;
whoever writes one by hand gets a sentence that says what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from burst.domain.pools import WorkerPool
from burst.domain.workers import BlenderVersion
from burst.manager.autoscaler.provider import Order

FARM_LABEL = "burst/farm"
POOL_LABEL = "burst/pool"
WORKER_LABEL = "burst/worker"
KIND_LABEL = "burst/kind"
POOL_KIND = "worker-pool"

CONTAINER = "worker"
"""The container of a pod that is the worker; others are what it needs."""

NAME = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
"""A pool's name: with a number behind it, it names Jobs and their pods."""

Manifest = Mapping[str, Any]


class PoolFacts(BaseModel):
    """``pool.json`` of a pool's ConfigMap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    preference: int = 0
    minimum: int = Field(default=0, ge=0)
    maximum: int = Field(ge=0)
    cores: float = Field(gt=0)
    memory_bytes: int = Field(gt=0)
    memory_class: int = 0
    device: str = Field(default="cpu", pattern="^(cpu|gpu)$")
    blender: tuple[str, ...] = ()
    spot: bool = False
    boot_seconds: float = Field(default=90.0, ge=0)
    start_seconds: float = Field(default=600.0, gt=0)
    stock_out_seconds: float = Field(default=600.0, ge=0)

    @field_validator("blender")
    @classmethod
    def _versions(cls, versions: tuple[str, ...]) -> tuple[str, ...]:
        for version in versions:
            _version(version)
        return versions

    def pool(self) -> WorkerPool:
        """Return what the autoscaler wants to know of it."""
        values = self.model_dump() | {"blender": tuple(map(_version, self.blender))}
        return WorkerPool(**values)


@dataclass(frozen=True, slots=True)
class PoolMap:
    """One worker pool with the Job that its workers are made after."""

    pool: WorkerPool
    job: Manifest
    owner: Manifest
    """Whose Jobs they are: when its ConfigMap goes, they go."""


def read_pools(config_maps: Iterable[Manifest]) -> dict[str, PoolMap]:
    """Return the pools by name; of one that can't be used the pool says why."""
    found: dict[str, PoolMap] = {}
    for config_map in sorted(config_maps, key=lambda one: str(one["metadata"]["name"])):
        read = _read(config_map)
        other = found.get(read.pool.name)
        if other is not None:
            names = f"{other.owner['name']} and {read.owner['name']}"
            trouble = f"two ConfigMaps describe it: {names}"
            read = replace(other, pool=replace(other.pool, trouble=trouble))
        found[read.pool.name] = read
    return found


def job_of(pool_map: PoolMap, order: Order, farm: str) -> dict[str, Any]:
    """Return the Job of one worker: the pool's template with its name.

    What is the same in all of them is shared with the template, not copied: there may be
    thousands.
    """
    labels = {FARM_LABEL: farm, POOL_LABEL: order.pool, WORKER_LABEL: order.name}
    owned = {"name": order.name, "ownerReferences": [dict(pool_map.owner)]}
    job, spec = pool_map.job, pool_map.job["spec"]
    pod = spec["template"]
    values = {
        "BURST_WORKER_NAME": order.name,
        "BURST_WORKER_POOL": order.pool,
        "BURST_THREADS": str(order.threads),
    }
    containers = [
        _with_env(one, values) if one.get("name") == CONTAINER else one
        for one in pod["spec"]["containers"]
    ]
    template = {
        **pod,
        "metadata": _labelled(pod, labels),
        "spec": {**pod["spec"], "containers": containers},
    }
    return {
        **job,
        "metadata": _labelled(job, labels) | owned,
        "spec": {**spec, "template": template},
    }


def _labelled(described: Manifest, labels: Mapping[str, str]) -> dict[str, Any]:
    metadata = described.get("metadata") or {}
    return {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}


def _with_env(container: Manifest, values: Mapping[str, str]) -> Manifest:
    others = [one for one in container.get("env") or [] if one.get("name") not in values]
    return {**container, "env": [*others, *({"name": k, "value": v} for k, v in values.items())]}


def trim_config_map(config_map: Manifest) -> Manifest:
    """Return what is to be kept of a ConfigMap."""
    metadata = {key: config_map["metadata"].get(key) for key in ("name", "uid", "labels")}
    return {"metadata": metadata, "data": config_map.get("data")}


def _read(config_map: Manifest) -> PoolMap:
    metadata = config_map["metadata"]
    labels = metadata.get("labels") or {}
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
    }
    try:
        data = config_map.get("data") or {}
        facts = _facts(_entry(data, "pool.json"), labels)
        return PoolMap(facts.pool(), _job(_entry(data, "job.json")), owner)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        trouble = f"pool.json: {where + ': ' if where else ''}{first['msg']}"
    except ValueError as error:
        trouble = str(error)
    name = labels.get(POOL_LABEL) or metadata["name"]
    return PoolMap(_unusable(name, f"ConfigMap {metadata['name']}: {trouble}"), {}, owner)


def _facts(text: str, labels: Mapping[str, str]) -> PoolFacts:
    facts = PoolFacts.model_validate_json(text)
    if labels.get(POOL_LABEL, facts.name) != facts.name:
        raise ValueError(f"its label says {labels[POOL_LABEL]}, its pool.json {facts.name}")
    return facts


def _entry(data: Mapping[str, str], key: str) -> str:
    if key not in data:
        raise ValueError(f"it has no {key}")
    return data[key]


def _job(text: str) -> Manifest:
    """Return the template of a Job.

    Raises:
        ValueError: it is none, or no worker could be made after it.
    """
    try:
        job = json.loads(text)
        containers = job["spec"]["template"]["spec"]["containers"]
        kind = job["apiVersion"], job["kind"]
        named = [container["name"] for container in containers]
    except json.JSONDecodeError as error:
        raise ValueError(f"job.json is not JSON: {error}") from error
    except (KeyError, TypeError) as error:
        raise ValueError(f"job.json is no Job: it lacks {error}") from error
    if kind != ("batch/v1", "Job"):
        raise ValueError(f"job.json is no batch/v1 Job, but {' '.join(map(str, kind))}")
    if CONTAINER not in named:
        raise ValueError(f"the pod of job.json has no container named {CONTAINER}")
    if job["spec"].get("backoffLimit", 6) != 0:
        raise ValueError("job.json must have backoffLimit 0: only the manager starts workers")
    return dict(job)


def _unusable(name: str, trouble: str) -> WorkerPool:
    return WorkerPool(
        name=name,
        maximum=0,
        cores=1.0,
        memory_bytes=0,
        boot_seconds=0.0,
        start_seconds=600.0,
        trouble=trouble,
    )


def _version(text: str) -> BlenderVersion:
    major, dot, rest = text.partition(".")
    minor = rest.partition(".")[0]
    if not (dot and major.isdigit() and minor.isdigit()):
        raise ValueError(f"{text!r} is no version of Blender, like 5.0.1")
    return int(major), int(minor)
