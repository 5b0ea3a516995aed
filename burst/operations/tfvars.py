"""What roots of Terraform are told of a farm, what its prices are of, and what its pods bear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from burst.config.cluster import PoolSettings
from burst.config.google import GoogleFarm
from burst.domain.costs import FarmShape, PoolShape
from burst.domain.machines import MACHINES
from burst.operations.farm_values import memory_classes


def storage_variables(farm: GoogleFarm, *, force_destroy: bool = False) -> dict[str, Any]:
    """Return the variables of the root ``storage``.

    Args:
        farm: its settings.
        force_destroy: scenes and frames may be deleted with the bucket.
    """
    return {
        **_common(farm),
        "bucket": farm.data_bucket,
        "attempt_days": farm.google.attempt_days,
        "preview_days": farm.google.preview_days,
        "force_destroy": force_destroy,
    }


def farm_variables(farm: GoogleFarm) -> dict[str, Any]:
    """Return the variables of the root ``farm``."""
    classes = memory_classes(farm.settings, "csi")
    return {
        **_common(farm),
        "zone": farm.zone,
        "bucket": farm.data_bucket,
        "namespace": farm.settings.cluster.space,
        "system_machine": farm.google.system_machine,
        "deletion_protection": farm.google.deletion_protection,
        "ranges": farm.google.ranges,
        "pools": {name: _pool(pool, classes[name]) for name, pool in farm.settings.pools.items()},
    }


def farm_shape(farm: GoogleFarm) -> FarmShape:
    """Return what of a farm has a price."""
    return FarmShape(
        zone=farm.zone,
        region=farm.region,
        system_machine=farm.google.system_machine,
        pools=tuple(_shape(name, pool) for name, pool in farm.settings.pools.items()),
    )


def _common(farm: GoogleFarm) -> dict[str, Any]:
    return {
        "project": farm.project,
        "region": farm.region,
        "farm": farm.name,
        "labels": farm.google.labels,
        "poll_interval": farm.google.poll_interval,
    }


def _pool(pool: PoolSettings, memory_class: int) -> dict[str, Any]:
    gpu_type, gpus = _gpu(pool)
    return {
        "machine": pool.machine,
        "spot": pool.spot,
        # A pool that rests has its machines' shape all the same.
        "maximum": max(pool.maximum, 1),
        "gpu_type": gpu_type,
        "gpus": gpus,
        "gpu_driver": pool.gpu_driver if gpus else "",
        "zones": list(pool.zones),
        "disk_gib": pool.disk_gib,
        "disk_type": pool.disk_type or "",
        "local_ssds": pool.local_ssds,
        "memory_class": memory_class,
        "shutdown_seconds": pool.shutdown_seconds,
        "longest_life_seconds": pool.longest_life_seconds,
        "labels": pool.labels,
        "taints": [taint.model_dump() for taint in pool.taints],
    }


def _shape(name: str, pool: PoolSettings) -> PoolShape:
    gpu_type, gpus = _gpu(pool)
    return PoolShape(
        name,
        pool.machine or "",
        spot=pool.spot,
        maximum=pool.maximum,
        gpu_type=gpu_type,
        gpus=gpus,
        disk_gib=pool.disk_gib,
        disk_type=pool.disk_type or "",
        local_ssds=pool.local_ssds,
        minimum=pool.minimum,
    )


def _gpu(pool: PoolSettings) -> tuple[str, int]:
    """Return the GPU of a pool's machines and how many, whether said or built in."""
    machine = MACHINES.get(pool.machine or "")
    gpu_type = pool.gpu_type or (machine.gpu if machine else "")
    gpus = pool.gpus if pool.gpus is not None else (machine.gpus if machine else 0)
    return (gpu_type, gpus) if gpus else ("", 0)


def wants_bearing(pool: PoolSettings) -> list[Mapping[str, str]]:
    """Return the taints of a pool's nodes that its chart does not know of, as tolerations."""
    taints = [{"key": taint.key, "effect": taint.effect} for taint in pool.taints]
    if not pool.spot and not _gpu(pool)[1]:
        taints.append({"key": "burst/worker", "effect": "NO_SCHEDULE"})
    effects = {
        "NO_SCHEDULE": "NoSchedule",
        "PREFER_NO_SCHEDULE": "PreferNoSchedule",
        "NO_EXECUTE": "NoExecute",
    }
    return [
        {"key": taint["key"], "operator": "Exists", "effect": effects[taint["effect"]]}
        for taint in taints
    ]
