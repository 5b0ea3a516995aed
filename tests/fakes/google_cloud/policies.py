"""IAM policies: who may do what with a project, a service account, a bucket or a repository."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from tests.fakes.google_cloud.answering import Call
from tests.fakes.google_cloud.refusals import RefusedError

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud

PREDEFINED = re.compile(r"roles/[a-z][a-zA-Z]*(\.[a-zA-Z.]+)?")
MEMBER = re.compile(
    r"(user|serviceAccount|group|domain|principal|principalSet|deleted|projectOwner|projectEditor"
    r"|projectViewer):.+|allUsers|allAuthenticatedUsers"
)


def policy(cloud: GoogleCloud, of: str) -> dict[str, Any]:
    """Return the policy of a resource, with its etag."""
    found = cloud.resources.get(f"policy/{of}", {"version": 1, "bindings": []})
    shown = copy.deepcopy(found)
    if not shown["bindings"]:
        del shown["bindings"]
    return {**shown, "etag": _etag(found)}


def _etag(found: dict[str, Any]) -> str:
    text = json.dumps(found, sort_keys=True)
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def set_policy(call: Call, of: str, told: dict[str, Any]) -> dict[str, Any]:
    """Change a policy that nobody has changed since it was read."""
    if told.get("etag") and told["etag"] != policy(call.cloud, of)["etag"]:
        raise RefusedError(
            409,
            "There were concurrent policy changes. Please retry the whole read-modify-write with "
            "exponential backoff.",
            status="ABORTED",
            reason="conflict",
        )
    bindings = [one for one in told.get("bindings", []) if one.get("members")]
    for one in bindings:
        _check(call, one)
    if told.get("version", 1) != 3 and any("condition" in one for one in bindings):
        raise RefusedError(400, "A policy with conditions must be of version 3.")
    found = {"version": told.get("version", 1), "bindings": bindings}
    if told.get("auditConfigs"):
        found["auditConfigs"] = told["auditConfigs"]
    call.cloud.resources[f"policy/{of}"] = found
    return policy(call.cloud, of)


def _check(call: Call, binding: dict[str, Any]) -> None:
    role = binding.get("role", "")
    if role.startswith("projects/"):
        found = call.cloud.resources.get(f"iam/{role}")
        if found is None or found.get("deleted"):
            raise RefusedError(400, f"Role ({role}) does not exist in the resource's hierarchy.")
    elif not PREDEFINED.fullmatch(role):
        raise RefusedError(400, f"Role {role} is not supported for this resource.")
    for member in binding["members"]:
        if not MEMBER.fullmatch(member):
            raise RefusedError(400, f"The member {member} is of an unknown type.")
        kind, _, name = member.partition(":")
        ours = name.endswith(f"@{call.project}.iam.gserviceaccount.com")
        key = f"iam/projects/{call.project}/serviceAccounts/{name}"
        if kind == "serviceAccount" and ours and key not in call.cloud.resources:
            raise RefusedError(400, f"Service account {name} does not exist.")


def forget_account(cloud: GoogleCloud, email: str, number: str) -> None:
    """Mark the bindings of a service account that is gone: Google does not remove them."""
    for key, found in cloud.resources.items():
        for binding in found["bindings"] if key.startswith("policy/") else []:
            binding["members"] = [
                f"deleted:{one}?uid={number}" if one == f"serviceAccount:{email}" else one
                for one in binding["members"]
            ]


def restore_account(cloud: GoogleCloud, email: str, number: str) -> None:
    """Give a service account its bindings back."""
    for key, found in cloud.resources.items():
        for binding in found["bindings"] if key.startswith("policy/") else []:
            gone = f"deleted:serviceAccount:{email}?uid={number}"
            binding["members"] = [
                f"serviceAccount:{email}" if one == gone else one for one in binding["members"]
            ]


def allowed(call: Call) -> dict[str, Any]:
    """Tell which permissions of those asked for the caller has."""
    asked = call.body.get("permissions", [])
    for one in asked:
        if not re.fullmatch(r"[a-zA-Z]+\.[a-zA-Z.]+\.[a-zA-Z]+", one):
            raise RefusedError(400, f"Permission {one} is not valid.")
    found = [one for one in asked if one not in call.cloud.denied]
    return {"permissions": found} if found else {}
