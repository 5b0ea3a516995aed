"""How long it will take, by how long it took: figures of past runs, and nothing made up. Pure.

Of each kind of resource and action the last few durations are kept, and of each set of them how
long the whole took. They lie in the state bucket, so that every laptop learns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from burst.cloud.terraform_plan import Plan, Took

TIMES = "times.json"
"""Name in the state bucket."""
KEPT = 8
"""Past figures of a kind; the cloud gets faster and slower by the month."""

_PARTS = {"replace": ("delete", "create"), "import": (), "forget": ()}
"""What an action is made of, where it is not one."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long things took; seconds, the newest last."""

    kinds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By ``type action``."""
    wholes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By the kinds of all that was done, in the order of the alphabet."""

    def to_json(self) -> bytes:
        """Return them as they lie in the bucket."""
        return json.dumps({"kinds": self.kinds, "wholes": self.wholes}, indent=1).encode()


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a plan will take."""

    seconds: float
    unknown: tuple[str, ...]
    """Types of resources that were never done before: they come on top."""


def read_times(content: bytes | None) -> Times:
    """Return what lies in the bucket; what can't be read is nothing."""
    try:
        told = json.loads(content or b"{}")
        return Times(_figures(told, "kinds"), _figures(told, "wholes"))
    except (ValueError, TypeError, AttributeError):
        return Times()


def _figures(told: Mapping[str, Any], part: str) -> dict[str, tuple[float, ...]]:
    return {
        str(kind): tuple(float(seconds) for seconds in figures)
        for kind, figures in told.get(part, {}).items()
    }


def with_run(times: Times, done: Iterable[Took], seconds: float) -> Times:
    """Return the figures with those of one more run that came to its end."""
    took = list(done)
    kinds = dict(times.kinds)
    for kind in {_kind(one.type, one.action) for one in took}:
        # Of many at once the slowest is what is waited for.
        longest = max(one.seconds for one in took if _kind(one.type, one.action) == kind)
        kinds[kind] = (*kinds.get(kind, ()), longest)[-KEPT:]
    whole = _whole(_kind(one.type, one.action) for one in took)
    if not whole:
        return times
    wholes = {**times.wholes, whole: (*times.wholes.get(whole, ()), seconds)[-KEPT:]}
    return Times(kinds, wholes)


def estimate(plan: Plan, times: Times) -> Estimate | None:
    """Return how long a plan will take, or None if nothing like it was ever done.

    Where the same was done before, that tells. Else kinds follow each other, and what is of one
    kind is done side by side: so it is with networks, clusters and node pools, which take nearly
    all of the time.
    """
    wanted = {
        (change.type, action)
        for change in plan.changes
        for action in _PARTS.get(change.action, (change.action,))
    }
    kinds = sorted(_kind(*one) for one in wanted)
    same = times.wholes.get(_whole(kinds))
    if same:
        return Estimate(median(same), ())
    known = [median(times.kinds[kind]) for kind in kinds if times.kinds.get(kind)]
    if not known:
        return None
    unknown = {type_ for type_, action in wanted if not times.kinds.get(_kind(type_, action))}
    return Estimate(sum(known), tuple(sorted(unknown)))


def remaining(whole: Estimate, passed_seconds: float) -> float | None:
    """Return how many seconds are left; None when it takes longer than ever."""
    left = whole.seconds - passed_seconds
    return left if left > 0 else None


def _kind(type_: str, action: str) -> str:
    return f"{type_} {action}"


def _whole(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(set(kinds)))
