"""A farm on Google Cloud from `burst up --yes` to *0 left*, with its half on Kubernetes.

Google is the stand-in, which says that its cluster is the test cluster; the login that both take is
the token of an account of that one. Left out: rendering (test_journey.py), and runs that are killed
(tests/integration/test_up_down_google.py).
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.google_artist import FARM, Artist, an_artist
from tests.fakes.google_cloud import RealCluster

CHARTS = """
[cluster.manager]
extraEnv = [{{ name = "STORAGE_EMULATOR_HOST", value = "{endpoint}" }}]
image = {{ registry = "localhost" }}

[cluster.worker]
image = {{ registry = "localhost" }}
"""
"""What is otherwise than at Google's: the bucket, and where images come from."""


@pytest.fixture
def login(cluster: Cluster) -> Iterator[str]:
    """A token that may do all on the test cluster."""
    name = f"burst-test-{secrets.token_hex(3)}"
    cluster.kubectl("create", "serviceaccount", name, "-n", "default")
    cluster.kubectl(
        "create", "clusterrolebinding", name, "--clusterrole=cluster-admin",
        f"--serviceaccount=default:{name}",
    )  # fmt: skip
    yield cluster.kubectl("create", "token", name, "-n", "default", "--duration=2h").strip()
    cluster.kubectl("delete", "clusterrolebinding", name)
    cluster.kubectl("delete", "serviceaccount", name, "-n", "default")


@pytest.fixture
def artist(
    cluster: Cluster, login: str, load_image: Callable[[Path], None], tmp_path: Path
) -> Iterator[Artist]:
    images = os.environ.get("BURST_TEST_IMAGES")
    if not images:
        pytest.skip("no image of the manager: scripts/images could not build it here")
    load_image(Path(images) / "manager.tar")
    (tmp_path / "artist").mkdir()
    with (
        an_artist(tmp_path / "artist", cluster.environment) as artist,
        cluster.running_buckets(
            tmp_path / "buckets", f"{artist.cloud.project}-{FARM}-data"
        ) as buckets,
    ):
        _let_in(artist, cluster, login)
        artist.write(CHARTS.format(endpoint=buckets.endpoint))
        yield artist
        artist.run("down", "--yes")
    cluster.kubectl("delete", "namespace", FARM, "--ignore-not-found", "--timeout=120s")


def _let_in(artist: Artist, cluster: Cluster, login: str) -> None:
    """Have Google's cluster be the test cluster, and one login for both."""
    view = cluster.kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json")
    there = json.loads(view)["clusters"][0]["cluster"]
    server = urlsplit(there["server"])
    certificate = base64.b64decode(there["certificate-authority-data"]).decode()
    artist.cloud.cluster = RealCluster(f"{server.hostname}:{server.port}", certificate)
    artist.cloud.token = login
    artist.environ.pop("KUBECONFIG", None)
    direct = f"{artist.environ['NO_PROXY']},{server.hostname}"
    artist.environ |= {
        **artist.cloud.environ,
        "NO_PROXY": direct,
        "no_proxy": direct,
        # The kubeconfig names burst as who logs in.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), artist.environ["PATH"]]),
    }


def test_a_farm_comes_with_its_manager_and_goes_with_its_volume(
    artist: Artist, cluster: Cluster, tmp_path: Path
) -> None:
    made = artist.run("up", "--yes", "--no-images", "--json")
    assert made.status == 0, made.words
    told = json.loads(made.output)
    assert [one["name"] for one in told["releases"]] == [FARM, f"{FARM}-pool-spot"]

    again = artist.run("up", "--yes", "--no-images", "--json")
    assert again.status == 0, again.words
    assert json.loads(again.output)["changed"] == []

    status = json.loads(artist.run("status", "--json").output)
    assert (status["cluster"], status["running"]) == ("up", True)
    assert status["storage_url"] == f"gs://{artist.cloud.project}-{FARM}-data"
    assert status["storage_trouble"] == ""
    assert len(_volumes(cluster)) == 1

    away = str(tmp_path / "another")
    pools = json.loads(artist.run("pools", "list", "--json", BURST_STATE_DIR=away).output)
    assert [one["name"] for one in pools] == ["spot"]
    deployed = artist.run("deploy", "--no-images", "--json", BURST_STATE_DIR=away)
    assert deployed.status == 0, deployed.words
    assert {one["change"] for one in json.loads(deployed.output)["releases"]} == {"upgraded"}

    gone = artist.run("down", "--yes")
    assert gone.status == 0, gone.words
    assert gone.output.splitlines()[0] == "0 left"
    assert _volumes(cluster) == []
    left = cluster.get("pods,jobs,statefulsets,services,pvc", "-n", FARM)["items"]
    assert left == []

    everything = artist.run("down", "--yes", "--all", "--farm", FARM)
    assert everything.output == "0 left\n", everything.words
    assert not any(artist.cloud.everything().values())


def _volumes(cluster: Cluster) -> list[str]:
    """Return the volumes that hold something of the farm."""
    return [
        one["metadata"]["name"]
        for one in cluster.get("persistentvolumes")["items"]
        if one["spec"].get("claimRef", {}).get("namespace") == FARM
    ]
