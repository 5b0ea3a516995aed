"""Service Usage: which APIs a project has enabled."""

from __future__ import annotations

from typing import Any

from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.operations import Operation, Style
from tests.fakes.google_cloud.refusals import RefusedError

KNOWN = frozenset(
    f"{name}.googleapis.com"
    for name in (
        "artifactregistry", "autoscaling", "cloudbilling", "cloudbuild", "cloudresourcemanager",
        "compute", "container", "containerfilesystem", "containerregistry", "dns", "iam",
        "iamcredentials", "logging", "monitoring", "networkconnectivity", "oslogin", "pubsub",
        "serviceusage", "storage", "storage-api", "storage-component", "sts",
    )
)  # fmt: skip
"""Services that there are."""
PAID = frozenset({"artifactregistry", "cloudbuild", "compute", "container"})
"""Services that only who pays may enable."""


def _shown(call: Call, name: str) -> dict[str, Any]:
    if name not in KNOWN:
        raise RefusedError(
            403,
            f"Not found or permission denied for service(s): {name}.",
            details=[
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                    "domain": "serviceusage.googleapis.com",
                    "metadata": {"services": name},
                }
            ],
        )
    return {
        "name": f"projects/{call.cloud.number}/services/{name}",
        "parent": f"projects/{call.cloud.number}",
        "config": {"name": name},
        "state": "ENABLED" if name in call.cloud.services else "DISABLED",
    }


@answers("serviceusage.services.get")
def get(call: Call) -> dict[str, Any]:
    """Show a service."""
    return _shown(call, call.names["servicesId"])


@answers("serviceusage.services.list")
def list_(call: Call) -> dict[str, Any]:
    """Show services."""
    wanted = call.query.get("filter", "")
    if wanted not in ("", "state:ENABLED", "state:DISABLED"):
        raise RefusedError(400, f"Invalid filter: {wanted}")
    found = [_shown(call, name) for name in sorted(KNOWN)]
    found = [one for one in found if not wanted or one["state"] == wanted.removeprefix("state:")]
    size = int(call.query.get("pageSize", 50))
    if size > 200:
        raise RefusedError(400, f"Page size {size} is over the limit of 200.")
    first = int(call.query.get("pageToken") or 0)
    answer: dict[str, Any] = {"services": found[first : first + size]}
    if first + size < len(found):
        answer["nextPageToken"] = str(first + size)
    return answer


@answers("serviceusage.services.batchGet")
def batch_get(call: Call) -> dict[str, Any]:
    """Show a service by its whole name."""
    return {"services": [_shown(call, call.query.get("names", "").rpartition("/")[2])]}


@answers("serviceusage.services.enable")
def enable(call: Call) -> Operation:
    """Enable a service."""
    return _enable(call, [call.names["servicesId"]])


@answers("serviceusage.services.batchEnable")
def batch_enable(call: Call) -> Operation:
    """Enable several services."""
    names = call.body.get("serviceIds", [])
    if not 1 <= len(names) <= 20:
        raise RefusedError(400, "From 1 to 20 services can be enabled at once.")
    return _enable(call, names)


def _enable(call: Call, names: list[str]) -> Operation:
    for name in names:
        _shown(call, name)
        if name.partition(".")[0] in PAID and not call.cloud.has_billing:
            raise RefusedError(
                400,
                f"Billing account for project '{call.cloud.number}' is not found. Billing must be "
                f"enabled for activation of service(s) '{','.join(names)}' to proceed.",
                status="FAILED_PRECONDITION",
            )

    def settle(failure: str) -> None:
        if not failure:
            call.cloud.services.update(names)

    def result() -> dict[str, Any]:
        kind = "BatchEnableServicesResponse" if len(names) > 1 else "EnableServiceResponse"
        shown = [_shown(call, name) for name in names]
        told = {"services": shown} if len(names) > 1 else {"service": shown[0]}
        return {"@type": f"type.googleapis.com/google.api.serviceusage.v1.{kind}", **told}

    return _start(call, "enable", settle, result)


@answers("serviceusage.services.disable")
def disable(call: Call) -> Operation:
    """Disable a service."""
    name = call.names["servicesId"]
    shown = _shown(call, name)
    if shown["state"] != "ENABLED":
        raise RefusedError(400, f"The service {name} is not enabled.", status="FAILED_PRECONDITION")

    def settle(failure: str) -> None:
        if not failure:
            call.cloud.services.discard(name)

    return _start(call, "disable", settle, dict)


def _start(call: Call, kind: str, settle: Any, result: Any) -> Operation:
    target = f"projects/{call.cloud.number}/services"
    return call.cloud.operations.start(
        Style.LONG, kind, "", target, settle, failure=call.failure, result=result
    )


@answers("serviceusage.operations.get")
def get_operation(call: Call) -> Operation:
    """Show an operation."""
    return call.cloud.operations.get(call.names["operationsId"], "")
