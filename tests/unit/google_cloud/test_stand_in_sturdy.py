"""Whatever the stand-in is asked, it answers as Google might, and never stumbles itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud, schema

NAMED = {
    "project": "proj-x", "projectId": "proj-x", "projectsId": "proj-x", "resource": "proj-x",
    "region": "europe-west4", "zone": "europe-west4-a", "locationsId": "europe-west4-a",
    "network": "farm", "subnetwork": "farm-nodes", "clustersId": "farm", "bucket": "farm-data",
    "nodePoolsId": "default-pool", "serviceAccountsId": "farm-nodes@proj-x.iam.gserviceaccount.com",
    "rolesId": "farm_end", "repositoriesId": "farm", "managedZone": "apis", "object": "a",
    "sourceBucket": "farm-data", "sourceObject": "a", "destinationBucket": "farm-data",
    "destinationObject": "b", "servicesId": "dns.googleapis.com", "disk": "pvc-1",
    "machineType": "e2-small", "acceleratorType": "nvidia-l4",
}  # fmt: skip
"""What paths name → what there is of it; of all else there is none."""
REGIONAL = ("artifactregistry.",)


def furnish(cloud: GoogleCloud) -> None:
    """Have one of each."""
    cloud.plant("serviceAccounts", {"accountId": "farm-nodes"})
    cloud.plant("roles", {"roleId": "farm_end"})
    cloud.plant("repositories", {"repositoryId": "farm"})
    cloud.plant("managedZones", {"name": "apis", "dnsName": "a.", "description": "x"})
    cloud.plant("buckets", {"name": "farm-data"})
    cloud.plant("objects", {"bucket": "farm-data", "name": "a"})
    cloud.plant("disks", {"name": "pvc-1"})


def path_of(method: schema.Method) -> str:
    """Return a path that asks for a method."""
    named = dict(NAMED)
    if method.name.startswith(REGIONAL):
        named["locationsId"] = "europe-west4"
    told = schema.raw(method.name)["path"].replace("{+", "{")
    for name in method.pattern.groupindex:
        told = told.replace("{" + name + "}", named.get(name, "none"))
    return schema.MOUNTS[method.api] + str(told)


def empty(told: Any) -> Any:
    """Return the smallest value of a type that has something in it."""
    if isinstance(told, str) and told.startswith("$"):
        return {}
    if isinstance(told, list):
        return [empty(told[0])]
    if isinstance(told, dict):
        return {"x": empty(told["*"])} if "*" in told else {}
    kind, _, words = told.partition("|")
    values = {
        "enum": words.partition("|")[0],
        "int64": "1",
        "integer": 1,
        "number": 1,
        "boolean": True,
    }
    return values.get(kind, "x")


def bodies(method: schema.Method) -> list[Any]:
    """Return nothing, and bodies with one thing in them."""
    if method.takes is None:
        return [None]
    fields = schema.fields(method.takes)
    return [{}, *({name.lstrip("!"): empty(told)} for name, told in fields.items())]


@pytest.mark.parametrize("api", sorted(schema.MOUNTS))
def test_no_request_makes_it_stumble(api: str, farm: GoogleCloud, ask: Any) -> None:
    furnish(farm)
    stumbled = []
    for method in schema.methods():
        # What deletes comes never, so that the others find something.
        if method.api != api or method.verb == "DELETE":
            continue
        query = dict.fromkeys(method.needs, "x")
        for body in bodies(method):
            status, told = ask.refused(method.verb, path_of(method), body, **query)
            farm.finish()
            if status not in (200, 204, 400, 403, 404, 409, 412):
                stumbled.append((method.name, body, status, told))
    assert stumbled == []
