"""What a Job and its pod say about a worker: it waits, it runs, it ended, and why.

Pure: what the cluster said in, a `StartedWorker` out. The pod knows more than the Job, and
earlier; where there is no pod, the Job and its events say why.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any

from burst.domain.pods import HOPELESS
from burst.domain.transitions import AttemptStatus
from burst.errors import EXIT_FAILURE
from burst.manager.autoscaler.pool_maps import CONTAINER, POOL_LABEL
from burst.manager.autoscaler.provider import Holdup, StartedWorker

Manifest = Mapping[str, Any]

TEXT_MAX = 300
"""Kubernetes tells of every node why a pod does not fit; nobody reads that."""

TAKEN = frozenset(
    {
        "DeadlineExceeded",
        "Evicted",
        "NodeAffinity",
        "NodeLost",
        "NodeShutdown",
        "Preempting",
        "Shutdown",
        "Terminated",
    }
)
"""Reasons of a pod's end that are no fault of the worker."""

SHELL_SIGNALS = 128
"""Exit statuses beyond this are a signal's number."""


def worker_of(
    name: str, job: Manifest | None, pod: Manifest | None, events: Mapping[str, str]
) -> StartedWorker:
    """Return what is known of a worker.

    Args:
        name: the worker's, which is its Job's.
        job: the Job, if it is there.
        pod: its pod, if it has one.
        events: the last warning of each object, by its name.
    """
    pool = _pool(job, pod)
    if pod is not None and (ended := _ended(name, pool, pod)) is not None:
        return ended
    if job is not None and (condition := _condition(job, "Complete")) is not None:
        return StartedWorker(name, False, pool=pool)
    if job is not None and (condition := _condition(job, "Failed")) is not None:
        return _failed_job(name, pool, pod, condition)
    if pod is None:
        warning = events.get(name, "")
        if warning.startswith("FailedCreate"):
            return StartedWorker(name, True, pool=pool, holdup="broken", waits=_cut(warning))
        return StartedWorker(name, True, pool=pool, holdup="start")
    if pod["metadata"].get("deletionTimestamp"):
        # Soon over; or never, where the node is gone that would have to say so.
        outcome, waits = AttemptStatus.INTERRUPTED, "its pod is being deleted"
        return StartedWorker(name, True, "", False, pool, outcome, "broken", waits)
    holdup, waits = _holdup(pod, events)
    return StartedWorker(name, True, pool=pool, holdup=holdup, waits=_cut(waits))


