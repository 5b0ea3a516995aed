"""IAM: service accounts and custom roles."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.google_cloud import policies
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.compute_rules import merge
from tests.fakes.google_cloud.listing import page
from tests.fakes.google_cloud.refusals import RefusedError, exists, not_found

ACCOUNTS = "iam.projects.serviceAccounts"
ROLES = "iam.projects.roles"


def _email(call: Call) -> str:
    told = call.names["serviceAccountsId"]
    if "@" in told:
        return told
    for one in _accounts(call):
        if one["uniqueId"] == told:
            return str(one["email"])
    return told


def _accounts(call: Call) -> list[dict[str, Any]]:
    prefix = f"iam/projects/{call.project}/serviceAccounts/"
    known = call.cloud.resources
    return [known[key] for key in sorted(known) if key.startswith(prefix)]


def _relative(call: Call) -> str:
    return f"projects/{call.project}/serviceAccounts/{_email(call)}"


def _account(call: Call) -> dict[str, Any]:
    found = call.cloud.resources.get(f"iam/{_relative(call)}")
    if found is None:
        raise RefusedError(404, f"Unknown service account {_email(call)}.")
    return found


@answers(f"{ACCOUNTS}.create")
def create(call: Call) -> dict[str, Any]:
    """Make a service account."""
    name = call.body.get("accountId", "")
    if not re.fullmatch(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])", name):
        raise RefusedError(
            400,
            f'Invalid service account ID "{name}": it has from 6 to 30 lower case letters, digits '
            "and dashes.",
        )
    email = f"{name}@{call.project}.iam.gserviceaccount.com"
    relative = f"projects/{call.project}/serviceAccounts/{email}"
    if f"iam/{relative}" in call.cloud.resources:
        raise RefusedError(
            409, f"Service account {name} already exists within project projects/{call.project}."
        )
    told = call.body.get("serviceAccount", {})
    made = {
        **{key: told[key] for key in ("displayName", "description") if key in told},
        "name": relative,
        "projectId": call.project,
        "uniqueId": call.cloud.next_number(),
        "email": email,
        "oauth2ClientId": call.cloud.next_number(),
        "etag": "MDEwMjE5MjA=",
    }
    call.cloud.resources[f"iam/{relative}"] = made
    return made


@answers(f"{ACCOUNTS}.get")
def get(call: Call) -> dict[str, Any]:
    """Show a service account."""
    return _account(call)


@answers(f"{ACCOUNTS}.list")
def list_(call: Call) -> dict[str, Any]:
    """Show all service accounts."""
    return page(call, _accounts(call), "accounts")


@answers(f"{ACCOUNTS}.patch")
def patch(call: Call) -> dict[str, Any]:
    """Change what a service account says of itself."""
    found = _account(call)
    told = call.body.get("serviceAccount", {})
    for field in call.body.get("updateMask", "").split(","):
        if field not in ("displayName", "display_name", "description"):
            raise RefusedError(400, f"Invalid update mask: {field}")
        name = "displayName" if field == "display_name" else field
        found[name] = told.get(name, "")
    return found


@answers(f"{ACCOUNTS}.delete")
def delete(call: Call) -> dict[str, Any]:
    """Delete a service account; for thirty days it can be had back."""
    found = _account(call)
    del call.cloud.resources[f"iam/{_relative(call)}"]
    call.cloud.resources[f"deleted/{found['uniqueId']}"] = found
    call.cloud.resources.pop(f"policy/{found['name']}", None)
    policies.forget_account(call.cloud, found["email"], found["uniqueId"])
    return {}


@answers(f"{ACCOUNTS}.undelete")
def undelete(call: Call) -> dict[str, Any]:
    """Have a deleted service account back."""
    found = call.cloud.resources.pop(f"deleted/{call.names['serviceAccountsId']}", None)
    if found is None:
        raise RefusedError(404, "There is no deleted service account of that number.")
    if f"iam/{found['name']}" in call.cloud.resources:
        raise exists("iam", found["name"])
    call.cloud.resources[f"iam/{found['name']}"] = found
    policies.restore_account(call.cloud, found["email"], found["uniqueId"])
    return {"restoredAccount": found}


@answers(f"{ACCOUNTS}.getIamPolicy")
def get_policy(call: Call) -> dict[str, Any]:
    """Show who may use a service account."""
    _account(call)
    return policies.policy(call.cloud, _relative(call))


@answers(f"{ACCOUNTS}.setIamPolicy")
def set_policy(call: Call) -> dict[str, Any]:
    """Say who may use a service account."""
    _account(call)
    return policies.set_policy(call, _relative(call), call.body.get("policy", {}))


@answers(f"{ACCOUNTS}.testIamPermissions")
def test_permissions(call: Call) -> dict[str, Any]:
    """Tell what the caller may do with a service account."""
    _account(call)
    return policies.allowed(call)


def _role_name(call: Call) -> str:
    return f"projects/{call.project}/roles/{call.names['rolesId']}"


def _role(call: Call) -> dict[str, Any]:
    found = call.cloud.resources.get(f"iam/{_role_name(call)}")
    if found is None:
        raise not_found("iam", _role_name(call))
    return found


@answers(f"{ROLES}.create")
def create_role(call: Call) -> dict[str, Any]:
    """Make a custom role."""
    name, told = call.body.get("roleId", ""), call.body.get("role", {})
    if not re.fullmatch(r"[a-zA-Z0-9_.]{3,64}", name):
        raise RefusedError(400, f"The role_id {name!r} must match [a-zA-Z0-9_.]{{3,64}}.")
    key = f"iam/projects/{call.project}/roles/{name}"
    found = call.cloud.resources.get(key)
    if found and found.get("deleted"):
        raise RefusedError(
            400,
            f"You can't create a role with role_id ({name}) where there is an existing role with "
            "that role_id in a deleted state.",
            status="FAILED_PRECONDITION",
        )
    if found:
        raise RefusedError(409, f"A role named {name} in projects/{call.project} already exists.")
    _check_permissions(told)
    made = {"stage": "ALPHA", **told, "name": key.removeprefix("iam/"), "etag": "BwX1"}
    call.cloud.resources[key] = made
    return made


def _check_permissions(role: dict[str, Any]) -> None:
    for one in role.get("includedPermissions", []):
        if not re.fullmatch(r"[a-zA-Z]+\.[a-zA-Z]+\.[a-zA-Z]+", one):
            raise RefusedError(400, f"Permission {one} is not valid.")


@answers(f"{ROLES}.get")
def get_role(call: Call) -> dict[str, Any]:
    """Show a custom role; one that was deleted says so."""
    return _role(call)


@answers(f"{ROLES}.list")
def list_roles(call: Call) -> dict[str, Any]:
    """Show the custom roles."""
    prefix = f"iam/projects/{call.project}/roles/"
    known = call.cloud.resources
    found = [known[key] for key in sorted(known) if key.startswith(prefix)]
    if call.query.get("showDeleted") != "true":
        found = [one for one in found if not one.get("deleted")]
    if call.query.get("view") != "FULL":
        found = [
            {key: value for key, value in one.items() if key != "includedPermissions"}
            for one in found
        ]
    return page(call, found, "roles")


@answers(f"{ROLES}.patch")
def patch_role(call: Call) -> dict[str, Any]:
    """Change a custom role."""
    found = _role(call)
    _check_permissions(call.body)
    mask = call.query.get("updateMask", "")
    fields = mask.split(",") if mask else [key for key in call.body if key not in ("name", "etag")]
    merge(found, {field: call.body.get(field) for field in fields})
    return found


@answers(f"{ROLES}.delete")
def delete_role(call: Call) -> dict[str, Any]:
    """Delete a custom role; its name stays taken for weeks."""
    found = _role(call)
    if found.get("deleted"):
        raise RefusedError(
            400, f"The role {found['name']} is already deleted.", status="FAILED_PRECONDITION"
        )
    found["deleted"] = True
    return found


@answers(f"{ROLES}.undelete")
def undelete_role(call: Call) -> dict[str, Any]:
    """Have a deleted custom role back."""
    found = _role(call)
    if not found.pop("deleted", False):
        raise RefusedError(
            400, f"The role {found['name']} is not deleted.", status="FAILED_PRECONDITION"
        )
    return found
