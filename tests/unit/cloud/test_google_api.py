"""Requests to Google's APIs, against a stand-in with faults put in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from burst.cloud.google_api import SERVICES, GoogleApi, endpoint, operation_path
from burst.errors import (
    ApiDisabled,
    CloudAway,
    CloudConflict,
    CloudDenied,
    CloudError,
    CloudNotFound,
    LoginNeeded,
)
from burst.storage import login
from burst.threads import side_by_side
from tests.fakes.google_cloud import FOREVER, GoogleCloud
from tests.fakes.mirror_of_files import MirrorOfFiles

NETWORKS = "projects/proj-x/global/networks"


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud(operation_seconds=0.01) as cloud:
        yield cloud


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def api(cloud: GoogleCloud, pauses: list[float]) -> GoogleApi:
    return GoogleApi(cloud.environ, project=cloud.project, pause=pauses.append)


@pytest.mark.parametrize("service", SERVICES)
def test_the_providers_variables_name_endpoints_here_too(service: str) -> None:
    own = endpoint(service, {f"GOOGLE_{service}_CUSTOM_ENDPOINT": "http://127.0.0.1:1/x/v1"})
    assert own == "http://127.0.0.1:1/x/v1/"
    real = endpoint(service, {f"GOOGLE_{service}_CUSTOM_ENDPOINT": " "})
    assert real.startswith("https://")
    assert real.endswith(("/v1/", "/v3/"))


def test_a_resource_is_made_waited_for_read_and_deleted(cloud: GoogleCloud, api: GoogleApi) -> None:
    body = {"name": "farm", "autoCreateSubnetworks": False}
    api.wait("COMPUTE", api.post("COMPUTE", NETWORKS, body))
    assert api.get("COMPUTE", f"{NETWORKS}/farm")["name"] == "farm"
    api.wait("COMPUTE", api.patch("COMPUTE", f"{NETWORKS}/farm", {"description": "x"}))
    api.wait("COMPUTE", api.delete("COMPUTE", f"{NETWORKS}/farm"))
    with pytest.raises(CloudNotFound):
        api.get("COMPUTE", f"{NETWORKS}/farm")
    assert "networks" not in cloud.everything()


def test_pages_follow_one_another(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.page_size = 2
    for i in range(5):
        cloud.plant("networks", {"name": f"n{i}", "autoCreateSubnetworks": False})
    pages = list(api.pages("COMPUTE", NETWORKS, {"filter": "name:n*"}))
    names = [one["name"] for page in pages for one in page["items"]]
    assert names == [f"n{i}" for i in range(5)]
    assert len(pages) == 3


def test_a_list_that_repeats_itself_has_no_end() -> None:
    with MirrorOfFiles(
        {f"/v1/x{query}": b'{"nextPageToken":"t"}' for query in ("", "?pageToken=t")}
    ) as it:
        api = GoogleApi({"GOOGLE_COMPUTE_CUSTOM_ENDPOINT": f"{it.url}/v1"})
        with pytest.raises(CloudError, match="no end"):
            list(api.pages("COMPUTE", "x"))


@pytest.mark.parametrize(
    "fault",
    ["unavailable", "too_many", "dropped"],
)
def test_what_may_pass_is_asked_again_and_waited_for(
    fault: str, cloud: GoogleCloud, api: GoogleApi, pauses: list[float]
) -> None:
    if fault == "dropped":
        cloud.faults.add("GET", "/networks", is_dropped=True, times=3)
    else:
        getattr(cloud.faults, fault)("/networks", times=3)
    assert api.get("COMPUTE", NETWORKS) is not None
    assert len(pauses) == 3
    # Longer each time, and never for long.
    assert all(0 < pause <= 20 for pause in pauses)
    assert pauses[0] <= 1 <= pauses[1] <= 2 <= pauses[2] <= 4


def test_patience_has_an_end(cloud: GoogleCloud, api: GoogleApi, pauses: list[float]) -> None:
    cloud.faults.unavailable("/networks", times=FOREVER)
    with pytest.raises(CloudAway, match=r"Compute Engine: .*unavailable"):
        api.get("COMPUTE", NETWORKS)
    assert len(pauses) == 5


def test_an_answer_that_was_lost_may_mean_that_it_is_made(
    cloud: GoogleCloud, api: GoogleApi
) -> None:
    cloud.faults.lose_answer("/networks")
    with pytest.raises(CloudConflict, match="already exists"):
        api.post("COMPUTE", NETWORKS, {"name": "farm", "autoCreateSubnetworks": False})
    assert cloud.everything()["networks"] == ["farm"]


def test_a_lost_look_at_an_operation_is_repeated(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.faults.drop_poll(times=2)
    operation = api.post("COMPUTE", NETWORKS, {"name": "farm", "autoCreateSubnetworks": False})
    assert api.wait("COMPUTE", operation)["status"] == "DONE"


def test_an_operation_that_fails_is_an_error(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.faults.add("POST", "/networks$", failure="QUOTA_EXCEEDED: Quota 'NETWORKS' exceeded.")
    operation = api.post("COMPUTE", NETWORKS, {"name": "farm", "autoCreateSubnetworks": False})
    with pytest.raises(CloudError, match=r"can't make it: .*NETWORKS"):
        api.wait("COMPUTE", operation, what="can't make it")


def test_an_operation_is_not_waited_for_for_ever(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.operations.seconds["insert"] = 3600
    operation = api.post("COMPUTE", NETWORKS, {"name": "farm", "autoCreateSubnetworks": False})
    with pytest.raises(CloudAway, match="longer than"):
        api.wait("COMPUTE", operation, seconds=-1)


def test_operations_of_other_services_are_waited_for(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.services.discard("dns.googleapis.com")
    body = {"serviceIds": ["dns.googleapis.com"]}
    path = f"projects/{cloud.project}/services:batchEnable"
    assert api.wait("SERVICE_USAGE", api.post("SERVICE_USAGE", path, body))["done"] is True
    assert "dns.googleapis.com" in cloud.services


def test_an_operation_is_found_in_whichever_form_it_is_told() -> None:
    container = "https://container.googleapis.com/v1/projects/1/zones/z/operations/o"
    assert operation_path({"selfLink": container}) == "projects/1/locations/z/operations/o"
    compute = "https://www.googleapis.com/compute/v1/projects/p/zones/z/operations/o"
    assert operation_path({"selfLink": compute}) == "projects/p/zones/z/operations/o"
    assert operation_path({"name": "operations/acf.1"}) == "operations/acf.1"


def test_refusals_say_what_to_do(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.services.discard("compute.googleapis.com")
    with pytest.raises(ApiDisabled) as caught:
        api.get("COMPUTE", NETWORKS, what="can't list networks")
    assert caught.value.service == "compute.googleapis.com"
    assert caught.value.hint == "gcloud services enable compute.googleapis.com --project=proj-x"
    cloud.denied.add("iam.serviceAccounts.list")
    with pytest.raises(CloudDenied, match=r"iam\.serviceAccounts\.list"):
        api.get("IAM_BETA", "projects/proj-x/serviceAccounts")
    # Asked once: nothing of it passes by waiting.
    assert len(cloud.requests) == 2


def test_a_token_that_has_run_out_is_told_with_where_it_is(
    cloud: GoogleCloud, api: GoogleApi
) -> None:
    cloud.token = "another"
    with pytest.raises(LoginNeeded, match="GOOGLE_OAUTH_ACCESS_TOKEN") as caught:
        api.get("COMPUTE", NETWORKS)
    assert "gcloud auth print-access-token" in (caught.value.hint or "")


def test_no_login_is_an_error_before_anything_is_sent(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google import auth
    from google.auth import exceptions

    def none() -> None:
        raise exceptions.DefaultCredentialsError("Your default credentials were not found.")

    monkeypatch.setattr(auth, "default", none)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    monkeypatch.delenv(login.TOKEN, raising=False)
    with pytest.raises(LoginNeeded) as caught:
        GoogleApi({}).get("COMPUTE", NETWORKS, what="can't look")
    assert caught.value.message == "can't look: there is no login to Google Cloud"
    assert "gcloud auth application-default login" in (caught.value.hint or "")


def test_nobody_there_and_who_is_not_google() -> None:
    gone = GoogleApi(
        {"GOOGLE_DNS_CUSTOM_ENDPOINT": "http://127.0.0.1:1/dns/v1"}, tries=2, pause=lambda _: None
    )
    with pytest.raises(CloudAway, match="does not answer: the connection is refused"):
        gone.get("DNS", "projects/p/managedZones")
    with pytest.raises(CloudAway):
        gone.clock("DNS")
    with MirrorOfFiles({"/v1/x": b"<html>log in to the hotel's network</html>"}) as hotel:
        api = GoogleApi({"GOOGLE_DNS_CUSTOM_ENDPOINT": f"{hotel.url}/v1"})
        with pytest.raises(CloudAway, match="is not Google"):
            api.get("DNS", "x")


def test_a_proxy_of_the_environment_is_used(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stand-in takes whole addresses as well, as a proxy does.
    monkeypatch.setenv("http_proxy", cloud.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    name = "GOOGLE_COMPUTE_CUSTOM_ENDPOINT"
    environ = {**cloud.environ, name: "http://google.invalid/compute/v1/"}
    api = GoogleApi(environ, tries=1)
    assert "items" in api.get("COMPUTE", f"projects/{cloud.project}/regions")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(CloudAway, match="the proxy does not let it through") as caught:
        api.get("COMPUTE", NETWORKS)
    assert "HTTPS_PROXY" in (caught.value.hint or "")


def test_what_takes_too_long_is_given_up(cloud: GoogleCloud) -> None:
    cloud.faults.slow("/networks", seconds=3, times=FOREVER)
    api = GoogleApi(cloud.environ, tries=1, read_seconds=0.1)
    with pytest.raises(CloudAway, match="no answer in time"):
        api.get("COMPUTE", NETWORKS)


def test_threads_share_one(cloud: GoogleCloud, api: GoogleApi) -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def ask() -> None:
        found = api.get("COMPUTE", f"projects/{cloud.project}/regions")
        with lock:
            seen.append(len(found["items"]))

    side_by_side([ask] * 32, at_once=16)
    assert seen == [3] * 32


def test_the_time_there_is_told_without_a_login(cloud: GoogleCloud, api: GoogleApi) -> None:
    cloud.token = "another"
    assert abs((api.clock() - datetime.now(UTC)).total_seconds()) < 120


def test_a_users_own_login_has_the_project_pay_for_its_requests(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.oauth2 import credentials

    own = credentials.Credentials(  # type: ignore[no-untyped-call]
        cloud.token,
        refresh_token="r",
        client_id="c",
        client_secret="s",
        token_uri="http://127.0.0.1:1",
    )
    monkeypatch.setattr("burst.cloud.google_api.find_login", lambda *_: own)
    asked: list[str | None] = []

    def seen(self: object, *_: object) -> None:
        asked.append(getattr(self, "quota_project_id", None))

    monkeypatch.setattr(credentials.Credentials, "before_request", seen)
    with pytest.raises(CloudError):
        GoogleApi(cloud.environ, project="proj-x", tries=1).get("COMPUTE", NETWORKS)
    assert asked[0] == "proj-x"
