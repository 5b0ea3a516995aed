"""What Terraform and Google's provider complain of, in their own words, and what is made of it."""

from __future__ import annotations

import pytest

from burst.cloud.terraform_errors import failure, read_errors
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
    LoginNeeded,
    StateError,
    ToolError,
)

POOL = 'module.pools["gpu"].google_container_node_pool.pool'

LOCKED = """\
Error message: writing "gs://b/farm/default.tflock" failed: googleapi: Error 412: Precondition failed, conditionNotMet
Lock Info:
  ID:        1795388911155328
  Path:      gs://b/farm/default.tflock
  Operation: OperationTypeApply
  Who:       ann@studio
  Version:   1.11.4
  Created:   2026-11-22 23:08:31.150147439 +0000 UTC
  Info:      


Terraform acquires a state lock to protect the state from being written
by multiple users at the same time."""  # noqa: E501, W291

DISABLED = """\
googleapi: Error 403: Compute Engine API has not been used in project 42 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/compute.googleapis.com/overview?project=42 then retry.
Details:
[
  {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "domain": "googleapis.com",
    "metadata": {
      "service": "compute.googleapis.com"
    },
    "reason": "SERVICE_DISABLED"
  }
]
, accessNotConfigured"""  # noqa: E501


def fail(summary: str, detail: str = "", address: str | None = POOL) -> BurstError:
    return failure("apply", [Diagnostic("", "error", summary, detail, address)], "film")


@pytest.mark.parametrize(
    ("summary", "kind", "message", "hint"),
    [
        ("Error creating NodePool: googleapi: Error 403: Insufficient regional quota to satisfy "
         'request: resource "CPUS": request requires \'64.0\' and is short \'40.0\'.\n'
         "Details:\n[\n {}\n]\n, forbidden",
         CloudQuota, 'resource "CPUS"', "iam-admin/quotas?project=film"),
        ("Error waiting for creating GKE NodePool: Insufficient quota to satisfy the request: "
         "Quota 'NVIDIA_L4_GPUS' exceeded.  Limit: 1.0 in region europe-west4.",
         CloudQuota, "NVIDIA_L4_GPUS", "iam-admin/quotas?project=film"),
        (f"Error creating Network: {DISABLED}",
         ApiDisabled, "compute.googleapis.com is not enabled",
         "gcloud services enable compute.googleapis.com --project=film"),
        ("Error creating Network: googleapi: Error 403: Required 'compute.networks.create' "
         "permission for 'projects/film/global/networks/dune', forbidden",
         CloudDenied, "lacks the permission compute.networks.create", "policy-binding film"),
        ("Error waiting for creating GKE NodePool: Google Compute Engine: The zone "
         "'projects/film/zones/europe-west4-a' does not have enough resources available to fulfill "
         "the request. '(resource type:compute)'.",
         CloudAway, "does not have enough resources", "another zone or machine type"),
        ("googleapi: Error 409: Already exists: projects/film/locations/europe-west4-a/clusters/"
         "dune., alreadyExists",
         CloudConflict, "Already exists", "takes over what is the farm's own"),
        ("Error creating Network: googleapi: Error 409: The resource "
         "'projects/film/global/networks/dune' already exists, alreadyExists",
         CloudConflict, "already exists", "takes over"),
        ("Error waiting for Deleting Network: The network resource "
         "'projects/film/global/networks/dune' is already being used by "
         "'projects/film/global/firewalls/k8s-fw-1'",
         CloudConflict, "k8s-fw-1", "remove that, then the same command goes on"),
        ("Error trying to delete bucket film-dune-data without `force_destroy` set to true",
         CloudConflict, "film-dune-data", "burst down --all"),
        ("googleapi: Error 429: Quota exceeded for quota metric 'Queries' and limit 'Queries per "
         "minute', rateLimitExceeded",
         CloudAway, "too many requests", "try again"),
        ("googleapi: Error 503: The service is currently unavailable., backendError",
         CloudAway, "unavailable", "try again"),
        ("Error creating Network: googleapi: Error 404: The resource 'projects/film' was not found,"
         " notFound", CloudNotFound, "was not found", "None"),
        ('Post "https://container.googleapis.com/v1": dial tcp: lookup container.googleapis.com: '
         "no such host", CloudAway, "no such host", "look at the network"),
        ("oauth2: \"invalid_grant\" \"Bad Request\"", LoginNeeded, "invalid_grant",
         "gcloud auth application-default login"),
        ("googleapi: Error 401: Request had invalid authentication credentials., authError",
         LoginNeeded, "login is not taken", "gcloud auth application-default login"),
        ("googleapi: Error 403: This API method requires billing to be enabled., billingNotEnabled",
         CloudDenied, "no billing account", "gcloud billing projects link film"),
        ("Cannot destroy cluster because deletion_protection is set to true", CloudConflict,
         "deletion_protection", "switch the protection off"),
        ("Something new", CloudError, "Something new", "None"),
    ],
)  # fmt: skip
def test_googles_words_become_an_error_with_what_to_do(
    summary: str, kind: type[BurstError], message: str, hint: str
) -> None:
    error = fail(summary)
    assert type(error) is kind, error
    assert POOL in error.message
    assert message in error.message
    assert "Details" not in error.message
    assert hint in str(error.hint)


