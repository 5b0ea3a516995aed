"""Regions, zones, machine types and GPUs that there are here, and what may be used of them."""

from __future__ import annotations

from typing import Any

REGIONS = {"europe-west4": "abc", "us-central1": "abcf", "us-west1": "abc"}
"""Region → letters of its zones."""

MACHINES = {
    "e2-small": (2, 2),
    "e2-medium": (2, 4),
    "e2-standard-2": (2, 8),
    "e2-standard-4": (4, 16),
    "n1-standard-4": (4, 15),
    "n1-standard-8": (8, 30),
    "n2-highcpu-8": (8, 8),
    "n2-standard-8": (8, 32),
    "n2d-highcpu-8": (8, 8),
    "n2d-highcpu-16": (16, 16),
    "n2d-highcpu-32": (32, 32),
    "n2d-standard-8": (8, 32),
    "n2d-standard-16": (16, 64),
    "c3d-highcpu-16": (16, 32),
    "c3d-highcpu-30": (30, 59),
    "c3d-highcpu-60": (60, 118),
    "c4d-highcpu-32": (32, 60),
    "t2d-standard-8": (8, 32),
    "t2d-standard-16": (16, 64),
    "t2d-standard-32": (32, 128),
    "g2-standard-4": (4, 16),
    "g2-standard-8": (8, 32),
    "g2-standard-12": (12, 48),
    "a2-highgpu-1g": (12, 85),
}
"""Machine type → its CPUs and its GiB of memory."""

GPU_MACHINES = {"g2-": "nvidia-l4", "a2-": "nvidia-tesla-a100"}
"""Start of a machine type's name → the GPU that it has one of."""
ACCELERATORS = ("nvidia-l4", "nvidia-tesla-t4", "nvidia-tesla-a100")
MISSING = {"us-west1-c": ("c3d-", "c4d-", "g2-", "a2-"), "europe-west4-c": ("a2-",)}
"""Zone → beginnings of the names of machine types that it does not have."""
LIMITS = {
    "CPUS": 72,
    "PREEMPTIBLE_CPUS": 0,
    "N2D_CPUS": 72,
    "C3_CPUS": 72,
    "E2_CPUS": 72,
    "T2D_CPUS": 72,
    "N2_CPUS": 72,
    "DISKS_TOTAL_GB": 4096,
    "SSD_TOTAL_GB": 2048,
    "LOCAL_SSD_TOTAL_GB": 6000,
    "IN_USE_ADDRESSES": 8,
    "STATIC_ADDRESSES": 8,
    "INSTANCES": 240,
    "INSTANCE_GROUP_MANAGERS": 100,
    "NVIDIA_L4_GPUS": 1,
    "NVIDIA_T4_GPUS": 1,
    "PREEMPTIBLE_NVIDIA_L4_GPUS": 1,
    "PREEMPTIBLE_NVIDIA_T4_GPUS": 1,
}
PROJECT_LIMITS = {"GPUS_ALL_REGIONS": 1, "NETWORKS": 5, "FIREWALLS": 100, "CPUS_ALL_REGIONS": 128}


def quotas() -> dict[str, dict[str, int]]:
    """Return the limits of a project that has asked for nothing."""
    return {**{region: dict(LIMITS) for region in REGIONS}, "global": dict(PROJECT_LIMITS)}


def zones(region: str = "") -> list[str]:
    """Return the zones of a region, or all."""
    wanted = [region] if region else sorted(REGIONS)
    return [f"{one}-{letter}" for one in wanted for letter in REGIONS.get(one, "")]


def region_of(location: str) -> str:
    """Return the region of a zone, or the region itself."""
    return location if location in REGIONS else location.rpartition("-")[0]


def machine_names(zone: str) -> list[str]:
    """Return the machine types that a zone has."""
    return [name for name in sorted(MACHINES) if not name.startswith(MISSING.get(zone, ("-",)))]


def machine(name: str, zone: str) -> dict[str, Any]:
    """Return a machine type as Compute Engine shows it."""
    cpus, gib = MACHINES[name]
    shown: dict[str, Any] = {
        "kind": "compute#machineType",
        "name": name,
        "guestCpus": cpus,
        "memoryMb": gib * 1024,
        "zone": zone,
        "isSharedCpu": name in ("e2-small", "e2-medium"),
        "architecture": "X86_64",
    }
    for start, gpu in GPU_MACHINES.items():
        if name.startswith(start):
            told = {"guestAcceleratorType": gpu, "guestAcceleratorCount": 1}
            shown["accelerators"] = [told]
    return shown


def family(machine_type: str, *, spot: bool) -> str:
    """Return the metric that counts a machine type's CPUs."""
    name = machine_type.partition("-")[0].upper()
    metric = f"{name}_CPUS" if f"{name}_CPUS" in LIMITS else "CPUS"
    return "PREEMPTIBLE_CPUS" if spot and LIMITS["PREEMPTIBLE_CPUS"] else metric
