"""What the real provider of Terraform sent for a root of nineteen resources is taken, in its order.

Left out: what the provider makes of the answers; the tests of the roots look at that, with a
real provider too where there is one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud

REQUESTS = json.loads(Path(__file__).with_name("provider_requests.json").read_text("utf-8"))
EXPECTED_MISSING = {
    "/container/v1/projects/proj-x/locations/europe-west4-a/clusters/burst",
    "/container/v1/projects/proj-x/locations/europe-west4-a/clusters/burst/nodePools/spot",
    "/container/v1/projects/proj-x/locations/europe-west4-a/clusters/burst/nodePools/system",
}
"""What the provider looks for before it makes it."""
MADE = {
    "bindings", "buckets", "clusters", "disks", "firewalls", "instanceGroupManagers",
    "instanceGroups", "instances", "networks", "nodePools", "objects", "repositories", "routers",
    "serviceAccounts", "subnetworks",
}  # fmt: skip


def fresh(request: dict[str, Any], ask: Any) -> Any:
    """Return a body with the etag that is good now, as whoever read it before has it."""
    body = request.get("body")
    if request["path"].endswith(":setIamPolicy"):
        path = request["path"].replace(":set", ":get")
        body = {**body, "policy": {**body["policy"], "etag": ask("POST", path)["etag"]}}
    if request["path"].endswith("/iam") and request["method"] == "PUT":
        body = {**body, "etag": ask("GET", request["path"])["etag"]}
    return body


def test_what_the_real_provider_sent_is_taken(cloud: GoogleCloud, ask: Any) -> None:
    most: set[str] = set()
    missing = set()
    for request in REQUESTS:
        status, told = ask.refused(
            request["method"], request["path"], fresh(request, ask), **request["query"]
        )
        cloud.finish()
        if request["method"] == "GET" and status == 404:
            missing.add(request["path"])
        else:
            assert status in (200, 204), (request, told)
        most |= cloud.everything().keys()
    assert missing == EXPECTED_MISSING
    assert most == MADE
    assert cloud.everything() == {}


WITH_BODY = [request for request in REQUESTS if "body" in request]


@pytest.mark.parametrize("sent", WITH_BODY, ids=lambda one: f"{one['method']} {one['path']}")
def test_one_thing_more_in_a_body_is_refused(
    sent: dict[str, Any], cloud: GoogleCloud, ask: Any
) -> None:
    body = {**sent["body"], "nonsense": True}
    status, told = ask.refused(sent["method"], sent["path"], body, **sent["query"])
    assert status == 400
    assert 'Unknown name "nonsense"' in told["error"]["message"]
    assert cloud.everything() == {}
