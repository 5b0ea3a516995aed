"""What roots of Terraform are told of a farm, what its prices are of, and what its pods bear."""

from __future__ import annotations

from typing import Any

from burst.config.cluster import ClusterFarm, PoolSettings
from burst.config.google import GoogleFarm
from burst.config.google_rules import gpus_of
from burst.domain.costs import FarmShape, PoolShape
from burst.operations.farm_values import memory_classes

POOL_LABEL = "burst/pool"
"""Which pool a node is of, as its label says."""


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
    gpu_type, gpus = gpus_of(pool)
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
    gpu_type, gpus = gpus_of(pool)
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


def on_own_nodes(settings: ClusterFarm) -> ClusterFarm:
    """Return a farm whose workers run on the nodes of their own pool and on no others.

    A machine type is no pool: two may have the same one, with other disks, zones or lives.
    """
    pools = {}
    for name, pool in settings.pools.items():
        selector = {POOL_LABEL: name, **pool.values.get("nodeSelector", {})}
        values = {**pool.values, "nodeSelector": selector}
        pools[name] = pool.model_copy(update={"values": values})
    return settings.model_copy(update={"pools": pools})
