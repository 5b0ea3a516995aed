"""Prices from Google's Cloud Billing Catalog, kept for a day in the user's cache folder.

The catalogue of machines alone has some thirty thousand SKUs, and the API neither searches nor
leaves out regions. So the services are asked side by side, each page is made prices and dropped
before the next comes, and what is kept is the prices that a farm may need: of every region, a few
hundred kilobytes, so that another region asks nothing.

When the API is away, prices of an earlier day are better than none: they come with their date, and
with why there are no newer ones. Without those everything is unknown.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burst.domain.prices import PriceTable, Rate, as_json, from_json, merge, read_skus
from burst.domain.skus import SERVICES
from burst.errors import CloudError, CloudNotFound
from burst.threads import side_by_side

if TYPE_CHECKING:
    from burst.cloud.google_api import GoogleApi

LONGEST_AGE = timedelta(days=1)
"""Google changes prices of spot machines up to daily."""

_PAGE = 5000
"""As many SKUs as the API gives at once."""

_FIELDS = (
    "nextPageToken,skus(description,category/usageType,serviceRegions,"
    "pricingInfo(effectiveTime,pricingExpression(usageUnit,tieredRates)))"
)
"""What is read of them: half of what there is."""

_FORM = 1
"""Of the kept file. One of another form is asked for anew."""


def prices(
    api: GoogleApi,
    folder: Path,
    now: datetime,
    *,
    currency: str = "USD",
    longest_age: timedelta = LONGEST_AGE,
) -> PriceTable:
    """Return what things cost: kept prices while they are new, else those that Google says.

    Args:
        api: Google's.
        folder: where prices are kept.
        now: the present.
        currency: by its code of three letters.
        longest_age: of prices that are not asked for again.

    Returns:
        A table whose `problem` says why its prices are old, or unknown.
    """
    file = folder / f"prices-{currency}.json"
    kept = _kept(file, currency)
    if kept is not None and kept.as_of is not None and abs(now - kept.as_of) <= longest_age:
        return kept
    try:
        table = _asked(api, currency, now)
    except CloudError as error:
        problem = f"{error.message}; {error.hint}" if error.hint else error.message
        return replace(kept or PriceTable(currency), problem=problem)
    if not table.rates:
        problem = f"Google has no prices in {currency} that burst understands"
        return replace(kept or PriceTable(currency), problem=problem)
    _keep(file, table)
    return table


def _asked(api: GoogleApi, currency: str, now: datetime) -> PriceTable:
    found: list[dict[str, dict[str, Rate]]] = []

    def ask(service: str) -> None:
        rates: dict[str, dict[str, Rate]] = {}
        # A service that Google sells by another id now takes only its own prices with it.
        with contextlib.suppress(CloudNotFound):
            for skus in _pages(api, service, currency):
                merge(rates, read_skus(service, skus, currency, now))
        found.append(rates)

    side_by_side([partial(ask, service) for service in SERVICES])
    # No two services sell the same.
    return PriceTable(currency, {key: rate for rates in found for key, rate in rates.items()}, now)


def _pages(api: GoogleApi, service: str, currency: str) -> Iterator[list[Any]]:
    query = {"currencyCode": currency, "pageSize": str(_PAGE), "fields": _FIELDS}
    path = f"services/{service}/skus"
    for page in api.pages("CLOUD_BILLING", path, query, what="the catalogue of prices"):
        skus = page.get("skus")
        yield skus if isinstance(skus, list) else []


def _kept(file: Path, currency: str) -> PriceTable | None:
    """Return the kept prices, or None if there are none that can be read."""
    try:
        value = json.loads(file.read_bytes())
        table = from_json(value["table"]) if value["form"] == _FORM else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return table if table is not None and table.currency == currency else None


def _keep(file: Path, table: PriceTable) -> None:
    """Write prices down, all or nothing; a folder that can't be written keeps none."""
    body = json.dumps({"form": _FORM, "table": as_json(table)}, separators=(",", ":"))
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        try:
            with os.fdopen(handle, "w") as sink:
                sink.write(body)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
