"""The way of images into a cluster: built here, pushed to a registry, pulled by nodes.

Most tests here load images into nodes by hand; this is how they arrive in earnest.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import burst
from tests.fakes.cluster import ROOT, Cluster, wait_until
from tests.fakes.emulator import Emulator
from tests.fakes.registry import Registry
from tests.kubernetes.journey_kit import Steps, Studio, left_in
from tests.kubernetes.test_cli_on_cluster import FARM

REPOSITORY = "studio"
UP_SECONDS = 900
"""A busy machine takes minutes to compress a Blender."""
PULL_SECONDS = 300
BASE_SECONDS = 300
ISOLATION = {"BUILDAH_ISOLATION": "chroot"}
"""Needs no rights that a container may lack."""


@pytest.fixture(scope="module")
def base() -> str:
    """The Debian that `scripts/images` begins with, and has made already."""
    if not os.environ.get("BURST_TEST_IMAGES"):
        pytest.skip("no images: scripts/images could not build them here")
    script = [str(ROOT / "scripts" / "images"), "--base"]
    made = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True,
                          timeout=BASE_SECONDS)  # fmt: skip
    return made.stdout.strip()


@pytest.fixture
def studio(cluster: Cluster, buckets: Emulator, base: str, tmp_path: Path) -> Iterator[Studio]:
    """Commands on a cluster that has no farm; buildah has the layers of what others built."""
    studio = Studio(cluster, buckets, tmp_path)
    studio.environment |= ISOLATION
    studio.choose("fetch", f'image_tool = "buildah"\nimage_base = "{base}"')
    yield studio
    cluster.kubectl("delete", "namespace", FARM, "--ignore-not-found", "--timeout=120s")


def _up(studio: Studio, registry: Registry, *more: str) -> subprocess.CompletedProcess[str]:
    registry.trust()
    images = ("--registry", f"{registry.address}/{REPOSITORY}")
    cluster = ("--kubeconfig", str(studio.cluster.kubeconfig))
    with studio.started("up", *cluster, *images, *more) as going:
        out, told = going.communicate(timeout=UP_SECONDS)
    return subprocess.CompletedProcess(going.args, going.returncode, out, told)


@pytest.fixture
def registry(cluster: Cluster, tmp_path: Path) -> Iterator[Registry]:
    with cluster.running_registry(tmp_path / "registry") as registry:
        yield registry
        for name in ("manager", "worker"):
            image = f"{registry.address}/{REPOSITORY}/burst-{name}:{_TAGS[name]}"
            subprocess.run(["buildah", "rmi", image], check=False, capture_output=True)


_TAGS = {"manager": burst.__version__, "worker": f"{burst.__version__}-debian"}


def test_images_are_built_pushed_pulled_and_not_built_again(
    cluster: Cluster, studio: Studio, registry: Registry
) -> None:
    steps = Steps()
    with steps.step("build, push, and a manager that was pulled"):
        first = _up(studio, registry)
    assert first.returncode == 0, first.stderr
    for name, tag in _TAGS.items():
        assert f"building {registry.address}/{REPOSITORY}/burst-{name}:{tag}" in first.stderr
        assert registry.tags(f"{REPOSITORY}/burst-{name}") == [tag]
    with steps.step("a worker that was pulled"):
        studio.succeed("pools", "scale", "cpu", "1")
        wait_until(lambda: len(studio.result("workers", "list")) == 1, PULL_SECONDS)
    pods = cluster.get("pods", "-n", FARM)["items"]
    assert len(pods) == 2
    for pod in pods:
        (status,) = pod["status"]["containerStatuses"]
        assert status["imageID"].startswith(f"{registry.address}/{REPOSITORY}/burst-")
    with steps.step("up again"):
        again = _up(studio, registry)
    assert again.returncode == 0, again.stderr
    assert "building" not in again.stderr
    studio.succeed("down", "--yes")
    print(f"\n{steps.table()}")


def test_a_registry_that_takes_no_login_is_told_by_name_and_nothing_is_begun(
    cluster: Cluster, studio: Studio, tmp_path: Path
) -> None:
    with cluster.running_registry(tmp_path / "closed", closed=True) as closed:
        refused = _up(studio, closed)
    assert refused.returncode == 1
    assert f"{closed.address}/{REPOSITORY}/burst-manager" in refused.stderr
    assert "unauthorized" in refused.stderr
    assert f"log in to it: buildah login {closed.address}" in refused.stderr
    assert cluster.kubectl("get", "namespace", FARM, "--ignore-not-found") == ""


@pytest.mark.parametrize(
    ("closed", "words", "hint"),
    [(True, "401 Unauthorized", "let the nodes pull"), (False, "not found", "build and push it")],
)
def test_nodes_that_get_no_image_say_why_and_nothing_stays(
    cluster: Cluster, studio: Studio, tmp_path: Path, closed: bool, words: str, hint: str
) -> None:
    with cluster.running_registry(tmp_path / "registry", closed=closed) as registry:
        failed = _up(studio, registry, "--no-images")
    assert failed.returncode == 1
    assert "the manager does not start: " in failed.stderr
    assert f"{registry.address}/{REPOSITORY}/burst-manager" in failed.stderr
    assert words in failed.stderr
    assert f"nothing stays; {hint}" in failed.stderr
    assert left_in(cluster, FARM) == set()
