"""Artifact Registry: repositories and the images in them."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.google_cloud import places, policies
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.compute_rules import defaults
from tests.fakes.google_cloud.listing import page
from tests.fakes.google_cloud.operations import Operation, Style, timestamp
from tests.fakes.google_cloud.refusals import RefusedError

ROOT = "artifactregistry.projects.locations"
CHANGEABLE = frozenset(
    {"description", "labels", "cleanupPolicies", "cleanupPolicyDryRun", "dockerConfig",
     "vulnerabilityScanningConfig"}
)  # fmt: skip


def _scope(call: Call) -> str:
    location = call.names["locationsId"]
    if location not in (*places.REGIONS, "europe", "us", "asia"):
        raise RefusedError(400, f'Invalid location "{location}".')
    return f"projects/{call.project}/locations/{location}"


def _relative(call: Call) -> str:
    return f"{_scope(call)}/repositories/{call.names['repositoriesId']}"


def _repository(call: Call) -> dict[str, Any]:
    found = call.cloud.resources.get(f"artifactregistry/{_relative(call)}")
    if found is None:
        raise RefusedError(404, "Requested entity was not found.")
    return found


def _start(call: Call, kind: str, target: str, settle: Any, result: Any) -> Operation:
    return call.cloud.operations.start(
        Style.LONG, kind, _scope(call), target, settle, failure=call.failure, result=result
    )


@answers(f"{ROOT}.repositories.create")
def create(call: Call) -> Operation:
    """Make a repository."""
    name, scope = call.query.get("repositoryId", ""), _scope(call)
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name):
        raise RefusedError(400, f'The repository id "{name}" is invalid.')
    if call.body.get("format", "FORMAT_UNSPECIFIED") == "FORMAT_UNSPECIFIED":
        raise RefusedError(400, "The format of a repository must be specified.")
    relative = f"{scope}/repositories/{name}"
    key = f"artifactregistry/{relative}"
    if key in call.cloud.resources:
        raise RefusedError(409, "the repository already exists")
    location = call.names["locationsId"]
    made = defaults(
        {**call.body, "name": relative},
        mode="STANDARD_REPOSITORY",
        createTime=timestamp(),
        updateTime=timestamp(),
        registryUri=f"{location}-docker.pkg.dev/{call.project}/{name}",
        vulnerabilityScanningConfig={"enablementState": "SCANNING_DISABLED"},
        satisfiesPzi=True,
        sizeBytes="0",
    )
    call.cloud.resources[key] = made

    def settle(failure: str) -> None:
        if failure:
            call.cloud.resources.pop(key, None)

    return _start(call, "create", relative, settle, lambda: _typed(made))


def _typed(made: dict[str, Any]) -> dict[str, Any]:
    kind = "google.devtools.artifactregistry.v1.Repository"
    return {"@type": f"type.googleapis.com/{kind}", **made}


@answers(f"{ROOT}.repositories.get")
def get(call: Call) -> dict[str, Any]:
    """Show a repository."""
    return _repository(call)


@answers(f"{ROOT}.repositories.list")
def list_(call: Call) -> dict[str, Any]:
    """Show the repositories of a location."""
    prefix = f"artifactregistry/{_scope(call)}/repositories/"
    known = call.cloud.resources
    found = [
        known[key]
        for key in sorted(known)
        if key.startswith(prefix) and "/" not in key.removeprefix(prefix)
    ]
    return page(call, found, "repositories")


@answers(f"{ROOT}.repositories.patch")
def patch(call: Call) -> dict[str, Any]:
    """Change a repository."""
    found = _repository(call)
    mask = call.query.get("updateMask", "")
    for path in mask.split(",") if mask else list(call.body):
        field = path.partition(".")[0]
        field = re.sub(r"_(\w)", lambda one: one[1].upper(), field)
        if field not in CHANGEABLE:
            raise RefusedError(400, f"The field {path} can't be changed.")
        if field in call.body:
            found[field] = call.body[field]
        else:
            found.pop(field, None)
    found["updateTime"] = timestamp()
    return found


@answers(f"{ROOT}.repositories.delete")
def delete(call: Call) -> Operation:
    """Delete a repository with the images in it."""
    _repository(call)
    relative = _relative(call)

    def settle(failure: str) -> None:
        key = f"artifactregistry/{relative}"
        if not failure:
            call.cloud.resources.pop(f"policy/{relative}", None)
        for one in [] if failure else list(call.cloud.resources):
            if one == key or one.startswith(f"{key}/"):
                del call.cloud.resources[one]

    return _start(call, "delete", relative, settle, dict)


@answers(f"{ROOT}.repositories.getIamPolicy")
def get_policy(call: Call) -> dict[str, Any]:
    """Show who may use a repository."""
    _repository(call)
    return policies.policy(call.cloud, _relative(call))


@answers(f"{ROOT}.repositories.setIamPolicy")
def set_policy(call: Call) -> dict[str, Any]:
    """Say who may use a repository."""
    _repository(call)
    return policies.set_policy(call, _relative(call), call.body.get("policy", {}))


@answers(f"{ROOT}.repositories.testIamPermissions")
def test_permissions(call: Call) -> dict[str, Any]:
    """Tell what the caller may do with a repository."""
    _repository(call)
    return policies.allowed(call)


@answers(f"{ROOT}.repositories.dockerImages.list")
def list_images(call: Call) -> dict[str, Any]:
    """Show the images of a repository."""
    _repository(call)
    prefix = f"artifactregistry/{_relative(call)}/dockerImages/"
    known = call.cloud.resources
    return page(call, [known[k] for k in sorted(known) if k.startswith(prefix)], "dockerImages")


@answers(f"{ROOT}.operations.get")
def get_operation(call: Call) -> Operation:
    """Show an operation."""
    return call.cloud.operations.get(call.names["operationsId"], _scope(call))
