"""What was spent so far, by the price of an hour as it was told again and again."""

from __future__ import annotations

from typing import Any

DOWN_HOURS = 0.5
"""What taking a farm down may take: its cost is kept back."""

_SMALL = frozenset({"bucket", "images in the registry"})
"""Parts of a farm whose price may be unknown."""


class Meter:
    """A sum that only grows; what is unknown counts as the most that it may be."""

    def __init__(self, limit: float, worst_hour: float) -> None:
        """Begin at nothing.

        Args:
            limit: in the currency of the prices.
            worst_hour: an hour of all machines that there may be.
        """
        self.limit = limit
        self.spent = 0.0
        self._worst = worst_hour
        self._rate = 0.0
        self._at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether no more may be spent but what it takes to stop."""
        return self.spent + self._rate * DOWN_HOURS >= self.limit

    def note(self, hour: float | None, now: float) -> None:
        """Take down what an hour costs now; None if nobody could say.

        Since the last time it was as dear as then or as now, whichever is more.
        """
        rate = self._worst if hour is None else hour
        if self._at is not None:
            self.spent += max(self._rate, rate) * max(0.0, now - self._at) / 3600
        self._at, self._rate = now, rate


def known_hour(told: dict[str, Any] | None) -> float | None:
    """Return an amount that burst tells; None if what nobody could say may be much of it."""
    if not told:
        return None
    if told["amount"] is not None:
        return float(told["amount"])
    # A few cents a month for scenes and images; anything else may be the machines themselves.
    return float(told["at_least"]) if set(told["unknown"]) <= _SMALL else None


def refusal(costs: dict[str, Any], limit: float) -> str:
    """Return why not to begin; nothing if the limit goes far enough. Pure.

    Args:
        costs: as `burst up --plan --json` has them.
        limit: of money.
    """
    idle, full = known_hour(costs["hour_idle"]), known_hour(costs["hour_full"])
    if idle is None or full is None:
        unknown = ", ".join((costs["hour_full"] or {}).get("unknown", ()))
        why = costs.get("problem") or f"unknown: {unknown}"
        return f"nobody says what it costs ({why}), so no limit can be kept"
    needed = idle + full * (0.5 + DOWN_HOURS)
    if limit < needed:
        currency = costs["currency"]
        return (
            f"a limit of {limit:.2f} {currency} is too low: an hour of it all may take {needed:.2f}"
        )
    return ""
