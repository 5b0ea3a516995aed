"""What a worker asks for fits its machine, beside all that runs there.

The reference are nodes of GKE that others measured (github.com/2i2c-org/infrastructure,
``instance_capacities.yaml``, ``daemonset_requests.yaml``, issue 2121); no cluster is asked.
"""

from __future__ import annotations

import pytest

from burst.domain.machines import (
    FUSE_MIB,
    FUSE_MILLI,
    MACHINES,
    MachineType,
    allocatable,
    machine_type,
    streaming_mib,
    worker_share,
)
from burst.errors import ConfigError

MEASURED = {
    # type: millicores and GiB that pods may ask for on a node of it
    "n1-highmem-4": (3920, 22.192),
    "n1-standard-8": (7910, 25.888),
    "n1-standard-16": (15890, 53.571),
    "n2-highmem-4": (3920, 27.738),
    "n2-highmem-8": (7910, 57.270),
    "n2-highmem-16": (15890, 116.549),
    "n2-highmem-32": (31850, 240.079),
    "n2-highmem-64": (63770, 486.949),
    "e2-highmem-16": (15890, 116.549),
}

CLUSTER_PODS_MILLI, CLUSTER_PODS_MIB = 454, 656
"""The most that a cluster's own pods asked for on a measured node."""


@pytest.mark.parametrize("name", MEASURED)
def test_the_figures_are_those_of_measured_nodes_or_a_little_less(name: str) -> None:
    milli, gib = MEASURED[name]
    found = allocatable(machine_type(name))
    assert found.milli_cores == milli
    assert gib * 1024 * 0.995 < found.memory_mib <= gib * 1024


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("fuse", [True, False], ids=["fuse", "no-fuse"])
def test_a_worker_fits_its_machine_beside_all_others(name: str, fuse: bool) -> None:
    machine = machine_type(name)
    left, share = allocatable(machine), worker_share(machine, fuse=fuse)
    milli = share.cpu_request_milli + CLUSTER_PODS_MILLI + (FUSE_MILLI if fuse else 0)
    mib = share.memory_mib + CLUSTER_PODS_MIB + (FUSE_MIB if fuse else 0) + streaming_mib(machine)
    assert milli <= left.milli_cores < machine.vcpus * 1000
    assert mib <= left.memory_mib < machine.memory_gib * 1024


@pytest.mark.parametrize(
    ("name", "gib"),
    [("e2-standard-4", 1.04), ("n2d-standard-8", 1.424), ("n2-highmem-32", 1.04 + 2.688 + 1.024)],
)
def test_streaming_of_images_takes_its_part_of_a_node(name: str, gib: float) -> None:
    assert streaming_mib(machine_type(name)) == pytest.approx(gib * 1024, abs=1)


@pytest.mark.parametrize("name", MACHINES)
def test_a_second_worker_does_not_fit(name: str) -> None:
    left, share = allocatable(machine_type(name)), worker_share(machine_type(name), fuse=True)
    assert 2 * share.cpu_request_milli > left.milli_cores
    assert 2 * share.memory_mib > left.memory_mib


@pytest.mark.parametrize("name", MACHINES)
def test_most_of_a_machine_is_the_workers(name: str) -> None:
    machine = machine_type(name)
    share = worker_share(machine, fuse=True)
    assert share.cores == machine.vcpus
    assert share.cpu_request_milli >= machine.vcpus * 1000 * 0.65
    assert share.memory_mib >= machine.memory_gib * 1024 * 0.43


def test_a_machine_with_a_gpu_leaves_room_for_its_driver() -> None:
    plain = worker_share(MachineType("x", 8, 32), fuse=True)
    with_gpu = worker_share(machine_type("g2-standard-8"), fuse=True)
    assert with_gpu.cpu_request_milli < plain.cpu_request_milli
    assert with_gpu.memory_mib < plain.memory_mib


def test_no_two_types_have_one_name() -> None:
    assert all(name == machine.name for name, machine in MACHINES.items())
    assert all(name.endswith(f"-{machine.vcpus}") for name, machine in MACHINES.items())


def test_an_unknown_type_is_refused_with_its_family() -> None:
    with pytest.raises(ConfigError, match="n2d-standard-7") as refused:
        machine_type("n2d-standard-7")
    assert "n2d-standard-8" in (refused.value.hint or "")
    with pytest.raises(ConfigError) as refused:
        machine_type("abacus")
    assert "charts.md" in (refused.value.hint or "")
