"""Whether a project's quotas go as far as a farm's pools may grow: figures worked out by hand."""

from __future__ import annotations

import pytest

from burst.domain.cloud_needs import APIS, FIRST_APIS, PERMISSIONS, ROLES, roles_for
from burst.domain.costs import FarmShape, PoolShape
from burst.domain.quotas import Machine, Quota, needs, shortages, untold

MACHINES = {
    "e2-standard-2": Machine(2),
    "n2d-highcpu-16": Machine(16),
    "g2-standard-8": Machine(8, "nvidia-l4", 1),
    "n1-standard-8": Machine(8),
}
PLENTY = Quota(10_000, 0)


def shape(*pools: PoolShape) -> FarmShape:
    return FarmShape("europe-west4-a", "europe-west4", "e2-standard-2", pools)


def pool(machine: str, *, spot: bool = True, maximum: int = 10, **more: object) -> PoolShape:
    return PoolShape("pool", machine, spot, maximum, **more)  # type: ignore[arg-type]


def needed(farm: FarmShape, quotas: dict[str, Quota]) -> dict[str, float]:
    found = [one for one in needs(farm, MACHINES, quotas) if one.pool == "pool"]
    return {one.metric: one.most for one in found}


def test_a_spot_pool_counts_for_the_spot_quota_if_there_is_one() -> None:
    farm = shape(pool("n2d-highcpu-16"))
    assert needed(farm, {"PREEMPTIBLE_CPUS": PLENTY})["PREEMPTIBLE_CPUS"] == 160
    # A quota of zero means that nobody asked for one: they count like the others.
    assert needed(farm, {"PREEMPTIBLE_CPUS": Quota(0, 0)})["N2D_CPUS"] == 160
    assert needed(farm, {})["N2D_CPUS"] == 160


def test_all_processors_count_for_the_quota_of_all_regions_where_there_is_one() -> None:
    farm = shape(pool("n2d-highcpu-16", maximum=4), pool("n1-standard-8", spot=False, maximum=1))
    quotas = {"PREEMPTIBLE_CPUS": PLENTY, "CPUS": PLENTY, "CPUS_ALL_REGIONS": Quota(12, 0)}
    [short] = shortages(needs(farm, MACHINES, quotas), quotas)
    # Four of 16, one of 8, and the cluster's own two.
    assert (short.metric, short.needed) == ("CPUS_ALL_REGIONS", 64 + 8 + 2)
    assert short.stuck == ("pool",)
    assert "CPUS_ALL_REGIONS" not in needed(farm, {})


def test_a_pool_on_demand_counts_for_its_family() -> None:
    quotas = {"PREEMPTIBLE_CPUS": PLENTY}
    assert needed(shape(pool("n2d-highcpu-16", spot=False)), quotas)["N2D_CPUS"] == 160
    assert needed(shape(pool("n1-standard-8", spot=False)), quotas)["CPUS"] == 80


@pytest.mark.parametrize(
    ("machine", "gpu", "metric", "most"),
    [
        ("g2-standard-8", "", "NVIDIA_L4_GPUS", 10),
        ("n1-standard-8", "nvidia-tesla-t4", "NVIDIA_T4_GPUS", 20),
        ("n1-standard-8", "nvidia-a100-80gb", "NVIDIA_A100_80GB_GPUS", 20),
    ],
)
def test_gpus_count_by_kind_and_all_together(
    machine: str, gpu: str, metric: str, most: int
) -> None:
    farm = shape(pool(machine, gpu_type=gpu, gpus=2 if gpu else 0))
    found = needed(farm, {})
    assert (found[metric], found["GPUS_ALL_REGIONS"]) == (most, most)
    assert f"PREEMPTIBLE_{metric}" in needed(farm, {f"PREEMPTIBLE_{metric}": PLENTY})


def test_disks_count_by_kind() -> None:
    assert needed(shape(pool("n1-standard-8", disk_gib=50)), {})["SSD_TOTAL_GB"] == 500
    slow = needed(shape(pool("n1-standard-8", disk_gib=50, disk_type="pd-standard")), {})
    assert slow["DISKS_TOTAL_GB"] == 500
    new = needed(shape(pool("n1-standard-8", disk_gib=50, disk_type="hyperdisk-balanced")), {})
    assert new["HDB_TOTAL_GB"] == 500
    assert needed(shape(pool("n1-standard-8", local_ssds=2)), {})["LOCAL_SSD_TOTAL_GB"] == 7500


def test_a_machine_that_nobody_knows_needs_nothing() -> None:
    assert needed(shape(pool("x9-huge-1")), {}) == {}


def test_pools_share_what_there_is() -> None:
    farm = shape(pool("n2d-highcpu-16", maximum=4), pool("n2d-highcpu-16", maximum=2))
    quotas = {"N2D_CPUS": Quota(100, 8), "CPUS": PLENTY}
    [short] = shortages(needs(farm, MACHINES, quotas), quotas)
    assert (short.metric, short.needed, short.stuck) == ("N2D_CPUS", 96, ())
    quotas["N2D_CPUS"] = Quota(104, 8)
    assert shortages(needs(farm, MACHINES, quotas), quotas) == []


def test_a_pool_without_room_for_one_node_is_stuck() -> None:
    quotas = {"N2D_CPUS": Quota(24, 16), "CPUS": PLENTY}
    [short] = shortages(needs(shape(pool("n2d-highcpu-16")), MACHINES, quotas), quotas)
    assert short.stuck == ("pool",)
    full = {"CPUS": Quota(8, 9)}
    [short] = shortages(needs(shape(), MACHINES, full), full)
    assert (short.stuck, short.quota.room) == (("system",), 0)


def test_what_nobody_tells_of_is_said() -> None:
    found = needs(shape(pool("g2-standard-8", spot=False)), MACHINES, {})
    quotas = {"CPUS": PLENTY, "INSTANCES": PLENTY, "SSD_TOTAL_GB": PLENTY, "NVIDIA_L4_GPUS": PLENTY}
    assert untold(found, quotas) == ["G2_CPUS", "GPUS_ALL_REGIONS"]
    assert shortages(found, {}) == []


def test_every_permission_has_one_role() -> None:
    assert len(PERMISSIONS) == sum(map(len, ROLES.values()))
    assert roles_for(["iam.roles.create", "dns.changes.create"]) == [
        "roles/dns.admin",
        "roles/iam.roleAdmin",
    ]
    assert roles_for([]) == []
    assert set(FIRST_APIS) < set(APIS)
