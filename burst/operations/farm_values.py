"""What is put on a cluster: from burst.toml to the values of the charts, purely."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from burst.config.cluster import ClusterFarm, PoolSettings, ScenesWay
from burst.config.images import ImageSettings
from burst.domain.machines import MACHINES, machine_type, worker_share
from burst.errors import ConfigError
from burst.operations.images import image_names

DEFAULT_POOL = "cpu"
"""The pool of a farm that says nothing of pools."""

_CORES = 4.0
_MEMORY = "8Gi"
_QUOTA_WORKERS = 1000
"""What the manager's chart allows by itself."""

_RELEASE_LENGTH = 53
"""What Helm takes as the name of a release."""

_NODES_OWN_SECONDS = 16
"""Of what a machine has to shut down, the last 15 are not for workers; one more to be sure."""

WORKER_TAINT = "burst/worker"
"""On nodes of a pool that is neither spot nor has GPUs, which have taints by themselves."""
_EFFECTS = {
    "NO_SCHEDULE": "NoSchedule",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
    "NO_EXECUTE": "NoExecute",
}
"""What Kubernetes calls Google's effects of taints."""

_UNITS = {"M": 10**6, "G": 10**9, "T": 10**12, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, slots=True)
class FarmValues:
    """The releases of a farm: one for the manager, one for each pool."""

    manager: Mapping[str, Any]
    pools: Mapping[str, Mapping[str, Any]]
    """By the pool's name."""


def farm_values(settings: ClusterFarm, images: ImageSettings, scenes_by: ScenesWay) -> FarmValues:
    """Return the values of all charts of a farm.

    Args:
        settings: of the farm; its storage is known.
        images: of which it is made.
        scenes_by: how the workers of a pool read scenes that does not say it itself.

    Raises:
        ConfigError: a pool's machine is not known, or its name is too long.
    """
    pools = _pools(settings)
    _check_names(settings.cluster.farm, pools)
    shapes = {name: _shape(pool, pool.scenes_by or scenes_by) for name, pool in pools.items()}
    classes = memory_classes(settings, scenes_by)
    by_name = {
        name: _pool_values(settings, images, name, pool, pool.scenes_by or scenes_by)
        | {"machine": shapes[name]}
        for name, pool in pools.items()
    }
    for order, (name, pool) in enumerate(pools.items()):
        values = by_name[name]
        values["preference"] = order if pool.preference is None else pool.preference
        values["memoryClass"] = classes[name]
        laid = merged(merged(settings.cluster.worker, values), pool.values)
        if borne := _tolerations(settings, pool):
            laid["tolerations"] = borne
        by_name[name] = laid
    return FarmValues(_manager_values(settings, images, pools), by_name)


def memory_classes(settings: ClusterFarm, scenes_by: ScenesWay) -> dict[str, int]:
    """Return the memory class of each pool; takes and raises what `farm_values` does."""
    pools = _pools(settings)
    shapes = {name: _shape(pool, pool.scenes_by or scenes_by) for name, pool in pools.items()}
    classes = _memory_classes(shapes)
    return {
        name: classes[name] if pool.memory_class is None else pool.memory_class
        for name, pool in pools.items()
    }


def pool_release(farm: str, pool: str) -> str:
    """Return the name of a pool's release."""
    return f"{farm}-pool-{pool}"


def _check_names(farm: str, pools: Iterable[str]) -> None:
    for pool in pools:
        release = pool_release(farm, pool)
        if len(release) > _RELEASE_LENGTH:
            raise ConfigError(
                f"the pool {pool} would be the release {release}, which has {len(release)} "
                f"characters, and Helm takes {_RELEASE_LENGTH}",
                hint="give the pool, or the farm, a shorter name",
            )


