"""What a state of Terraform's knows of: the names by which its resources are found in the APIs.

Pure. The format is Terraform's own; of one that is another, nothing is read, and everything then
counts as unknown to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_FORMAT = 4
_MEMBER, _BUCKET_MEMBER = "google_project_iam_member", "google_storage_bucket_iam_member"


def known_names(content: bytes | None) -> frozenset[str]:
    """Return the API names of what a state has, as the inventory has them.

    Args:
        content: of the state's object; None if there is none.
    """
    try:
        state = json.loads(content or b"{}")
    except ValueError:
        return frozenset()
    if not isinstance(state, dict) or state.get("version") != _FORMAT:
        return frozenset()
    return frozenset(_names(state))


def _names(state: dict[str, Any]) -> Iterator[str]:
    for resource in state.get("resources") or []:
        for instance in resource.get("instances") or []:
            told = instance.get("attributes") or {}
            if resource.get("type") == _MEMBER:
                yield f"projects/{told.get('project')} {told.get('role')} {told.get('member')}"
            elif resource.get("type") == _BUCKET_MEMBER:
                bucket = str(told.get("bucket")).removeprefix("b/")
                yield f"{bucket} {told.get('role')} {told.get('member')}"
            elif resource.get("mode") == "managed" and told.get("id"):
                yield str(told["id"])
