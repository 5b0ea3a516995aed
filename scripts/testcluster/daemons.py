"""What runs on every node: containerd, kubelet, kube-proxy, and what stands in for a cloud's own.

Of each daemon its command, and the files that it reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testcluster.keys import make_certificate, write_kubeconfig
from testcluster.machine import Machine, wait_for
from testcluster.places import DNS_SERVICE, PODS

PAUSE_IMAGE = "localhost/burst-pause:1"
PROBE_IMAGE = "localhost/burst-probe:1"
"""For tests of the cluster itself."""
START_SECONDS = 30.0
MOST_PODS = 250

CONTAINERD = """\
version = 2
root = "{images}"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{run}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Not everywhere root may make a process less likely to be killed for lack of memory.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{run}/network"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{registries}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


@dataclass(frozen=True)
class Marks:
    """How a node is told from others in the cluster."""

    labels: Sequence[str] = ()
    """As ``key=value``."""
    taints: Sequence[str] = ()
    """As ``key=value:effect``."""


def start_machinery(machine: Machine) -> None:
    """Start what needs no API server."""
    _write(machine, "containerd.toml", CONTAINERD.format(
        images=machine.images, run=machine.run, pause=PAUSE_IMAGE,
        registries=machine.place.registries,
    ))  # fmt: skip
    _write_network(machine)
    bus = _write(machine, "bus.conf", BUS)
    machine.start("containerd", ["containerd", f"--config={machine.run}/containerd.toml"])
    machine.start("dbus", ["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={bus}"])


def join(machine: Machine, marks: Marks, gcsfuse: str) -> None:
    """Start what makes the machine a node of the cluster; the API server answers by now."""
    _wait_for_bus(machine)
    machine.start("notice", ["node", "notice"])
    log = machine.run / "log" / "notice.log"
    wait_for(f"{machine.name} to give notice", START_SECONDS, lambda: _is_ready(log))
    machine.start("kubelet", _kubelet(machine, marks))
    machine.start("kube-proxy", _proxy(machine))
    if gcsfuse:
        endpoint = str(machine.place.buckets)
        machine.start("buckets", ["buckets", machine.name, gcsfuse, endpoint])


def _wait_for_bus(machine: Machine) -> None:
    place = f"/proc/{machine.init()}/root/run/dbus/system_bus_socket"
    wait_for(f"{machine.name}'s bus", START_SECONDS, Path(place).exists)


def _is_ready(log: Path) -> bool:
    return log.exists() and "ready" in log.read_text()


def _kubelet(machine: Machine, marks: Marks) -> list[str]:
    keys = machine.place.keys
    names = [f"DNS:{machine.name}", f"IP:{machine.address}"]
    make_certificate(
        machine.place, machine.name, f"system:node:{machine.name}", "system:nodes", names
    )
    kubeconfig = write_kubeconfig(machine.place, machine.name, machine.run / "kubelet.kubeconfig")
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": machine.address,
        "healthzBindAddress": "127.0.0.1",
        "tlsCertFile": f"{keys}/{machine.name}.crt",
        "tlsPrivateKeyFile": f"{keys}/{machine.name}.key",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{keys}/cluster.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{machine.run}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{machine.group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        # Nothing outside of the cluster has a name.
        "resolvConf": str(_write(machine, "resolv.conf", "")),
        "volumePluginDir": str(machine.run / "flexvolume"),
        "maxPods": MOST_PODS,
        # What was imported can't be pulled again: it is never deleted.
        "imageGCHighThresholdPercent": 100,
        # Nor asked for anew because the same image was pulled under another name since.
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi",
        },
        # As on a spot machine of GKE: 15 s for pods, and 15 s more for those of the system.
        "shutdownGracePeriod": "30s",
        "shutdownGracePeriodCriticalPods": "15s",
    }  # fmt: skip
    return [
        "kubelet", f"--config={_write_json(machine, 'kubelet.json', settings)}",
        f"--kubeconfig={kubeconfig}", f"--hostname-override={machine.name}",
        f"--node-ip={machine.address}", f"--node-labels={','.join(marks.labels)}",
        f"--register-with-taints={','.join(marks.taints)}",
    ]  # fmt: skip


def _proxy(machine: Machine) -> list[str]:
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": machine.name,
        "bindAddress": machine.address,
        "clusterCIDR": f"{PODS}.0.0/16",
        "clientConnection": {"kubeconfig": str(machine.place.run / "kube-proxy.kubeconfig")},
        "oomScoreAdj": 0,
        # These belong to the whole machine, and not to a network of its own.
        "conntrack": {
            "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
        },
    }  # fmt: skip
    return ["kube-proxy", f"--config={_write_json(machine, 'kube-proxy.json', settings)}"]


def _write_network(machine: Machine) -> None:
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(machine.run / "addresses"),
            "ranges": [[{"subnet": f"{PODS}.{machine.number}.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    network = {"cniVersion": "1.0.0", "name": "burst", "plugins": [bridge, ports]}
    _write_json(machine, "network/10-burst.conflist", network)


def _write_json(machine: Machine, name: str, content: object) -> Path:
    return _write(machine, name, json.dumps(content, indent=1))


def _write(machine: Machine, name: str, text: str) -> Path:
    file = machine.run / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file
