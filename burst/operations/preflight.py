"""What can be wrong with a cluster, found out before anything is put on it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from burst.cloud.helm import Releases
from burst.cloud.kubectl import MAJOR, Kubectl, Right
from burst.config.cluster import ClusterFarm, ScenesWay
from burst.errors import ClusterDenied, ClusterUnfit, ToolError, UsageError

OLDEST = (1, 29)
"""Kubernetes with sidecar containers, which the mount of a bucket is; the charts say the same."""

FUSE_DRIVER = "gcsfuse.csi.storage.gke.io"

_RIGHTS = tuple(
    Right("create", resource)
    for resource in (
        "statefulsets.apps", "jobs.batch", "configmaps", "secrets", "services", "serviceaccounts",
        "persistentvolumeclaims", "resourcequotas", "poddisruptionbudgets.policy",
        "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
        "networkpolicies.networking.k8s.io", "pods/portforward",
    )
)  # fmt: skip
"""What a deployment does. Of Jobs, as nobody may grant the manager what he has not got himself."""

_DISPENSABLE = {
    "resourcequotas": "quota",
    "networkpolicies.networking.k8s.io": "networkPolicy",
    "poddisruptionbudgets.policy": "disruptionBudget",
}
"""What a farm can do without, and the value of the manager's chart that says so."""


def check_cluster(kubectl: Kubectl, settings: ClusterFarm) -> str:
    """Check that a farm can be put on the cluster; returns the cluster's version.

    Raises:
        ClusterUnreachable: it does not answer.
        ClusterDenied: a right is lacking; all are named.
        ClusterUnfit: it is too old, or its namespace has another farm.
        ToolError: kubectl is of another major version.
        UsageError: the farm has no bucket.
    """
    check_storage_setting(settings)
    mine, its = kubectl.versions()
    if _version(mine)[0] != MAJOR:
        raise ToolError(
            f"kubectl {mine} is of a version that burst does not know",
            hint="install kubectl 1: https://kubernetes.io/docs/tasks/tools",
        )
    if _version(its) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ClusterUnfit(
            f"the cluster is Kubernetes {its}, burst needs {oldest} or newer",
            hint="upgrade it, or name another one with --kubeconfig",
        )
    lacking = kubectl.lacking([one for one in _RIGHTS if _is_needed(one, settings)])
    if lacking:
        named = ", ".join(map(str, lacking))
        raise ClusterDenied(
            f"this login may not {named} in the namespace {kubectl.namespace}",
            hint=_way_to_rights(lacking),
        )
    _check_alone(kubectl, settings.cluster.farm)
    return its


def _is_needed(right: Right, settings: ClusterFarm) -> bool:
    """Say whether the farm is to have what the right is for."""
    part = settings.cluster.manager.get(_DISPENSABLE.get(right.resource, ""))
    return not (isinstance(part, Mapping) and part.get("enabled") is False)


def _way_to_rights(lacking: Sequence[Right]) -> str:
    if all(right.resource in _DISPENSABLE for right in lacking):
        # An admin of a namespace may make no quota.
        without = "".join(
            f"\n  {_DISPENSABLE[right.resource]} = {{ enabled = false }}" for right in lacking
        )
        return f"have it granted, or go without, in [cluster.manager] of burst.toml:{without}"
    return "have it made an admin of the namespace"


def check_storage_setting(settings: ClusterFarm) -> None:
    """Refuse a farm whose storage its pods and this machine can't both have.

    Raises:
        UsageError: it is no bucket.
    """
    url = settings.storage_url
    if url is None or not url.startswith("gs://"):
        has = f"has {url}" if url else "has none"
        raise UsageError(
            f"a farm on a cluster keeps its scenes and frames in a bucket, and this one {has}",
            hint="name one: --storage gs://BUCKET, or storage_url in [farm] of burst.toml",
        )


def choose_scenes_way(kubectl: Kubectl, settings: ClusterFarm) -> ScenesWay:
    """Return how workers read scenes, where a pool does not say it itself.

    Raises:
        ClusterUnfit: it is to be by the FUSE driver, and the cluster has none.
    """
    wanted = settings.cluster.scenes_by
    asked = {wanted, *(pool.scenes_by for pool in settings.pools.values())}
    if asked == {"fetch"} or asked == {"pvc"}:
        return wanted or "fetch"
    try:
        has_driver = kubectl.find("csidriver", FUSE_DRIVER) is not None
    except ClusterDenied:
        # An admin of a namespace may not look. Who asks for it will know.
        return wanted or "fetch"
    if "csi" in asked and not has_driver:
        raise ClusterUnfit(
            f"the cluster has no driver {FUSE_DRIVER}, which mounts buckets",
            hint='have it added (GKE: the add-on GcsFuseCsiDriver), or: scenes_by = "fetch"',
        )
    return wanted or ("csi" if has_driver else "fetch")


def make_namespace(kubectl: Kubectl, farm: str) -> bool:
    """Make the namespace if it is not there; says whether it did.

    Raises:
        ClusterUnfit: it is just going.
    """
    found = kubectl.find("namespace", kubectl.namespace)
    if found is None:
        labels = {
            "app.kubernetes.io/part-of": "burst",
            "burst/farm": farm,
            # All pods of a farm keep to it; nobody else's get in with less.
            "pod-security.kubernetes.io/enforce": "restricted",
        }
        metadata = {"name": kubectl.namespace, "labels": labels}
        kubectl.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        return True
    if found.get("status", {}).get("phase") == "Terminating":
        raise ClusterUnfit(
            f"the namespace {kubectl.namespace} is just being deleted",
            hint="wait until it has gone, or use another one: --namespace NAME",
        )
    return False


def check_helm(settings: ClusterFarm) -> Releases:
    """Return the releases of the farm's namespace.

    Raises:
        ToolMissing: there is no Helm.
        ToolError: it is of another major version.
    """
    cluster = settings.cluster
    return Releases(cluster.kubeconfig, cluster.context, cluster.space)


def _check_alone(kubectl: Kubectl, farm: str) -> None:
    others = {
        found["metadata"].get("labels", {}).get("burst/farm", "?")
        for found in kubectl.objects("statefulsets", {"app.kubernetes.io/part-of": "burst"})
    } - {farm}
    if others:
        raise ClusterUnfit(
            f"the namespace {kubectl.namespace} has the farm {', '.join(sorted(others))} already",
            hint="a farm has a namespace for itself: --namespace NAME",
        )


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
