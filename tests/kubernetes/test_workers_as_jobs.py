"""Workers as Jobs in a real cluster: how they wait, how they end, and a thousand of them.

Here a small program stands for the worker, or nothing does. What the manager makes of all that is
in ``tests/unit/manager``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.domain.transitions import AttemptStatus
from burst.errors import ToolError
from burst.manager.autoscaler.kubernetes import KubernetesProvider, open_provider
from burst.manager.autoscaler.provider import Order, StartedWorker
from tests.fakes.cluster import PROBE, RESTRICTED, Cluster, wait_until
from tests.fakes.kube_api import FARM, pool_map
from tests.fakes.kwok_farm import KwokFarm, nodes_for

MANY = 1000
KILLS = 10
SECONDS = 120


def pool(name: str, *command: str, image: str = PROBE, **values: Any) -> dict[str, Any]:
    """Return the ConfigMap of a pool whose workers run the probe."""
    pod, container = values.pop("pod", {}), values.pop("container", {})
    made = pool_map(name, **values)
    job = json.loads(made["data"]["job.json"])
    spec = job["spec"]["template"]["spec"]
    spec |= {"terminationGracePeriodSeconds": 2, "automountServiceAccountToken": False, **pod}
    spec["containers"] = [{
        "name": "worker", "image": image, "args": list(command), "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError", **container,
    }]  # fmt: skip
    made["data"]["job.json"] = json.dumps(job)
    return {"apiVersion": "v1", "kind": "ConfigMap", **made}


@pytest.fixture
def own(cluster: Cluster) -> Cluster:
    """A cluster that has the probe."""
    if not cluster.name:
        pytest.skip("this cluster was given: it has no probe")
    return cluster


@pytest.fixture
def provider(
    own: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KubernetesProvider]:
    monkeypatch.setenv("KUBECONFIG", str(own.kubeconfig))
    opened = open_provider(namespace, FARM)
    yield opened
    opened.stop_all()


def _start(provider: KubernetesProvider, *pools: str) -> None:
    wait_until(lambda: {*pools} <= {found.name for found in provider.pools()}, SECONDS)
    assert provider.start([Order(f"{name}-1", name, 1) for name in pools]) == {}


def _find(provider: KubernetesProvider, name: str) -> StartedWorker:
    return next(worker for worker in provider.list() if worker.name == name)


def _ended(provider: KubernetesProvider, name: str) -> StartedWorker:
    wait_until(lambda: not _find(provider, name).running, SECONDS)
    return _find(provider, name)


def test_each_end_is_told_for_what_it_is(
    own: Cluster, namespace: str, provider: KubernetesProvider
) -> None:
    limits = {"resources": {"limits": {"memory": "48Mi"}}}
    own.apply(
        namespace,
        pool("done", "read", "/etc/hostname"),
        pool("fails", "read", "/nowhere"),
        pool("fills", "fill", "200", container=limits),
        pool("holds", "hold"),
    )
    _start(provider, "done", "fails", "fills", "holds")
    done = _ended(provider, "done-1")
    assert (done.failure, done.gave_up, done.pool) == ("", False, "done")
    assert _ended(provider, "fails-1").gave_up
    assert _ended(provider, "fills-1").outcome is AttemptStatus.OUT_OF_MEMORY
    wait_until(lambda: not _find(provider, "holds-1").holdup, SECONDS)
    own.kubectl("delete", "pod", "-n", namespace, "-l", "burst/worker=holds-1", "--wait=false")
    assert _ended(provider, "holds-1").outcome is AttemptStatus.INTERRUPTED
    provider.remove(["done-1", "fails-1", "fills-1", "holds-1"])
    assert list(provider.list()) == []
    wait_until(lambda: own.get("jobs,pods", "-n", namespace)["items"] == [], SECONDS)


def test_what_keeps_one_from_beginning_is_told_in_the_clusters_words(
    own: Cluster, namespace: str, provider: KubernetesProvider
) -> None:
    own.apply(
        namespace,
        pool("noimage", "hold", image="localhost/no-such-image:1"),
        pool("nonode", "hold", pod={"nodeSelector": {"burst-test/none": "yes"}}),
        pool("forbidden", "hold", container={"securityContext": {"privileged": True}}),
    )
    _start(provider, "noimage", "nonode", "forbidden")
    for name, holdup, text in (
        ("noimage-1", "broken", "no-such-image"),
        ("nonode-1", "node", "nodes are available"),
        ("forbidden-1", "broken", "PodSecurity"),
    ):
        wait_until(lambda n=name, t=text: t in _find(provider, n).waits, SECONDS)  # type: ignore[misc]
        assert (_find(provider, name).running, _find(provider, name).holdup) == (True, holdup)


def test_a_quota_that_is_used_up_refuses_in_its_own_words(
    own: Cluster, namespace: str, provider: KubernetesProvider
) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/jobs.batch": "1"}}}
    own.apply(
        namespace, pool("holds", "hold"), {"apiVersion": "v1", "kind": "ResourceQuota", **quota}
    )
    wait_until(
        lambda: "used" in own.get("resourcequota", "few", "-n", namespace)["status"], SECONDS
    )
    _start(provider, "holds")
    refused = provider.start([Order("holds-2", "holds", 1)])
    assert "exceeded quota: few" in refused["holds-2"]
    assert [worker.name for worker in provider.list()] == ["holds-1"]


def test_jobs_go_with_their_pool(
    own: Cluster, namespace: str, provider: KubernetesProvider
) -> None:
    own.apply(namespace, pool("holds", "hold"))
    _start(provider, "holds")
    own.kubectl("delete", "configmap", f"{FARM}-pool-holds", "-n", namespace)
    wait_until(lambda: list(provider.list()) == [] and list(provider.pools()) == [], SECONDS)


def test_what_ends_while_the_api_server_is_away_is_seen_after(
    own: Cluster, namespace: str, provider: KubernetesProvider
) -> None:
    own.apply(namespace, pool("holds", "hold"))
    _start(provider, "holds")

    def is_away() -> bool:
        try:
            provider.list()
        except ToolError:
            return True
        return False

    with own.api_server_away():
        wait_until(is_away, SECONDS)
    wait_until(lambda: not is_away(), SECONDS)
    assert _find(provider, "holds-1").running


def test_a_thousand_workers_are_made_once_each_though_the_manager_is_killed(
    own: Cluster, namespace: str, tmp_path: Path, kwok_nodes: Callable[[int], None]
) -> None:
    kwok_nodes(nodes_for(MANY))
    farm = KwokFarm(own, namespace, tmp_path, MANY)
    farm.describe_pool()

    def jobs() -> int:
        count = len(own.kubectl("get", "jobs", "-n", namespace, "-o", "name").splitlines())
        assert count <= MANY
        return count

    farm.start()
    try:
        job = farm.submit()
        farm.kill_in_the_middle(KILLS, jobs)
        farm.wait_for_all()
        assert jobs() == MANY
        began = time.monotonic()
        farm.manager.artist.act(job, "cancel")
        wait_until(lambda: jobs() == 0, SECONDS)
        print(f"{MANY} Jobs were gone {time.monotonic() - began:.1f} s after the last was needed")
    finally:
        farm.manager.stop()
