"""Waiting until the manager's pod is up, and finding out why it is not.

Helm can only say that it waited long enough. The pod knows better: an image that is not there, a
volume that does not come, a setting that the program refuses.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from burst.cloud.kubectl import Kubectl
from burst.domain.pods import HOPELESS
from burst.errors import ClusterError, ClusterUnreachable, RolloutFailed, ToolError
from burst.operations.reach import Tell

START_SECONDS = 300.0
"""How long a manager may take: a node may have to come, and its volume to be made."""

PATIENCE_SECONDS = 12.0
"""How long what seldom mends itself may last: an image that can't be pulled is asked for again."""

QUIET_SECONDS = 2.0
"""What takes longer is told."""

_POLL_SECONDS = 1.0
_LOG_LINES = 8

_DENIED = re.compile(r"401|403|denied|unauthorized|forbidden|authorization", re.I)
_LACKING = re.compile(r"not found|manifest unknown", re.I)
"""What the runtime says of an image that it may not pull, and of one that is not there."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a rollout stands."""

    is_ready: bool
    stuck: str
    """What keeps it, if that will hardly mend itself; else empty."""
    pending: str = ""
    """What it waits for that may come by itself: a node."""
    is_blocked: bool = False
    """A pod of the revision before is not ready, and Kubernetes waits for it."""


