"""What Google's APIs answer when they refuse, as errors of ours with what to type.

Pure: an answer's status and body in, one error out. The newer APIs have a status and details with
a reason, the older ones a list of reasons, and an operation that failed has but a sentence; all
three are read here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from burst.domain.cloud_needs import roles_for
from burst.errors import (
    ApiDisabled,
    CloudAway,
    CloudConflict,
    CloudDenied,
    CloudError,
    CloudNotFound,
    CloudQuota,
    LoginNeeded,
    StorageAway,
    StorageError,
)
from burst.storage.login import LOG_IN, first_line

PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that another try may mend."""

_BILLING = "gcloud billing projects link {project} --billing-account=ACCOUNT"
_QUOTAS = "https://console.cloud.google.com/iam-admin/quotas?project={project}"
_RATES = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_IN_USE = frozenset({"resourceInUseByAnotherResource", "resourceNotReady", "conflict"})
_PERMISSION = re.compile(
    r"(?:[Pp]ermission|[Rr]equired) [\"'`]?((?:[a-zA-Z]+\.){2}[a-zA-Z]+)"
    r"|([a-z]+\.[a-zA-Z.]+\.[a-zA-Z]+) (?:access|permission)"
)
_STOCK_OUT = re.compile(
    r"RESOURCE_POOL_EXHAUSTED|GCE_STOCKOUT|STOCKOUT|does not have enough resources|"
    r"resource pool exhausted"
)
_QUOTA = re.compile(r"QUOTA_EXCEEDED|[Qq]uota '?[\w.]+'? exceeded|[Ii]nsufficient .*quota")
_DISABLED = re.compile(r"([a-z]+\.googleapis\.com) has not been used|API .* is not enabled")
_UNPAID = re.compile(
    r"[Bb]illing (account .* not found|must be enabled|to be enabled)|to be billed"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an API answered in place of what was asked for."""

    status: int
    text: str
    """Its sentence."""
    kind: str = ""
    """What the newer APIs call it: ``PERMISSION_DENIED``."""
    reasons: frozenset[str] = frozenset()
    told: Mapping[str, str] = field(default_factory=dict)
    """What the details name: the permission, the service."""

    @property
    def may_pass(self) -> bool:
        """Whether another try may mend it."""
        return self.status in PASSING or bool(self.reasons & _RATES)


def read_refusal(status: int, body: object) -> Refusal:
    """Return what an answer says, whatever form it has.

    Args:
        status: of HTTP.
        body: its JSON, or its text if it is none.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        text = first_line(body) if isinstance(body, str) and body.strip() else f"status {status}"
        return Refusal(status, text)
    reasons, told = set[str](), dict[str, str]()
    for detail in _dicts(error.get("details")):
        if isinstance(detail.get("reason"), str):
            reasons.add(detail["reason"])
            told |= {str(key): str(value) for key, value in (detail.get("metadata") or {}).items()}
    reasons |= {str(one["reason"]) for one in _dicts(error.get("errors")) if "reason" in one}
    text = str(error.get("message") or f"status {status}")
    kind = str(error.get("status", ""))
    return Refusal(status, _shortened(text), kind, frozenset(reasons), told)


def cloud_error(refusal: Refusal, what: str, project: str = "") -> CloudError:
    """Return the error that a refusal is.

    Args:
        refusal: it.
        what: what could not be done, for the message.
        project: whose links and commands are named.
    """
    told = f"{what}: {refusal.text.rstrip('.')}"
    for special in (_disabled, _unpaid, _over_quota, _too_busy):
        error = special(refusal, what, told, project or "PROJECT")
        if error:
            return error
    if refusal.status == 401:
        return LoginNeeded(f"{what}: the login is not taken ({refusal.text})", hint=LOG_IN)
    if refusal.status == 403:
        return _denied(refusal, what, told, project or "PROJECT")
    if refusal.status == 404:
        return CloudNotFound(told)
    is_conflict = refusal.status in (409, 412) or refusal.kind == "FAILED_PRECONDITION"
    if is_conflict or refusal.reasons & _IN_USE:
        return CloudConflict(told)
    return CloudError(told)


def operation_error(operation: Mapping[str, Any], what: str, project: str = "") -> CloudError:
    """Return the error that an operation ended with.

    Args:
        operation: as its API tells it, in any of the three forms.
        what: what could not be done, for the message.
        project: whose links and commands are named.
    """
    return failure_error(failure_of(operation) or "it failed", what, project)


def failure_error(text: str, what: str, project: str = "") -> CloudError:
    """Return the error that a sentence of Google's on a failure means."""
    told = f"{what}: {_shortened(text).rstrip('.')}"
    if _STOCK_OUT.search(text):
        return CloudAway(told, hint="try later, or take another zone or machine type in burst.toml")
    refusal = Refusal(0, _shortened(text))
    for special in (_disabled, _unpaid, _over_quota):
        error = special(refusal, what, told, project or "PROJECT")
        if error:
            return error
    return CloudError(told)


def of_login(error: StorageError) -> CloudError:
    """Return the error that a login is which does not work."""
    kind = CloudAway if isinstance(error, StorageAway) else LoginNeeded
    return kind(error.message, hint=error.hint)


def failure_of(operation: Mapping[str, Any]) -> str:
    """Return why an operation failed; nothing if it did not."""
    error = operation.get("error")
    if not isinstance(error, dict):
        return str(operation.get("statusMessage") or "")
    texts = [
        f"{one.get('code', '')}: {one.get('message', '')}".strip(": ")
        for one in _dicts(error.get("errors"))
    ]
    if texts:
        return "; ".join(texts)
    return str(operation.get("statusMessage") or error.get("message") or "it failed")


def _disabled(refusal: Refusal, what: str, _told: str, project: str) -> ApiDisabled | None:
    found = _DISABLED.search(refusal.text)
    if not (refusal.reasons & {"SERVICE_DISABLED", "accessNotConfigured"} or found):
        return None
    service = refusal.told.get("service") or (found[1] if found and found[1] else "")
    where = f"in the project {project}" if project != "PROJECT" else "in the project"
    return ApiDisabled(
        f"{what}: the API {service or 'for it'} is not enabled {where}",
        service=service,
        hint=f"gcloud services enable {service or 'SERVICE'} --project={project}",
    )


def _unpaid(refusal: Refusal, what: str, _told: str, project: str) -> CloudDenied | None:
    if "BILLING_DISABLED" in refusal.reasons or "billingNotEnabled" in refusal.reasons:
        found = True
    else:
        found = bool(_UNPAID.search(refusal.text))
    if not found:
        return None
    return CloudDenied(
        f"{what}: no billing account pays for the project {project}",
        hint=f"link one: {_BILLING.format(project=project)}",
    )


def _over_quota(refusal: Refusal, _what: str, told: str, project: str) -> CloudQuota | None:
    is_quota = "quotaExceeded" in refusal.reasons or (
        refusal.status != 429 and _QUOTA.search(refusal.text)
    )
    if not is_quota:
        return None
    return CloudQuota(told, hint=f"ask for more: {_QUOTAS.format(project=project)}")


def _too_busy(refusal: Refusal, what: str, told: str, _project: str) -> CloudAway | None:
    if not refusal.may_pass:
        return None
    if refusal.status == 429 or refusal.reasons & _RATES:
        return CloudAway(f"{what}: too many requests ({refusal.text.rstrip('.')})", hint=_LATER)
    return CloudAway(told, hint=_LATER)


_LATER = "try again in a minute"


def _denied(refusal: Refusal, what: str, told: str, project: str) -> CloudDenied:
    found = _PERMISSION.search(refusal.text)
    permission = refusal.told.get("permission") or (found and (found[1] or found[2])) or ""
    if not permission:
        return CloudDenied(
            told, hint="see whether the project and the login are right: burst doctor"
        )
    role = next(iter(roles_for([permission])), "ROLE")
    return CloudDenied(
        f"{what}: the login lacks the permission {permission}",
        hint="have the project's owner grant a role that has it: gcloud projects "
        f"add-iam-policy-binding {project} --member=user:YOU --role={role}",
    )


def _shortened(text: str) -> str:
    """Return one line of it, without an end where it never ends."""
    line = " ".join(text.split())
    return line if len(line) <= 600 else f"{line[:600]} …"


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
