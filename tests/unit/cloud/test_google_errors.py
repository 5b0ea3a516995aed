"""What Google's APIs say when they refuse, in their three forms, and the errors that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from burst.cloud.google_errors import (
    cloud_error,
    failure_error,
    failure_of,
    operation_error,
    read_refusal,
)
from burst.errors import (
    ApiDisabled,
    CloudAway,
    CloudConflict,
    CloudDenied,
    CloudError,
    CloudNotFound,
    CloudQuota,
    LoginNeeded,
)

SERVICE = "container.googleapis.com"


def told(code: int, message: str, status: str = "", **info: str) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    if info:
        reason = info.pop("reason")
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        error["details"] = [{"@type": kind, "reason": reason, "metadata": info}]
    return {"error": error}


def old(code: int, message: str, reason: str) -> dict[str, Any]:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return {"error": {"code": code, "message": message, "errors": errors}}


def refused(status: int, body: object) -> CloudError:
    return cloud_error(read_refusal(status, body), "can't do it", "proj-x")


@pytest.mark.parametrize(
    ("status", "body", "kind", "said", "hint"),
    [
        (
            403,
            told(403, "It is disabled.", "PERMISSION_DENIED", reason="SERVICE_DISABLED",
                 service=SERVICE, consumer="projects/1"),
            ApiDisabled, "the API container.googleapis.com is not enabled in the project proj-x",
            "gcloud services enable container.googleapis.com --project=proj-x",
        ),
        (
            403,
            old(403, "dns.googleapis.com has not been used in project 1", "accessNotConfigured"),
            ApiDisabled, "dns.googleapis.com", "gcloud services enable dns.googleapis.com",
        ),
        (
            403,
            told(403, "Permission 'container.clusters.create' denied on resource 'projects/p'",
                 "PERMISSION_DENIED"),
            CloudDenied, "lacks the permission container.clusters.create",
            "add-iam-policy-binding proj-x --member=user:YOU --role=roles/container.admin",
        ),
        (
            403,
            old(403, "Required 'compute.networks.create' permission for 'projects/p'", "forbidden"),
            CloudDenied, "lacks the permission compute.networks.create", "add-iam-policy-binding",
        ),
        (
            403,
            old(403, "a@b does not have storage.buckets.get access to the bucket.", "forbidden"),
            CloudDenied, "lacks the permission storage.buckets.get", "--role=roles/storage.admin",
        ),
        (
            403,
            told(403, "Denied.", "PERMISSION_DENIED", reason="IAM_PERMISSION_DENIED",
                 permission="iam.roles.create"),
            CloudDenied, "lacks the permission iam.roles.create", "",
        ),
        (403, told(403, "You do not have permission"), CloudDenied, "You do not", "doctor"),
        (
            403,
            told(403, "This needs it.", "PERMISSION_DENIED", reason="BILLING_DISABLED"),
            CloudDenied, "no billing account pays for the project proj-x", "billing projects link",
        ),
        (
            400,
            told(400, "Billing account for project '1' is not found. Billing must be enabled",
                 "FAILED_PRECONDITION"),
            CloudDenied, "no billing account pays", "billing projects link proj-x",
        ),
        (
            403,
            old(403, "Quota 'N2D_CPUS' exceeded.  Limit: 8.0 in region europe-west4.",
                "quotaExceeded"),
            CloudQuota, "Limit: 8.0 in region europe-west4", "iam-admin/quotas?project=proj-x",
        ),
        (
            403,
            told(403, "Insufficient regional quota to satisfy request: resource \"CPUS\""),
            CloudQuota, 'resource "CPUS"', "ask for more",
        ),
        (429, told(429, "Quota exceeded for quota metric 'R'."), CloudAway, "too many", "minute"),
        (403, old(403, "Rate Limit Exceeded", "rateLimitExceeded"), CloudAway, "too many", ""),
        (503, told(503, "The service is currently unavailable."), CloudAway, "unavailable", ""),
        (401, told(401, "Bad.", "UNAUTHENTICATED"), LoginNeeded, "not taken", "log in by"),
        (404, told(404, "Not found: x.", "NOT_FOUND"), CloudNotFound, "Not found: x", ""),
        (409, told(409, "Already exists: x.", "ALREADY_EXISTS"), CloudConflict, "exists: x", ""),
        (
            400,
            old(400, "The network is in use by 'x'", "resourceInUseByAnotherResource"),
            CloudConflict, "in use by 'x'", "",
        ),
        (
            400,
            told(400, "Cluster is running incompatible operation o.", "FAILED_PRECONDITION"),
            CloudConflict, "incompatible operation", "",
        ),
        (400, told(400, "Invalid value.", "INVALID_ARGUMENT"), CloudError, "Invalid", ""),
        (502, "<html>\n<p>Bad Gateway</p>", CloudAway, "<html>", ""),
        (400, "", CloudError, "status 400", ""),
        (400, {"error": "invalid_grant"}, CloudError, "status 400", ""),
    ],
)  # fmt: skip
def test_a_refusal_is_an_error_with_what_to_type(
    status: int, body: object, kind: type[CloudError], said: str, hint: str
) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert error.message.startswith("can't do it: ")
    assert said in error.message
    assert not error.message.endswith(".")
    assert hint in (error.hint or "")


def test_the_disabled_api_can_be_enabled_by_a_program() -> None:
    error = refused(403, told(403, "x", reason="SERVICE_DISABLED", service=SERVICE))
    assert isinstance(error, ApiDisabled)
    assert error.service == SERVICE


def test_a_sentence_without_an_end_is_cut() -> None:
    assert len(refused(400, told(400, "x" * 5000)).message) < 700


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"status": "DONE"}, ""),
        ({"done": True, "response": {}}, ""),
        ({"done": True, "error": {"code": 8, "message": "no more"}}, "no more"),
        ({"status": "DONE", "statusMessage": "no machines", "error": {"code": 8}}, "no machines"),
        (
            {
                "error": {
                    "errors": [{"code": "QUOTA_EXCEEDED", "message": "Quota 'CPUS' exceeded."}]
                }
            },
            "QUOTA_EXCEEDED: Quota 'CPUS' exceeded.",
        ),
        ({"error": {}}, "it failed"),
    ],
)
def test_why_an_operation_failed(operation: dict[str, Any], reason: str) -> None:
    assert failure_of(operation) == reason


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[ZONE_RESOURCE_POOL_EXHAUSTED]: Instance creation failed", CloudAway),
        ("The zone does not have enough resources available to fulfill the request.", CloudAway),
        ("QUOTA_EXCEEDED: Quota 'CPUS' exceeded.", CloudQuota),
        ("something else", CloudError),
    ],
)
def test_a_failure_is_the_error_that_its_sentence_means(text: str, kind: type[CloudError]) -> None:
    assert type(failure_error(text, "can't make it", "p")) is kind
    assert type(operation_error({"statusMessage": text}, "can't make it", "p")) is kind
