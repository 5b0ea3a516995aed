"""What Google Cloud would refuse of a farm's settings, said before anything is asked of it.

The same is checked by the modules in ``terraform/``, for those who use them without burst.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from itertools import combinations

from burst.config.cluster import PoolSettings
from burst.domain.machines import MACHINES

ARM = ("c4a", "n4a", "t2a")
HYPERDISK_ONLY = ("c4", "c4d", "g4", "n4", "n4d")
WITHOUT_LOCAL_SSDS = ("e2", "n4", "n4d", "t2d")
"""Families of machines."""
DISKS = ("hyperdisk-balanced", "pd-balanced", "pd-ssd", "pd-standard")
TOO_SMALL = ("e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
RANGES = {"nodes": "10.10.0.0/20", "pods": "10.64.0.0/14", "services": "10.30.0.0/20"}
"""Address ranges of a farm that says nothing of them."""

MOST_NODES = 5000
"""Of a pool."""
_LONGEST_NAMES = 47
"""Of farm and pool together: Helm takes releases of 53 characters, and ``-pool-`` is between."""
_RESERVED_POOLS = frozenset({"system", "default-pool"})
_MACHINE = re.compile(r"[a-z][a-z0-9]*-[a-z0-9-]+")
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_WORD}")
_VALUE = re.compile(rf"({_WORD})?")
_OTHERS_KEYS = re.compile(
    r"(burst|([a-z0-9.-]+\.)?kubernetes\.io|([a-z0-9.-]+\.)?k8s\.io|cloud\.google\.com)/"
)

MACHINES_OWN = frozenset(
    {"disk_gib", "disk_type", "gpu_driver", "gpu_type", "labels", "local_ssds",
     "longest_life_seconds", "zones"}
)  # fmt: skip
"""Settings of a pool that are its machines' alone, and not its workers'."""


def only_on_google(pools: Mapping[str, PoolSettings]) -> list[str]:
    """Return the keys of what is set and means nothing where burst does not make the machines."""
    return [
        f"pools.{name}.{field}"
        for name, pool in pools.items()
        for field in sorted(pool.model_fields_set & MACHINES_OWN)
    ]


def gpus_of(pool: PoolSettings) -> tuple[str, int]:
    """Return the GPU of a pool's machines and how many, whether said or built in."""
    machine = MACHINES.get(pool.machine or "")
    gpu_type = pool.gpu_type or (machine.gpu if machine else "")
    gpus = pool.gpus if pool.gpus is not None else (machine.gpus if machine else 0)
    return (gpu_type, gpus) if gpus else ("", 0)


def pool_mistakes(
    pools: Mapping[str, PoolSettings], *, region: str = "", farm: str = ""
) -> Iterator[str]:
    """Yield what is wrong with pools, each with its key.

    Args:
        pools: by name.
        region: of the farm; empty if it is not known.
        farm: its name; empty if it is not known.
    """
    for name, pool in pools.items():
        key = f"pools.{name}"
        if name in _RESERVED_POOLS:
            yield f"{key}: the cluster has a pool of that name itself"
        if len(farm) + len(name) > _LONGEST_NAMES:
            yield f"{key}: its name and the farm's have more than {_LONGEST_NAMES} characters"
        if pool.maximum > MOST_NODES:
            yield f"{key}.maximum: a pool has at most {MOST_NODES} machines"
        if pool.machine is None:
            yield f"{key}.machine: is missing, such as n2d-standard-8"
        else:
            yield from _machine_mistakes(key, pool, pool.machine)
        yield from _zone_mistakes(key, pool, region)
        yield from _label_mistakes(key, pool)


