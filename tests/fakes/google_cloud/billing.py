"""Cloud Billing: the catalogue of prices, and whether the project is paid for."""

from __future__ import annotations

from typing import Any

from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.listing import page
from tests.fakes.google_cloud.refusals import RefusedError

LIMIT = 5000
ACCOUNT = "billingAccounts/012345-567890-ABCDEF"


@answers("cloudbilling.services.list")
def list_services(call: Call) -> dict[str, Any]:
    """Show the services that have prices."""
    found = [
        {
            "name": f"services/{name}",
            "serviceId": name,
            "displayName": skus[0]["category"]["serviceDisplayName"] if skus else name,
            "businessEntityName": "businessEntities/GCP",
        }
        for name, skus in sorted(call.cloud.prices.items())
    ]
    return page(call, found, "services")


@answers("cloudbilling.services.skus.list")
def list_skus(call: Call) -> dict[str, Any]:
    """Show the prices of a service."""
    if int(call.query.get("pageSize") or LIMIT) > LIMIT:
        raise RefusedError(400, f"The page size must not be over {LIMIT}.")
    found = list(call.cloud.prices.get(call.names["servicesId"], ()))
    return {"nextPageToken": "", **page(call, found, "skus")} if found else {}


@answers("cloudbilling.projects.getBillingInfo")
def get_info(call: Call) -> dict[str, Any]:
    """Tell who pays for the project."""
    account = {"billingAccountName": ACCOUNT} if call.cloud.has_billing else {}
    return {
        "name": f"projects/{call.project}/billingInfo",
        "projectId": call.project,
        "billingEnabled": call.cloud.has_billing,
        **account,
    }
