"""What goes wrong with the stand-in on demand, who may come in, and what it notes."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.fakes.google_cloud import FOREVER, GoogleCloud

NETWORKS = "/compute/v1/projects/proj-x/global/networks"
CLUSTERS = "/container/v1/projects/proj-x/locations/europe-west4-a/clusters"
BODY = {"name": "farm", "autoCreateSubnetworks": False}


def test_nobody_comes_in_without_a_login_that_is_good(cloud: GoogleCloud, ask: Any) -> None:
    answer = httpx.get(cloud.url + NETWORKS, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 401)
    expired, cloud.token = cloud.token, "another"
    old = {"Authorization": f"Bearer {expired}"}
    assert httpx.get(cloud.url + NETWORKS, headers=old, trust_env=False).status_code == 401
    assert ask("GET", NETWORKS) == {}


def test_who_may_not_is_told_which_permission_is_missing(cloud: GoogleCloud, ask: Any) -> None:
    cloud.denied |= {"compute.networks.create", "container.clusters.list"}
    status, told = ask.refused("POST", NETWORKS, BODY)
    assert (status, "compute.networks.create" in told["error"]["message"]) == (403, True)
    status, told = ask.refused("GET", CLUSTERS)
    assert told["error"]["details"][0]["metadata"]["permission"] == "container.clusters.list"
    assert cloud.everything() == {}


def test_a_fault_strikes_as_often_as_it_is_to_and_not_before(cloud: GoogleCloud, ask: Any) -> None:
    cloud.faults.too_many("/networks$", method="GET", times=2, skip=1)
    assert [ask.refused("GET", NETWORKS)[0] for _ in range(4)] == [200, 429, 429, 200]
    cloud.faults.unavailable("/networks$", times=FOREVER)
    assert [ask.refused("GET", NETWORKS)[0] for _ in range(3)] == [503, 503, 503]
    cloud.faults.clear()
    assert ask.refused("GET", NETWORKS)[0] == 200


def test_a_lack_of_quota_has_googles_reason(cloud: GoogleCloud, ask: Any) -> None:
    cloud.faults.quota("/networks$")
    status, told = ask.refused("POST", NETWORKS, BODY)
    assert (status, told["error"]["errors"][0]["reason"]) == (403, "quotaExceeded")
    cloud.faults.quota("/clusters$", metric="N2D_CPUS")
    status, told = ask.refused("POST", CLUSTERS, {"cluster": {"name": "farm"}})
    assert (status, "N2D_CPUS" in told["error"]["message"]) == (403, True)
    assert cloud.everything() == {}


def test_an_answer_is_lost_after_the_deed(cloud: GoogleCloud, ask: Any) -> None:
    cloud.faults.lose_answer("/networks$")
    with pytest.raises(httpx.RemoteProtocolError):
        ask("POST", NETWORKS, BODY)
    assert cloud.requests[-1].status == 0
    assert ask.refused("POST", NETWORKS, BODY)[0] == 409
    assert cloud.everything() == {"networks": ["farm"]}


def test_a_request_is_dropped_before_the_deed(cloud: GoogleCloud, ask: Any) -> None:
    cloud.faults.add("POST", "/networks$", is_dropped=True)
    with pytest.raises(httpx.RemoteProtocolError):
        ask("POST", NETWORKS, BODY)
    assert cloud.everything() == {}
    started = ask("POST", NETWORKS, BODY)
    cloud.faults.drop_poll()
    poll = f"/compute/v1/projects/proj-x/global/operations/{started['name']}"
    with pytest.raises(httpx.RemoteProtocolError):
        ask("GET", poll)
    assert ask("GET", poll)["status"] == "DONE"


def test_a_slow_answer_outlasts_a_caller_but_not_the_others(cloud: GoogleCloud, ask: Any) -> None:
    cloud.faults.slow("/networks$", seconds=1.0, method="GET")
    login = {"Authorization": f"Bearer {cloud.token}"}
    short = httpx.Timeout(120, read=0.05)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(cloud.url + NETWORKS, headers=login, timeout=short, trust_env=False)
    assert ask("GET", NETWORKS) == {}


@pytest.mark.parametrize("how", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_who_dies_in_the_middle_of_a_request_has_nothing_done(
    how: str, cloud: GoogleCloud, ask: Any
) -> None:
    cloud.plant("buckets", {"name": "farm-data"})
    host, _, port = cloud.url.removeprefix("http://").partition(":")
    path = "/upload/storage/v1/b/farm-data/o?uploadType=media&name=a"
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {cloud.token}", how]
    with socket.create_connection((host, int(port)), timeout=120) as dying:
        dying.sendall(("\r\n".join(lines) + "\r\n\r\n4\r\nhalf\r\n").encode())
        dying.shutdown(socket.SHUT_WR)
        assert dying.recv(100) == b""
    assert cloud.requests == []
    assert ask("GET", "/storage/v1/b/farm-data/o") == {"kind": "storage#objects"}


def test_of_many_at_once_one_gets_the_name(cloud: GoogleCloud) -> None:
    login = {"Authorization": f"Bearer {cloud.token}"}

    def make(_number: int) -> int:
        return httpx.post(
            cloud.url + NETWORKS, json=BODY, headers=login, trust_env=False
        ).status_code

    with ThreadPoolExecutor(8) as several:
        statuses = sorted(several.map(make, range(16)))
    assert statuses == [200, *[409] * 15]
    assert cloud.everything() == {"networks": ["farm"]}


def test_requests_are_noted_with_what_came_of_them(cloud: GoogleCloud, ask: Any) -> None:
    ask("GET", NETWORKS)
    ask("POST", NETWORKS, BODY)
    ask("POST", "/crm/v1/projects/proj-x:testIamPermissions", {"permissions": []})
    ask.refused("DELETE", f"{NETWORKS}/none")
    cloud.plant("disks", {"name": "pvc-1"})
    assert [(one.method, one.status) for one in cloud.requests] == [
        ("GET", 200), ("POST", 200), ("POST", 200), ("DELETE", 404),
    ]  # fmt: skip
    assert [(one.method, one.body) for one in cloud.writes()] == [("POST", BODY), ("DELETE", None)]


def test_what_the_stand_in_does_not_have_says_so(ask: Any) -> None:
    status, told = ask.refused("POST", "/compute/v1/projects/proj-x/zones/a/spaceships", {})
    assert (status, "The stand-in has no" in told["error"]["message"]) == (404, True)


def test_a_body_that_is_no_json_is_refused(cloud: GoogleCloud) -> None:
    headers = {"Authorization": f"Bearer {cloud.token}", "Content-Type": "application/json"}
    answer = httpx.post(cloud.url + NETWORKS, content=b"{", headers=headers, trust_env=False)
    assert answer.status_code == 400


def test_everything_can_be_planted_and_is_found(farm: GoogleCloud) -> None:
    network = {"network": "global/networks/farm"}
    for kind, body in (
        ("firewalls", {"name": "k8s-fw", **network}),
        ("routers", {"name": "nat", **network}),
        ("addresses", {"name": "lb", "region": "europe-west4"}),
        ("globalAddresses", {"name": "lb-global"}),
        ("snapshots", {"name": "old"}),
        ("images", {"name": "disk-image"}),
        ("forwardingRules", {"name": "lb-rule"}),
        ("targetPools", {"name": "lb-pool"}),
        ("backendServices", {"name": "lb-service"}),
        ("healthChecks", {"name": "lb-check"}),
        ("networkEndpointGroups", {"name": "k8s1-neg"}),
        ("instances", {"name": "stray", "zone": "us-west1-a"}),
        ("instanceTemplates", {"name": "gke-template"}),
        ("nodePools", {"name": "spot", "cluster": "farm"}),
        ("roles", {"roleId": "farm_end"}),
        ("repositories", {"repositoryId": "farm"}),
        ("managedZones", {"name": "apis", "dnsName": "a.", "description": "x"}),
        ("buckets", {"name": "farm-data"}),
        ("objects", {"bucket": "farm-data", "name": "a"}),
    ):
        before = farm.everything()
        farm.plant(kind, body)
        found = {key: set(names) for key, names in farm.everything().items()}
        made = {key for key, names in found.items() if names - set(before.get(key, []))}
        assert kind.replace("globalA", "a") in made, kind
    assert farm.requests == []
    with pytest.raises(ValueError, match="spaceships"):
        farm.plant("spaceships", {})