def test_a_locked_state_names_its_holder_and_how_to_free_it() -> None:
    error = fail("Error acquiring the state lock", LOCKED, None)
    assert isinstance(error, FarmBusy)
    assert error.message == (
        "terraform apply of ann@studio holds the farm's state since 2026-11-22 23:08:31 UTC"
    )
    assert "gcloud storage rm gs://b/farm/default.tflock" in str(error.hint)


@pytest.mark.parametrize(
    ("summary", "kind", "hint"),
    [
        ("Failed to save state", StateError, "written by the next run from here"),
        ("Failed to query available provider packages", ToolError, "TF_CLI_CONFIG_FILE"),
        ("Invalid value for variable", ToolError, "None"),
    ],
)
def test_terraforms_own_trouble(summary: str, kind: type[BurstError], hint: str) -> None:
    error = fail(summary, "why", None)
    assert type(error) is kind
    assert "why" in error.message
    assert hint in str(error.hint)


def test_a_reason_that_the_provider_keeps_to_itself_is_asked_for() -> None:
    swallowed = Diagnostic(
        "", "error", 'Error waiting for creating GKE NodePool: NodePool gpu was created in the '
        'error state "ERROR"', "", POOL,
    )  # fmt: skip
    asked = []

    def ask(diagnostic: Diagnostic) -> str | None:
        asked.append(diagnostic.address)
        return "GCE_STOCKOUT: Instance creation failed"

    error = failure("apply", [swallowed], "film", ask)
    assert isinstance(error, CloudAway)
    assert "GCE_STOCKOUT: Instance creation failed" in error.message
    assert asked == [POOL]
    silent = failure("apply", [swallowed], "film", lambda diagnostic: None)
    assert type(silent) is CloudError
    assert 'error state "ERROR"' in silent.message


def test_the_first_that_is_known_counts_and_none_is_told_too() -> None:
    halted = Diagnostic("", "error", "execution halted", "", None)
    quota = Diagnostic("", "error", "Quota 'CPUS' exceeded. Limit: 8", "", POOL)
    assert isinstance(failure("apply", [halted, quota], "film"), CloudQuota)
    assert failure("apply", [halted], "film").message == "terraform apply: execution halted"
    assert "did not say why" in failure("apply", [], "film").message


def test_errors_in_boxes_are_read() -> None:
    text = (
        "╷\n│ Warning: Old\n│\n│ Don't.\n╵\n"
        "╷\n│ Error: Invalid backend\n│\n│   on main.tf line 2\n│ It is\n│ not there.\n╵\n"
        "╷\n│ Error: Another\n╵\n"
    )
    first, second = read_errors(text)
    assert (first.summary, first.severity) == ("Invalid backend", "error")
    assert first.detail.splitlines()[-1] == "not there."
    assert (second.summary, second.detail) == ("Another", "")
    assert read_errors("all is well\n") == []
