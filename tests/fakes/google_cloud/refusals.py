"""Errors as Google writes them."""

from __future__ import annotations

from typing import Any

LEGACY = frozenset({"compute", "storage", "dns"})
"""APIs whose errors have a list of reasons in place of a status."""

STATUSES = {
    400: ("INVALID_ARGUMENT", "invalid"),
    401: ("UNAUTHENTICATED", "authError"),
    403: ("PERMISSION_DENIED", "forbidden"),
    404: ("NOT_FOUND", "notFound"),
    409: ("ALREADY_EXISTS", "alreadyExists"),
    304: ("NOT_MODIFIED", "notModified"),
    412: ("FAILED_PRECONDITION", "conditionNotMet"),
    416: ("OUT_OF_RANGE", "requestedRangeNotSatisfiable"),
    429: ("RESOURCE_EXHAUSTED", "rateLimitExceeded"),
    500: ("INTERNAL", "backendError"),
    410: ("NOT_FOUND", "gone"),
    501: ("UNIMPLEMENTED", "notImplemented"),
    503: ("UNAVAILABLE", "backendError"),
}
"""HTTP status → what the newer and the older APIs call it."""


class RefusedError(Exception):
    """A request that is answered by an error."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str = "",
        status: str = "",
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUSES[code][0]
        self.reason = reason or STATUSES[code][1]
        self.details = details or []

    def body(self, api: str) -> dict[str, Any]:
        """Return the answer's body, in the API's form."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if api in LEGACY:
            told = {"message": self.message, "domain": "global", "reason": self.reason}
            error["errors"] = [told]
        else:
            error["status"] = self.status
        if self.details:
            error |= {"status": self.status, "details": self.details}
        return {"error": error}


def not_found(api: str, name: str) -> RefusedError:
    """Return the refusal of what is not there."""
    if api == "compute":
        return RefusedError(404, f"The resource '{name}' was not found")
    if api == "container":
        return RefusedError(404, f"Not found: {name}.")
    return RefusedError(404, f"Resource '{name}' was not found")


def exists(api: str, name: str) -> RefusedError:
    """Return the refusal of what is there already."""
    if api == "compute":
        return RefusedError(409, f"The resource '{name}' already exists")
    if api == "container":
        return RefusedError(409, f"Already exists: {name}.")
    return RefusedError(409, f"Requested entity already exists: {name}")


def in_use(kind: str, name: str, by: str) -> RefusedError:
    """Return the refusal to delete what something else needs."""
    return RefusedError(
        400,
        f"The {kind} resource '{name}' is already being used by '{by}'",
        reason="resourceInUseByAnotherResource",
    )


def denied(permission: str, resource: str) -> RefusedError:
    """Return the refusal of who may not."""
    return RefusedError(
        403,
        f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
        details=[_info("IAM_PERMISSION_DENIED", {"permission": permission, "resource": resource})],
    )


def api_disabled(service: str, project: str) -> RefusedError:
    """Return the refusal of an API that nobody enabled, with the link that does."""
    link = f"https://console.developers.google.com/apis/api/{service}/overview?project={project}"
    told = {"service": service, "consumer": f"projects/{project}", "activationUrl": link}
    return RefusedError(
        403,
        f"{service} has not been used in project {project} before or it is disabled. Enable it by "
        f"visiting {link} then retry. If you enabled this API recently, wait a few minutes for "
        "the action to propagate to our systems and retry.",
        reason="accessNotConfigured",
        details=[_info("SERVICE_DISABLED", told)],
    )


def billing_disabled(api: str, project: str) -> RefusedError:
    """Return the refusal of a project that nobody pays for."""
    if api == "storage":
        return RefusedError(
            403,
            "The billing account for the owning project is disabled in state absent",
            reason="accountDisabled",
        )
    link = f"https://console.developers.google.com/billing/enable?project={project}"
    return RefusedError(
        403,
        "This API method requires billing to be enabled. Please enable billing on project "
        f"#{project} by visiting {link} then retry.",
        reason="billingNotEnabled",
        details=[_info("BILLING_DISABLED", {"consumer": f"projects/{project}"})],
    )


def _info(reason: str, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": metadata,
    }
