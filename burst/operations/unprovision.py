"""``burst down`` on Google Cloud: from what would be lost to the proof that nothing is left.

In this order, each part of which may find that it has been done already:

1. the releases, with the manager's volume; its disk would outlive the cluster, so it is waited for;
2. what an interrupted run made and no state knows, which is imported, else it would stay;
3. everything in the root ``farm``; with ``--all`` the root ``storage`` as well, and the state;
4. a look by label and by name, through the APIs, at every kind of resource there could be.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from burst.cloud.google_api import GoogleApi
from burst.cloud.inventory import take_inventory
from burst.cloud.kubectl import Kubectl
from burst.cloud.state_bucket import remove_bucket
from burst.cloud.terraform_events import Hear
from burst.cloud.terraform_run import held_farm
from burst.cloud.terraform_times import TIMES, read_times, with_run
from burst.config.cluster import ClusterFarm, forget_note
from burst.domain.transitions import JOB_ENDED
from burst.errors import (
    BurstError,
    CloudNotFound,
    ClusterDenied,
    ClusterError,
    ClusterUnreachable,
    RunInterrupted,
)
from burst.operations.connect import open_client
from burst.operations.deploy import Removal, take_down
from burst.operations.google_farm import (
    Site,
    adopt,
    find_console,
    has_state,
    open_farm_root,
    reach_cluster,
    settle,
)
from burst.operations.leftovers import Leftovers, find_leftovers
from burst.operations.reach import Tell, kubectl_of
from burst.operations.tfvars import farm_variables, storage_variables
from burst.storage import layout

VOLUME_SECONDS = 300.0
"""What the disk of a volume may take to go, once nobody uses it."""
SWEEP_SECONDS = 180.0
"""What GKE may take to remove what it made for a cluster, after the cluster is gone."""
_POLL_SECONDS = 3.0

_MOST_PAGES = 100
"""Of a thousand objects each: enough to say what a person would want to know."""


@dataclass(frozen=True, slots=True)
class Renders:
    """Published files of one job in the farm's bucket."""

    job: str
    files: int
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What would be lost with a farm."""

    unfinished: tuple[str, ...] | None
    """Names of jobs that have not ended; None if the manager can't be asked."""
    tasks_active: int = 0
    """Tasks that workers are at."""
    renders: tuple[Renders, ...] | None = ()
    """What its bucket holds, where that is to go as well; None if it can't be listed."""
    is_partial: bool = False
    """There are more than were counted."""
    has_scenes: bool = False
    """There are scenes in that bucket."""

    def lines(self) -> list[str]:
        """Return it for people."""
        said = []
        if self.unfinished is None:
            said.append("whether jobs are unfinished is not known: the manager does not answer")
        elif self.unfinished:
            running = f", {self.tasks_active} tasks of which run" if self.tasks_active else ""
            said.append(f"unfinished jobs will be forgotten{running}: {_some(self.unfinished)}")
        if self.renders is None:
            said.append("what the bucket holds is not known, and will be deleted for good")
        elif self.renders:
            said.append("frames and scenes in the bucket will be deleted for good:")
            said += [
                f"  {one.job}: {one.files} files, {one.size / 1e6:.1f} MB" for one in self.renders
            ]
            said += ["  and more"] if self.is_partial else []
            said.append("  bring them first: burst download JOB")
        elif self.has_scenes:
            said.append("scenes in the bucket will be deleted for good")
        return said or ["nothing will be lost"]


@dataclass(frozen=True, slots=True)
class GoogleRemoval:
    """What was removed, and what is left."""

    releases: tuple[str, ...]
    destroyed: int
    """Resources that Terraform removed."""
    leftovers: Leftovers


def look_at_loss(site: Site, *, everything: bool) -> Loss:
    """Return what would be lost with the farm; what can't be asked is said to be unknown.

    Args:
        site: of the farm.
        everything: its bucket goes as well.
    """
    stored = _stored(site.api, site.farm.data_bucket) if everything else Loss(())
    try:
        url = find_console(site, lambda text: None)
        if url is None:
            return stored
        with open_client(url) as client:
            jobs = tuple(job.name for job in client.jobs() if job.status not in JOB_ENDED)
            return replace(stored, unfinished=jobs, tasks_active=client.status().tasks_active)
    except BurstError:
        return replace(stored, unfinished=None)


