"""Cloud Storage: buckets."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.google_cloud import places, policies
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.compute_rules import check_labels, defaults, merge
from tests.fakes.google_cloud.listing import page
from tests.fakes.google_cloud.operations import timestamp
from tests.fakes.google_cloud.refusals import RefusedError

NOT_MET = "At least one of the pre-conditions you specified did not hold."
LINK = "https://www.googleapis.com/storage/v1/b"
MULTI = ("EU", "US", "ASIA", "EUR4", "NAM4")
SET_BY_GOOGLE = (
    "etag", "generation", "id", "kind", "locationType", "metageneration", "projectNumber",
    "selfLink", "timeCreated", "updated",
)  # fmt: skip
"""What a request may hold, and changes nothing."""
WEEK_SECONDS = 604800
KEPT_SECONDS = range(WEEK_SECONDS, 90 * 24 * 3600 + 1)
"""How long deleted objects may be kept, if at all."""


def look(call: Call) -> dict[str, Any]:
    """Return the bucket that a call is about."""
    name = call.names["bucket"]
    found = call.cloud.resources.get(f"storage/b/{name}")
    if name in call.cloud.foreign_buckets:
        raise RefusedError(
            403,
            "artist@example.com does not have storage.buckets.get access to the Google Cloud "
            "Storage bucket. Permission 'storage.buckets.get' denied on resource (or it may not "
            "exist).",
        )
    if found is None:
        raise RefusedError(404, "The specified bucket does not exist.")
    return found


def check_generation(call: Call, found: dict[str, Any]) -> None:
    """Refuse a request about another state of a bucket."""
    wanted = call.query.get("ifMetagenerationMatch")
    if wanted is not None and wanted != found["metageneration"]:
        raise RefusedError(412, NOT_MET)


@answers("storage.buckets.insert")
def insert(call: Call) -> dict[str, Any]:
    """Make a bucket."""
    body, name = call.body, call.body.get("name", "")
    if call.query["project"] not in (call.project, call.cloud.number):
        raise RefusedError(403, "The caller does not have access to the project.")
    _check_name(name)
    if name in call.cloud.foreign_buckets:
        raise RefusedError(
            409,
            "The requested bucket name is not available. The bucket namespace is shared by all "
            "users of the system. Please select a different name and try again.",
            reason="conflict",
        )
    if f"storage/b/{name}" in call.cloud.resources:
        raise RefusedError(
            409,
            "Your previous request to create the named bucket succeeded and you already own it.",
            reason="conflict",
        )
    location = body.get("location", "US").upper()
    if location not in MULTI and location.lower() not in places.REGIONS:
        raise RefusedError(400, f"The specified location constraint is not valid: {location}")
    _check_rules(body)
    made = defaults(
        {**{k: v for k, v in body.items() if k not in SET_BY_GOOGLE}, "location": location},
        kind="storage#bucket",
        id=name,
        selfLink=f"{LINK}/{name}",
        projectNumber=call.cloud.number,
        timeCreated=timestamp(),
        updated=timestamp(),
        metageneration="1",
        generation=call.cloud.next_number(),
        etag="CAE=",
        storageClass="STANDARD",
        locationType="multi-region" if location in MULTI else "region",
        rpo="DEFAULT",
        softDeletePolicy={
            "retentionDurationSeconds": str(WEEK_SECONDS),
            "effectiveTime": timestamp(),
        },
        iamConfiguration={
            "bucketPolicyOnly": {"enabled": False},
            "uniformBucketLevelAccess": {"enabled": False},
            "publicAccessPrevention": "inherited",
        },
    )
    _complete(made)
    call.cloud.resources[f"storage/b/{name}"] = made
    call.cloud.objects.open(name)
    return made


def _check_name(name: str) -> None:
    good = re.fullmatch(r"[a-z0-9][a-z0-9_.-]{1,61}[a-z0-9]", name)
    if not good or name.startswith("goog") or "google" in name or ".." in name:
        raise RefusedError(400, f"Invalid bucket name: '{name}'")


def _check_rules(body: dict[str, Any]) -> None:
    check_labels(body.get("labels") or {})
    kept = int((body.get("softDeletePolicy") or {}).get("retentionDurationSeconds", WEEK_SECONDS))
    if kept and kept not in KEPT_SECONDS:
        raise RefusedError(400, "Soft delete policies keep objects from 7 to 90 days, or not.")
    for rule in (body.get("lifecycle") or {}).get("rule", []):
        if rule.get("action", {}).get("type") not in (
            "Delete", "SetStorageClass", "AbortIncompleteMultipartUpload",
        ):  # fmt: skip
            raise RefusedError(400, "A lifecycle rule needs an action that there is.")
        if not rule.get("condition"):
            raise RefusedError(400, "A lifecycle rule needs at least one condition.")


def _complete(made: dict[str, Any]) -> None:
    access = made["iamConfiguration"]
    uniform = access.setdefault("uniformBucketLevelAccess", {"enabled": False})
    if uniform.get("enabled"):
        uniform.setdefault("lockedTime", timestamp())
    access["bucketPolicyOnly"] = dict(uniform)
    made["softDeletePolicy"].setdefault("effectiveTime", timestamp())


@answers("storage.buckets.get")
def get(call: Call) -> dict[str, Any]:
    """Show a bucket."""
    found = look(call)
    check_generation(call, found)
    return found


@answers("storage.buckets.list")
def list_(call: Call) -> dict[str, Any]:
    """Show the project's buckets."""
    prefix = "storage/b/" + call.query.get("prefix", "")
    known = call.cloud.resources
    found = [known[key] for key in sorted(known) if key.startswith(prefix)]
    return {"kind": "storage#buckets", **page(call, found, "items")}


