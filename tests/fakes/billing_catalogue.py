"""A small catalogue of prices in the form in which Google's Cloud Billing API lists its SKUs.

Prices are round, so that sums can be worked out by hand; they are nobody's. Beside what a farm
needs it has what is easily taken for it: reserved, committed, sole-tenant and confidential ones,
and prices that hold later.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

NETHERLANDS = "europe-west4"
OREGON = "us-west1"

COMPUTE = "6F81-5844-456A"
KUBERNETES = "CCD8-9BF1-090E"
STORAGE = "95FF-2EF5-5EA1"
REGISTRY = "149C-F9EC-3994"
DNS = "FA26-5236-B8B5"
LOGGING = "5490-F7B7-8DF6"

_numbers = itertools.count(1)


def sku(
    description: str,
    price: str,
    unit: str = "h",
    regions: tuple[str, ...] = (NETHERLANDS,),
    group: str = "CPU",
    free: str = "",
    currency: str = "USD",
    service: str = COMPUTE,
    family: str = "Compute",
) -> dict[str, Any]:
    """Return a SKU as the API has it.

    Args:
        description: what it is, in Google's words.
        price: of one unit.
        unit: of usage.
        regions: where it holds.
        group: of resources.
        free: how many units of each month cost nothing.
        currency: of the price.
        service: id of the service it belongs to.
        family: of resources.
    """
    number = f"{next(_numbers):04X}"
    steps = [_step("0", "0", currency)] if free else []
    steps.append(_step(free or "0", price, currency))
    return {
        "name": f"services/{service}/skus/0000-0000-{number}",
        "skuId": f"0000-0000-{number}",
        "description": description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": family,
            "resourceGroup": group,
            "usageType": "Preemptible" if "Preemptible" in description else "OnDemand",
        },
        "serviceRegions": list(regions),
        "pricingInfo": [price_info(steps, unit)],
        "serviceProviderName": "Google",
        "geoTaxonomy": {"type": "REGIONAL", "regions": list(regions)},
    }


def price_info(
    steps: list[dict[str, Any]], unit: str, since: str = "2026-11-01T08:01:02.003Z"
) -> dict[str, Any]:
    """Return one price of a SKU, which holds from ``since``."""
    return {
        "summary": "",
        "pricingExpression": {
            "usageUnit": unit,
            "displayQuantity": 1,
            "tieredRates": steps,
            "usageUnitDescription": unit,
            "baseUnit": "s",
            "baseUnitDescription": "second",
            "baseUnitConversionFactor": 3600,
        },
        "currencyConversionRate": 1,
        "effectiveTime": since,
    }


def _step(start: str, price: str, currency: str) -> dict[str, Any]:
    units, nanos = divmod(Decimal(price) * 1_000_000_000, 1_000_000_000)
    return {
        "startUsageAmount": float(start),
        "unitPrice": {"currencyCode": currency, "units": str(int(units)), "nanos": int(nanos)},
    }


def _of(service: str, *skus: dict[str, Any]) -> list[dict[str, Any]]:
    for one in skus:
        one["name"] = one["name"].replace(COMPUTE, service)
    return list(skus)


def catalogue() -> Mapping[str, list[dict[str, Any]]]:
    """Return SKUs by the id of their service."""
    committed = sku("Commitment v1: N2D AMD Cpu in Netherlands for 1 Year", "0.019")
    committed["category"]["usageType"] = "Commit1Yr"
    dearer = sku("E2 Instance Core running in Netherlands", "0.024")
    dearer["pricingInfo"].append(
        price_info([_step("0", "9", "USD")], "h", since="2027-01-01T00:00:00Z")
    )
    dearer["pricingInfo"].append(
        price_info([_step("0", "0.021", "USD")], "h", since="2024-01-01T00:00:00Z")
    )
    both = (NETHERLANDS, OREGON)
    return {
        COMPUTE: _of(
            COMPUTE,
            dearer,
            sku("E2 Instance Ram running in Netherlands", "0.0032", "GiBy.h"),
            sku("N2D AMD Instance Core running in Netherlands", "0.0303"),
            sku("N2D AMD Instance Ram running in Netherlands", "0.00406", "GiBy.h"),
            sku("Spot Preemptible N2D AMD Instance Core running in Netherlands", "0.0042"),
            sku("Spot Preemptible N2D AMD Instance Ram running in Netherlands", "0.0006", "GiBy.h"),
            sku("Spot Preemptible N2D AMD Custom Instance Core running in Netherlands", "0.0044"),
            sku(
                "Spot Preemptible N2D AMD Custom Instance Ram running in Netherlands",
                "0.0007",
                "GiBy.h",
            ),
            sku("N2D AMD Custom Extended Instance Ram running in Netherlands", "0.009", "GiBy.h"),
            sku("N2D AMD Sole Tenancy Instance Core running in Netherlands", "0.04"),
            sku("Sole Tenancy Premium for N2D AMD Sole Tenancy Instance Core in Netherlands", "1"),
            committed,
            sku("DWS Defined Duration N2D AMD Instance Core running in Netherlands", "0.02"),
            sku("Compute optimized Core running in Americas", "0.034", regions=(OREGON,)),
            sku("Compute optimized Instance Core running in Netherlands", "0.038"),
            sku("Spot Preemptible G2 Instance Core running in Netherlands", "0.01"),
            sku("Spot Preemptible G2 Instance Ram running in Netherlands", "0.0012", "GiBy.h"),
            sku("Nvidia L4 GPU running in Netherlands", "0.62", group="GPU"),
            sku(
                "Nvidia L4 GPU attached to Spot Preemptible VMs running in Netherlands",
                "0.224",
                group="GPU",
            ),
            sku("Reserved Nvidia L4 GPU in Netherlands", "0", group="GPU"),
            sku("Nvidia Tesla A100 80GB GPU running in Netherlands", "4.517292", group="GPU"),
            sku("Storage PD Capacity", "0.04", "GiBy.mo", both, "PDStandard", free="30"),
            sku("Balanced PD Capacity in Netherlands", "0.11", "GiBy.mo", group="SSD"),
            sku("Regional Balanced PD Capacity in Netherlands", "0.22", "GiBy.mo", group="SSD"),
            sku("SSD backed PD Capacity in Netherlands", "0.187", "GiBy.mo", group="SSD"),
            sku("Hyperdisk Balanced Capacity in Netherlands", "0.088", "GiBy.mo", group="SSD"),
            sku(
                "Hyperdisk Balanced Capacity in Confidential Mode in Netherlands",
                "0.5",
                "GiBy.mo",
                group="SSD",
            ),
            sku("SSD backed Local Storage", "0.08", "GiBy.mo", (OREGON,), "LocalSSD"),
            sku(
                "SSD backed Local Storage attached to Spot Preemptible VMs in Netherlands",
                "0.0352",
                "GiBy.mo",
                group="LocalSSD",
            ),
            sku("Network Internet Egress from Netherlands to Americas", "0.12", "GiBy"),
        ),
        KUBERNETES: _of(
            KUBERNETES,
            sku("Zonal Kubernetes Clusters", "0.1", regions=("global",), group="GKE"),
            sku("Regional Kubernetes Clusters", "0.2", regions=("global",), group="GKE"),
        ),
        STORAGE: _of(
            STORAGE,
            sku("Standard Storage Netherlands", "0.02", "GiBy.mo", group="RegionalStorage"),
            sku("Autoclass Standard Storage Netherlands", "0.03", "GiBy.mo"),
            sku("Standard Storage Netherlands/Belgium Dual-region", "0.044", "GiBy.mo"),
            sku("Standard Storage Europe Multi-region", "0.026", "GiBy.mo", ("europe",)),
            sku("Standard Storage Oregon", "0.02", "GiBy.mo", (OREGON,), free="5"),
            sku("Nearline Storage Netherlands", "0.01", "GiBy.mo"),
            sku("Nearline Storage Netherlands (Early Delete)", "0.01", "GiBy.d"),
            sku(
                "Regional Standard Class A Operations",
                "0.000005",
                "count",
                ("global",),
                free="5000",
            ),
            sku(
                "Regional Standard Class B Operations",
                "0.0000004",
                "count",
                ("global",),
                free="50000",
            ),
            sku("Regional Standard Tagging Class A Operations", "0.01", "count", ("global",)),
        ),
        REGISTRY: _of(
            REGISTRY,
            sku("Artifact Registry Storage", "0.1", "GiBy.mo", ("global",), free="0.5"),
        ),
        DNS: _of(DNS, _zones()),
        LOGGING: _of(
            LOGGING,
            sku("Log Storage cost", "0.5", "GiBy", ("global",), free="50"),
            sku("Log Retention cost", "0.01", "GiBy.mo", ("global",)),
        ),
    }


def _zones() -> dict[str, Any]:
    zones = sku("ManagedZone", "0.2", "mo", ("global",), group="DNS")
    steps = [_step("0", "0.2", "USD"), _step("25", "0.1", "USD"), _step("10000", "0.03", "USD")]
    zones["pricingInfo"] = [price_info(steps, "mo")]
    return zones
