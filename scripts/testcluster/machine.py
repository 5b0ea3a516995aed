"""A node as a machine: namespaces with a network, mounts and cgroups, and daemons in them.

Its PID 1 is `node init` (scripts/kubernetes/node), which starts and ends daemons as its socket is
told. To kill that one process is to cut the node's power. Whether it lives is asked of the kernel,
by a connection to that socket: no file with a pid can lie about it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcluster.cgroups import join_group, make_group, remove_group
from testcluster.errors import ClusterError
from testcluster.places import MOST_NODES, PODS, Place

BOOT_SECONDS = 60.0
OFF_SECONDS = 20.0
ANSWER_SECONDS = 120.0
PROGRAM_SECONDS = 300.0
"""For what takes longest: to import an image onto a busy disk."""
NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--propagation", "slave",
              "--fork", "--kill-child")  # fmt: skip
"""What runs a command as PID 1 of a machine of its own."""
SHARED_FOLDERS = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers")
"""Names that Kubernetes does not let anybody change; each node has folders of its own there."""
VOLUMES = "/tmp/hostpath_pv"
TUNABLES = (
    "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
)  # fmt: skip
"""What a kubelet sets for the whole machine. In nodes, files are in their place: it sets those."""

SETUP = """
hostname {name}
mount -t proc proc /proc
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/containerd /run/dbus /run/lock
for name in {tunables}; do
  file={run}/tunables/$(basename $name)
  cat /proc/sys/$name > $file
  mount --bind $file /proc/sys/$name
done
for folder in {folders}; do
  mkdir -p {run}/own$folder
  mount --bind {run}/own$folder $folder
