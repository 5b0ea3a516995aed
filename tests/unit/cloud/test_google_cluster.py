"""Clusters of Kubernetes Engine, asked by Google's client of a stand-in for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.cloud.google_api import GoogleApi
from burst.cloud.google_cluster import DEFAULT_POOL, GoogleCluster, GoogleClusters
from burst.cloud.kubeconfig import write_for_google
from burst.errors import CloudAway, CloudDenied, CloudError, CloudNotFound, ClusterUnfit
from tests.fakes.google_cloud import FOREVER, GoogleCloud

ZONE = "europe-west4-a"


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud(operation_seconds=0.01) as cloud:
        yield cloud


@pytest.fixture
def clusters(cloud: GoogleCloud) -> GoogleClusters:
    """One cluster, and who asks for it."""
    network = f"projects/{cloud.project}/global/networks/farm"
    cloud.plant("networks", {"name": "farm", "autoCreateSubnetworks": False})
    cloud.plant(
        "subnetworks",
        {"name": "farm", "network": network, "region": ZONE[:-2], "ipCidrRange": "10.0.0.0/20"},
    )
    cloud.plant(
        "clusters",
        {
            "name": "farm",
            "location": ZONE,
            "network": "farm",
            "subnetwork": "farm",
            "ipAllocationPolicy": {"useIpAliases": True},
            "resourceLabels": {"burst-farm": "farm"},
        },
    )
    return GoogleClusters(cloud.project, cloud.environ, first_pause=0.01, pause=lambda _: None)


def make_pool(cloud: GoogleCloud, name: str) -> None:
    api = GoogleApi(cloud.environ, pause=lambda _: None)
    path = f"projects/{cloud.project}/locations/{ZONE}/clusters/farm/nodePools"
    scaling = {"enabled": True, "totalMaxNodeCount": 4, "locationPolicy": "ANY"}
    pool = {
        "name": name,
        "initialNodeCount": 0,
        "config": {"machineType": "n2d-highcpu-8", "spot": True},
        "autoscaling": scaling,
    }
    api.post("CONTAINER", path, {"nodePool": pool})
    cloud.finish()


def test_facts_of_a_cluster(cloud: GoogleCloud, clusters: GoogleClusters) -> None:
    make_pool(cloud, "cpu")
    found = clusters.get(ZONE, "farm")
    assert (found.name, found.location, found.network) == ("farm", ZONE, "farm")
    assert found.is_running
    assert found.dns_endpoint.endswith(".gke.goog")
    assert found.labels == {"burst-farm": "farm"}
    [pool] = [one for one in found.pools if one.name == "cpu"]
    assert (pool.name, pool.machine, pool.is_spot) == ("cpu", "n2d-highcpu-8", True)
    assert (pool.minimum, pool.maximum, pool.status) == (0, 4, "RUNNING")
    assert [one.name for one in clusters.list()] == ["farm"]


def test_the_pool_that_google_makes_by_itself_is_a_stray(
    cloud: GoogleCloud, clusters: GoogleClusters
) -> None:
    make_pool(cloud, "cpu")
    assert clusters.get(ZONE, "farm").strays({"cpu"}) == (DEFAULT_POOL,)
    clusters.delete_pool(ZONE, "farm", DEFAULT_POOL)
    assert clusters.get(ZONE, "farm").strays({"cpu"}) == ()
    # What is gone already is no error.
    clusters.delete_pool(ZONE, "farm", DEFAULT_POOL)


def test_why_a_pool_failed_is_told(cloud: GoogleCloud, clusters: GoogleClusters) -> None:
    cloud.faults.stock_out()
    make_pool(cloud, "cpu")
    said = clusters.pool_trouble(ZONE, "farm", "cpu")
    assert said is not None
    assert "does not have enough resources" in said
    error = clusters.pool_error(ZONE, "farm", "cpu")
    assert isinstance(error, CloudAway)
    assert "another zone or machine type" in (error.hint or "")


def test_a_pool_that_is_gone_is_known_by_its_operation(
    cloud: GoogleCloud, clusters: GoogleClusters
) -> None:
    cloud.faults.stock_out()
    make_pool(cloud, "cpu")
    clusters.delete_pool(ZONE, "farm", "cpu")
    assert "enough resources" in (clusters.pool_trouble(ZONE, "farm", "cpu") or "")
    assert clusters.pool_trouble(ZONE, "farm", "other") is None


def test_a_cluster_is_deleted_once(cloud: GoogleCloud, clusters: GoogleClusters) -> None:
    clusters.delete(ZONE, "farm")
    assert "clusters" not in cloud.everything()
    clusters.delete(ZONE, "farm")


def test_a_deletion_that_fails_says_why(cloud: GoogleCloud, clusters: GoogleClusters) -> None:
    cloud.faults.add("DELETE", r"/clusters/farm$", failure="the control plane is being repaired")
    with pytest.raises(CloudError, match="being repaired"):
        clusters.delete(ZONE, "farm")


def test_who_does_not_answer_is_asked_again(cloud: GoogleCloud, clusters: GoogleClusters) -> None:
    cloud.faults.unavailable("/clusters", times=2)
    cloud.faults.too_many("/clusters")
    cloud.faults.add("GET", "/clusters", is_dropped=True)
    assert [one.name for one in clusters.list()] == ["farm"]


def test_what_is_away_for_long_is_an_error(cloud: GoogleCloud) -> None:
    clusters = GoogleClusters(cloud.project, cloud.environ, patience_seconds=0.2, first_pause=0.01)
    cloud.faults.unavailable("/clusters", times=FOREVER)
    with pytest.raises(CloudAway, match="can't list clusters"):
        clusters.list()


def test_nobody_there_is_an_error_of_ours() -> None:
    environ = {"GOOGLE_CONTAINER_CUSTOM_ENDPOINT": "http://127.0.0.1:1/container/v1/"}
    clusters = GoogleClusters("proj-x", environ, patience_seconds=0.1, first_pause=0.01)
    with pytest.raises(CloudAway, match="can't list clusters: Google Cloud does not answer"):
        clusters.list()


def test_a_deletion_is_not_waited_for_for_ever(
    cloud: GoogleCloud, clusters: GoogleClusters
) -> None:
    cloud.operations.seconds["DELETE_CLUSTER"] = 3600
    with pytest.raises(CloudAway, match="longer than"):
        clusters.delete(ZONE, "farm", seconds=-1)


def test_refusals_are_errors_of_ours(cloud: GoogleCloud, clusters: GoogleClusters) -> None:
    with pytest.raises(CloudNotFound):
        clusters.get(ZONE, "other")
    cloud.denied.add("container.clusters.list")
    with pytest.raises(CloudDenied, match=r"container\.clusters\.list"):
        clusters.list()
    cloud.token = "another"
    with pytest.raises(CloudDenied, match="GOOGLE_OAUTH_ACCESS_TOKEN"):
        clusters.get(ZONE, "farm")


def test_a_kubeconfig_logs_in_by_burst(clusters: GoogleClusters, tmp_path: Path) -> None:
    found = clusters.get(ZONE, "farm")
    path = tmp_path / "deep" / "kubeconfig"
    assert write_for_google(path, found, "burst") == "burst-farm"
    view = json.loads(path.read_text())
    # Its certificate is one that everybody trusts.
    assert view["clusters"][0]["cluster"] == {"server": f"https://{found.dns_endpoint}"}
    assert view["users"][0]["user"]["exec"]["args"][-1] == "kube-token"
    assert view["contexts"][0]["context"]["namespace"] == "burst"
    assert view["current-context"] == "burst-farm"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_cluster_without_a_dns_endpoint_is_unfit(tmp_path: Path) -> None:
    bare = GoogleCluster("farm", ZONE, "RUNNING", "", "1.34", "", "", "farm", {}, ())
    with pytest.raises(ClusterUnfit) as caught:
        write_for_google(tmp_path / "kubeconfig", bare, "burst")
    assert "--enable-dns-access" in (caught.value.hint or "")


def test_an_endpoint_with_a_certificate_of_its_own_is_written_with_it(tmp_path: Path) -> None:
    told = GoogleCluster("farm", ZONE, "RUNNING", "", "1.34", "127.0.0.1:6443", "Zm9v", "f", {}, ())
    write_for_google(tmp_path / "kubeconfig", told, "burst")
    [cluster] = json.loads((tmp_path / "kubeconfig").read_text())["clusters"]
    assert cluster["cluster"]["certificate-authority-data"] == "Zm9v"
