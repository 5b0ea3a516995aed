"""Whether this machine can have a cluster at all: each thing that a node needs is tried.

A container without rights, or a kernel without a module, is told of in a sentence before anything
is made, and not by a node that never gets ready.
"""

from __future__ import annotations

import os
import shutil
import uuid

from testcluster.errors import ClusterError, Unfit
from testcluster.machine import NAMESPACES, run_checked
from testcluster.places import Place

RULE = "-m comment --comment x -m statistic --mode random --probability 0.5 -j MASQUERADE"
TRIALS = {
    "namespaces with mounts of their own": """
        mount -t proc proc /proc; mount -t tmpfs tmpfs {folder}""",
    "a file system that lies over others, in {folder}": """
        cd {folder}; mkdir lower upper work merged
        mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged""",
    "networks with a bridge": """
        ip link add pods type bridge; ip link add one type veth peer name other
        echo 1 > /proc/sys/net/ipv4/ip_forward""",
    "firewall rules": f"iptables -t nat -A POSTROUTING {RULE}",
}
"""What a node is made of, and how that is tried: in namespaces that end with the trial."""
SPACE_GIB = 12
"""Images take 3.5 on each node, and below 1 a kubelet refuses pods."""


def check_machine(place: Place) -> None:
    """Find out whether a cluster can be made.

    Raises:
        Unfit: it can't, and why.
        ClusterError: not now, since the disk is full.
    """
    folder = place.folder / f"trial-{uuid.uuid4().hex}"
    for what, script in TRIALS.items():
        folder.mkdir()
        try:
            run_checked(*NAMESPACES, "sh", "-euc", script.format(folder=folder))
        except ClusterError as error:
            needed = what.format(folder=place.folder)
            raise Unfit(f"this machine can't have a cluster: no {needed}: {error}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _try_bridge(f"{place.bridge}-try")
    _check_space(place)


def _try_bridge(name: str) -> None:
    """Make a bridge in the machine's own network, where other rights may be asked for."""
    try:
        run_checked("ip", "link", "add", name, "type", "bridge")
        run_checked("ip", "link", "delete", name)
    except ClusterError as error:
        raise Unfit(f"this machine can't have a cluster: no bridge: {error}") from error


def _check_space(place: Place) -> None:
    free = os.statvfs(place.folder)
    gib = free.f_bavail * free.f_frsize / 2**30
    if gib < SPACE_GIB:
        raise ClusterError(
            f"only {gib:.1f} GiB are free for {place.folder}; a cluster needs {SPACE_GIB}"
        )
