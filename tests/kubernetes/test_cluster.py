"""The test cluster itself: that it does what tests of burst rely on.

Left out: what burst does on it. How long things take is not asked: other tests run beside.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cluster import PROBE, RESTRICTED, ROOT, Cluster, wait_until
from tests.fakes.emulator import Emulator

DRIVER = "gcsfuse.csi.storage.gke.io"
LONG = 120
HOLD_SECONDS = 25
"""More grace than a spot machine gives."""
ANOTHER_RUN = """
from tests.fakes.cluster import running_cluster
with running_cluster(nodes=1) as cluster:
    print(cluster.kubeconfig.parent, cluster.gateway, flush=True)
    input()
"""
"""What a run of tests has that is killed."""


def probe(
    name: str,
    *command: str,
    node: str = "",
    volumes: Sequence[dict[str, Any]] = (),
    **container: object,
) -> dict[str, Any]:
    """Return a pod that runs the probe, with its volumes below ``/volumes``."""
    mounts = [{"name": v["name"], "mountPath": f"/volumes/{v['name']}"} for v in volumes]
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": HOLD_SECONDS,
            "nodeSelector": {"kubernetes.io/hostname": node} if node else {},
            "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
            "volumes": list(volumes),
            "containers": [{
                "name": "probe", "image": PROBE, "args": list(command), "volumeMounts": mounts,
                "securityContext": RESTRICTED, **container,
            }],
        },
    }  # fmt: skip


def run(cluster: Cluster, namespace: str, pod: dict[str, Any]) -> str:
    """Run a pod to its end, and return what it said."""
    name = pod["metadata"]["name"]
    cluster.apply(namespace, pod)
    cluster.wait_for_phase(namespace, name, "Succeeded", "Failed")
    return cluster.kubectl("logs", name, "-n", namespace)


def conditions(cluster: Cluster, namespace: str, pod: str) -> dict[str, dict[str, str]]:
    status = cluster.get("pod", pod, "-n", namespace)["status"]
    return {condition["type"]: condition for condition in status.get("conditions", ())}


@pytest.fixture
def own(cluster: Cluster) -> Cluster:
    """A cluster whose nodes are ours, and which has the probe."""
    if not cluster.name:
        pytest.skip("this cluster was given: it has no probe")
    return cluster


def test_a_pod_reaches_another_by_the_name_of_its_service(own: Cluster, namespace: str) -> None:
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "served"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }  # fmt: skip
    own.apply(namespace, service, probe("server", "serve", ":8080", node="node-2"))
    own.wait_for_phase(namespace, "server", "Running")
    url = f"http://served.{namespace}.svc.cluster.local"
    clients = (probe(f"client-{count}", "read", url, node="node-1") for count in itertools.count())
    # It takes each node a moment to hear of a Service.
    wait_until(lambda: run(own, namespace, next(clients)) == "served", LONG)


def test_a_pod_reaches_nothing_outside_and_learns_that_at_once(
    own: Cluster, namespace: str
) -> None:
    said = run(own, namespace, probe("curious", "read", "http://192.0.2.1/"))
    assert "host" in said or "network" in said, said


def test_a_port_forward_reaches_what_listens_on_a_pods_loopback(
    own: Cluster, namespace: str, forward: Callable[[str, int], str]
) -> None:
    own.apply(namespace, probe("shy", "serve", "127.0.0.1:8080"))
    own.wait_for_phase(namespace, "shy", "Running")
    url = forward("pod/shy", 8080)
    assert urllib.request.urlopen(url, timeout=10).read() == b"served"
    address = own.get("pod", "shy", "-n", namespace)["status"]["podIP"]
    assert "refused" in run(own, namespace, probe("nosy", "read", f"http://{address}:8080"))


def test_pod_security_is_enforced(own: Cluster, namespace: str) -> None:
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        own.apply(namespace, probe("root", "hold", securityContext={}))


def test_a_claim_gets_a_volume_that_outlives_its_pod(own: Cluster, namespace: str) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kept"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }  # fmt: skip
    volume = {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}
    own.apply(namespace, claim)
    run(own, namespace, probe("first", "read", "/volumes/kept", volumes=[volume]))
    bound = own.get("pvc", "kept", "-n", namespace)["spec"]["volumeName"]
    run(own, namespace, probe("second", "read", "/volumes/kept", volumes=[volume]))
    assert own.get("pvc", "kept", "-n", namespace)["spec"]["volumeName"] == bound


def test_a_pod_at_its_limit_is_killed_for_lack_of_memory(own: Cluster, namespace: str) -> None:
    limits = {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}
    run(own, namespace, probe("greedy", "fill", "256", resources=limits))
    status = own.get("pod", "greedy", "-n", namespace)["status"]["containerStatuses"][0]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"


def test_a_bucket_is_a_volume_as_on_gke(own: Cluster, namespace: str, buckets: Emulator) -> None:
    upload = f"{buckets.endpoint}/upload/storage/v1/b/farm/o?uploadType=media&name=blobs/aa/file"
    urllib.request.urlopen(upload, data=b"content of a blob", timeout=10).close()
    attributes = {"bucketName": "farm", "mountOptions": "implicit-dirs,file-cache:max-size-mb:0"}
    csi = {"driver": DRIVER, "readOnly": True, "volumeAttributes": attributes}
    volume = {"name": "scenes", "csi": csi}
    reader = probe("reader", "read", "/volumes/scenes/blobs/aa/file", volumes=[volume])
    assert run(own, namespace, reader) == "content of a blob"


def test_a_bucket_that_is_not_there_keeps_a_pod_from_starting(
    own: Cluster, namespace: str, buckets: Emulator
) -> None:
    csi = {"driver": DRIVER, "volumeAttributes": {"bucketName": "nobodys"}}
    own.apply(namespace, probe("waiting", "hold", volumes=[{"name": "scenes", "csi": csi}]))

    def refused() -> bool:
        events = own.get("events", "-n", namespace, "--field-selector=reason=FailedMount")
        return any("no bucket nobodys" in event["message"] for event in events["items"])

    wait_until(refused, LONG)
    assert own.phase(namespace, "waiting") == "Pending"


def test_a_preempted_node_tells_its_pods_and_ends_them_after_15_seconds(
    own: Cluster, namespace: str, boot_node: Callable[..., str]
) -> None:
    node = boot_node()
    own.apply(namespace, probe("holder", "hold", node=node))
    own.wait_for_phase(namespace, "holder", "Running")
    own.preempt(node)
    own.wait_for_phase(namespace, "holder", "Failed")
    told = conditions(own, namespace, "holder")["DisruptionTarget"]
    assert told["reason"] == "TerminationByKubelet"


def test_a_node_whose_power_was_cut_comes_back(
    own: Cluster, namespace: str, boot_node: Callable[..., str]
) -> None:
    node = boot_node(labels=("burst-test/kind=spare",), taints=("burst-test/spare=yes:NoSchedule",))
    labels = own.get("node", node)["metadata"]["labels"]
    assert labels["burst-test/kind"] == "spare"
    own.cut_power(node)
    own.kubectl("delete", "node", node)
    own.boot(node)
    assert run(own, namespace, probe("after", "read", "/etc/hostname", node=node))


def test_an_api_server_that_was_away_has_forgotten_nothing(own: Cluster, namespace: str) -> None:
    own.apply(namespace, probe("keeper", "hold"))
    own.wait_for_phase(namespace, "keeper", "Running")
    with own.api_server_away():
        assert not own.is_answering()
        time.sleep(1)
    assert own.phase(namespace, "keeper") == "Running"
    own.kubectl("delete", "pod", "keeper", "-n", namespace, "--force", "--grace-period=0")


def test_pods_of_kwok_nodes_run_until_they_are_told_to_end(
    own: Cluster, namespace: str, kwok_nodes: Callable[[int], None]
) -> None:
    kwok_nodes(3)
    own.apply(namespace, probe("said", "hold", node="kwok-2"))
    own.wait_for_phase(namespace, "said", "Running")
    own.kubectl("annotate", "pod", "said", "-n", namespace, "burst/exit=7")
    own.wait_for_phase(namespace, "said", "Failed")
    ended = own.get("pod", "said", "-n", namespace)["status"]["containerStatuses"][0]["state"]
    assert ended["terminated"]["exitCode"] == 7


def test_helm_installs_a_chart_and_leaves_nothing(
    own: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chart = tmp_path_factory.mktemp("chart")
    (chart / "templates").mkdir()
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: tiny, version: 1.0.0}")
    (chart / "templates" / "map.yaml").write_text(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: '{{ .Release.Name }}-map'}}"
    )
    own.helm("install", "tiny", str(chart), "-n", namespace, "--wait")
    assert own.kubectl("get", "configmap", "tiny-map", "-n", namespace)
    own.helm("uninstall", "tiny", "-n", namespace, "--wait")
    assert not own.kubectl("get", "configmap", "tiny-map", "-n", namespace, "--ignore-not-found")


def test_a_run_that_is_killed_leaves_no_cluster(
    own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BURST_TEST_CLUSTER", raising=False)
    run = subprocess.Popen(
        [sys.executable, "-c", ANOTHER_RUN], cwd=ROOT, env=own.environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with run:
        assert run.stdout is not None
        folder, gateway = run.stdout.readline().split()
        assert own.kubeconfig.parent != Path(folder)
        assert gateway in addresses()
        run.kill()
    wait_until(lambda: not Path(folder).exists(), LONG)
    assert gateway not in addresses()
    wait_until(lambda: folder not in "".join(command_lines()), LONG)


def addresses() -> list[str]:
    """Return those of this machine."""
    said = subprocess.run(["ip", "-brief", "address"], check=True, capture_output=True, text=True)
    return [word.partition("/")[0] for word in said.stdout.split()]


def command_lines() -> Iterator[str]:
    """Return those of all processes."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield file.read_bytes().decode(errors="replace")
