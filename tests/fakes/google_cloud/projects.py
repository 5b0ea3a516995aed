"""Resource Manager: the project, and who may do what in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.google_cloud import policies
from tests.fakes.google_cloud.answering import Call, answers

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud


def found_project(cloud: GoogleCloud, owner: str) -> None:
    """Give a new project its owner, and the network that each has."""
    cloud.resources[f"policy/projects/{cloud.project}"] = {
        "version": 1,
        "bindings": [{"role": "roles/owner", "members": [f"user:{owner}"]}],
    }


@answers("crm.v1.projects.get")
def get(call: Call) -> dict[str, Any]:
    """Show the project."""
    return {
        "projectId": call.project,
        "projectNumber": call.cloud.number,
        "name": call.project,
        "lifecycleState": "ACTIVE",
        "createTime": "2026-01-01T00:00:00.000Z",
    }


@answers("crm.v1.projects.list")
def list_(call: Call) -> dict[str, Any]:
    """Show the caller's projects: it is the only one."""
    return {"projects": [get(call)]}


@answers("crm.v3.projects.get")
def get_newer(call: Call) -> dict[str, Any]:
    """Show the project."""
    return {
        "name": f"projects/{call.cloud.number}",
        "projectId": call.project,
        "displayName": call.project,
        "state": "ACTIVE",
        "createTime": "2026-01-01T00:00:00.000Z",
        "etag": "W/1",
    }


@answers("crm.v3.projects.search")
def search(call: Call) -> dict[str, Any]:
    """Show the caller's projects: it is the only one."""
    return {"projects": [get_newer(call)]}


@answers("crm.v1.projects.getIamPolicy", "crm.v3.projects.getIamPolicy")
def get_policy(call: Call) -> dict[str, Any]:
    """Show the project's policy."""
    return policies.policy(call.cloud, f"projects/{call.project}")


@answers("crm.v1.projects.setIamPolicy", "crm.v3.projects.setIamPolicy")
def set_policy(call: Call) -> dict[str, Any]:
    """Change the project's policy."""
    return policies.set_policy(call, f"projects/{call.project}", call.body.get("policy", {}))


@answers("crm.v1.projects.testIamPermissions", "crm.v3.projects.testIamPermissions")
def test_permissions(call: Call) -> dict[str, Any]:
    """Tell what the caller may."""
    return policies.allowed(call)