def system_machine_mistakes(machine: str) -> Iterator[str]:
    """Yield what is wrong with the machine of the manager, with its key."""
    key = "google.system_machine"
    if not _MACHINE.fullmatch(machine):
        yield f"{key}: {machine!r} is no machine type, such as e2-standard-2"
    elif machine in TOO_SMALL:
        yield f"{key}: {machine} is too small: Kubernetes and the manager need two whole cores"
    elif _family(machine) in HYPERDISK_ONLY:
        yield f"{key}: {machine} takes hyperdisks only, and its disk and the manager's are none"
    elif _family(machine) in ARM:
        yield f"{key}: {machine} is an Arm machine, and images are for x86-64"


def range_mistakes(ranges: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with address ranges, each with its key."""
    networks = {}
    for name, text in {**RANGES, **ranges}.items():
        try:
            networks[name] = ipaddress.IPv4Network(text)
        except ValueError:
            yield f"google.ranges.{name}: {text!r} is no range that begins at its first address"
            continue
        if "/" not in text or not any(
            networks[name].subnet_of(ipaddress.IPv4Network(one)) for one in PRIVATE
        ):
            yield f"google.ranges.{name}: {text} is not within {', '.join(PRIVATE)}"
    for one, other in combinations(networks, 2):
        if networks[one].overlaps(networks[other]):
            yield f"google.ranges: {one} and {other} overlap"


def _machine_mistakes(key: str, pool: PoolSettings, name: str) -> Iterator[str]:
    family = _family(name)
    if not _MACHINE.fullmatch(name):
        yield f"{key}.machine: {name!r} is no machine type, such as n2d-standard-8"
        return
    if family in ARM:
        yield f"{key}.machine: {name} is an Arm machine, and images are for x86-64"
    elif name not in MACHINES and not (pool.cores and pool.memory):
        yield f"{key}.machine: burst has no figures for {name}: say cores and memory as well"
    yield from _gpu_mistakes(key, pool, name)
    if pool.disk_type and pool.disk_type not in DISKS:
        yield f"{key}.disk_type: {pool.disk_type!r} is none of {', '.join(DISKS)}"
    elif pool.disk_type and pool.disk_type.startswith("pd-") and family in HYPERDISK_ONLY:
        yield f"{key}.disk_type: {name} takes hyperdisk-balanced only"
    if pool.local_ssds and family in WITHOUT_LOCAL_SSDS:
        yield f"{key}.local_ssds: {name} takes none"


def _gpu_mistakes(key: str, pool: PoolSettings, name: str) -> Iterator[str]:
    machine = MACHINES.get(name)
    if machine and machine.gpus:
        if pool.gpus not in (None, machine.gpus):
            yield f"{key}.gpus: {name} has {machine.gpus} {machine.gpu}, neither more nor less"
        if pool.gpu_type not in (None, machine.gpu):
            yield f"{key}.gpu_type: {name} has {machine.gpu}"
    elif pool.gpus and not pool.gpu_type:
        yield f"{key}.gpu_type: is missing, such as nvidia-tesla-t4"
    elif pool.gpu_type and not pool.gpus:
        yield f"{key}.gpus: is missing: how many {pool.gpu_type} a machine has"


def _zone_mistakes(key: str, pool: PoolSettings, region: str) -> Iterator[str]:
    if len(set(pool.zones)) < len(pool.zones):
        yield f"{key}.zones: one of them stands there twice"
    for zone in pool.zones:
        if region and not zone.startswith(f"{region}-"):
            yield f"{key}.zones: {zone} is not in {region}"


def _label_mistakes(key: str, pool: PoolSettings) -> Iterator[str]:
    for label, value in pool.labels.items():
        if not _KEY.fullmatch(label) or not _VALUE.fullmatch(value):
            yield f"{key}.labels: {label} = {value!r} is no label of Kubernetes"
        elif _OTHERS_KEYS.match(label):
            yield f"{key}.labels: {label} is set by others"
    for taint in pool.taints:
        if not _KEY.fullmatch(taint.key):
            yield f"{key}.taints: {taint.key!r} is no key of a taint"


def _family(machine: str) -> str:
    return machine.partition("-")[0]
