"""Putting a farm on a cluster that is there, and taking it away again.

One release for the manager, one for each worker pool. All of it may be done again at any time:
what is as it should be stays, what was left half done is mended, a pool that is no longer in
burst.toml goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from burst.cloud.helm import Deployed, Releases
from burst.cloud.kubeconfig import read_context, write_without_plugin
from burst.cloud.kubectl import Kubectl
from burst.config.cluster import (
    KUBECONFIG,
    ClusterFarm,
    ClusterSettings,
    Note,
    forget_note,
    read_note,
    write_note,
)
from burst.config.images import ImageSettings
from burst.domain.transitions import JOB_ENDED
from burst.errors import BurstError, ClusterError
from burst.operations.connect import open_client
from burst.operations.farm_values import (
    DEFAULT_POOL,
    FarmValues,
    farm_values,
    pool_images,
    pool_release,
)
from burst.operations.images import PARTS, ensure_images
from burst.operations.preflight import (
    check_cluster,
    check_helm,
    choose_scenes_way,
    make_namespace,
)
from burst.operations.reach import Tell, find_farm, kubectl_of
from burst.operations.retire import empty_pool
from burst.operations.rollout import clear_stuck_pod, wait_for_manager

_LEFT = "pods,jobs,statefulsets,services,configmaps,secrets,persistentvolumeclaims,serviceaccounts"
_GONE_SECONDS = 120.0
"""What workers get to leave: their grace, and some more for a node that does not answer."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was put on the cluster."""

    farm: str
    namespace: str
    context: str
    cluster_version: str
    releases: tuple[Deployed, ...]
    removed: tuple[str, ...]
    """Pools that were not in burst.toml any more."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What was taken from the cluster, and what stays."""

    removed: tuple[str, ...]
    """Releases."""
    stays: tuple[str, ...]
    """In the namespace, as ``kind/name``."""


def deploy(
    settings: ClusterFarm, images: ImageSettings, tell: Tell, *, with_images: bool = True
) -> Deployment:
    """Put the farm on its cluster, or bring it up to date; blocks until its manager is up.

    Args:
        settings: of the farm.
        images: which ones.
        tell: takes lines for people.
        with_images: see to it that the images are there; else they are taken to be.

    Raises:
        ClusterError: the cluster refuses, or the manager does not start; that is taken back.
        ConfigError: the charts refuse a value.
        ToolMissing: kubectl, Helm or what builds images is not installed.
    """
    settings, note = _pinned(settings)
    kubectl, releases = kubectl_of(settings.cluster), check_helm(settings)
    with _timed(tell, "the cluster was looked at"):
        version = check_cluster(kubectl, settings)
        values = farm_values(settings, images, choose_scenes_way(kubectl, settings))
    if not settings.pools:
        tell(f"note: there are no [pools] in burst.toml: the farm gets one pool, {DEFAULT_POOL}")
    if with_images:
        with _timed(tell, "the images are there"):
            _ensure_all_images(settings, images, tell)
    # Whatever comes in between from here on, deploy and down find the farm.
    write_note(settings.state_dir, replace(note, registry=images.registry))
    if make_namespace(kubectl, settings.cluster.farm):
        tell(f"made the namespace {kubectl.namespace}")
    done = _deploy_all(settings, kubectl, releases, values, tell)
    removed = _remove_pools(settings, kubectl, releases, set(values.pools), tell)
    context = settings.cluster.context or ""
    return Deployment(
        settings.cluster.farm, kubectl.namespace, context, version, tuple(done), removed
    )


def unfinished_jobs(settings: ClusterFarm) -> int | None:
    """Return how many jobs of the farm have not ended; None if it can't be asked."""
    try:
        url = find_farm(settings)
        if url is None:
            return None
        with open_client(url) as client:
            return sum(1 for job in client.jobs() if job.status not in JOB_ENDED)
    except BurstError:
        return None


def take_down(settings: ClusterFarm, tell: Tell) -> Removal:
    """Take the farm from its cluster; blocks until its pods are gone.

    Pools go first, so that nobody starts workers any more, and the manager last, which hears
    what they still have to say.

    Raises:
        ClusterError: the cluster refuses.
        ToolMissing: kubectl or Helm is not installed.
    """
    kubectl, releases = kubectl_of(settings.cluster), check_helm(settings)
    farm = settings.cluster.farm
    names = releases.names()
    mine = [name for name in names if name.startswith(pool_release(farm, ""))]
    for name in mine:
        tell(f"removing {name}")
        releases.remove(name)
    ours = {"burst/farm": farm}
    kubectl.delete_all("jobs", ours, seconds=_GONE_SECONDS)
    if farm in names:
        tell(f"removing {farm}")
        releases.remove(farm)
        mine.append(farm)
    # One that the manager had just made, and shells.
    kubectl.delete_all("jobs", ours, seconds=_GONE_SECONDS)
    kubectl.delete_all("pods", ours, seconds=_GONE_SECONDS)
    forget_note(settings.state_dir)
    return Removal(tuple(mine), tuple(_named(one) for one in kubectl.objects(_LEFT, ours)))


