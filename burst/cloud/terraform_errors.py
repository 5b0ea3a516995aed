"""What Terraform and Google's provider complain of, as errors of ours with what to do.

Pure: the diagnostics of a call in, one error out. The first that says something known counts, as
the others mostly follow from it. What Google itself said in there, `google_errors` understands.
Whoever can ask Google for a reason that the provider keeps to itself, such as a stock-out of a
node pool, gives `Ask`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from burst.cloud.google_errors import Refusal, cloud_error, failure_error
from burst.cloud.terraform_events import Diagnostic
from burst.errors import (
    BurstError,
    CloudAway,
    CloudConflict,
    FarmBusy,
    LoginNeeded,
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
    _Known(r"acquiring the state lock", FarmBusy,
           "wait for it, then try again; if it is gone for good: gcloud storage rm {lock}"),
    _Known(r"Failed to (save|persist) state|Error saving state", StateError,
           f"it is kept in {ERRORED_STATE} on this machine, and written by the next run from here"),
    _Known(r"bucketNotEmpty|bucket you tried to delete is not empty|non-empty bucket|"
           r"without `?force_destroy", CloudConflict,
           "its content would be lost; what to do with it is yours to say: burst down --all"),
    _Known(r"resourceInUseBy|is already being used by|still in use|in use by", CloudConflict,
           f"something that burst did not make uses it; remove that, then {_AGAIN}"),
    _Known(r"alreadyExists|already exists|Error 409", CloudConflict,
           f"{_AGAIN}, and takes over what is the farm's own; what is not has to go, or the farm "
           "needs another name"),
    _Known(r"deletion_protection", CloudConflict,
           "switch the protection off in burst.toml, then burst up, then burst down"),
    _Known(r"created by a newer version|newer than current", ToolError,
           "somebody used a newer terraform on this farm: take that one"),
    _Known(r"Failed to (query available|install) provider|provider registry|"
           r"Inconsistent dependency lock|checksums previously recorded", ToolError, _REGISTRY),
    _Known(r"invalid_grant|invalid_rapt|could not find default credentials|reauth", LoginNeeded,
           LOG_IN),
    _Known(r"dial tcp|connection (refused|reset)|no such host|i/o timeout|TLS handshake|"
           r"unexpected EOF|network is unreachable|context deadline", CloudAway,
           f"look at the network; then {_AGAIN}"),
)  # fmt: skip
"""What is no answer of Google's, or wants another hint than that: what is more special first."""

_ANSWER = re.compile(r"Error (\d{3}): ")
_REASONS = re.compile(r'"reason": ?"(\w+)"|, (\w+)\s*$')
_DETAILS = re.compile(r'"(service|permission)": ?"([\w.]+)"')
_ERRORED = re.compile(r'error state "?ERROR"?')
_LOCK = re.compile(r"^\s*(ID|Path|Operation|Who|Created):\s*(\S.*?)\s*$", re.M)


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
    if not diagnostics:
        return ToolError(f"terraform {operation} failed, and did not say why")
    for diagnostic in diagnostics:
        error = _known(diagnostic) or _googles(diagnostic, project, ask)
        if error is not None:
            return error
    first = diagnostics[0]
    return ToolError(f"terraform {operation}: {_where(first)}{shortened(first.text)}")


def _known(diagnostic: Diagnostic) -> BurstError | None:
    text = diagnostic.text
    for known in _KNOWN:
        if re.search(known.pattern, text):
            if known.kind is FarmBusy:
                told = dict(_LOCK.findall(text))
                hint = known.hint.format(lock=told.get("Path", "the lock"))
                return FarmBusy(locked_by(text), hint=hint)
            return known.kind(f"{_where(diagnostic)}{shortened(text)}", hint=known.hint)
    return None


def _googles(diagnostic: Diagnostic, project: str, ask: Ask | None) -> BurstError | None:
    """Return the error that Google answered with, or that an operation ended with."""
    what, answer = diagnostic.address or diagnostic.summary, diagnostic.text
    found = _ANSWER.search(answer)
    if not found:
        if diagnostic.address is None:
            return None
        if ask is not None and _ERRORED.search(answer):
            reason = ask(diagnostic)
            answer = f"{answer}: {reason}" if reason else answer
        return failure_error(shortened(answer), what, project)
    reasons = frozenset(one or other for one, other in _REASONS.findall(answer))
    text = re.sub(r", \w+$", "", shortened(answer[found.end() :]))
    told = dict(_DETAILS.findall(answer))
    return cloud_error(Refusal(int(found[1]), text, "", reasons, told), what, project)


def locked_by(detail: str) -> str:
    """Return who holds the lock on the state, as Terraform's words on it say."""
    told = dict(_LOCK.findall(detail))
    if "Who" not in told:
        return f"the state can't be locked: {shortened(detail)}"
    doing = told.get("Operation", "").removeprefix("OperationType").lower() or "something"
    since = told.get("Created", "")[:19]
    return f"terraform {doing} of {told['Who']} holds the farm's state since {since} UTC"


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