@answers("storage.buckets.patch", "storage.buckets.update")
def change(call: Call) -> dict[str, Any]:
    """Change a bucket."""
    found = look(call)
    check_generation(call, found)
    for field in ("location", "name"):
        if call.body.get(field, found[field]).lower() != found[field].lower():
            raise RefusedError(400, f"The {field} of a bucket can't be changed.")
    _check_rules(call.body)
    left_out = ("location", *SET_BY_GOOGLE)
    wanted = {key: value for key, value in call.body.items() if key not in left_out}
    for field in ("lifecycle", "cors", "encryption", "logging", "website"):
        if wanted.get(field) is not None:
            found.pop(field, None)
    merge(found, wanted)
    _complete(found)
    found["updated"] = timestamp()
    found["metageneration"] = str(int(found["metageneration"]) + 1)
    return found


@answers("storage.buckets.delete")
def delete(call: Call) -> None:
    """Delete a bucket that has nothing in it."""
    check_generation(call, look(call))
    name = call.names["bucket"]
    if call.cloud.objects.versions(name):
        raise RefusedError(409, "The bucket you tried to delete is not empty.", reason="conflict")
    call.cloud.objects.close(name)
    call.cloud.resources.pop(f"policy/b/{name}", None)
    del call.cloud.resources[f"storage/b/{name}"]


def _policy(call: Call, policy: dict[str, Any]) -> dict[str, Any]:
    name = call.names["bucket"]
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{name}", **policy}


@answers("storage.buckets.getIamPolicy")
def get_policy(call: Call) -> dict[str, Any]:
    """Show who may use a bucket."""
    look(call)
    return _policy(call, policies.policy(call.cloud, f"b/{call.names['bucket']}"))


@answers("storage.buckets.setIamPolicy")
def set_policy(call: Call) -> dict[str, Any]:
    """Say who may use a bucket."""
    found = look(call)
    told = {key: value for key, value in call.body.items() if key not in ("kind", "resourceId")}
    public = {"allUsers", "allAuthenticatedUsers"}
    members = {one for binding in told.get("bindings", []) for one in binding.get("members", [])}
    if members & public and found["iamConfiguration"].get("publicAccessPrevention") == "enforced":
        raise RefusedError(
            412, "The member bindings allUsers and allAuthenticatedUsers are not allowed since "
            "public access prevention is enforced.",
        )  # fmt: skip
    return _policy(call, policies.set_policy(call, f"b/{call.names['bucket']}", told))


@answers("storage.buckets.getStorageLayout")
def get_layout(call: Call) -> dict[str, Any]:
    """Tell that a bucket has no folders."""
    found = look(call)
    layout = {key: found[key] for key in ("location", "locationType")}
    return {
        "kind": "storage#storageLayout",
        "bucket": call.names["bucket"],
        "hierarchicalNamespace": {"enabled": False},
        **layout,
    }


@answers("storage.buckets.testIamPermissions")
def test_permissions(call: Call) -> dict[str, Any]:
    """Tell what the caller may do with a bucket."""
    look(call)
    call.body["permissions"] = [call.query["permissions"]]
    return {"kind": "storage#testIamPermissionsResponse", **policies.allowed(call)}


@answers("storage.anywhereCaches.list", "storage.folders.list", "storage.managedFolders.list")
def nothing(call: Call) -> dict[str, Any]:
    """Show what no bucket here has."""
    look(call)
    return {}