def _ensure_all_images(settings: ClusterFarm, images: ImageSettings, tell: Tell) -> None:
    """Have the manager's image, and the worker's once for each Blender that a pool has."""
    parts = PARTS
    for of_pool in pool_images(settings, images):
        ensure_images(of_pool, tell, parts)
        parts = ("worker",)


def _deploy_all(
    settings: ClusterFarm, kubectl: Kubectl, releases: Releases, values: FarmValues, tell: Tell
) -> list[Deployed]:
    """Deploy every release; what fails is taken back, and what was done before it stays."""
    farm = settings.cluster.farm
    done = []
    with _timed(tell, "the manager is up"):
        deployed = releases.deploy(farm, "manager", values.manager, tell)
        done.append(deployed)
        try:
            wait_for_manager(kubectl, f"{farm}-manager", tell)
        except ClusterError as error:
            became = _take_back(kubectl, releases, deployed, farm, tell)
            raise _with_word(error, became) from error
    for name, of_pool in values.pools.items():
        release = pool_release(farm, name)
        with _timed(tell, f"pool {name} is there"):
            done.append(releases.deploy(release, "worker", of_pool, tell))
    return done


def _take_back(
    kubectl: Kubectl, releases: Releases, deployed: Deployed, farm: str, tell: Tell
) -> str:
    """Undo what did not start, and return what became of the farm."""
    tell(f"taking {deployed.name} back")
    try:
        releases.take_back(deployed)
        clear_stuck_pod(kubectl, f"{farm}-manager")
    except BurstError as error:
        tell(f"could not take it back: {error.message}")
        return "it could not be taken back"
    return "the farm is as it was before" if deployed.change == "upgraded" else "nothing stays"


def _with_word(error: ClusterError, became: str) -> ClusterError:
    """Return the error with what became of the farm."""
    mend = error.hint or "mend that"
    return type(error)(error.message, hint=f"{became}; {mend}; then: burst deploy")


def _remove_pools(
    settings: ClusterFarm, kubectl: Kubectl, releases: Releases, wanted: set[str], tell: Tell
) -> tuple[str, ...]:
    farm = settings.cluster.farm
    prefix = pool_release(farm, "")
    pools = [name.removeprefix(prefix) for name in releases.names() if name.startswith(prefix)]
    gone = []
    for name in pools:
        if name in wanted:
            continue
        tell(f"removing pool {name}, which is not in burst.toml any more")
        if empty_pool(settings, kubectl, name, tell):
            releases.remove(pool_release(farm, name))
            gone.append(name)
    return tuple(gone)


def _pinned(settings: ClusterFarm) -> tuple[ClusterFarm, Note]:
    """Return the settings with the context by name, and with a kubeconfig that works here."""
    cluster, made_from = _as_named(settings)
    kubectl = kubectl_of(cluster)
    context = read_context(kubectl)
    cluster = cluster.model_copy(update={"context": context.name})
    if context.needs_plugin:
        made_from = str(cluster.kubeconfig or "")
        path = settings.state_dir / KUBECONFIG
        write_without_plugin(replace(kubectl, context=context.name), path)
        cluster = cluster.model_copy(update={"kubeconfig": path})
    where = str(cluster.kubeconfig or "")
    note = Note(cluster.farm, where, context.name, cluster.space, made_from)
    return settings.model_copy(update={"cluster": cluster}), note


def _as_named(settings: ClusterFarm) -> tuple[ClusterSettings, str]:
    """Return where the farm is by the kubeconfig that was named, and what a copy in use is of.

    A copy is made anew by every deployment, for what it was made from may have changed.
    """
    cluster, note = settings.cluster, read_note(settings.state_dir)
    if note is None or cluster.kubeconfig != settings.state_dir / KUBECONFIG:
        return cluster, ""
    named = Path(note.made_from)
    if named.is_file():
        cluster = cluster.model_copy(update={"kubeconfig": named})
    return cluster, note.made_from


def _named(thing: dict[str, Any]) -> str:
    return f"{thing['kind'].lower()}/{thing['metadata']['name']}"


@contextmanager
def _timed(tell: Tell, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    tell(f"{what} ({time.monotonic() - began:.1f} s)")
