"""Where a cluster keeps what, and which addresses it has.

Several clusters can be up at once: each has a name, and with it a folder, a bridge and a network
of its own. Inside, all have the same addresses for pods and Services, which nobody sees from here.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcluster.errors import ClusterError, Unfit

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "scripts" / "kubernetes"
CLUSTERS = Path("/var/lib/burst-cluster")
"""Not in a home: paths of sockets must be short, and only root can make a cluster."""
GROUP = "burst-cluster"
"""The cgroup of all clusters."""

PODS = "10.244"
SERVICES = "10.96.0"
API_SERVICE = f"{SERVICES}.1"
DNS_SERVICE = f"{SERVICES}.10"
TURN_SECONDS = 600.0
"""More than it takes to make a cluster on a busy machine."""
MOST_CLUSTERS = 250
MOST_NODES = 99


@dataclass(frozen=True)
class Place:
    """One cluster's folder and network."""

    name: str
    number: int
    """Of its network: 10.213.<number>.0/24."""

    @property
    def folder(self) -> Path:
        """All that is its own."""
        return CLUSTERS / self.name

    @property
    def run(self) -> Path:
        """What lives from up to down."""
        return self.folder / "run"

    @property
    def keys(self) -> Path:
        """Its certificates."""
        return self.run / "keys"

    @property
    def kubeconfig(self) -> Path:
        """For its administrator."""
        return self.folder / "kubeconfig"

    @property
    def archives(self) -> Path:
        """Images that every node gets."""
        return self.folder / "archives"

    @property
    def programs(self) -> Path:
        """The file with the name of the folder that its programs are in."""
        return self.folder / "programs"

    @property
    def hosts(self) -> Path:
        """Names of the outside world for its pods, as in /etc/hosts."""
        return self.folder / "hosts"

    @property
    def buckets(self) -> Path:
        """The file with the address of the emulator that has the buckets."""
        return self.folder / "buckets"

    @property
    def registries(self) -> Path:
        """How containerd reaches registries: a folder for each."""
        return self.run / "registries"

    @property
    def bridge(self) -> str:
        """The machine's end of its network."""
        return f"burst{self.number}"

    @property
    def gateway(self) -> str:
        """The machine's address in it."""
        return f"10.213.{self.number}.1"

    @property
    def group(self) -> str:
        """The cgroup of its nodes."""
        return f"{GROUP}/{self.name}"

    @property
    def server(self) -> str:
        """The API server."""
        return f"https://{self.address(1)}:6443"

    def address(self, node_number: int) -> str:
        """Return a node's address."""
        return f"10.213.{self.number}.{10 + node_number}"


def programs() -> Path:
    """Return where the cache keeps what `build` makes."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "burst"


def find_place(name: str) -> Place:
    """Return the cluster of that name, which gets the next free number when it is new."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", name):
        raise ClusterError(f"{name} can't name a cluster: use a few small letters and digits")
    if os.geteuid() != 0:
        raise Unfit("a cluster needs root: for namespaces, mounts and cgroups")
    CLUSTERS.mkdir(mode=0o755, parents=True, exist_ok=True)
    with alone(CLUSTERS / "lock"):
        file = CLUSTERS / name / "number"
        if file.exists():
            return Place(name, int(file.read_text()))
        taken = {int(other.read_text()) for other in CLUSTERS.glob("*/number")}
        free = (number for number in range(MOST_CLUSTERS) if number not in taken)
        if (number := next(free, None)) is None:
            raise ClusterError(f"there are {MOST_CLUSTERS} clusters already in {CLUSTERS}")
        file.parent.mkdir(exist_ok=True)
        file.write_text(str(number))
        return Place(name, number)


@contextmanager
def alone(file: Path, seconds: float = TURN_SECONDS) -> Iterator[None]:
    """Wait for a time until nobody else is at it. A lock ends with the process that had it."""
    deadline = time.monotonic() + seconds
    with file.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ClusterError(f"for {seconds:g} s somebody else has had {file}") from error
                time.sleep(0.05)
        yield