def take_down_google(site: Site, *, everything: bool, tell: Tell, hear: Hear) -> GoogleRemoval:
    """Take a farm away, whatever state it is in; blocks for minutes.

    Args:
        site: of the farm.
        everything: with scenes, frames and state.
        tell: takes lines for people.
        hear: hears what Terraform says.

    Raises:
        BurstError: something can't be removed; the same command goes on from there.
    """
    farm = site.farm
    if not has_state(site):
        tell(f"there is no farm {farm.name} in the project {farm.project}")
        return GoogleRemoval((), 0, _sweep(site, everything=everything, tell=tell))
    with held_farm(site.bucket, farm.place, "burst down", tell):
        removal = _remove_from_cluster(site, tell)
        destroyed = _destroy(site, tell, hear)
        if everything:
            destroyed += _destroy_storage(site, tell, hear)
        forget_note(farm.settings.state_dir)
        leftovers = _sweep(site, everything=everything, tell=tell)
        is_gone = everything and leftovers.is_zero
        if is_gone:
            # The very last: until then the same command can be given again. With the lock in it:
            # who begins a farm meanwhile, from elsewhere, would lose the state of what they make.
            remove_bucket(site.api, site.bucket.name)
    if is_gone:
        shutil.rmtree(farm.place, ignore_errors=True)
        without = tuple(one for one in leftovers.kept if one.name != site.bucket.name)
        leftovers = replace(leftovers, kept=without)
    return GoogleRemoval(removal.removed if removal else (), destroyed, leftovers)


def left_of(site: Site, *, everything: bool = False) -> Leftovers:
    """Return what there is of a farm that should be gone.

    Args:
        site: of the farm.
        everything: its data bucket should be gone, too.
    """
    farm = site.farm
    inventory = take_inventory(site.api, farm.project, farm.region, farm.name)
    kept = {farm.state_bucket} if everything else {farm.state_bucket, farm.data_bucket}
    return find_leftovers(inventory, kept=kept)


# ── Kubernetes ───────────────────────────────────────────────────────────────────────


def _remove_from_cluster(site: Site, tell: Tell) -> Removal | None:
    """Take the farm from its cluster, and wait until its volumes' disks are gone."""
    settle(site, tell)
    try:
        settings = reach_cluster(site)
        if settings is None:
            return None
        kubectl = kubectl_of(settings.cluster)
        volumes = _volumes(kubectl)
        removal = _remove_releases(settings, kubectl, tell)
        for name in _claims(kubectl):
            kubectl.delete("persistentvolumeclaim", name, wait=False)
        _wait_for_disks(kubectl, volumes, tell)
    except ClusterError as error:
        # Its machines go in any case. What its volumes leave is found by the look at the end.
        tell(f"the cluster can't be asked, and goes as it is: {error.message}")
        return None
    return removal


def _remove_releases(settings: ClusterFarm, kubectl: Kubectl, tell: Tell) -> Removal | None:
    """Take the farm from its cluster, by force where something never leaves.

    A process that waits for a mount which does not answer can't be killed, and its pod would hold
    up every ``burst down`` while the machines bill.

    Raises:
        ClusterUnreachable: the cluster does not answer.
        ClusterDenied: it refuses.
    """
    try:
        return take_down(settings, tell)
    except (ClusterUnreachable, ClusterDenied):
        raise
    except ClusterError as error:
        tell(f"what does not leave is cut off: {error.message}")
    kubectl.run(
        "delete", "pods", "--selector", f"burst/farm={settings.cluster.farm}",
        "--ignore-not-found", "--grace-period=0", "--force", "--wait=false",
    )  # fmt: skip
    try:
        return take_down(settings, tell)
    except (ClusterUnreachable, ClusterDenied):
        raise
    except ClusterError as error:
        tell(f"what is left of the farm goes with its cluster: {error.message}")
        return None


def _claims(kubectl: Kubectl) -> list[str]:
    found = kubectl.objects("persistentvolumeclaims")
    return [str(one["metadata"]["name"]) for one in found]


def _volumes(kubectl: Kubectl) -> frozenset[str]:
    """Return the names of the volumes that the namespace's claims are bound to."""
    claims = kubectl.objects("persistentvolumeclaims")
    names = (str(one.get("spec", {}).get("volumeName", "")) for one in claims)
    return frozenset(name for name in names if name)


def _wait_for_disks(kubectl: Kubectl, volumes: frozenset[str], tell: Tell) -> None:
    """Wait until volumes are gone: Kubernetes forgets one when its disk is deleted."""
    deadline, told = time.monotonic() + VOLUME_SECONDS, False
    while left := sorted(volumes & _all_volumes(kubectl)):
        if time.monotonic() > deadline:
            tell(f"the disk of {', '.join(left)} does not go; the look at the end finds it")
            return
        if not told:
            tell("waiting for the disk of the manager's volume to be deleted")
            told = True
        time.sleep(_POLL_SECONDS)


