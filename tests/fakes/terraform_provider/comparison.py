"""What a provider asked for, without what differs from run to run: to compare two of them.

Order is left out, since Terraform works at ten resources at a time, and so is how often something
was asked. Of a policy only its last form counts: members come into it one by one, in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.fakes.google_cloud import Request

_OPERATION = re.compile(r"(?<=/operations/)[^/]+$|(?<=/changes/)[^/]+$")
_ADDRESS = re.compile(r"^https?://.*/compute/v1/")
_NUMBER = re.compile(r"^\d{19}$")
_PASSING = {
    "creationTime",
    "etag",
    "fingerprint",
    "labelFingerprint",
    "effectiveTime",
    "generation",
    "pageToken",
}
_FORM = {"alt", "prettyPrint", "pageToken", "generation"}
_POLICY = re.compile(r":setIamPolicy$|/iam$")


def essence(requests: Iterable[Request]) -> dict[str, list[Any]]:
    """Return what was read, and what was written, sorted."""
    writes, policies, reads = [], {}, set()
    for one in requests:
        if not one.is_write:
            reads.add(f"{_verb(one)} {_OPERATION.sub('…', one.path)}")
        elif _POLICY.search(one.path):
            policies[one.path] = _written(one)
        else:
            writes.append(_written(one))
    return {
        "reads": sorted(reads),
        "writes": sorted([*writes, *policies.values()], key=_text),
    }


def _verb(request: Request) -> str:
    return "GET" if request.method == "HEAD" else request.method


def _written(request: Request) -> dict[str, Any]:
    query = {name: one for name, one in request.query.items() if name not in _FORM}
    made = {"method": request.method, "path": request.path, "query": query}
    return {**made, "body": _lasting(request.body)}


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(one) for name, one in value.items() if name not in _PASSING}
    if isinstance(value, list):
        return sorted((_lasting(one) for one in value), key=_text)
    if isinstance(value, int) and _NUMBER.search(str(value)):
        return "…"
    if not isinstance(value, str):
        return value
    # The real provider names a network by where it asks for it; a stand-in is elsewhere each time.
    return _NUMBER.sub("…", _ADDRESS.sub("https://www.googleapis.com/compute/v1/", value))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
