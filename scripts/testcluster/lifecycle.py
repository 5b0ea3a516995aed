"""From nothing to a cluster, and back: the order in which things are made and removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from testcluster import control
from testcluster.cgroups import remove_empty
from testcluster.daemons import Marks, join, start_machinery
from testcluster.errors import ClusterError
from testcluster.fitness import check_machine
from testcluster.keys import make_authority
from testcluster.machine import Machine, machines, run_checked, wait_for
from testcluster.places import GROUP, MOST_NODES, ROOT, Place

SERVER_SECONDS = 120.0
READY_SECONDS = 180.0
NOTICE_SECONDS = 40.0
"""A kubelet ends its pods within 30 s of the notice."""
SERVICES_SECONDS = 2.0
"""A machine still has to end its services; that is when a kubelet says how its pods ended."""
LAST_WORDS_SECONDS = 30.0
"""As long a kubelet that has ended its pods may take to say so: a busy machine takes over 2 s."""
GONE_SECONDS = 30.0
IMPORT_SECONDS = 60.0
WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_WATCHERS = 1024
"""Each node takes at least seven, all have one user's share, and as it comes that is 128."""


def up(place: Place, programs: Path, nodes: int, marks: Marks) -> None:
    """Make a cluster with that many nodes, each marked alike; one that is there is replaced."""
    down(place, programs)
    check_machine(place)
    for folder in (place.run, place.run / "volumes", place.archives):
        folder.mkdir(parents=True, exist_ok=True)
    (place.run / "volumes").chmod(0o777)
    if int(WATCHERS.read_text()) < ENOUGH_WATCHERS:
        WATCHERS.write_text(str(ENOUGH_WATCHERS))
    run_checked("ip", "link", "add", place.bridge, "type", "bridge")
    run_checked("ip", "address", "add", f"{place.gateway}/24", "dev", place.bridge)
    run_checked("ip", "link", "set", place.bridge, "up")
    make_authority(place)
    control.make_identities(place)
    booted = [Machine(place, number, programs) for number in range(1, nodes + 1)]
    for machine in booted:
        machine.boot()
        start_machinery(machine)
    control.start_api_server(booted[0])
    wait_for("the API server", SERVER_SECONDS, lambda: control.is_answering(place))
    control.start_controllers(booted[0])
    listed = {"apiVersion": "v1", "kind": "List", "items": control.first_objects(place)}
    kubectl(place, programs, "apply", "-f", "-", text=json.dumps(listed))
    _at_once(booted, lambda machine: _join(machine, marks))
    for machine in booted:
        _wait_until_ready(machine, "0")
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    wait_for("the first service account", READY_SECONDS, lambda: control.ask(place, account))


def down(place: Place, programs: Path, *, purge: bool = False) -> None:
    """End a cluster and remove what it left on the machine; its images stay, unless purged.

    What can't be removed keeps nothing else from being removed.
    """
    stuck: list[ClusterError] = []
    for machine in machines(place, programs):
        try:
            machine.cut_power()
        except ClusterError as error:
            stuck.append(error)
    with suppress(ClusterError):  # it is not there
        run_checked("ip", "link", "delete", place.bridge)
    for group in (place.group, GROUP):
        remove_empty(group)
    place.kubeconfig.unlink(missing_ok=True)
    folder = place.folder if purge else place.run
    # For a moment processes that are as good as dead still write.
    wait_for(f"{folder} to be gone", GONE_SECONDS, lambda: _try_remove(folder))
    if stuck:
        raise ClusterError("; ".join(map(str, stuck)))


