"""What is left of a farm that should be gone, and how to remove it. Pure.

"0 left" is said only if every kind could be listed. What is kept on purpose, the buckets, is told
apart from what is left; of a farm that is up, what Terraform made and what GKE made for its cluster
are where they belong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from burst.cloud.inventory import Inventory
from burst.cloud.resource_kinds import CLUSTER_LABEL, KINDS, Resource, farm_of_name
from burst.errors import ApiDisabled

_OF_CLUSTER = frozenset(
    {
        "disks", "firewalls", "instanceGroupManagers", "instanceGroups", "instanceTemplates",
        "instances", "nodePools", "routes",
    }
)  # fmt: skip
"""Kinds that GKE makes for a cluster, and removes with it."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What is left of a farm."""

    farm: str
    left: tuple[Resource, ...]
    """In the order in which they can be removed."""
    kept: tuple[Resource, ...]
    """There on purpose."""
    unknown: Mapping[str, str]
    """Kinds that could not be listed, as people call them, and why."""
    not_enabled: Mapping[str, str] = field(default_factory=dict)
    """Kinds whose API is off, as people call them, and what says so."""

    @property
    def is_zero(self) -> bool:
        """Whether nothing is left for certain."""
        return not self.left and not self.unknown

    @property
    def bills(self) -> bool:
        """Whether something costs money that should not be there."""
        return any(one.bills for one in self.left)

    def lines(self) -> list[str]:
        """Return it for people: how much is left, what, the commands, and what is kept."""
        said = [self._summary()]
        said += [f"  {one.title}{_cost(one)}{_doubt(one)}" for one in self.left]
        if self.left:
            said += ["remove them in this order:", *(f"  {one.deletion}" for one in self.left)]
        said += [f"can't be sure of {kind}: {why}" for kind, why in self.unknown.items()]
        off = dict.fromkeys(self.not_enabled.values())
        said += [f"taken for none: {self._of(why)}: {why}" for why in off]
        said += [f"kept: {one.title}{_cost(one)}" for one in self.kept]
        return said

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "farm": self.farm,
            "zero": self.is_zero,
            "left": [_as_json(one) for one in self.left],
            "kept": [_as_json(one) for one in self.kept],
            "unknown": dict(self.unknown),
            "not_enabled": dict(self.not_enabled),
        }

    def _of(self, why: str) -> str:
        return ", ".join(kind for kind, told in self.not_enabled.items() if told == why)

    def _summary(self) -> str:
        if not self.left:
            return "0 left" if not self.unknown else "0 found, but not all could be looked for"
        costly = sum(one.bills for one in self.left)
        what = f"{len(self.left)} left of the farm {self.farm}"
        return f"{what}: {costly} at a cost" if costly else f"{what}: none costs anything"


def find_leftovers(
    inventory: Inventory, *, kept: Collection[str] = (), expected: Collection[str] = ()
) -> Leftovers:
    """Return what is left of a farm.

    Args:
        inventory: what there is of it.
        kept: API names that are there on purpose, though the farm is down: its buckets.
        expected: API names of what Terraform has in its state, while the farm is up.
    """
    up = {one.name for one in inventory.of_kind("clusters") if one.api_name in expected}
    left = tuple(
        one
        for one in inventory.resources
        if one.api_name not in kept and one.api_name not in expected and not _is_of(one, up)
    )
    unknown = {f"{KINDS[kind].title}s": error.message for kind, error in inventory.unknown.items()}
    return Leftovers(
        farm=inventory.farm,
        left=left,
        kept=tuple(one for one in inventory.resources if one.api_name in kept),
        unknown=unknown,
        not_enabled={
            f"{KINDS[kind].title}s": _gist(error) for kind, error in inventory.not_enabled.items()
        },
    )


def _gist(error: ApiDisabled) -> str:
    """Return what an API that is off is called: the same for all of its kinds."""
    return f"{error.service or 'their API'} is not enabled"


def _is_of(resource: Resource, clusters: Collection[str]) -> bool:
    """Say whether GKE made it for one of these clusters."""
    if resource.kind not in _OF_CLUSTER:
        return False
    if CLUSTER_LABEL in resource.labels:
        return resource.labels[CLUSTER_LABEL] in clusters
    if resource.kind == "nodePools":
        return resource.parent in clusters
    name = resource.name.removeprefix("gke-")
    return name != resource.name and farm_of_name(name, clusters) is not None


def _cost(resource: Resource) -> str:
    return " (costs money)" if resource.bills else ""


def _doubt(resource: Resource) -> str:
    if not resource.is_doubtful:
        return ""
    return " (known by its name only: see whether it is the farm's before you delete it)"


def _as_json(resource: Resource) -> dict[str, Any]:
    return {
        "kind": resource.kind,
        "name": resource.name,
        "location": resource.location,
        "api_name": resource.api_name,
        "bills": resource.bills,
        "delete": resource.deletion,
    }