def _all_volumes(kubectl: Kubectl) -> frozenset[str]:
    found = json.loads(kubectl.run("get", "persistentvolumes", "--output", "json"))
    return frozenset(str(one["metadata"]["name"]) for one in found["items"])


# ── Terraform ────────────────────────────────────────────────────────────────────────


def _destroy(site: Site, tell: Tell, hear: Hear) -> int:
    """Remove everything of the root farm, also what no state knows of; return how much it was."""
    terraform = open_farm_root(site, "farm", tell, hear)
    terraform.write_variables(farm_variables(site.farm))
    try:
        adopt(site, terraform, tell, hear)
    except RunInterrupted:
        raise
    except BurstError as error:
        # What can't be planned can be removed all the same.
        tell(f"what no state knows of is left to the look at the end: {error.message}")
    return _timed(site, lambda: terraform.destroy(hear).done)


def _destroy_storage(site: Site, tell: Tell, hear: Hear) -> int:
    """Remove the bucket with scenes and frames."""
    terraform = open_farm_root(site, "storage", tell, hear)
    terraform.write_variables(storage_variables(site.farm, force_destroy=True))
    plan = adopt(site, terraform, tell, hear)
    # That it may be deleted with its content has to be in the state before.
    if plan.with_action("update"):
        terraform.apply(plan, hear)
    return _timed(site, lambda: terraform.destroy(hear).done)


def _timed(site: Site, run: Callable[[], Mapping[str, Any]]) -> int:
    """Do a run, and remember how long it took; return how much was done."""
    began = time.monotonic()
    done = run()
    times = read_times(site.bucket.read(TIMES))
    site.bucket.write(TIMES, with_run(times, done.values(), time.monotonic() - began).to_json())
    return len(done)


# ── What is left ─────────────────────────────────────────────────────────────────────


def _sweep(site: Site, *, everything: bool, tell: Tell) -> Leftovers:
    """Look for what is left; what GKE is just removing is waited for."""
    deadline, told = time.monotonic() + SWEEP_SECONDS, False
    while True:
        leftovers = left_of(site, everything=everything)
        if not _is_going(leftovers) or time.monotonic() > deadline:
            return leftovers
        if not told:
            tell("waiting for what Google is still removing")
            told = True
        time.sleep(_POLL_SECONDS)


def _is_going(leftovers: Leftovers) -> bool:
    """Say whether something is on its way out."""
    return any(one.status in ("STOPPING", "DELETING", "TERMINATED") for one in leftovers.left)


def _stored(api: GoogleApi, bucket: str) -> Loss:
    """Return what would be lost with a bucket."""
    try:
        renders, is_partial = _renders(api, bucket)
        return Loss((), 0, renders, is_partial, _has_scenes(api, bucket))
    except BurstError:
        return Loss((), 0, None)


def _has_scenes(api: GoogleApi, bucket: str) -> bool:
    query = {"prefix": layout.SCENES, "maxResults": "1", "fields": "items(name)"}
    try:
        page = api.get("STORAGE", f"b/{bucket}/o", query, what=f"can't list gs://{bucket}")
    except CloudNotFound:
        return False
    return bool(page.get("items"))


def _renders(api: GoogleApi, bucket: str) -> tuple[tuple[Renders, ...], bool]:
    """Return what a bucket holds of each job, and whether there is more than was counted."""
    counted: dict[str, tuple[int, int]] = {}
    query = {"prefix": "renders/", "fields": "items(name,size),nextPageToken"}
    pages = api.pages("STORAGE", f"b/{bucket}/o", query, what=f"can't list gs://{bucket}")
    try:
        for number, page in enumerate(pages):
            if number == _MOST_PAGES:
                return tuple(_counted(counted)), True
            for item in page.get("items") or ():
                job, _, name = str(item["name"]).removeprefix("renders/").partition("/")
                # What has no name of its own is a folder that somebody's tool made.
                if name and not name.endswith("/") and name != "index.json":
                    files, size = counted.get(job, (0, 0))
                    counted[job] = files + 1, size + int(item["size"])
    except CloudNotFound:
        return (), False
    return tuple(_counted(counted)), False


def _counted(counted: Mapping[str, tuple[int, int]]) -> Iterator[Renders]:
    for job, (files, size) in sorted(counted.items()):
        yield Renders(job, files, size)


def _some(names: tuple[str, ...]) -> str:
    """Return names for a sentence: the first few."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
