"""The control plane, on the first node, and what every cluster has from the start."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

from testcluster.keys import make_certificate, make_server_certificate, write_kubeconfig
from testcluster.machine import VOLUMES, Machine
from testcluster.places import DNS_SERVICE, SERVICES, Place

ANSWER_SECONDS = 5.0
CLIENTS = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "names")
ETCD = "127.0.0.1:2379"
ETCD_PEERS = "127.0.0.1:2380"
STORAGE_CLASS = "standard-rwo"
"""What GKE calls its default."""

COREFILE = """\
.:53 {{
  bind {address}
  errors
  hosts {hosts} {{
    reload 1s
    fallthrough
  }}
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig}
    fallthrough in-addr.arpa
  }}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
  cache 2
}}
"""


def make_identities(place: Place) -> None:
    """Make the certificates of the control plane and of the administrator."""
    make_server_certificate(place)
    make_certificate(place, "service-accounts", "service-accounts")
    make_certificate(place, "apiserver-client", "kube-apiserver", "system:masters")
    make_certificate(place, "admin", "burst-test", "system:masters")
    write_kubeconfig(place, "admin", place.kubeconfig)
    for client in CLIENTS:
        make_certificate(place, client, f"system:{client}")
        write_kubeconfig(place, client, place.run / f"{client}.kubeconfig")


def start_api_server(machine: Machine) -> None:
    """Start the database and the API server."""
    keys = machine.place.keys
    machine.start("etcd", [
        "etcd", "--name=etcd", f"--data-dir={machine.run}/etcd", "--log-level=warn",
        f"--listen-client-urls=http://{ETCD}", f"--advertise-client-urls=http://{ETCD}",
        f"--listen-peer-urls=http://{ETCD_PEERS}", f"--initial-cluster=etcd=http://{ETCD_PEERS}",
        f"--initial-advertise-peer-urls=http://{ETCD_PEERS}",
        "--unsafe-no-fsync",  # it does not outlive this run of the machine
    ])  # fmt: skip
    machine.start("kube-apiserver", [
        "kube-apiserver", f"--etcd-servers=http://{ETCD}", f"--advertise-address={machine.address}",
        "--secure-port=6443", f"--service-cluster-ip-range={SERVICES}.0/24",
        f"--tls-cert-file={keys}/kube-apiserver.crt",
        f"--tls-private-key-file={keys}/kube-apiserver.key",
        f"--client-ca-file={keys}/cluster.crt",
        f"--kubelet-certificate-authority={keys}/cluster.crt",
        f"--kubelet-client-certificate={keys}/apiserver-client.crt",
        f"--kubelet-client-key={keys}/apiserver-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={keys}/service-accounts.crt",
        f"--service-account-signing-key-file={keys}/service-accounts.key",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true", "--profiling=false",
    ])  # fmt: skip


OPEN_VOLUMES = f"""
(while kill -0 $$; do chmod 777 {VOLUMES}/*; sleep 0.2; done) 2>/dev/null &
exec "$@"
"""
"""The controllers make the folders of volumes for root alone, whatever the umask is; pods of all
users write in them."""


def start_controllers(machine: Machine) -> None:
    """Start what acts on what the API server has, and the DNS."""
    place, keys = machine.place, machine.place.keys
    machine.start("kube-controller-manager", [
        "sh", "-c", OPEN_VOLUMES, "sh",
        "kube-controller-manager", f"--kubeconfig={place.run}/kube-controller-manager.kubeconfig",
        "--leader-elect=false", "--use-service-account-credentials", "--bind-address=127.0.0.1",
        f"--root-ca-file={keys}/cluster.crt",
        f"--cluster-signing-cert-file={keys}/cluster.crt",
        f"--cluster-signing-key-file={keys}/cluster.key",
        f"--service-account-private-key-file={keys}/service-accounts.key",
        "--enable-hostpath-provisioner", "--profiling=false",
        # As given it would wait for seconds at its start, to ask for what there is.
        "--kube-api-qps=200", "--kube-api-burst=400",
    ])  # fmt: skip
    machine.start("kube-scheduler", [
        "kube-scheduler", f"--kubeconfig={place.run}/kube-scheduler.kubeconfig",
        "--leader-elect=false", "--bind-address=127.0.0.1", "--profiling=false",
        # As given a thousand pods would keep it busy for half a minute, those deleted by then too.
        "--kube-api-qps=500", "--kube-api-burst=1000",
    ])  # fmt: skip
    place.hosts.touch()
    corefile = machine.run / "Corefile"
    corefile.write_text(COREFILE.format(
        address=machine.address, hosts=place.hosts, kubeconfig=place.run / "names.kubeconfig"
    ))  # fmt: skip
    machine.start("names", ["names", "-conf", str(corefile)])


def ask(place: Place, path: str) -> Any:
    """Return what the API server says to a GET, or None while it says nothing."""
    context = ssl.create_default_context(cafile=str(place.keys / "cluster.crt"))
    context.load_cert_chain(place.keys / "admin.crt", place.keys / "admin.key")
    # Never by a proxy: the server is on this machine.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(place.server + path, timeout=ANSWER_SECONDS) as answer:
            text = answer.read()
    except (urllib.error.URLError, OSError):
        return None
    return json.loads(text) if text.startswith(b"{") else text.decode()


def is_answering(place: Place) -> bool:
    """Whether the API server takes requests."""
    return bool(ask(place, "/readyz") == "ok")


def ready_since(place: Place, name: str) -> str:
    """Return when a node last said that it is ready; nothing if it is not."""
    node = ask(place, f"/api/v1/nodes/{name}") or {}
    for condition in node.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return str(condition["lastHeartbeatTime"])
    return ""


def first_objects(place: Place) -> list[dict[str, object]]:
    """Return what a new cluster is given: its DNS, its default storage, its driver for buckets."""
    return [
        *_dns(place),
        {
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/host-path",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
            "metadata": {"name": "gcsfuse.csi.storage.gke.io"},
            "spec": {
                "attachRequired": False, "podInfoOnMount": True,
                "volumeLifecycleModes": ["Persistent", "Ephemeral"],
            },
        },
    ]  # fmt: skip


def _dns(place: Place) -> Iterable[dict[str, object]]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    yield {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"},
        },
        "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
    }  # fmt: skip
    yield {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": "kube-dns", "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": "kube-dns"},
        },
        "ports": ports,
        "endpoints": [{"addresses": [place.address(1)], "conditions": {"ready": True}}],
    }  # fmt: skip
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "burst-names"},
        "rules": [
            {"apiGroups": [""], "resources": ["namespaces", "pods", "services"],
             "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
             "verbs": ["list", "watch"]},
        ],
    }  # fmt: skip
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "burst-names"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                    "name": "burst-names"},
        "subjects": [
            {"kind": "User", "name": "system:names", "apiGroup": "rbac.authorization.k8s.io"},
        ],
    }  # fmt: skip
