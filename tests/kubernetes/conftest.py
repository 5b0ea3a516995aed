"""A real Kubernetes for a whole run; see ``tests/fakes/cluster.py`` for where it comes from."""

from __future__ import annotations

import itertools
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.cluster import Cluster, running_cluster
from tests.fakes.emulator import Emulator

FIRST_SPARE = 11
IN_USE: set[str] = set()
"""Spare nodes that are on. One that is off is used again: it has the images on its disk."""


@pytest.fixture(scope="session")
def cluster(_home_of_the_session: None) -> Iterator[Cluster]:
    """A cluster with two nodes, made once."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, in which pod security is ``restricted``."""
    name = f"burst-test-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.apply("default", made)
    yield name
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def boot_node(cluster: Cluster) -> Iterator[Callable[..., str]]:
    """Boots one more node, with labels and taints, and returns its name; gone afterwards."""
    with ExitStack() as stack:

        def boot(labels: tuple[str, ...] = (), taints: tuple[str, ...] = ()) -> str:
            names = (f"node-{number}" for number in itertools.count(FIRST_SPARE))
            name = next(name for name in names if name not in IN_USE)
            IN_USE.add(name)
            stack.callback(IN_USE.discard, name)
            stack.callback(cluster.remove, name)
            cluster.boot(name, labels, taints)
            return name

        yield boot


@pytest.fixture(scope="session")
def load_image(cluster: Cluster) -> Callable[[Path], None]:
    """Gives all nodes an image, once in a run."""
    loaded: set[Path] = set()

    def load(archive: Path) -> None:
        if archive not in loaded:
            cluster.load(archive)
            loaded.add(archive)

    return load


@pytest.fixture
def images(load_image: Callable[[Path], None]) -> None:
    """The nodes have both of burst's images, as `scripts/images` builds them."""
    folder = os.environ.get("BURST_TEST_IMAGES")
    if not folder:
        pytest.skip("no images: scripts/images could not build them here")
    for name in ("manager", "worker"):
        load_image(Path(folder) / f"{name}.tar")


@pytest.fixture
def kwok_nodes(cluster: Cluster) -> Iterator[Callable[[int], None]]:
    """Makes nodes that are only said to be there; gone afterwards."""
    yield cluster.set_kwok_nodes
    cluster.set_kwok_nodes(0)


@pytest.fixture
def buckets(cluster: Cluster, tmp_path: Path) -> Iterator[Emulator]:
    """An emulated bucket called ``farm``, under an address that pods, nodes and tests reach."""
    with cluster.running_buckets(tmp_path / "buckets") as emulator:
        yield emulator


@pytest.fixture
def forward(cluster: Cluster, namespace: str) -> Iterator[Callable[[str, int], str]]:
    """Runs `kubectl port-forward` to a pod's port, and returns the URL on this machine."""
    with ExitStack() as stack:

        def open_forward(target: str, port: int) -> str:
            process = subprocess.Popen(
                ["kubectl", "port-forward", "-n", namespace, target, f":{port}"],
                env=cluster.environment, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            line = process.stdout.readline()
            assert "->" in line, line
            return f"http://{line.split()[2]}"

        yield open_forward