def _try_remove(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def find(place: Place, programs: Path, name: str) -> Machine:
    """Return a node by its name, whether it was booted or not."""
    number = name.removeprefix("node-")
    if not number.isdigit() or not 1 <= int(number) <= MOST_NODES:
        raise ClusterError(f"{name} is no node: they are node-1 to node-{MOST_NODES}")
    return Machine(place, int(number), programs)


def boot(machine: Machine, marks: Marks) -> None:
    """Add a node to a cluster that is up, or turn one on again, and wait until it is ready."""
    if not control.is_answering(machine.place):
        raise ClusterError(f"there is no cluster that {machine.name} could join")
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    machine.boot()
    start_machinery(machine)
    _join(machine, marks)
    _wait_until_ready(machine, since)


def preempt(machine: Machine) -> None:
    """Take a node away as a cloud takes a spot machine: with a notice, and off after it."""
    machine.end("notice", signal.SIGTERM, NOTICE_SECONDS)
    time.sleep(SERVICES_SECONDS)
    # Nobody listens where the API server is away: the node goes off all the same.
    with suppress(ClusterError):
        wait_for("its pods' ends", LAST_WORDS_SECONDS, lambda: not _has_pods_left(machine))
    machine.cut_power()


def _has_pods_left(machine: Machine) -> bool:
    """Whether the cluster still takes pods of a node for alive."""
    chosen = f"spec.nodeName%3D{machine.name},status.phase%21%3DFailed,status.phase%21%3DSucceeded"
    listed = control.ask(machine.place, f"/api/v1/pods?fieldSelector={chosen}")
    return bool(listed and listed["items"])


def load(place: Place, programs: Path, archive: Path) -> None:
    """Give all nodes an image, those too that will be booted later."""
    if not archive.is_file():
        raise ClusterError(f"there is no archive {archive}")
    kept = place.archives / f"{archive.name}-{archive.stat().st_mtime_ns}"
    kept.unlink(missing_ok=True)
    try:
        os.link(archive, kept)
    except OSError:
        shutil.copyfile(archive, kept)
    on = [machine for machine in machines(place, programs) if machine.init() is not None]
    _at_once(on, _import_all)


def trust_registry(place: Place, address: str) -> None:
    """Let all nodes pull images from a registry that speaks plain HTTP."""
    folder = place.registries / address
    folder.mkdir(parents=True, exist_ok=True)
    # The server alone would do, but for containerd 1.6.
    text = f'server = "http://{address}"\n[host."http://{address}"]\n'
    (folder / "hosts.toml").write_text(f'{text}capabilities = ["pull", "resolve"]\n')


def kubectl(place: Place, programs: Path, *arguments: str, text: str = "") -> str:
    """Run kubectl as the administrator, and return what it prints."""
    program = str(programs / "kubectl")
    return run_checked(program, f"--kubeconfig={place.kubeconfig}", *arguments, text=text)


def find_gcsfuse() -> str:
    """Return the program that mounts buckets; nothing if it can't be had here."""
    if "BURST_TEST_GCSFUSE" in os.environ:
        return os.environ["BURST_TEST_GCSFUSE"]
    command = [str(ROOT / "scripts" / "go-tool"), "gcsfuse"]
    found = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    return found.stdout.strip()


def _at_once(nodes: Sequence[Machine], do: Callable[[Machine], None]) -> None:
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(do, nodes):
            pass


def _join(machine: Machine, marks: Marks) -> None:
    _import_all(machine)
    join(machine, marks, find_gcsfuse())


def _import_all(machine: Machine) -> None:
    """Import what the node lacks; that containerd has just been started is waited for."""
    done = machine.images / "imported"
    imported = set(done.read_text().split("\n")) if done.exists() else set()
    own = [machine.programs / "pause.tar", machine.programs / "probe.tar"]
    for archive in [*own, *sorted(machine.place.archives.iterdir())]:
        if str(archive) not in imported:
            _import(machine, archive)
            with done.open("a") as file:
                file.write(f"{archive}\n")


def _import(machine: Machine, archive: Path) -> None:
    command = [
        "ctr", f"--address={machine.run}/containerd.sock", "--namespace=k8s.io",
        "images", "import", str(archive),
    ]  # fmt: skip
    wait_for(
        f"containerd of {machine.name}", IMPORT_SECONDS, (machine.run / "containerd.sock").exists
    )
    deadline = time.monotonic() + IMPORT_SECONDS
    while True:
        try:
            run_checked(*command)
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _wait_until_ready(machine: Machine, since: str) -> None:
    # One that was on before still counts as ready for 40 s after it went off.
    wait_for(
        f"{machine.name} to be ready; {machine.run}/log says what keeps it", READY_SECONDS,
        lambda: control.ready_since(machine.place, machine.name) >= since,
    )  # fmt: skip


def is_up(place: Place, programs: Path, nodes: Sequence[str]) -> bool:
    """Whether a cluster runs that has these nodes, all ready."""
    on = {machine.name for machine in machines(place, programs) if machine.init() is not None}
    return on >= set(nodes) and all(control.ready_since(place, name) for name in nodes)
