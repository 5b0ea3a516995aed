"""What `burst doctor` says of a project, of a stand-in where one thing after another is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from burst.cloud.google_api import GoogleApi
from burst.domain.cloud_needs import APIS
from burst.domain.costs import FarmShape, PoolShape
from burst.errors import CloudDenied
from burst.operations import doctor_cloud
from burst.operations.doctor import Finding
from burst.operations.doctor_cloud import CloudPlan, enable_apis, examine_cloud, missing_apis
from tests.fakes.google_cloud import FOREVER, GoogleCloud

REGION, ZONE = "europe-west4", "europe-west4-a"
POOL = PoolShape("cpu", "n2d-highcpu-8", spot=True, maximum=4)
SHAPE = FarmShape(ZONE, REGION, "e2-standard-2", (POOL,))


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud(operation_seconds=0.01) as cloud:
        cloud.services.update(APIS)
        yield cloud


def plan(cloud: GoogleCloud, shape: FarmShape = SHAPE) -> CloudPlan:
    return CloudPlan(cloud.project, "farm", shape, ("proj-x-farm-state", "proj-x-farm-data"))


def examined(cloud: GoogleCloud, of: CloudPlan | None = None) -> list[Finding]:
    return examine_cloud(of or plan(cloud), cloud.environ, pause=lambda _: None)


def wrong(findings: list[Finding]) -> dict[str, Finding]:
    return {one.subject: one for one in findings if one.verdict != "good"}


def only(findings: list[Finding]) -> Finding:
    """Return the only thing that is wrong."""
    found = [one for one in findings if one.verdict != "good"]
    assert len(found) == 1, found
    return found[0]


def test_a_project_where_all_is_well(cloud: GoogleCloud) -> None:
    findings = examined(cloud)
    assert wrong(findings) == {}
    assert [one.subject for one in findings] == [
        "clock", "login", "project", "billing", "APIs", "permissions", "region", "machines",
        "quotas", "bucket", "bucket",
    ]  # fmt: skip
    assert cloud.writes() == []


def test_a_login_that_has_run_out_is_all_that_is_said(cloud: GoogleCloud) -> None:
    environ = cloud.environ
    cloud.token = "another"
    findings = examine_cloud(plan(cloud), environ, pause=lambda _: None)
    assert [one.subject for one in findings] == ["clock", "login"]
    assert "gcloud auth print-access-token" in (only(findings).hint or "")


def test_a_project_that_is_not_there(cloud: GoogleCloud) -> None:
    other = replace(plan(cloud), project="someone-elses")
    finding = only(examined(cloud, other))
    assert (finding.subject, finding.verdict) == ("project", "bad")
    assert finding.hint == "see yours: gcloud projects list"


def test_a_project_that_is_being_deleted(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"projectId": "proj-x", "lifecycleState": "DELETE_REQUESTED"}
    monkeypatch.setattr(GoogleApi, "get", lambda *_, **__: told)
    assert "gcloud projects undelete proj-x" in (only(examined(cloud)).hint or "")


def test_nobody_pays(cloud: GoogleCloud) -> None:
    cloud.has_billing = False
    finding = only(examined(cloud))
    assert (finding.subject, finding.verdict) == ("billing", "bad")
    assert "gcloud billing projects link proj-x" in (finding.hint or "")


def test_who_may_not_see_the_bill_may_go_on(cloud: GoogleCloud) -> None:
    cloud.faults.refuse("GET", "billingInfo", 403, "The caller does not have permission")
    finding = only(examined(cloud))
    assert (finding.subject, finding.verdict) == ("billing", "warning")


def test_apis_that_are_off_are_named_and_can_be_enabled(cloud: GoogleCloud) -> None:
    cloud.services -= {"dns.googleapis.com", "logging.googleapis.com"}
    finding = only(examined(cloud))
    assert (finding.subject, finding.verdict) == ("APIs", "warning")
    assert "services enable dns.googleapis.com logging.googleapis.com" in (finding.hint or "")
    api = GoogleApi(cloud.environ, project=cloud.project, pause=lambda _: None)
    missing = missing_apis(api, cloud.project)
    enable_apis(api, cloud.project, missing)
    assert missing_apis(api, cloud.project) == []
    assert wrong(examined(cloud)) == {}


def test_apis_are_not_enabled_where_nobody_pays(cloud: GoogleCloud) -> None:
    cloud.has_billing = False
    cloud.services.discard("container.googleapis.com")
    api = GoogleApi(cloud.environ, project=cloud.project, pause=lambda _: None)
    with pytest.raises(CloudDenied, match="no billing account pays"):
        enable_apis(api, cloud.project, ["container.googleapis.com"])


def test_the_compute_api_that_is_off_prevents_nothing(cloud: GoogleCloud) -> None:
    cloud.services.discard("compute.googleapis.com")
    found = wrong(examined(cloud))
    assert {one.verdict for one in found.values()} == {"warning"}
    assert set(found) == {"APIs", "quotas"}


def test_permissions_that_are_lacking_come_with_roles(cloud: GoogleCloud) -> None:
    cloud.denied |= {"container.clusters.create", "iam.roles.create"}
    finding = only(examined(cloud))
    assert (finding.subject, finding.verdict) == ("permissions", "bad")
    assert "container.clusters.create" in finding.text
    for role in ("roles/container.admin", "roles/iam.roleAdmin"):
        assert f"--role={role}" in (finding.hint or "")


def test_a_permission_that_google_does_not_tell_of_spoils_nothing(cloud: GoogleCloud) -> None:
    strange = "dns.networks.bindPrivateDNSZone"
    message = f"Permission {strange} is not valid for this resource."
    cloud.faults.refuse("POST", ":testIamPermissions", 400, message)
    assert wrong(examined(cloud)) == {}
    cloud.denied.add("iam.roles.create")
    assert "iam.roles.create" in only(examined(cloud)).text
    cloud.faults.refuse("POST", ":testIamPermissions", 400, "Something else.")
    assert "Something else" in only(examined(cloud)).text


def test_a_quota_of_nothing_prevents_and_a_small_one_warns(cloud: GoogleCloud) -> None:
    cloud.quotas[REGION]["N2D_CPUS"] = 16
    finding = only(examined(cloud))
    assert finding.verdict == "warning"
    assert finding.text == (
        "N2D_CPUS: 16 allowed, 0 in use, 32 wanted; cpu can't all grow to their maximum"
    )
    cloud.quotas[REGION]["N2D_CPUS"] = 0
    finding = only(examined(cloud))
    assert (finding.subject, finding.verdict) == ("quotas", "bad")
    assert "not one node of cpu can start" in finding.text
    assert "iam-admin/quotas?project=proj-x" in (finding.hint or "")


def test_the_quota_of_all_regions_is_looked_at(cloud: GoogleCloud) -> None:
    cloud.quotas["global"]["CPUS_ALL_REGIONS"] = 4
    finding = only(examined(cloud))
    assert finding.verdict == "bad"
    assert finding.text.startswith("CPUS_ALL_REGIONS: 4 allowed")


def test_a_zone_without_the_machine_names_those_that_have_it(cloud: GoogleCloud) -> None:
    pools = (replace(POOL, machine="g2-standard-8", maximum=1),)
    of = plan(cloud, replace(SHAPE, zone="us-west1-c", region="us-west1", pools=pools))
    machine = wrong(examined(cloud, of))["machines"]
    assert machine.verdict == "bad"
    assert machine.text == "us-west1-c has no g2-standard-8, which the pool cpu wants"
    assert machine.hint == "take us-west1-a or us-west1-b"


def test_a_machine_that_is_nowhere_and_a_gpu_that_is_elsewhere(cloud: GoogleCloud) -> None:
    pools = (
        replace(POOL, machine="x9-huge-1"),
        replace(POOL, name="gpu", machine="n1-standard-8", gpu_type="nvidia-tesla-a100", gpus=1),
    )
    of = plan(cloud, replace(SHAPE, zone="europe-west4-c", pools=pools))
    texts = [one.text for one in examined(cloud, of) if one.subject == "machines"]
    assert texts == [
        "europe-west4-c has no x9-huge-1, which the pool cpu wants",
        "europe-west4-c has no nvidia-tesla-a100, which the pool gpu wants",
    ]


def test_a_pools_own_zones_are_looked_at(cloud: GoogleCloud) -> None:
    of = replace(plan(cloud), zones={"cpu": ["europe-west4-b", "us-central1-a"]})
    finding = only(examined(cloud, of))
    assert finding.text == "the region europe-west4 has no zone us-central1-a"


def test_a_region_that_is_not_there(cloud: GoogleCloud) -> None:
    of = plan(cloud, replace(SHAPE, region="mars-north1", zone="mars-north1-a"))
    finding = only(examined(cloud, of))
    assert (finding.subject, finding.verdict) == ("region", "bad")


def test_a_bucket_that_somebody_else_has(cloud: GoogleCloud) -> None:
    cloud.foreign_buckets.add("proj-x-farm-data")
    cloud.plant("buckets", {"name": "proj-x-farm-state", "location": REGION})
    findings = [one for one in examined(cloud) if one.subject == "bucket"]
    assert [one.verdict for one in findings] == ["bad", "bad"]
    assert "without the label burst-farm" in findings[0].text
    assert "somebody else's" in findings[1].text


def test_a_bucket_of_the_farms_own(cloud: GoogleCloud) -> None:
    labels = {"burst-farm": "farm"}
    cloud.plant("buckets", {"name": "proj-x-farm-state", "location": REGION, "labels": labels})
    texts = [one.text for one in examined(cloud) if one.subject == "bucket"]
    assert texts == ["proj-x-farm-state is the farm's own", "the name proj-x-farm-data is free"]


@pytest.mark.parametrize(
    ("offset", "verdict", "which"),
    [(60, "warning", "behind"), (-60, "warning", "ahead of"), (3600, "bad", "behind")],
)
def test_a_clock_that_is_wrong(cloud: GoogleCloud, offset: int, verdict: str, which: str) -> None:
    cloud.clock_offset = offset
    finding = only(examined(cloud))
    assert (finding.subject, finding.verdict) == ("clock", verdict)
    assert which in finding.text


def test_each_check_fails_alone(cloud: GoogleCloud) -> None:
    cloud.faults.unavailable("/regions/", times=FOREVER)
    cloud.faults.unavailable(":testIamPermissions", times=FOREVER)
    findings = examined(cloud)
    assert set(wrong(findings)) == {"permissions", "quotas"}
    assert "bucket" in {one.subject for one in findings}


def test_nobody_there_is_said_once() -> None:
    environ = {
        f"GOOGLE_{name}_CUSTOM_ENDPOINT": "http://127.0.0.1:1/v1"
        for name in ("RESOURCE_MANAGER", "STORAGE")
    }
    of = CloudPlan("proj-x", "farm", SHAPE, ())
    findings = examine_cloud(of, environ, pause=lambda _: None)
    assert [(one.subject, one.verdict) for one in findings] == [
        ("clock", "warning"),
        ("login", "bad"),
    ]
    assert "does not answer" in findings[1].text


def test_a_check_that_hangs_is_not_waited_for(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(doctor_cloud, "_billing", lambda *_: ended.wait() and [])
    # Long enough for the others on a busy machine.
    findings = examine_cloud(plan(cloud), cloud.environ, patience=5, pause=lambda _: None)
    ended.set()
    finding = only(findings)
    assert (finding.subject, finding.verdict) == ("billing", "bad")
    assert finding.text == "no answer in 5 seconds"
