"""The stand-in's project: policies, service accounts, roles, services, registry, zones, prices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.billing_catalogue import COMPUTE, catalogue
from tests.fakes.google_cloud import GoogleCloud

PROJECT = "/crm/v1/projects/proj-x"
ACCOUNTS = "/iam/v1/projects/proj-x/serviceAccounts"
ROLES = "/iam/v1/projects/proj-x/roles"
SERVICES = "/serviceusage/v1/projects/proj-x/services"
EMAIL = "farm-nodes@proj-x.iam.gserviceaccount.com"
REGION = "projects/proj-x/locations/europe-west4"
REPOSITORIES = f"/artifactregistry/v1/{REGION}/repositories"
ZONES = "/dns/v1/projects/proj-x/managedZones"


def bind(ask: Any, role: str, member: str) -> tuple[int, Any]:
    """Add a binding to the project's policy."""
    policy = ask("POST", f"{PROJECT}:getIamPolicy")
    policy["bindings"].append({"role": role, "members": [member]})
    answer: tuple[int, Any] = ask.refused("POST", f"{PROJECT}:setIamPolicy", {"policy": policy})
    return answer


def test_the_project_is_shown_by_both_versions(cloud: GoogleCloud, ask: Any) -> None:
    assert ask("GET", PROJECT)["projectNumber"] == cloud.number
    assert ask("GET", "/crm/v3/projects/proj-x")["name"] == f"projects/{cloud.number}"
    status, told = ask.refused("GET", "/crm/v1/projects/other")
    assert (status, told["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_a_policy_changes_only_for_who_has_seen_it(cloud: GoogleCloud, ask: Any) -> None:
    old = ask("POST", f"{PROJECT}:getIamPolicy")
    assert bind(ask, "roles/viewer", "user:a@example.com")[0] == 200
    status, told = ask.refused("POST", f"{PROJECT}:setIamPolicy", {"policy": old})
    assert (status, told["error"]["status"]) == (409, "ABORTED")
    assert cloud.everything() == {"bindings": ["projects/proj-x roles/viewer user:a@example.com"]}


@pytest.mark.parametrize(
    ("role", "member"),
    [
        ("viewer", "user:a@example.com"),
        ("projects/proj-x/roles/none", "user:a@example.com"),
        ("roles/viewer", "a@example.com"),
        ("roles/viewer", f"serviceAccount:{EMAIL}"),
    ],
)
def test_a_binding_that_can_not_be_is_refused(
    role: str, member: str, cloud: GoogleCloud, ask: Any
) -> None:
    assert bind(ask, role, member)[0] == 400
    assert cloud.everything() == {}


def test_conditions_need_a_policy_that_knows_of_them(cloud: GoogleCloud, ask: Any) -> None:
    condition = {"title": "own", "expression": "resource.name.startsWith('x')"}
    binding = {"role": "roles/viewer", "members": ["user:a@example.com"], "condition": condition}
    policy = {"bindings": [binding], "version": 1}
    assert ask.refused("POST", f"{PROJECT}:setIamPolicy", {"policy": policy})[0] == 400
    ask("POST", f"{PROJECT}:setIamPolicy", {"policy": {**policy, "version": 3}})
    assert ask("POST", f"{PROJECT}:getIamPolicy")["bindings"] == [binding]


def test_permissions_are_told(cloud: GoogleCloud, ask: Any) -> None:
    cloud.denied.add("container.clusters.create")
    asked = ["container.clusters.create", "container.clusters.get"]
    told = ask("POST", f"{PROJECT}:testIamPermissions", {"permissions": asked})
    assert told == {"permissions": ["container.clusters.get"]}
    wrong = {"permissions": ["container"]}
    assert ask.refused("POST", f"{PROJECT}:testIamPermissions", wrong)[0] == 400


def test_a_service_account_that_is_gone_leaves_its_bindings_marked(
    cloud: GoogleCloud, ask: Any
) -> None:
    made = ask("POST", ACCOUNTS, {"accountId": "farm-nodes"})
    assert made["email"] == EMAIL
    assert bind(ask, "roles/viewer", f"serviceAccount:{EMAIL}")[0] == 200
    ask("DELETE", f"{ACCOUNTS}/{EMAIL}")
    gone = f"projects/proj-x roles/viewer deleted:serviceAccount:{EMAIL}?uid={made['uniqueId']}"
    assert cloud.everything() == {"bindings": [gone]}
    ask("POST", f"{ACCOUNTS}/{made['uniqueId']}:undelete")
    assert cloud.everything() == {
        "bindings": [f"projects/proj-x roles/viewer serviceAccount:{EMAIL}"],
        "serviceAccounts": [EMAIL],
    }


def test_service_accounts_are_made_once_and_have_good_names(ask: Any) -> None:
    ask("POST", ACCOUNTS, {"accountId": "farm-nodes"})
    assert ask.refused("POST", ACCOUNTS, {"accountId": "farm-nodes"})[0] == 409
    for name in ("farm", "Farm-nodes", "f" * 31, ""):
        assert ask.refused("POST", ACCOUNTS, {"accountId": name})[0] == 400
    assert [one["email"] for one in ask("GET", ACCOUNTS)["accounts"]] == [EMAIL]
    assert ask("GET", f"/iam/v1/projects/-/serviceAccounts/{EMAIL}")["email"] == EMAIL
    told = {"serviceAccount": {"displayName": "Nodes"}, "updateMask": "displayName"}
    assert ask("PATCH", f"{ACCOUNTS}/{EMAIL}", told)["displayName"] == "Nodes"
    assert ask.refused("GET", f"{ACCOUNTS}/none@proj-x.iam.gserviceaccount.com")[0] == 404


def test_a_service_account_has_a_policy_of_its_own(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("serviceAccounts", {"accountId": "farm-nodes"})
    where = f"{ACCOUNTS}/{EMAIL}"
    user = "serviceAccount:proj-x.svc.id.goog[burst/worker]"
    policy = {"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": [user]}]}
    ask("POST", f"{where}:setIamPolicy", {"policy": policy})
    assert ask("POST", f"{where}:getIamPolicy")["bindings"] == policy["bindings"]
    ask("DELETE", where)
    assert cloud.everything() == {}


def test_a_deleted_role_keeps_its_name_until_it_is_had_back(cloud: GoogleCloud, ask: Any) -> None:
    role = {"title": "t", "includedPermissions": ["container.clusters.delete"], "stage": "GA"}
    ask("POST", ROLES, {"roleId": "farm_end", "role": role})
    assert ask.refused("POST", ROLES, {"roleId": "farm_end", "role": role})[0] == 409
    assert bind(ask, "projects/proj-x/roles/farm_end", "user:a@example.com")[0] == 200
    assert ask("DELETE", f"{ROLES}/farm_end")["deleted"]
    assert cloud.everything().get("roles") is None
    assert ask("GET", ROLES) == {}
    assert ask("GET", ROLES, showDeleted="true")["roles"][0]["deleted"]
    status, told = ask.refused("POST", ROLES, {"roleId": "farm_end", "role": role})
    assert (status, "deleted state" in told["error"]["message"]) == (400, True)
    ask("POST", f"{ROLES}/farm_end:undelete")
    ask("PATCH", f"{ROLES}/farm_end", {"title": "new"}, updateMask="title")
    found = ask("GET", f"{ROLES}/farm_end")
    assert (found["title"], found["includedPermissions"]) == ("new", role["includedPermissions"])
    assert cloud.everything()["roles"] == ["farm_end"]


def test_bad_roles_are_refused(ask: Any) -> None:
    assert ask.refused("POST", ROLES, {"roleId": "farm-end", "role": {}})[0] == 400
    wrong = {"includedPermissions": ["everything"]}
    assert ask.refused("POST", ROLES, {"roleId": "farm_end", "role": wrong})[0] == 400


def test_services_are_enabled_by_an_operation(cloud: GoogleCloud, ask: Any) -> None:
    cloud.services -= {"container.googleapis.com", "compute.googleapis.com"}
    body = {"serviceIds": ["container.googleapis.com", "compute.googleapis.com"]}
    started = ask("POST", f"{SERVICES}:batchEnable", body, finish=False)
    cloud.finish()
    told = ask("GET", f"/serviceusage/v1/{started['name']}")
    assert [one["state"] for one in told["response"]["services"]] == ["ENABLED", "ENABLED"]
    assert ask("GET", f"{SERVICES}/container.googleapis.com")["state"] == "ENABLED"
    assert ask.refused("GET", f"{SERVICES}/nonsense.googleapis.com")[0] == 403


def test_services_are_listed_in_pages(cloud: GoogleCloud, ask: Any) -> None:
    names: list[str] = []
    token: dict[str, str] = {}
    while not names or token["pageToken"]:
        page = ask("GET", SERVICES, filter="state:ENABLED", pageSize="4", **token)
        names += [one["name"].rpartition("/")[2] for one in page["services"]]
        token = {"pageToken": page.get("nextPageToken", "")}
    assert set(names) == cloud.services


def test_an_api_that_is_off_says_where_it_is_enabled(cloud: GoogleCloud, ask: Any) -> None:
    cloud.services.discard("container.googleapis.com")
    status, told = ask.refused("GET", "/container/v1/projects/proj-x/locations/-/clusters")
    (detail,) = told["error"]["details"]
    assert (status, detail["reason"]) == (403, "SERVICE_DISABLED")
    assert detail["metadata"]["activationUrl"] in told["error"]["message"]
    assert "container.googleapis.com" in detail["metadata"]["activationUrl"]


def test_who_does_not_pay_gets_nothing_new(cloud: GoogleCloud, ask: Any) -> None:
    cloud.has_billing = False
    networks = "/compute/v1/projects/proj-x/global/networks"
    status, told = ask.refused("POST", networks, {"name": "farm"})
    assert (status, told["error"]["details"][0]["reason"]) == (403, "BILLING_DISABLED")
    status, told = ask.refused("POST", "/storage/v1/b", {"name": "farm-data"}, project="proj-x")
    assert (status, told["error"]["errors"][0]["reason"]) == (403, "accountDisabled")
    status, told = ask.refused("POST", f"{SERVICES}/container.googleapis.com:enable", {})
    assert (status, told["error"]["status"]) == (400, "FAILED_PRECONDITION")
    info = ask("GET", "/cloudbilling/v1/projects/proj-x/billingInfo")
    assert info["billingEnabled"] is False
    assert ask("GET", networks) == {}


def test_a_repository_goes_with_its_images(cloud: GoogleCloud, ask: Any) -> None:
    started = ask("POST", REPOSITORIES, {"format": "DOCKER"}, repositoryId="farm")
    assert ask("GET", f"/artifactregistry/v1/{started['name']}")["done"]
    assert ask.refused("POST", REPOSITORIES, {"format": "DOCKER"}, repositoryId="farm")[0] == 409
    cloud.plant("dockerImages", {"repository": "farm", "name": "worker@sha256:1"})
    images = ask("GET", f"{REPOSITORIES}/farm/dockerImages")["dockerImages"]
    assert [one["name"].rpartition("/")[2] for one in images] == ["worker@sha256:1"]
    reader = {"role": "roles/artifactregistry.reader", "members": ["user:a@example.com"]}
    policy = {"policy": {"bindings": [reader]}}
    ask("POST", f"{REPOSITORIES}/farm:setIamPolicy", policy)
    assert ask("GET", f"{REPOSITORIES}/farm:getIamPolicy")["bindings"] == [reader]
    ask("PATCH", f"{REPOSITORIES}/farm", {"labels": {"a": "b"}}, updateMask="labels")
    assert ask("GET", REPOSITORIES)["repositories"][0]["labels"] == {"a": "b"}
    ask("DELETE", f"{REPOSITORIES}/farm")
    assert cloud.everything() == {}


def test_a_repository_needs_a_format_and_a_name(ask: Any) -> None:
    assert ask.refused("POST", REPOSITORIES, {}, repositoryId="farm")[0] == 400
    assert ask.refused("POST", REPOSITORIES, {"format": "DOCKER"}, repositoryId="Farm")[0] == 400
    assert ask.refused("POST", REPOSITORIES, {"format": "PAPER"}, repositoryId="farm")[0] == 400


def test_a_zone_with_records_is_not_deleted(cloud: GoogleCloud, ask: Any) -> None:
    cloud.plant("networks", {"name": "farm"})
    network = {"networkUrl": "projects/proj-x/global/networks/farm"}
    zone = {
        "name": "farm-apis", "dnsName": "googleapis.com.", "description": "x",
        "visibility": "private", "privateVisibilityConfig": {"networks": [network]},
    }  # fmt: skip
    ask("POST", ZONES, zone)
    record = {"name": "*.googleapis.com.", "type": "CNAME", "ttl": 300, "rrdatas": ["a."]}
    ask("POST", f"{ZONES}/farm-apis/changes", {"additions": [record]})
    assert ask.refused("POST", f"{ZONES}/farm-apis/changes", {"additions": [record]})[0] == 409
    kinds = [one["type"] for one in ask("GET", f"{ZONES}/farm-apis/rrsets")["rrsets"]]
    assert sorted(kinds) == ["CNAME", "NS", "SOA"]
    status, told = ask.refused("DELETE", f"{ZONES}/farm-apis")
    assert (status, told["error"]["errors"][0]["reason"]) == (400, "containerNotEmpty")
    ask("POST", f"{ZONES}/farm-apis/changes", {"deletions": [record]})
    ask("DELETE", f"{ZONES}/farm-apis")
    assert cloud.everything() == {"networks": ["farm"]}


def test_a_zone_needs_a_whole_name_and_a_network_that_is_there(ask: Any) -> None:
    zone = {"name": "farm-apis", "dnsName": "googleapis.com.", "description": "x"}
    assert ask.refused("POST", ZONES, {**zone, "dnsName": "googleapis.com"})[0] == 400
    missing = {"networks": [{"networkUrl": "projects/proj-x/global/networks/none"}]}
    assert ask.refused("POST", ZONES, {**zone, "privateVisibilityConfig": missing})[0] == 400
    ask("POST", ZONES, zone)
    assert ask.refused("POST", ZONES, zone)[0] == 409


def test_prices_come_in_pages_and_in_part(cloud: GoogleCloud, ask: Any) -> None:
    cloud.prices = catalogue()
    cloud.page_size = 10
    where, found = f"/cloudbilling/v1/services/{COMPUTE}/skus", []
    query = {"currencyCode": "USD", "fields": "skus(skuId,pricingInfo/summary),nextPageToken"}
    token = ""
    while not found or token:
        page = ask("GET", where, **query, pageToken=token)
        found += page["skus"]
        token = page["nextPageToken"]
    assert [one["skuId"] for one in found] == [one["skuId"] for one in cloud.prices[COMPUTE]]
    assert set(found[0]) <= {"skuId", "pricingInfo"}
    assert ask("GET", "/cloudbilling/v1/services/0000-0000-0000/skus") == {}
    names = [one["serviceId"] for one in ask("GET", "/cloudbilling/v1/services")["services"]]
    assert COMPUTE in names
