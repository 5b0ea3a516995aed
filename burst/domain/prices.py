"""What things cost at Google, read from SKUs of its Cloud Billing Catalog. Nothing is asked here.

Prices are list prices, exact to the billionth of the currency: no discount of an account, none
for commitment or long use. What an account gets free each month (the first gigabytes of a bucket,
say) belongs to all that the account has, so a farm's price does not count on it.

`burst.domain.skus` says what each SKU sells, `burst.cloud.billing` brings them,
`burst.domain.costs` makes sums of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from burst.domain.skus import UNITS, Good, good_of, units_in

_NANO = Decimal(1_000_000_000)
_ANYWHERE = "global"
_LOCATIONS = {"eu": "europe"}
"""Multi-regions whose name in the catalogue is not the bucket's."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one good, for a unit of `burst.domain.skus.UNITS`."""

    tiers: tuple[tuple[Decimal, Decimal], ...]
    """From how many units a month on which price, in order."""

    @property
    def price(self) -> Decimal:
        """Return what the first unit costs that is paid for."""
        return next((price for _, price in self.tiers if price), Decimal(0))

    def cost(self, quantity: Decimal) -> Decimal:
        """Return what so many units cost, without those that an account has free."""
        cost = Decimal(0)
        steps = self._paid()
        for (start, price), end in zip(
            steps, [*(start for start, _ in steps[1:]), None], strict=True
        ):
            if quantity > start:
                cost += (quantity - start if end is None else min(quantity, end) - start) * price
        return cost

    def _paid(self) -> list[tuple[Decimal, Decimal]]:
        """Return the tiers with those in front left out that are free."""
        steps = list(self.tiers)
        while len(steps) > 1 and not steps[0][1]:
            del steps[0]
        return [(Decimal(0), steps[0][1]), *steps[1:]]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by good and region, as they were at one time."""

    currency: str = "USD"
    rates: Mapping[str, Mapping[str, Rate]] = field(default_factory=dict)
    """By `Good.key`, then by region."""
    as_of: datetime | None = None
    """When they were asked for; None if they could not be."""
    problem: str = ""
    """Why they are missing or old; empty if they are neither."""

    def rate(self, good: Good, region: str) -> Rate | None:
        """Return the price of a good in a region, or where a bucket is; None if unknown."""
        found = self.rates.get(good.key, {})
        place = region.lower()
        return found.get(_LOCATIONS.get(place, place)) or found.get(_ANYWHERE)


def read_skus(
    service: str, skus: Iterable[Any], currency: str, at: datetime
) -> Iterator[tuple[Good, str, Rate]]:
    """Read SKUs as the API lists them: each good that a farm may need, by region.

    A SKU that is not of the API's form is left out, so that its price is unknown.

    Args:
        service: id of the service that they belong to.
        skus: decoded JSON.
        currency: what their prices are to be in.
        at: prices that come into force later do not count.
    """
    for sku in skus:
        try:
            found = _read(service, sku, currency, at)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            continue
        if found is not None:
            good, regions, rate = found
            for region in regions:
                yield good, region, rate


def merge(rates: dict[str, dict[str, Rate]], entries: Iterable[tuple[Good, str, Rate]]) -> None:
    """Add prices to a table's ``rates``; of two for the same thing the dearer one stays."""
    for good, region, rate in entries:
        regions = rates.setdefault(good.key, {})
        known = regions.get(region)
        if known is None or known.price < rate.price:
            regions[region] = rate


def as_json(table: PriceTable) -> dict[str, Any]:
    """Return a table for a file; its date must be known."""
    if table.as_of is None:
        raise ValueError("a table without a date is not worth keeping")
    return {
        "currency": table.currency,
        "as_of": table.as_of.isoformat(),
        "rates": {
            key: {
                region: [[str(start), str(price)] for start, price in rate.tiers]
                for region, rate in regions.items()
            }
            for key, regions in table.rates.items()
        },
    }


def from_json(value: Any) -> PriceTable:
    """Return the table that `as_json` wrote.

    Raises:
        ValueError: it did not write this.
    """
    try:
        rates = {
            key: {region: Rate(_tiers(steps)) for region, steps in regions.items()}
            for key, regions in value["rates"].items()
        }
        as_of = datetime.fromisoformat(value["as_of"])
        currency = value["currency"]
    except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a price table") from error
    if as_of.tzinfo is None or not isinstance(currency, str):
        raise ValueError("not a price table")
    return PriceTable(currency, rates, as_of)


def _read(
    service: str, sku: Any, currency: str, at: datetime
) -> tuple[Good, list[str], Rate] | None:
    good = good_of(service, sku["description"])
    if good is None or sku["category"]["usageType"].startswith("Commit"):
        return None
    expression = _in_force(sku["pricingInfo"], at)
    if expression is None:
        return None
    many = units_in(expression["usageUnit"], UNITS[good.kind])
    if many is None:
        return None
    tiers = []
    for step in expression["tieredRates"]:
        money = step["unitPrice"]
        if money["currencyCode"] != currency:
            return None
        price = Decimal(money.get("units") or 0) + Decimal(money.get("nanos") or 0) / _NANO
        tiers.append((Decimal(str(step.get("startUsageAmount", 0))) / many, price * many))
    rate = Rate(_tiers(tiers))
    # No price is zero: what is, stands for something that is not sold by itself.
    return (good, list(sku["serviceRegions"]), rate) if rate.price else None


def _in_force(infos: list[Any], at: datetime) -> Any:
    """Return the newest price that holds already."""
    begun = []
    for info in infos:
        text = info.get("effectiveTime")
        since = datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)
        if since <= at:
            begun.append((since, info["pricingExpression"]))
    return max(begun, key=lambda one: one[0])[1] if begun else None


def _tiers(steps: Iterable[Iterable[Any]]) -> tuple[tuple[Decimal, Decimal], ...]:
    tiers = sorted((Decimal(start), Decimal(price)) for start, price in steps)
    if (
        not tiers
        or tiers[0][0] != 0
        or any(not price.is_finite() or price < 0 for _, price in tiers)
    ):
        raise ValueError("not the tiers of a price")
    return tuple(tiers)
