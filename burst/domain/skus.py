"""What a SKU of Google's Cloud Billing Catalog is the price of.

A SKU says what it sells in a sentence for people, and nowhere else: its category tells cores
from disks, but not an N2D's from a C3's, nor a reserved one's. So each sentence is matched
whole, from its first word: one that says more (*Sole Tenancy*, *Commitment*, *Reserved*, *DWS
Defined Duration*, *Confidential Mode*, *Custom Extended*) sells something else at another price.
The place it ends in is not read: ``serviceRegions`` has the regions, and older SKUs name no place.

Sentences seen in bills, in catalogues that were written down and in programs that read it, of
2021 to 2026; all that ``burst.domain.machines`` knows are of these forms:

==========================  =====================================================================
N1                          N1 Predefined Instance Core|Ram running in Zurich
E2, N2, N4, C3, C3D, C4,    E2 Instance Core running in Paris; G2 Instance Ram running in Belgium
G2
N2D, T2D, C2D               N2D AMD Instance Ram running in Israel
C2                          Compute optimized Core running in Americas; in newer regions
                            Compute optimized Instance Core running in Dallas
of a custom size            N2D AMD Custom Instance Core running in …; of N1 Custom Instance Core
on spot                     the same after *Spot Preemptible*: Spot Preemptible Compute optimized
                            Ram running in Montreal
GPUs                        Nvidia L4 GPU running in …; Nvidia Tesla T4 GPU running in …; Nvidia
                            L4 GPU attached to Spot Preemptible VMs running in Hong Kong
disks                       Storage PD Capacity (the five oldest regions), Storage PD Capacity in
                            Mumbai; Balanced PD, SSD backed PD, Hyperdisk Balanced likewise
local SSDs                  SSD backed Local Storage in Paris; SSD backed Local Storage attached
                            to Spot Preemptible VMs in Paris; C4D Instance Local SSD running in
                            Frankfurt
clusters                    Zonal Kubernetes Clusters
buckets                     Standard Storage London; Standard Storage US Multi-region; Regional
                            Standard Class A Operations
others                      Artifact Registry Storage; ManagedZone; Log Storage cost
==========================  =====================================================================
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

HOURS_PER_MONTH = 730
"""Of a month as Google bills it."""

COMPUTE = "6F81-5844-456A"
KUBERNETES = "CCD8-9BF1-090E"
STORAGE = "95FF-2EF5-5EA1"
REGISTRY = "149C-F9EC-3994"
DNS = "FA26-5236-B8B5"
LOGGING = "5490-F7B7-8DF6"
SERVICES = (COMPUTE, KUBERNETES, STORAGE, REGISTRY, DNS, LOGGING)
"""Ids of the services whose SKUs a farm pays."""


class Good(NamedTuple):
    """One thing that has a price in a region."""

    kind: str
    """``core``, ``memory``, ``gpu``, ``disk``, ``local-ssd``, ``cluster``, ``storage``,
    ``operations``, ``images``, ``zone`` or ``logs``."""
    name: str = ""
    """Which of its kind: a machine family, a GPU as GKE calls it, a disk type, a class."""
    spot: bool = False

    @property
    def key(self) -> str:
        """Return it in one word, for files."""
        return f"{self.kind}/{self.name}{'/spot' if self.spot else ''}"


UNITS = {
    "core": "h",
    "memory": "GiBy.h",
    "gpu": "h",
    "disk": "GiBy.mo",
    "local-ssd": "GiBy.mo",
    "cluster": "h",
    "storage": "GiBy.mo",
    "operations": "count",
    "images": "GiBy.mo",
    "zone": "mo",
    "logs": "GiBy",
}
"""What the price of each kind is for, in the catalogue's own words."""

_PREFIX = r"(?P<spot>(?:Spot )?Preemptible )?"
_PLACE = r" (?:running )?in .+"
_OTHER_MODE = re.compile("Confidential", re.IGNORECASE)

_CORE = re.compile(
    rf"{_PREFIX}(?:(?P<series>[A-Z]\d[A-Z]?)(?: AMD| Arm)?(?P<custom> Custom)? Instance"
    r"|(?P<n1>N1 Predefined Instance)|(?P<n1_custom>Custom Instance)"
    rf"|(?P<c2>Compute optimized(?: Instance)?)) (?P<part>Core|Ram){_PLACE}",
    re.IGNORECASE,
)
_GPU = re.compile(
    r"Nvidia (?:Tesla )?(?P<model>[A-Z]\d+(?: \d+GB)?(?: Mega)?) GPU"
    rf"(?P<spot> attached to (?:Spot )?Preemptible VMs)?{_PLACE}",
    re.IGNORECASE,
)
_DISK = re.compile(rf"(?P<type>[A-Za-z ]+) Capacity(?:{_PLACE})?", re.IGNORECASE)
_LOCAL_SSD = re.compile(
    r"SSD backed Local Storage"
    rf"(?P<spot> attached to (?:Spot )?Preemptible VMs)?(?:{_PLACE})?",
    re.IGNORECASE,
)
_SERIES_SSD = re.compile(
    rf"{_PREFIX}(?P<series>[A-Z]\d[A-Z]?) Instance Local SSD{_PLACE}", re.IGNORECASE
)
_BYTES = re.compile(r"(?P<class>Standard|Nearline|Coldline|Archive) Storage (?P<place>.+)")
_NOT_BYTES = re.compile(r"Dual-region|Early Delete")
_OPERATIONS = re.compile(r"Regional Standard Class (?P<class>[AB]) Operations")

