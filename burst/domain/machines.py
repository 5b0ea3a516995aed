"""Machine types of Google Cloud, and what a worker on one of them may ask for.

A pod that asks for all of a machine never starts: GKE keeps some of it for the node, pods of
the cluster's own run on every node, and the bucket's mount is a container beside the worker.
Here is the arithmetic; nothing is asked, so that a plan can be made without an account.

Sources, all of 2023 to 2026:

- vCPUs and memory of the types: Google's page of each machine family.
- What GKE reserves: its page *Plan GKE Standard node sizes*, and for image streaming, which pools
  of ``terraform/`` have, *Use Image streaming to pull container images*. Who retold that page
  has 1 or 10 % of the first 4 GiB; the larger is taken, as what asks for too much never starts.
- What a booted machine has less than its type says, and that the formula holds: nodes measured
  by 2i2c (github.com/2i2c-org/infrastructure, ``instance_capacities.yaml`` and issue 2121).
- What a cluster's own pods ask for: the same place, up to 454m and 656Mi. Dataplane V2's agent asks
  for 205m (a published listing); the rest is room for the FUSE driver and the DNS cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from burst.errors import ConfigError

_MIB_PER_GIB = 1024

_KERNEL_SHARE = 0.017
_KERNEL_MIB = 123
"""What the kernel and the firmware keep: measured 0.22 GiB of 7.5, 0.64 of 32, 8.1 of 512."""

_EVICTION_MIB = 100
"""Below this the kubelet puts pods out."""

_RESERVED_MEMORY = ((4, 0.25), (4, 0.20), (8, 0.10), (112, 0.06), (math.inf, 0.02))
"""GiB of memory in turn, and the part of each that GKE reserves."""

_STREAMING_MEMORY = ((4, 0.10), (4, 0.08), (8, 0.04), (112, 0.024), (math.inf, 0.008))
"""The same, besides, on nodes that stream images."""

_RESERVED_CPU = ((1, 0.06), (1, 0.01), (2, 0.005), (math.inf, 0.0025))
"""The same of the vCPUs."""

_SYSTEM_MILLI, _SYSTEM_MIB = 600, 1100
"""What pods of the cluster's own ask for on each node; others of the owner's come on top."""

_GPU_SYSTEM_MILLI, _GPU_SYSTEM_MIB = 305, 300
"""What they ask for besides where there is a GPU: plugin, installer of the driver, metrics."""

FUSE_MILLI, FUSE_MIB = 250, 512
"""What the container of the bucket's mount asks for; the worker chart says the same to GKE."""


