"""Money of which a part may be unknown: never a guess, and never silently less."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum of what is known, and the names of what is not."""

    known: Decimal = Decimal(0)
    unknown: tuple[str, ...] = ()
    """What would come on top, each once."""

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.known + other.known, tuple(dict.fromkeys((*self.unknown, *other.unknown)))
        )

    def times(self, many: Decimal | int) -> Amount:
        """Return so many of it; none of it is nothing, even if its price is unknown."""
        return Amount(self.known * many, self.unknown) if many else Amount()

    def part(self, of: int) -> Amount:
        """Return one of so many equal parts of it."""
        return Amount(self.known / of, self.unknown)

    @property
    def whole(self) -> Decimal | None:
        """Return the sum, or None where a part of it is unknown."""
        return None if self.unknown else self.known