_GPUS = {
    "K80": "nvidia-tesla-k80",
    "P4": "nvidia-tesla-p4",
    "P100": "nvidia-tesla-p100",
    "V100": "nvidia-tesla-v100",
    "T4": "nvidia-tesla-t4",
    "L4": "nvidia-l4",
    "A100": "nvidia-tesla-a100",
    "A100 80GB": "nvidia-a100-80gb",
    "H100 80GB": "nvidia-h100-80gb",
    "H100 80GB MEGA": "nvidia-h100-mega-80gb",
}
_DISKS = {
    "storage pd": "pd-standard",
    "balanced pd": "pd-balanced",
    "ssd backed pd": "pd-ssd",
    "hyperdisk balanced": "hyperdisk-balanced",
    "hyperdisk throughput": "hyperdisk-throughput",
    "hyperdisk extreme": "hyperdisk-extreme",
    "hyperdisk ml": "hyperdisk-ml",
}
_WORDS = {
    (KUBERNETES, "Zonal Kubernetes Clusters"): Good("cluster", "zonal"),
    (REGISTRY, "Artifact Registry Storage"): Good("images"),
    (DNS, "ManagedZone"): Good("zone"),
    (LOGGING, "Log Storage cost"): Good("logs"),
}


def good_of(service: str, description: str) -> Good | None:
    """Return what a SKU sells, if a farm may need it.

    Args:
        service: the id of the service that it belongs to.
        description: its sentence.
    """
    if service == COMPUTE:
        return None if _OTHER_MODE.search(description) else _of_compute(description)
    if service == STORAGE:
        return _of_storage(description)
    return _WORDS.get((service, description))


def _of_compute(description: str) -> Good | None:
    if found := _CORE.fullmatch(description):
        return _of_core(found)
    if found := _GPU.fullmatch(description):
        name = _GPUS.get(found["model"].upper())
        return Good("gpu", name, found["spot"] is not None) if name else None
    if found := _LOCAL_SSD.fullmatch(description):
        return Good("local-ssd", "", found["spot"] is not None)
    if found := _SERIES_SSD.fullmatch(description):
        return Good("local-ssd", found["series"].lower(), found["spot"] is not None)
    if found := _DISK.fullmatch(description):
        name = _DISKS.get(found["type"].lower())
        return Good("disk", name) if name else None
    return None


def _of_core(found: re.Match[str]) -> Good:
    if found["series"]:
        family = found["series"].lower() + ("-custom" if found["custom"] else "")
    else:
        family = "c2" if found["c2"] else "n1" if found["n1"] else "n1-custom"
    kind = "core" if found["part"].lower() == "core" else "memory"
    return Good(kind, family, found["spot"] is not None)


def _of_storage(description: str) -> Good | None:
    if found := _OPERATIONS.fullmatch(description):
        return Good("operations", found["class"])
    found = _BYTES.fullmatch(description)
    if found is None or _NOT_BYTES.search(found["place"]):
        return None
    return Good("storage", found["class"].upper())


_SECONDS = {
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
    "mo": Decimal(3600 * HOURS_PER_MONTH),
}
_SIZES = {
    "By": Decimal(1),
    **{f"{prefix}By": Decimal(1000**n) for n, prefix in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{f"{prefix}By": Decimal(1024**n) for n, prefix in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
}


def units_in(unit: str, other: str) -> Decimal | None:
    """Return how many of ``unit`` one ``other`` is, such as 730 for ``h`` and ``mo``.

    Args:
        unit: as ``usageUnit`` has it: ``h``, ``GiBy.mo``, ``count``.
        other: likewise.

    Returns:
        None where one can't be had for the other, or a word is new.
    """
    this, that = _measure(unit), _measure(other)
    if this is None or that is None or this[1] != that[1]:
        return None
    return that[0] / this[0]


def _measure(unit: str) -> tuple[Decimal, str] | None:
    """Return a unit in basic ones, and which these are."""
    if unit == "count":
        return Decimal(1), unit
    amount, basics = Decimal(1), ""
    for word in unit.split("."):
        if word in _SIZES:
            amount, basics = amount * _SIZES[word], f"{basics}byte "
        elif word in _SECONDS:
            amount, basics = amount * _SECONDS[word], f"{basics}second "
        else:
            return None
    return amount, basics
