"""The commands of `scripts/cluster`."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from testcluster import fake_nodes, lifecycle
from testcluster.build import build, lock
from testcluster.cgroups import SHARE, give_share
from testcluster.daemons import Marks
from testcluster.errors import ClusterError, Unfit
from testcluster.machine import machines
from testcluster.places import GROUP, ROOT, Place, alone, find_place

NAME = "burst"
"""Of the cluster that nobody gave another name."""
EXIT_UNFIT = 3
"""The exit status that says: not on this machine, whatever is tried."""
EXIT_INTERRUPTED = 130
STOP_SECONDS = 90.0
"""An API server lets requests end for a minute."""


def main(arguments: Sequence[str]) -> int:
    """Run one command, and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command in ("build", "lock"):
            print(build()) if options.command == "build" else lock()
            return 0
        return _run(options, find_place(options.name))
    except (ClusterError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_UNFIT if isinstance(error, Unfit) else 1
    except KeyboardInterrupt:
        print("error: interrupted; what is there is replaced by `up`", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=__doc__)
    parser.add_argument("--name", default=NAME, help="of the cluster; several may be up at once")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="compile it all, and print the folder with the programs")
    commands.add_parser("lock", help="write scripts/kubernetes/go.mod and go.sum anew")
    up = commands.add_parser("up", help="make a cluster, and print its kubeconfig")
    up.add_argument("--nodes", type=int, default=1)
    up.add_argument(
        "--share", type=int,
        help="for how many processes all clusters count where processors are short, until a "
        f"node boots; as it comes for {SHARE}",
    )  # fmt: skip
    _add_marks(up)
    down = commands.add_parser("down", help="end it, and remove what it left")
    down.add_argument("--purge", action="store_true", help="its images too")
    down.add_argument(
        "--after", type=Path, metavar="FILE", help="not before nobody holds a lock on that file"
    )
    load = commands.add_parser("load", help="give all nodes an image")
    load.add_argument("archive", type=Path, nargs="+", help="as `docker save` writes it")
    kwok = commands.add_parser("kwok", help="have that many nodes that are only said to be there")
    kwok.add_argument("count", type=int)
    buckets = commands.add_parser("buckets", help="say which emulator has the buckets")
    buckets.add_argument("endpoint", help="http://ADDRESS:PORT that nodes reach")
    registry = commands.add_parser("registry", help="let nodes pull from a registry without TLS")
    registry.add_argument("address", help="ADDRESS:PORT that nodes reach")
    hosts = commands.add_parser("hosts", help="a name of the outside world, for pods")
    hosts.add_argument("address")
    hosts.add_argument("host", nargs="+")
    commands.add_parser("status", help="which nodes are on, and what runs on them")
    _add_node(commands.add_parser("node", help="what happens to one node"))
    return parser


def _add_node(node: argparse.ArgumentParser) -> None:
    verbs = node.add_subparsers(dest="verb", required=True)
    boot = verbs.add_parser("boot", help="add it, or turn it on again")
    boot.add_argument("node")
    _add_marks(boot)
    for verb, text in (
        ("off", "cut its power; the Node object stays"),
        ("preempt", "take it away as a spot machine: pods get 15 s"),
    ):
        verbs.add_parser(verb, help=text).add_argument("node")
    for verb, text in (
        ("start", "start a daemon of it again"),
        ("stop", "end a daemon by SIGTERM"),
        ("kill", "end a daemon by SIGKILL"),
    ):
        parser = verbs.add_parser(verb, help=text)
        parser.add_argument("node")
        parser.add_argument("daemon")
    inside = verbs.add_parser("exec", help="run a command on it")
    inside.add_argument("node")
    inside.add_argument("inside", nargs=argparse.REMAINDER, metavar="command")


def _add_marks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--taint", action="append", default=[], metavar="KEY=VALUE:EFFECT")


def _run(options: argparse.Namespace, place: Place) -> int:
    programs = _programs(options, place)
    if options.command == "status":
        for machine in machines(place, programs):
            state = "on" if machine.init() is not None else "off"
            print(machine.name, state, *(machine.daemons() if state == "on" else ()))
        return 0
    if options.command == "node" and options.verb == "exec":
        inside = lifecycle.find(place, programs, options.node)
        return subprocess.run([*inside.enter(), *options.inside], check=False).returncode
    if options.command == "down" and options.after:
        _wait_for_end(options.after)
    with alone(place.folder / "lock"):
        if options.command == "node":
            _change_node(options, place, programs)
        else:
            _change_cluster(options, place, programs)
    return 0


def _wait_for_end(file: Path) -> None:
    """Wait for whoever has locked a file to end, and keep others from it until we end, too."""
    fcntl.flock(os.open(file, os.O_RDWR), fcntl.LOCK_EX)


def _programs(options: argparse.Namespace, place: Place) -> Path:
    """Return what the cluster runs, also when something else would be built by now."""
    if options.command != "up":
        if place.programs.exists():
            return Path(place.programs.read_text())
        if options.command == "down":
            return Path()  # nothing of it ever ran
        raise ClusterError(f"there is no cluster {place.name}; `up` makes one")
    # A test has a home of its own, in which nothing is built.
    named = os.environ.get("BURST_TEST_KUBERNETES")
    programs = Path(named) if named else build()
    place.programs.write_text(str(programs))
    return programs


def _change_cluster(options: argparse.Namespace, place: Place, programs: Path) -> None:
    match options.command:
        case "up":
            _up(options, place, programs)
        case "down":
            lifecycle.down(place, programs, purge=options.purge)
        case "load":
            for archive in options.archive:
                lifecycle.load(place, programs, archive)
        case "kwok":
            fake_nodes.set_count(place, programs, options.count)
        case "buckets":
            place.buckets.write_text(options.endpoint)
        case "registry":
            lifecycle.trust_registry(place, options.address)
        case "hosts":
            place.hosts.write_text(f"{options.address} {' '.join(options.host)}\n")


def _up(options: argparse.Namespace, place: Place, programs: Path) -> None:
    begun = time.monotonic()
    subprocess.run([str(ROOT / "scripts" / "setup"), "--cluster"], check=True)
    marks = Marks(options.label, options.taint)
    if not lifecycle.is_up(place, programs, [f"node-{n + 1}" for n in range(options.nodes)]):
        lifecycle.up(place, programs, options.nodes, marks)
    if options.share:
        give_share(GROUP, options.share)
    took = time.monotonic() - begun
    print(f"up in {took:.1f} s; its programs are in {programs}", file=sys.stderr)
    print(place.kubeconfig)


def _change_node(options: argparse.Namespace, place: Place, programs: Path) -> None:
    machine = lifecycle.find(place, programs, options.node)
    match options.verb:
        case "boot":
            lifecycle.boot(machine, Marks(options.label, options.taint))
        case "off":
            machine.cut_power()
        case "preempt":
            lifecycle.preempt(machine)
        case "start":
            machine.start(options.daemon)
        case "stop":
            machine.end(options.daemon, seconds=STOP_SECONDS)
        case "kill":
            machine.end(options.daemon, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