def wait_for_manager(
    kubectl: Kubectl, name: str, tell: Tell, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Wait until the manager's new pod is ready.

    Args:
        kubectl: of the farm's namespace.
        name: of the StatefulSet.
        tell: takes a line for people: what is waited for.
        clock: in seconds.

    Raises:
        RolloutFailed: it does not get there; the message has the pod's own reason.
        ClusterError: the cluster can't be asked.
    """

    def look() -> Look:
        found = _look(kubectl, name)
        if found.is_blocked:
            kubectl.delete("pod", f"{name}-0", wait=False)
        return found

    _wait(kubectl, look, f"{name}-0", _Waiting("the manager", tell, clock))


def wait_for_pod(
    kubectl: Kubectl, name: str, tell: Tell, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Wait until a pod is ready.

    Args:
        kubectl: of the farm's namespace.
        name: of the pod.
        tell: takes a line for people: what is waited for.
        clock: in seconds.

    Raises:
        RolloutFailed: it does not get there; the message has its own reason.
        ClusterError: the cluster can't be asked.
    """

    def look() -> Look:
        pod = kubectl.find("pod", name) or {}
        return Look(is_ready=_is_ready(pod), stuck=_waits_for(pod), pending=_no_node(pod))

    _wait(kubectl, look, name, _Waiting(f"the pod {name}", tell, clock))


class _Waiting:
    """Tells what is waited for, if that takes longer than a moment, and when it changes."""

    def __init__(self, what: str, tell: Tell, clock: Callable[[], float]) -> None:
        self.what = what
        self.clock = clock
        self._tell = tell
        self._told: str | None = None
        self._next_at = clock() + QUIET_SECONDS

    def hear(self, look: Look) -> None:
        if self.clock() < self._next_at or look.pending == self._told:
            return
        why = f": {look.pending}" if look.pending else ""
        self._tell(f"waiting for {self.what}{why} …")
        self._told = look.pending


def _wait(
    kubectl: Kubectl,
    look_at: Callable[[], Look],
    pod: str,
    waiting: _Waiting,
) -> None:
    clock = waiting.clock
    deadline = clock() + START_SECONDS
    stuck_since: float | None = None
    while True:
        try:
            look = look_at()
        except ClusterUnreachable:
            # It may be away for a moment, as when its own master is upgraded.
            if clock() > deadline:
                raise
            look = Look(is_ready=False, stuck="")
        if look.is_ready:
            return
        stuck_since = (stuck_since or clock()) if look.stuck else None
        is_stuck = stuck_since is not None and clock() - stuck_since > PATIENCE_SECONDS
        if is_stuck or clock() > deadline:
            raise _failure(kubectl, pod, waiting.what, look)
        waiting.hear(look)
        time.sleep(_POLL_SECONDS)


def clear_stuck_pod(kubectl: Kubectl, name: str) -> None:
    """Delete the manager's pod if it is not ready: Kubernetes waits for it before a new one."""
    pod = kubectl.find("pod", f"{name}-0")
    if pod is not None and not _is_ready(pod):
        kubectl.delete("pod", f"{name}-0", wait=False)


def _look(kubectl: Kubectl, name: str) -> Look:
    found = kubectl.find("statefulset", name)
    if found is None:
        return Look(is_ready=False, stuck="")
    pod = kubectl.find("pod", f"{name}-0")
    status = found.get("status", {})
    if pod is None:
        return Look(is_ready=False, stuck=_refused(kubectl, name))
    is_new = _label(pod, "controller-revision-hash") == status.get("updateRevision")
    is_seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    going = "deletionTimestamp" in pod["metadata"]
    is_ready = _is_ready(pod)
    if not (is_seen and is_new) or going:
        # Whatever ails the one before is no fault of the one that comes.
        return Look(is_ready=False, stuck="", is_blocked=is_seen and not going and not is_ready)
    return Look(is_ready=is_ready, stuck=_waits_for(pod), pending=_no_node(pod))


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _label(thing: Mapping[str, Any], key: str) -> str:
    return str(thing["metadata"].get("labels", {}).get(key, ""))


def _waits_for(pod: Mapping[str, Any]) -> str:
    status = pod.get("status", {})
    for container in [
        *status.get("initContainerStatuses", []),
        *status.get("containerStatuses", []),
    ]:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in HOPELESS:
            return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    return ""


def _no_node(pod: Mapping[str, Any]) -> str:
    """Return why no node takes a pod; an autoscaler of nodes may bring one."""
    for one in pod.get("status", {}).get("conditions", []):
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return "no node for it: " + str(one.get("message", "")).partition(" preemption:")[0]
    return ""


def _refused(kubectl: Kubectl, name: str) -> str:
    """Return why the cluster makes no pod: a quota, or its rules for pods."""
    return next((text for reason, text in _events(kubectl, name) if reason == "FailedCreate"), "")


def _failure(kubectl: Kubectl, pod: str, what: str, look: Look) -> RolloutFailed:
    reasons = [look.stuck] if look.stuck else []
    try:
        reasons += [text for _, text in _events(kubectl, pod)]
        said = _last_words(kubectl, pod)
    except ClusterError as error:
        reasons.append(error.message)
        said = []
    told = "; ".join(_new_ones(reasons)) or f"it was not ready after {START_SECONDS:.0f} s"
    words = "".join(f"\n  | {line}" for line in said)
    return RolloutFailed(f"{what} does not start: {told}{words}", hint=_pull_hint(look, told))


def _pull_hint(look: Look, told: str) -> str | None:
    """Return what helps nodes to an image that they don't get."""
    if not look.stuck.startswith(("ErrImagePull", "ImagePullBackOff")):
        return None
    if _DENIED.search(told):
        return "let the nodes pull: a right in the registry, or imagePullSecrets of both charts"
    if _LACKING.search(told):
        return "build and push it: burst images build --push"
    return None


def _new_ones(reasons: list[str]) -> list[str]:
    """Return reasons that say something that none before them does; the kubelet repeats itself."""
    kept: list[str] = []
    for reason in reasons:
        core = reason.removeprefix("Error: ").rpartition('": ')[2]
        if core not in HOPELESS and not any(core in one for one in kept):
            kept.append(reason)
    return kept


def _events(kubectl: Kubectl, name: str) -> list[tuple[str, str]]:
    """Return the warnings of an object, newest first, each with its reason."""
    chosen = f"--field-selector=type=Warning,involvedObject.name={name}"
    table = kubectl.run(
        "get", "events", chosen, "--sort-by=.lastTimestamp", "--no-headers",
        "--output=custom-columns=REASON:.reason,MESSAGE:.message",
    )  # fmt: skip
    found = []
    for line in reversed(table.splitlines()):
        reason, _, text = line.strip().partition(" ")
        if reason and text and not reason.startswith("No resources"):
            found.append((reason, text.strip()))
    return found[:3]


def _last_words(kubectl: Kubectl, pod: str) -> list[str]:
    """Return the last lines of the pod's log: of the run that ended, else of this one."""
    for which in (["--previous"], []):
        try:
            said = kubectl.run("logs", pod, f"--tail={_LOG_LINES}", *which)
        except (ClusterError, ToolError):
            # There was no run before, or none began.
            continue
        if said.strip():
            return said.strip().splitlines()
    return []