def error_of(text: str) -> str:
    """Return what a program's last lines say went wrong; empty if they don't."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return _cut(errors[-1].removeprefix("error:").strip()) if errors else ""


def needs_log(worker: StartedWorker) -> bool:
    """Say whether only what a worker printed can tell why it failed."""
    return not worker.running and worker.gave_up and worker.failure.startswith("exit status")


def trim_job(job: Manifest) -> Manifest:
    """Return what is to be kept of a Job."""
    conditions = (job.get("status") or {}).get("conditions")
    labels = job["metadata"].get("labels")
    return {"metadata": {"labels": labels}, "status": {"conditions": conditions}}


def trim_pod(pod: Manifest) -> Manifest:
    """Return what is to be kept of a pod."""
    keys = ("name", "labels", "creationTimestamp", "deletionTimestamp")
    return {
        "metadata": {key: pod["metadata"].get(key) for key in keys},
        "spec": {"nodeName": (pod.get("spec") or {}).get("nodeName")},
        "status": pod.get("status"),
    }


def _ended(name: str, pool: str, pod: Manifest) -> StartedWorker | None:
    """Return how a worker ended by its pod; None if it has not."""
    status = pod.get("status") or {}
    state = _state(status, CONTAINER)
    is_over = status.get("phase") in ("Succeeded", "Failed")
    terminated = state.get("terminated")
    if terminated is None:
        if not is_over:
            return None
        reason, message = status.get("reason", ""), status.get("message", "")
        taken = reason in TAKEN or _condition(pod, "DisruptionTarget") is not None
        outcome = AttemptStatus.INTERRUPTED if taken else AttemptStatus.LOST
        text = _cut(f"{reason}: {message}" if message else reason or "its pod ended")
        return StartedWorker(name, False, text, pool=pool, outcome=outcome)
    return _by_container(name, pool, pod, terminated)


def _by_container(name: str, pool: str, pod: Manifest, terminated: Manifest) -> StartedWorker:
    code = int(terminated.get("exitCode", 0))
    if code == 0:
        return StartedWorker(name, False, pool=pool)
    if why := _taken(pod):
        return StartedWorker(name, False, why, pool=pool, outcome=AttemptStatus.INTERRUPTED)
    if terminated.get("reason") == "OOMKilled":
        text = "its pod's memory ran out, and the kernel killed it"
        return StartedWorker(name, False, text, pool=pool, outcome=AttemptStatus.OUT_OF_MEMORY)
    if code == EXIT_FAILURE:
        text = error_of(terminated.get("message") or "") or f"exit status {code}"
        return StartedWorker(name, False, text, gave_up=True, pool=pool)
    return StartedWorker(name, False, _how(code, terminated), pool=pool)


def _how(code: int, terminated: Manifest) -> str:
    if code > SHELL_SIGNALS:
        try:
            return f"killed by {signal.Signals(code - SHELL_SIGNALS).name}"
        except ValueError:
            pass
    reason = terminated.get("reason", "")
    if reason not in ("", "Error"):
        return _cut(f"{reason}: {terminated.get('message', '')}".rstrip(": "))
    return error_of(terminated.get("message") or "") or f"exit status {code}"


def _taken(pod: Manifest) -> str:
    """Return why the pod's machine, or its place there, was taken; empty if it was not."""
    status = pod.get("status") or {}
    if condition := _condition(pod, "DisruptionTarget"):
        text = condition.get("message") or condition.get("reason", "")
        return _cut(f"preempted: {text}")
    if status.get("reason") in TAKEN:
        return _cut(f"preempted: {status.get('message') or status['reason']}")
    if pod["metadata"].get("deletionTimestamp"):
        return "its pod was deleted"
    return ""


def _failed_job(name: str, pool: str, pod: Manifest | None, condition: Manifest) -> StartedWorker:
    reason, message = condition.get("reason", ""), condition.get("message", "")
    if reason == "DeadlineExceeded":
        outcome, text = AttemptStatus.INTERRUPTED, "its Job's deadline has passed"
    elif pod is None:
        # Deleted in one step: by hand, or with its node.
        outcome, text = AttemptStatus.INTERRUPTED, "its pod is gone"
    else:
        outcome, text = AttemptStatus.LOST, _cut(f"{reason}: {message}")
    return StartedWorker(name, False, text, pool=pool, outcome=outcome)


def _holdup(pod: Manifest, events: Mapping[str, str]) -> tuple[Holdup, str]:
    """Return what keeps a pod's worker from beginning, and a sentence about it."""
    status = pod.get("status") or {}
    if "running" in _state(status, CONTAINER):
        return "", ""
    scheduled = _condition(pod, "PodScheduled", wanted="False")
    if scheduled is not None or not (pod.get("spec") or {}).get("nodeName"):
        text = (scheduled or {}).get("message") or "no node yet"
        return "node", f"no node for it: {text}"
    for waiting in _waiting(status):
        reason = waiting.get("reason", "")
        if reason in HOPELESS:
            return "broken", f"{reason}: {waiting.get('message', '')}".rstrip(": ")
    if warning := events.get(pod["metadata"]["name"]):
        return "start", warning
    return "start", ""


def _waiting(status: Manifest) -> Iterator[Manifest]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            if waiting := (container.get("state") or {}).get("waiting"):
                yield waiting


def _state(status: Manifest, container: str) -> Manifest:
    for found in status.get("containerStatuses") or []:
        if found.get("name") == container:
            return found.get("state") or {}
    return {}


def _condition(thing: Manifest, kind: str, wanted: str = "True") -> Manifest | None:
    for condition in (thing.get("status") or {}).get("conditions") or []:
        if condition.get("type") == kind and condition.get("status") == wanted:
            return dict(condition)
    return None


def _pool(job: Manifest | None, pod: Manifest | None) -> str:
    for thing in (job, pod):
        if thing is not None:
            return str((thing["metadata"].get("labels") or {}).get(POOL_LABEL, ""))
    return ""


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"
