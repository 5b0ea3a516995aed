"""A cluster for tests: the one of `scripts/cluster`, or any other that is given.

``BURST_TEST_KUBERNETES`` names the folder with its programs, kubectl and helm among them;
`scripts/test kubernetes` sets it. ``BURST_TEST_KUBECONFIG`` names the kubeconfig of another
cluster, such as one of kind: what pulls the plug of a node is skipped there, and its nodes have the
images of ``BURST_TEST_IMAGES`` already. With
``BURST_TEST_CLUSTER`` it is the cluster that `scripts/cluster --name … up` made, and it stays.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import gcsfuse
from tests.fakes.emulator import Emulator, running_emulator
from tests.fakes.registry import Registry, running_registry

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "cluster"
LOCKS = Path("/run/lock")
MOST_AT_ONCE = 8
"""Runs of the tests on one machine, each with a cluster of its own."""
UP_SECONDS = 600
COMMAND_SECONDS = 180
LOAD_SECONDS = 600
"""Gigabytes onto the disk of each node, which others write to as well."""
DOWN_SECONDS = 180
UNFIT = 3
"""The exit status of `scripts/cluster` on a machine that can't have one, whatever is tried."""
PROBE = "localhost/burst-probe:1"
"""An image that every node of our own cluster has; see scripts/kubernetes/probe."""
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What a container must say of itself in a namespace where pod security is ``restricted``."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up."""

    kubeconfig: Path
    name: str = ""
    """Under which `scripts/cluster` knows it; empty for one that somebody gave."""
    gateway: str = ""
    """This machine's address, for its pods."""

    @property
    def environment(self) -> dict[str, str]:
        """What programs are given that reach it."""
        programs = os.environ.get("BURST_TEST_KUBERNETES", "")
        path = os.pathsep.join(filter(None, [programs, os.environ["PATH"]]))
        return {**_script_environment(), "PATH": path, "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *arguments: str, text: str = "", seconds: float = COMMAND_SECONDS) -> str:
        """Run kubectl, which must succeed, and return what it prints."""
        return self._run(["kubectl", *arguments], text, seconds)

    def helm(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
        """Run helm, likewise."""
        return self._run(["helm", *arguments], "", seconds)

    def apply(self, namespace: str, *objects: Mapping[str, Any]) -> None:
        """Make objects, or change them."""
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(listed))

    def get(self, *arguments: str) -> Any:
        """Return what `kubectl get` finds, as JSON."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def phase(self, namespace: str, pod: str) -> str:
        """Return how far a pod is; ``gone`` when there is none."""
        found = self.kubectl(
            "get",
            "pod",
            pod,
            "-n",
            namespace,
            "--ignore-not-found",
            "-o",
            "jsonpath={.status.phase}",
        )
        return found or "gone"

    def wait_for_phase(self, namespace: str, pod: str, *phases: str, seconds: float = 60) -> None:
        """Wait until a pod is that far."""
        wait_until(
            lambda: self.phase(namespace, pod) in phases, seconds,
            lambda: self.kubectl("describe", "pod", pod, "-n", namespace),
        )  # fmt: skip

    def load(self, archive: Path) -> None:
        """Give all nodes an image, as `docker save` writes it; nodes that were given have it."""
        if not self.name:
            return
        self._script("load", str(archive), seconds=LOAD_SECONDS)

    def boot(self, node: str, labels: Sequence[str] = (), taints: Sequence[str] = ()) -> None:
        """Add a node, or turn one on again; returns when it is ready."""
        marks = [f"--label={label}" for label in labels] + [f"--taint={taint}" for taint in taints]
        self._script("node", "boot", node, *marks, seconds=LOAD_SECONDS)

    def cut_power(self, node: str) -> None:
        """End a node without notice. Its object stays, as long as nobody deletes it."""
        self._script("node", "off", node)

    def preempt(self, node: str) -> None:
        """Take a node away as a spot machine is taken; returns when it is off."""
        self._script("node", "preempt", node)

    def remove(self, node: str) -> None:
        """Cut a node's power and delete its object, as a cloud does."""
        self.cut_power(node)
        self.kubectl("delete", "node", node, "--ignore-not-found")

    def stop(self, node: str, daemon: str) -> None:
        """End a daemon of a node by SIGTERM."""
        self._script("node", "stop", node, daemon)

    def kill(self, node: str, daemon: str) -> None:
        """End a daemon of a node by SIGKILL."""
        self._script("node", "kill", node, daemon)

    def start(self, node: str, daemon: str) -> None:
        """Start a daemon that was ended."""
        self._script("node", "start", node, daemon)

    def run_on(self, node: str, *command: str) -> str:
        """Run a command on a node, as root, and return what it prints."""
        return self._script("node", "exec", node, *command)

    @contextmanager
    def api_server_away(self) -> Iterator[None]:
        """Have no API server for a while, without notice."""
        self.kill("node-1", "kube-apiserver")
        try:
            yield
        finally:
            self.start("node-1", "kube-apiserver")
            wait_until(self.is_answering, COMMAND_SECONDS)

    def is_answering(self) -> bool:
        """Whether the API server takes requests."""
        command = ["kubectl", "get", "--raw", "/readyz"]
        asked = subprocess.run(command, env=self.environment, check=False, capture_output=True)
        return asked.returncode == 0

    def set_kwok_nodes(self, count: int) -> None:
        """Have that many nodes that are only said to be there; returns when they are ready."""
        self._script("kwok", str(count), seconds=UP_SECONDS)

    @contextmanager
    def running_buckets(self, folder: Path, bucket: str = "farm") -> Iterator[Emulator]:
        """Run an emulator that nodes, pods and this machine reach under one address."""
        gcsfuse.program()
        with running_emulator(folder, bucket, self.gateway) as emulator:
            self._script("buckets", emulator.endpoint)
            yield emulator

    @contextmanager
    def running_registry(self, folder: Path, *, closed: bool = False) -> Iterator[Registry]:
        """Run a registry that nodes and this machine reach under one address."""
        with running_registry(folder, self.gateway, closed=closed) as registry:
            self._script("registry", registry.address)
            yield registry

    def _script(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
        if not self.name:
            pytest.skip("this cluster was given: its nodes and images are not ours to change")
        return self._run([str(SCRIPT), f"--name={self.name}", *arguments], "", seconds)

    def _run(self, command: list[str], text: str, seconds: float) -> str:
        done = subprocess.run(
            command, input=text, env=self.environment, timeout=seconds,
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
        return done.stdout


def wait_until(
    is_so: Callable[[], bool], seconds: float, explain: Callable[[], str] = lambda: ""
) -> None:
    """Wait until something is so, for a time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds:g} s {explain()}"
        time.sleep(0.1)


@contextmanager
def running_cluster(nodes: int = 2, *options: str) -> Iterator[Cluster]:
    """Give a cluster: the one that the environment names, or one that is made and taken down.

    Args:
        nodes: how many real ones.
        options: more of what `scripts/cluster up` takes.
    """
    if given := os.environ.get("BURST_TEST_KUBECONFIG"):
        yield Cluster(Path(given))
        return
    if not os.environ.get("BURST_TEST_KUBERNETES"):
        pytest.skip("no Kubernetes: scripts/test kubernetes builds it")
    if os.geteuid() != 0:
        pytest.skip("a cluster needs root: for namespaces, mounts and cgroups")
    if kept := os.environ.get("BURST_TEST_CLUSTER"):
        yield _up(kept, nodes, options)
        return
    with ExitStack() as stack:
        name, lock = _free_name(stack)
        down = [str(SCRIPT), f"--name={name}", "down", "--purge"]
        # What somebody left who was killed, and with him whoever was to see to that.
        subprocess.run(down, check=True, timeout=DOWN_SECONDS)
        stack.enter_context(_taken_down_if_we_are_killed(down, lock))
        yield _up(name, nodes, options)


@contextmanager
def _taken_down_if_we_are_killed(down: list[str], lock: Path) -> Iterator[None]:
    """End the cluster afterwards, or leave that to a process that waits for our end."""
    heir = subprocess.Popen(
        [*down, "--after", str(lock)], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        subprocess.run(down, check=True, timeout=DOWN_SECONDS)
        heir.kill()
        heir.wait(COMMAND_SECONDS)


def _up(name: str, nodes: int, options: Sequence[str]) -> Cluster:
    command = [str(SCRIPT), f"--name={name}", "up", f"--nodes={nodes}", *options]
    done = subprocess.run(
        command, env=_script_environment(), timeout=UP_SECONDS,
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode == UNFIT:
        pytest.skip(done.stderr.strip().removeprefix("error: "))
    assert done.returncode == 0, done.stderr
    kubeconfig = Path(done.stdout.strip())
    server = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    network = server.removeprefix("https://").rpartition(".")[0]
    return Cluster(kubeconfig, name, f"{network}.1")


def _script_environment() -> dict[str, str]:
    """Return what keeps `scripts/cluster` from compiling gcsfuse into the home of a test."""
    return {"BURST_TEST_GCSFUSE": "", **os.environ}


def _free_name(stack: ExitStack) -> tuple[str, Path]:
    """Return the name of a cluster that no other run has now, and the file that says so.

    The lock on it ends with this process, however that ends.
    """
    LOCKS.mkdir(parents=True, exist_ok=True)
    for number in range(1, MOST_AT_ONCE + 1):
        name = f"test-{number}"
        file = LOCKS / f"burst-{name}"
        lock = file.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        stack.enter_context(lock)
        return name, file
    pytest.skip(f"{MOST_AT_ONCE} runs of these tests have a cluster already")