def pool_images(settings: ClusterFarm, images: ImageSettings) -> list[ImageSettings]:
    """Return the settings of images for all pools: once for each Blender that one of them has."""
    chosen = [_with_blender(images, pool) for pool in _pools(settings).values()]
    return list({one.image_blender: one for one in chosen}.values())


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others laid over them; only tables are merged, as Helm does it."""
    result = dict(values)
    for key, value in more.items():
        before = result.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[key] = merged(before, value) if both else value  # type: ignore[arg-type]
    return result


def _manager_values(
    settings: ClusterFarm, images: ImageSettings, pools: Mapping[str, PoolSettings]
) -> dict[str, Any]:
    most = sum(pool.maximum for pool in pools.values())
    values: dict[str, Any] = {
        "farm": settings.cluster.farm,
        "image": _image(image_names(images).manager),
        "storage": {"url": settings.storage_url},
        "quota": {"workers": max(most, _QUOTA_WORKERS)},
    }
    return merged(values, settings.cluster.manager)


def _pool_values(
    settings: ClusterFarm,
    images: ImageSettings,
    name: str,
    pool: PoolSettings,
    scenes_by: ScenesWay,
) -> dict[str, Any]:
    chosen = _with_blender(images, pool)
    version = re.search(r"\d+\.\d+\.\d+", chosen.image_blender)
    values: dict[str, Any] = {
        "farm": settings.cluster.farm,
        "pool": name,
        "image": _image(image_names(chosen).worker),
        "storage": {"url": settings.storage_url},
        "scenes": {"source": scenes_by},
        "blender": {"versions": [version[0]] if version else []},
        "minimum": pool.minimum,
        "maximum": pool.maximum,
        "spot": {"enabled": pool.spot},
        "gpu": {"count": _gpus(pool)},
    }
    if pool.shutdown_seconds:
        values["gracePeriodSeconds"] = pool.shutdown_seconds - _NODES_OWN_SECONDS
    if pool.machine:
        values["nodeSelector"] = {"node.kubernetes.io/instance-type": pool.machine}
    return values


def _tolerations(settings: ClusterFarm, pool: PoolSettings) -> list[Any]:
    """Return which taints the workers of a pool bear that the chart does not know of.

    A taint that no node has is borne as well: it does not matter on what cluster the farm is.
    """
    taints = [(taint.key, taint.effect) for taint in pool.taints]
    if not pool.spot and not _gpus(pool):
        taints.append((WORKER_TAINT, "NO_SCHEDULE"))
    borne = [
        {"key": key, "operator": "Exists", "effect": _EFFECTS[effect]} for key, effect in taints
    ]
    told = (values.get("tolerations", ()) for values in (settings.cluster.worker, pool.values))
    return [*borne, *chain.from_iterable(told)]


def _pools(settings: ClusterFarm) -> Mapping[str, PoolSettings]:
    return settings.pools or {DEFAULT_POOL: PoolSettings()}


def _with_blender(images: ImageSettings, pool: PoolSettings) -> ImageSettings:
    return images.model_copy(update={"image_blender": pool.blender or images.image_blender})


def _gpus(pool: PoolSettings) -> int:
    if pool.gpus is not None:
        return pool.gpus
    if pool.machine is None or _says_all(pool):
        return 0
    return machine_type(pool.machine).gpus


def _says_all(pool: PoolSettings) -> bool:
    """Say whether figures of the machine are not needed, and not to be had."""
    return bool(pool.cores and pool.memory) and pool.machine not in MACHINES


def _shape(pool: PoolSettings, scenes_by: ScenesWay) -> dict[str, Any]:
    shape: dict[str, Any] = {"cores": _CORES, "memory": _MEMORY}
    if pool.machine and not _says_all(pool):
        share = worker_share(machine_type(pool.machine), fuse=scenes_by == "csi")
        shape = {
            "cores": share.cores,
            "cpuRequest": f"{share.cpu_request_milli}m",
            "memory": f"{share.memory_mib}Mi",
        }
    if pool.cores is not None:
        shape = {**shape, "cores": pool.cores, "cpuRequest": ""}
    if pool.memory is not None:
        shape["memory"] = pool.memory
    return shape


def _memory_classes(shapes: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    sizes = {name: _bytes(str(shape["memory"])) for name, shape in shapes.items()}
    order = sorted(set(sizes.values()))
    return {name: order.index(size) for name, size in sizes.items()}


def _bytes(quantity: str) -> float:
    number = quantity.rstrip("MGTi")
    return float(number) * _UNITS[quantity[len(number) :]]


def _image(reference: str) -> dict[str, str]:
    name, _, tag = reference.rpartition(":")
    registry, _, repository = name.rpartition("/")
    return {"registry": registry, "repository": repository, "tag": tag}