@dataclass(frozen=True, slots=True)
class MachineType:
    """One machine type."""

    name: str
    vcpus: int
    memory_gib: float
    gpu: str = ""
    """What GKE calls its GPU; empty if it has none."""
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Allocatable:
    """What pods on one node may ask for together."""

    milli_cores: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What the one worker of a machine is given."""

    cores: int
    """Threads to render with: as many as the machine has, since others mostly rest."""
    cpu_request_milli: int
    memory_mib: int
    """Memory to ask for, which is its limit as well."""


def machine_type(name: str) -> MachineType:
    """Return a machine type by its name, such as ``n2d-standard-8``.

    Raises:
        ConfigError: burst has no figures for it.
    """
    found = MACHINES.get(name)
    if found is None:
        family = name.partition("-")[0]
        alike = [one for one in MACHINES if one.startswith(f"{family}-")]
        raise ConfigError(
            f"burst has no figures for the machine type {name!r}",
            hint=f"of {family} it knows {', '.join(alike)}"
            if alike
            else "say cores and memory yourself, or take one of docs/reference/charts.md",
        )
    return found


def allocatable(machine: MachineType) -> Allocatable:
    """Return what GKE leaves to pods on a node of this type."""
    memory_mib = machine.memory_gib * _MIB_PER_GIB
    kernel_mib = _KERNEL_MIB + _KERNEL_SHARE * memory_mib
    reserved_mib = _reserved(machine.memory_gib, _RESERVED_MEMORY) * _MIB_PER_GIB
    # GKE rounds the cores that it reserves up, to tens of thousandths.
    reserved_milli = math.ceil(_reserved(machine.vcpus, _RESERVED_CPU) * 100) * 10
    return Allocatable(
        machine.vcpus * 1000 - reserved_milli,
        math.floor(memory_mib - kernel_mib - reserved_mib - _EVICTION_MIB),
    )


def streaming_mib(machine: MachineType) -> int:
    """Return what GKE leaves less to pods, in MiB, on a node that streams images."""
    return math.ceil(_reserved(machine.memory_gib, _STREAMING_MEMORY) * _MIB_PER_GIB)


def worker_share(machine: MachineType, *, fuse: bool) -> WorkerShare:
    """Return what a worker that has a machine to itself may ask for, images streamed or not.

    Args:
        machine: its type.
        fuse: whether it reads scenes through Cloud Storage FUSE, a container beside it.
    """
    left = allocatable(machine)
    milli = left.milli_cores - _SYSTEM_MILLI
    mib = left.memory_mib - streaming_mib(machine) - _SYSTEM_MIB
    if machine.gpus:
        milli, mib = milli - _GPU_SYSTEM_MILLI, mib - _GPU_SYSTEM_MIB
    if fuse:
        milli, mib = milli - FUSE_MILLI, mib - FUSE_MIB
    return WorkerShare(machine.vcpus, milli // 10 * 10, mib // 64 * 64)


def _reserved(amount: float, steps: tuple[tuple[float, float], ...]) -> float:
    reserved = 0.0
    for size, share in steps:
        reserved += min(amount, size) * share
        amount -= min(amount, size)
    return reserved


def _of(family: str, gib_per_vcpu: float, *sizes: int) -> list[MachineType]:
    return [MachineType(f"{family}-{size}", size, size * gib_per_vcpu) for size in sizes]


# Four vCPUs at least: of two, others take a third.
_ALL = [
    *_of("e2-standard", 4, 4, 8, 16, 32),
    *_of("e2-highcpu", 1, 16, 32),
    *_of("e2-highmem", 8, 4, 8, 16),
    *_of("n1-standard", 3.75, 4, 8, 16, 32, 64, 96),
    *_of("n1-highmem", 6.5, 4, 8, 16, 32, 64, 96),
    *_of("n2-standard", 4, 4, 8, 16, 32, 48, 64, 80),
    *_of("n2-highcpu", 1, 16, 32, 48, 64, 80),
    *_of("n2-highmem", 8, 4, 8, 16, 32, 48, 64, 80),
    *_of("n2d-standard", 4, 4, 8, 16, 32, 48, 64, 80, 96, 128),
    *_of("n2d-highcpu", 1, 16, 32, 48, 64, 80, 96, 128),
    *_of("n2d-highmem", 8, 4, 8, 16, 32, 48, 64, 80),
    *_of("t2d-standard", 4, 4, 8, 16, 32, 48, 60),
    *_of("c2-standard", 4, 4, 8, 16, 30, 60),
    *_of("c2d-standard", 4, 4, 8, 16, 32, 56, 112),
    *_of("c2d-highcpu", 2, 4, 8, 16, 32, 56, 112),
    *_of("c2d-highmem", 8, 4, 8, 16, 32, 56, 112),
    *_of("c3-standard", 4, 4, 8, 22, 44, 88, 176),
    *_of("c3-highcpu", 2, 4, 8, 22, 44, 88, 176),
    *_of("c3d-standard", 4, 4, 8, 16, 30, 60, 90, 180, 360),
    *_of("c4-standard", 3.75, 4, 8, 16, 32, 48, 96, 192),
    *_of("c4-highcpu", 2, 4, 8, 16, 32, 48, 96, 192),
    *_of("n4-standard", 4, 4, 8, 16, 32, 48, 64, 80),
    *_of("n4-highcpu", 2, 4, 8, 16, 32, 48, 64, 80),
    MachineType("g2-standard-4", 4, 16, "nvidia-l4", 1),
    MachineType("g2-standard-8", 8, 32, "nvidia-l4", 1),
    MachineType("g2-standard-12", 12, 48, "nvidia-l4", 1),
    MachineType("g2-standard-16", 16, 64, "nvidia-l4", 1),
    MachineType("g2-standard-32", 32, 128, "nvidia-l4", 1),
    MachineType("g2-standard-24", 24, 96, "nvidia-l4", 2),
    MachineType("g2-standard-48", 48, 192, "nvidia-l4", 4),
    MachineType("g2-standard-96", 96, 384, "nvidia-l4", 8),
]

MACHINES = {machine.name: machine for machine in _ALL}
"""Every type that there are figures for, by name."""
