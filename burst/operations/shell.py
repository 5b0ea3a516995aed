"""A look inside: a shell in a pod like a worker's, and what any pod of the farm prints."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from burst.config.cluster import ClusterFarm
from burst.errors import NotOnCluster
from burst.operations.reach import kubectl_of
from burst.operations.rollout import wait_for_pod

SHELL_SECONDS = 8 * 3600
"""A shell that was forgotten ends after a working day."""

MANAGER = "manager"
"""What the manager's pod is called by `burst logs`."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""What Kubernetes takes as a name; kubectl reads more into others."""
_SHELL = ("sh", "-c", "if command -v bash >/dev/null; then exec bash; else exec sh; fi")
_SMALL = {"cpu": "100m", "memory": "256Mi"}
"""Somebody who looks around needs no machine for himself."""


def run_shell(
    settings: ClusterFarm,
    pool: str | None,
    command: Sequence[str],
    tell: Callable[[str], None],
    *,
    is_terminal: bool,
) -> int:
    """Run a shell, or a command, in a pod as the workers of a pool have it; blocks.

    The pod has the pool's image, environment and mounts, and goes at the end.

    Args:
        settings: of the farm.
        pool: by name; None takes the one that is preferred.
        command: what to run; nothing is a shell.
        tell: takes lines for people.
        is_terminal: there is a terminal to attach.

    Returns:
        The exit status of what ran.

    Raises:
        NotOnCluster: there is no such pool, or none at all.
        RolloutFailed: the pod does not start.
        ClusterError: the cluster refuses.
    """
    kubectl = kubectl_of(settings.cluster)
    name = f"{settings.cluster.farm}-shell-{secrets.token_hex(3)}"
    template = _template(settings, pool)
    kubectl.create(_shell_pod(template, name, settings.cluster.farm))
    try:
        tell(f"waiting for the pod {name}")
        wait_for_pod(kubectl, name, tell)
        terminal = ["--tty"] if is_terminal else []
        return kubectl.attach(
            "exec", "--stdin", *terminal, name, "--container", "worker", "--", *(command or _SHELL)
        )
    finally:
        kubectl.delete("pod", name, wait=False)


@contextmanager
def pod_log(settings: ClusterFarm, named: str, *, follow: bool) -> Iterator[Iterator[str] | None]:
    """Give the lines that a pod prints, or None if nothing on the cluster is called so.

    Args:
        settings: of the farm.
        named: a pod, a worker, or `MANAGER`.
        follow: go on until the pod ends.

    Raises:
        ClusterError: the cluster refuses.
    """
    kubectl = kubectl_of(settings.cluster)
    pod = _find_pod(settings, named)
    if pod is None:
        yield None
        return
    with closing(kubectl.lines("logs", pod, *(["--follow"] if follow else []))) as lines:
        yield lines


def _find_pod(settings: ClusterFarm, named: str) -> str | None:
    kubectl = kubectl_of(settings.cluster)
    if named == MANAGER:
        return f"{settings.cluster.farm}-manager-0"
    if not _NAME.fullmatch(named):
        return None
    if kubectl.find("pod", named) is not None:
        return named
    pods = kubectl.objects("pods", {"burst/farm": settings.cluster.farm, "burst/worker": named})
    return str(pods[-1]["metadata"]["name"]) if pods else None


def _template(settings: ClusterFarm, pool: str | None) -> Mapping[str, Any]:
    """Return the Job template of a pool."""
    farm = settings.cluster.farm
    ours = {"burst/kind": "worker-pool", "burst/farm": farm}
    found = {}
    for config in kubectl_of(settings.cluster).objects("configmaps", ours):
        facts = json.loads(config["data"]["pool.json"])
        found[facts["name"]] = (facts["preference"], config["data"]["job.json"])
    if not found:
        raise NotOnCluster(f"the farm {farm} has no worker pools", hint="see: burst up")
    if pool is not None and pool not in found:
        names = ", ".join(sorted(found))
        raise NotOnCluster(f"there is no worker pool {pool}", hint=f"there are {names}")
    chosen = pool or min(found, key=lambda name: found[name][0])
    return dict(json.loads(found[chosen][1]))


def _shell_pod(template: Mapping[str, Any], name: str, farm: str) -> dict[str, Any]:
    """Return a pod like a worker's in which nothing runs."""
    inner = template["spec"]["template"]
    spec = {**inner["spec"], "activeDeadlineSeconds": SHELL_SECONDS, "restartPolicy": "Never"}
    spec["containers"] = [
        _sleeping(one) if one["name"] == "worker" else one for one in spec["containers"]
    ]
    metadata = inner.get("metadata", {})
    labels = {**metadata.get("labels", {}), "burst/farm": farm, "burst/kind": "shell"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": metadata.get("annotations", {}),
        },
        "spec": spec,
    }


def _sleeping(container: Mapping[str, Any]) -> dict[str, Any]:
    resources = container.get("resources", {})
    requests = {**resources.get("requests", {}), **_SMALL}
    return {
        **container,
        "args": ["sleep", str(SHELL_SECONDS)],
        "resources": {**resources, "requests": requests},
    }