done
mount --bind {volumes} {volumes_here}
ip link set lo up
ip link set eth0 up
ip address add {address}/24 dev eth0
ip route add unreachable default
echo 1 > /proc/sys/net/ipv4/ip_forward
[ ! -e /proc/sys/net/bridge ] || echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
iptables -t nat -A POSTROUTING -s {pods}.0.0/16 ! -d {pods}.0.0/16 -o eth0 -j MASQUERADE
"""
"""What makes a machine of fresh namespaces. From it nothing is reached but the network of its
cluster: a connection to anywhere else fails at once."""


@dataclass(frozen=True)
class Machine:
    """A node of a cluster, on or off."""

    place: Place
    number: int
    programs: Path

    @property
    def name(self) -> str:
        """As Kubernetes knows it."""
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        """In the cluster's network."""
        return self.place.address(self.number)

    @property
    def run(self) -> Path:
        """What lives until its power is cut."""
        return self.place.run / self.name

    @property
    def images(self) -> Path:
        """What containerd keeps; it stays when the machine is off."""
        return self.place.folder / "images" / self.name

    @property
    def group(self) -> str:
        """Its cgroup."""
        return f"{self.place.group}/{self.name}"

    def init(self) -> int | None:
        """Return the pid of its PID 1, seen from here; None when it is off."""
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(self.run / "init"))
            except OSError:
                return None
            known = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", known)[0])

    def boot(self) -> None:
        """Turn it on; nothing runs on it yet but its PID 1."""
        if self.init() is not None:
            raise ClusterError(f"{self.name} is on already")
        self.cut_power()
        for folder in (self.run / "log", self.run / "tunables", self.images):
            folder.mkdir(parents=True, exist_ok=True)
        make_group(f"{self.group}/daemons")
        command = [*NAMESPACES, str(self.programs / "node"), "init", str(self.run / "init")]
        with (self.run / "log" / "init.log").open("wb") as log:
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": search_path(self.programs), "HOME": "/root"},
                preexec_fn=lambda: join_group(f"{self.group}/daemons"),
            )  # fmt: skip
        wait_for(f"{self.name} to boot", BOOT_SECONDS, lambda: self.init() is not None)
        self._connect()
        for name in (*SHARED_FOLDERS, VOLUMES):
            Path(name).mkdir(parents=True, exist_ok=True)
        setup = SETUP.format(
            name=self.name, tunables=" ".join(TUNABLES), run=self.run, address=self.address,
            folders=" ".join(SHARED_FOLDERS), volumes=self.place.run / "volumes",
            volumes_here=VOLUMES, pods=PODS,
        )  # fmt: skip
        self.check("sh", "-euc", setup)
        routes = [
            f"route add {PODS}.{other}.0/24 via {self.place.address(other)}"
            for other in range(1, MOST_NODES + 1) if other != self.number
        ]  # fmt: skip
        self.check("ip", "-batch", "-", text="\n".join(routes))

    def _connect(self) -> None:
        end = f"{self.place.bridge}-{self.number}"
        pid = str(self.init())
        run_checked("ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", pid)
        run_checked("ip", "link", "set", end, "master", self.place.bridge, "up")

    def cut_power(self) -> None:
        """End it without notice, and remove all that it had but its images."""
        if (pid := self.init()) is not None:
            os.kill(pid, signal.SIGKILL)
            wait_for(f"{self.name} to go off", OFF_SECONDS, lambda: self.init() is None)
        wait_for(f"{self.name} to be gone", OFF_SECONDS, self._try_remove)
        remove_group(self.group)

    def _try_remove(self) -> bool:
        # For a moment its processes still write, although they are as good as dead.
        shutil.rmtree(self.run, ignore_errors=True)
        return not self.run.exists()

    def enter(self) -> list[str]:
        """Return what runs a command on it."""
        if (pid := self.init()) is None:
            raise ClusterError(f"{self.name} is off")
        return ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", "--uts", "--ipc", "--"]

    def check(self, *command: str, text: str = "") -> None:
        """Run a command on it that must succeed, with some text as its input."""
        run_checked(*self.enter(), *command, text=text)

    def start(self, daemon: str, command: Sequence[str] = ()) -> None:
        """Start a daemon; without a command, as it was started before."""
        log = self.run / "log" / f"{daemon}.log"
        given = [*command]
        if given:
            given[0] = shutil.which(given[0], path=search_path(self.programs)) or given[0]
        self._tell(do="start", name=daemon, command=given, log=str(log))

    def end(self, daemon: str, number: int = signal.SIGTERM, seconds: float = 10.0) -> None:
        """Send a daemon a signal, and wait until it is gone."""
        self._tell(do="end", name=daemon, signal=int(number), seconds=seconds)

    def daemons(self) -> list[str]:
        """Return what runs on it."""
        return list(self._tell(do="list").get("running") or ())

    def _tell(self, **request: object) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_SECONDS)
            try:
                line.connect(str(self.run / "init"))
                line.sendall(json.dumps(request).encode())
                answer = json.load(line.makefile())
            except (OSError, ValueError) as error:
                raise ClusterError(f"{self.name} is off") from error
        if "error" in answer:
            raise ClusterError(f"{self.name}: {answer['error']}")
        return dict(answer)


def machines(place: Place, programs: Path) -> list[Machine]:
    """Return the nodes that were booted and not removed, on or off."""
    numbers = sorted(int(folder.name[len("node-") :]) for folder in place.run.glob("node-*"))
    return [Machine(place, number, programs) for number in numbers]


def search_path(*first: Path) -> str:
    """Return where programs are looked for; some lie where only root has its path."""
    usual = os.environ.get("PATH", os.defpath)
    return ":".join([*map(str, first), usual, "/usr/sbin", "/sbin"])


def run_checked(*command: str, text: str = "") -> str:
    """Run a program that must succeed, and return what it says."""
    try:
        return subprocess.run(
            command, check=True, input=text, capture_output=True, text=True,
            env={**os.environ, "PATH": search_path()}, timeout=PROGRAM_SECONDS,
        ).stdout  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{command[0]} is not done after {PROGRAM_SECONDS:g} s") from error
    except FileNotFoundError as error:
        raise ClusterError(f"there is no program {command[0]}; see scripts/setup") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or error.stdout.strip() or f"exit status {error.returncode}"
        raise ClusterError(f"{command[0]} failed: {said}") from error


def wait_for(what: str, seconds: float, is_so: Callable[[], bool]) -> None:
    """Wait until something is so, for a time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)
