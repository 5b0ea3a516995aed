"""What Terraform and Google's provider complain of, as errors of ours with what to do.

Pure: the diagnostics of a call in, one error out. The first that says something known counts, as
the others mostly follow from it. Whoever can ask Google for a reason that the provider keeps to
itself, such as a stock-out of a node pool, gives `Ask`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from burst.cloud.terraform_events import Diagnostic
from burst.errors import (
    ApiDisabled,
    BurstError,
    CloudAway,
    CloudConflict,
    CloudDenied,
    CloudError,
    CloudNotFound,
    CloudQuota,
    FarmBusy,
    StateError,
    ToolError,
)
from burst.storage.login import LOG_IN

Ask = Callable[[Diagnostic], str | None]
"""Finds out why a resource failed where the diagnostic does not say; None if nobody knows."""

ERRORED_STATE = "errored.tfstate"
"""What Terraform leaves in its folder where it could not write the state."""

_SHORT = 400
_AGAIN = "the same command goes on"
_QUOTAS = "ask for more: https://console.cloud.google.com/iam-admin/quotas?project={project}"
_REGISTRY = (
    "the provider is fetched from registry.terraform.io: look at the network, or name a mirror in "
    "a file that TF_CLI_CONFIG_FILE names"
)


@dataclass(frozen=True, slots=True)
class _Known:
    pattern: str
    kind: type[BurstError]
    hint: str


_KNOWN = (
    _Known(r"acquiring the state lock", FarmBusy, "wait for it, then try again"),
    _Known(r"Failed to (save|persist) state|Error saving state|writing state", StateError,
           f"it is kept in {ERRORED_STATE} on this machine, and written by the next run from here"),
    _Known(r"SERVICE_DISABLED|has not been used in project|API .{0,60}disabled", ApiDisabled,
           "switch it on: gcloud services enable {service} --project {project}"),
    _Known(r"BILLING_DISABLED|requires billing|[Bb]illing (account|must be enabled|is disabled)",
           CloudDenied,
           "link a billing account: "
           "https://console.cloud.google.com/billing/linkedaccount?project={project}"),
    _Known(r"RESOURCE_POOL_EXHAUSTED|GCE_STOCKOUT|stock.?out|does not have enough resources",
           CloudAway, f"wait, or take another zone or machine type in burst.toml; then {_AGAIN}"),
    _Known(r"[Qq]uota.{0,80}(exceeded|limit)|QUOTA_EXCEEDED|[Ii]nsufficient .{0,20}quota|"
           r"quotaExceeded", CloudQuota, _QUOTAS),
    _Known(r"RATE_LIMIT|[Rr]ate ?[Ll]imit|Error 429|Too Many Requests|concurrent operations",
           CloudAway, f"wait a minute; then {_AGAIN}"),
    _Known(r"invalid_grant|invalid_rapt|Error 401|UNAUTHENTICATED|credentials|reauth", CloudDenied,
           LOG_IN),
    _Known(r"Required '[^']+' permission|Permission '?[\w.]+'? denied|PERMISSION_DENIED|forbidden|"
           r"Error 403|does not have .{0,80}access", CloudDenied,
           "have {permission} granted in the project {project}; burst doctor checks what it needs"),
    _Known(r"alreadyExists|already exists|Error 409", CloudConflict,
           f"{_AGAIN}, and takes over what is the farm's own; what is not has to go, or the farm "
           "needs another name"),
    _Known(r"resourceInUseBy|is already being used by|still in use|in use by", CloudConflict,
           "something that burst did not make uses it; remove that, then {again}"),
    _Known(r"bucketNotEmpty|bucket you tried to delete is not empty|non-empty bucket",
           CloudConflict, "its content would be lost: burst down --all takes that, too"),
    _Known(r"deletion_protection", CloudConflict,
           "switch the protection off in burst.toml, then burst up, then burst down"),
    _Known(r"dial tcp|connection (refused|reset)|no such host|i/o timeout|TLS handshake|EOF|"
           r"network is unreachable|Error 50[0234]|backendError|context deadline", CloudAway,
           f"look at the network; then {_AGAIN}"),
    _Known(r"created by a newer version|newer than current", ToolError,
           "somebody used a newer terraform on this farm: take that one"),
    _Known(r"Failed to (query available|install) provider|provider registry|"
           r"Inconsistent dependency lock|checksums previously recorded", ToolError, _REGISTRY),
    _Known(r"Error 404|notFound\b", CloudNotFound, f"{_AGAIN}, and makes what is missing"),
)  # fmt: skip
"""In the order of asking: what is more special comes first."""

_SERVICE = re.compile(r"\b([a-z]+\.googleapis\.com)\b")
_PERMISSION = re.compile(
    r"'((?:[a-z]\w*\.){2}\w+)'|\b((?:[a-z]\w*\.){2}[a-z]\w+) (?:permission|access)"
)
_ERRORED = re.compile(r'error state "?ERROR"?')
_LOCK = re.compile(r"^\s*(ID|Operation|Who|Created):\s*(\S.*?)\s*$", re.M)


def failure(
    operation: str, diagnostics: Sequence[Diagnostic], project: str, ask: Ask | None = None
) -> BurstError:
    """Return the error that a failed call is.

    Args:
        operation: what Terraform was to do.
        diagnostics: its errors, as they came.
        project: whose links and commands are named.
        ask: finds out what a diagnostic does not say.
    """
    for diagnostic in diagnostics:
        text, known = _explained(diagnostic, ask)
        if known is not None:
            return known.kind(_message(diagnostic, text, known), hint=_hint(known, text, project))
    if not diagnostics:
        return ToolError(f"terraform {operation} failed, and did not say why")
    first = diagnostics[0]
    kind = CloudError if first.address else ToolError
    return kind(f"terraform {operation}: {_where(first)}{shortened(first.text)}")


def _explained(diagnostic: Diagnostic, ask: Ask | None) -> tuple[str, _Known | None]:
    text = diagnostic.text
    if ask is not None and _ERRORED.search(text):
        reason = ask(diagnostic)
        text = f"{text}: {reason}" if reason else text
    for known in _KNOWN:
        if re.search(known.pattern, text):
            return text, known
    return text, None


def _message(diagnostic: Diagnostic, text: str, known: _Known) -> str:
    if known.kind is FarmBusy:
        return locked_by(diagnostic.detail)
    return f"{_where(diagnostic)}{shortened(text)}"


def locked_by(detail: str) -> str:
    """Return who holds the lock on the state, as Terraform's words on it say."""
    told = dict(_LOCK.findall(detail))
    if "Who" not in told:
        return f"the state can't be locked: {shortened(detail)}"
    doing = told.get("Operation", "").removeprefix("OperationType").lower() or "something"
    since = told.get("Created", "")[:19]
    return f"terraform {doing} of {told['Who']} holds the farm's state since {since} UTC"


def _hint(known: _Known, text: str, project: str) -> str:
    service, permission = _SERVICE.search(text), _PERMISSION.search(text)
    return known.hint.format(
        project=project,
        service=service[1] if service else "SERVICE",
        permission=(permission[1] or permission[2]) if permission else "the permission",
        again=_AGAIN,
    )


def _where(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.address}: " if diagnostic.address else ""


def shortened(text: str) -> str:
    """Return what was said as one line, without what helps nobody."""
    line = " ".join(re.sub(r"\s*Details:\s*\[.*", "", text, flags=re.S).split())
    line = re.sub(r"^Error:\s*", "", line)
    return (line[:_SHORT] + " …" if len(line) > _SHORT else line).rstrip(".")


def read_errors(text: str) -> list[Diagnostic]:
    """Return the errors of a call that says them for people, in boxes, and not as JSON."""
    plain = "\n".join(re.sub(r"^[╷│╵]\s?", "", line) for line in text.splitlines())
    found = []
    for part in re.split(r"(?m)^(?=(?:Error|Warning): )", plain):
        if part.startswith("Error: "):
            summary, _, detail = part.removeprefix("Error: ").partition("\n")
            found.append(Diagnostic(part.strip(), "error", summary.strip(), detail.strip(), None))
    return found
