"""A farm on Google Cloud and whom to ask about it: what `burst up`, `down` and `status` begin with.

Which farm is meant is said by burst.toml, or by project and name alone: the settings that it was
made with lie in its state bucket.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from burst.cloud.adoptable import list_existing
from burst.cloud.bundled import bundled
from burst.cloud.google_api import GoogleApi
from burst.cloud.google_cluster import GoogleCluster, GoogleClusters
from burst.cloud.inventory import take_inventory
from burst.cloud.kubeconfig import write_for_google
from burst.cloud.state_bucket import StateBucket, Wanted, find_bucket, judge
from burst.cloud.terraform import Terraform
from burst.cloud.terraform_adoption import Taken, adoptions, taken
from burst.cloud.terraform_copies import root_folder
from burst.cloud.terraform_events import Diagnostic, Hear
from burst.cloud.terraform_plan import Plan
from burst.cloud.terraform_run import open_root
from burst.config.cluster import ClusterFarm
from burst.config.google import SETTINGS_FILE, GoogleFarm, check_format, from_json
from burst.errors import (
    ApiDisabled,
    BurstError,
    CloudAway,
    CloudConflict,
    CloudDenied,
    CloudNotFound,
    ConfigError,
)
from burst.operations.reach import Tell, find_farm, kubectl_of

LOOK = "look"
"""Folder of working copies in which a farm is looked at, and never changed."""

ROOTS = ("storage", "farm")
"""In the order in which they are made."""

SETTLE_SECONDS = 1800.0
"""How long is waited for what an earlier run has begun: a cluster takes ten minutes."""
_POLL_SECONDS = 3.0
_PRICE_TRIES = 2
_UNSETTLED = frozenset({"PROVISIONING", "STOPPING"})
_ROLE, _ROLE_TYPE = "hibernate", "google_project_iam_custom_role."
_POOL = re.compile(r'module\.pool\["([^"]+)"\]|.*google_container_node_pool\.(system)$')


@dataclass(frozen=True)
class Site:
    """A farm, and whom to ask about it."""

    farm: GoogleFarm
    api: GoogleApi
    clusters: GoogleClusters
    bucket: StateBucket
    """With its state; it need not be there."""
    environ: Mapping[str, str]

    def root(self, name: str, tell: Tell, place: Path | None = None) -> Terraform:
        """Return Terraform on a root of the farm.

        Args:
            name: one of `ROOTS`.
            tell: takes lines for people.
            place: folder of the farm, where it is not the usual one.
        """
        return Terraform(
            root_folder(place or self.farm.place, name),
            self.environ,
            program=self.farm.google.terraform,
            project=self.farm.project,
            tell=tell,
            ask=self._why,
        )

    @cached_property
    def project_number(self) -> str:
        """The project's number.

        Raises:
            CloudError: there is no such project for this login.
        """
        path, what = f"projects/{self.farm.project}", f"can't look at {self.farm.project}"
        return str(self.api.get("RESOURCE_MANAGER", path, what=what)["projectNumber"])

    @property
    def for_prices(self) -> GoogleApi:
        """Google's APIs for what is only good to know: nobody waits for it for long."""
        return GoogleApi(self.environ, project=self.farm.project, tries=_PRICE_TRIES)

    @property
    def wanted_bucket(self) -> Wanted:
        """The state bucket as it is to be."""
        farm = self.farm
        return Wanted(farm.state_bucket, farm.project, farm.region, farm.name, farm.google.labels)

    def _why(self, diagnostic: Diagnostic) -> str | None:
        """Find out why a node pool failed, which the provider keeps to itself."""
        found = _POOL.match(diagnostic.address or "")
        farm = self.farm
        try:
            return found and self.clusters.pool_trouble(farm.zone, farm.name, found[1] or found[2])
        except BurstError:
            return None


def open_site(farm: GoogleFarm, environ: Mapping[str, str] = os.environ) -> Site:
    """Return whom to ask about a farm; nobody is asked yet."""
    return Site(
        farm,
        GoogleApi(environ, project=farm.project),
        GoogleClusters(farm.project, environ),
        StateBucket(farm.state_bucket, environ),
        environ,
    )


def has_state(site: Site) -> bool:
    """Say whether the farm's state bucket is there; nothing is read of one that is a stranger's.

    Raises:
        CloudConflict: it is somebody else's.
        CloudError: it can't be looked at.
    """
    found = find_bucket(site.api, site.farm.state_bucket)
    if found is None:
        return False
    judge(found, site.wanted_bucket, site.project_number)
    return True


def as_made(site: Site) -> Site | None:
    """Return the farm with the settings that it was last made with; None if it never was.

    Raises:
        CloudError: nobody tells.
        ConfigError: another version of burst made it.
    """
    content = site.bucket.read(SETTINGS_FILE) if has_state(site) else None
    return None if content is None else replace(site, farm=from_json(content, site.farm))


def refuse_another(site: Site) -> None:
    """Refuse to make of a farm what it can't become: one elsewhere, or of an older burst.

    Terraform would make its cluster anew in the other zone, and the queue would be gone.

    Args:
        site: as it is to be made; its state bucket is there.

    Raises:
        CloudConflict: it is elsewhere.
        ConfigError: a newer burst made it.
        CloudError: nobody tells.
    """
    farm = site.farm
    bucket = find_bucket(site.api, farm.data_bucket)
    region = str((bucket or {}).get("location", farm.region)).lower()
    if region != farm.region:
        raise CloudConflict(
            f"the scenes and frames of the farm {farm.name} are in {region}, and can't be moved "
            f"to {farm.region}",
            hint="give the farm there another name in burst.toml, or take away all of this one: "
            "burst down --all",
        )
    content = site.bucket.read(SETTINGS_FILE)
    if content is None:
        return
    check_format(content)
    try:
        zone = from_json(content, farm).zone
        if zone == farm.zone:
            return
        site.clusters.get(zone, farm.name)
    except (ConfigError, CloudNotFound, ApiDisabled):
        # What can't be read is written anew; what is not there can be anywhere.
        return
    raise CloudConflict(
        f"the farm {farm.name} is in {zone}, and is not moved to {farm.zone}: its queue would go",
        hint="for machines in other zones say zones in [pools.NAME]; to move it, first: burst down",
    )


def settle(
    site: Site, tell: Tell, *, clock: Callable[[], float] = time.monotonic
) -> GoogleCluster | None:
    """Wait until the cluster is neither being made nor deleted by a run that ended; return it.

    Raises:
        CloudAway: that takes too long.
        CloudError: Google does not tell.
    """
    deadline, told = clock() + SETTLE_SECONDS, ""
    while True:
        try:
            cluster = site.clusters.get(site.farm.zone, site.farm.name)
        except CloudNotFound:
            return None
        unsettled = _unsettled(cluster)
        if not unsettled:
            return cluster
        if clock() > deadline:
            raise CloudAway(f"{unsettled} for {SETTLE_SECONDS / 60:.0f} minutes")
        if unsettled != told:
            tell(f"{unsettled}: waiting for it …")
            told = unsettled
        time.sleep(_POLL_SECONDS)


def _unsettled(cluster: GoogleCluster) -> str:
    verbs = {"PROVISIONING": "being made", "STOPPING": "being deleted"}
    if cluster.status in _UNSETTLED:
        return f"the cluster {cluster.name} is {verbs[cluster.status]}"
    for pool in cluster.pools:
        if pool.status in _UNSETTLED:
            return f"the node pool {pool.name} is {verbs[pool.status]}"
    return ""


def open_farm_root(site: Site, name: str, tell: Tell, hear: Hear) -> Terraform:
    """Return a root that is ready to plan; the run holds the farm.

    Raises:
        BurstError: it does not work; the message says why.
    """
    terraform = site.root(name, tell)
    open_root(terraform, site.bucket, bundled("terraform"), name, tell=tell, hear=hear)
    return terraform


def adopt(site: Site, terraform: Terraform, tell: Tell, hear: Hear) -> Plan:
    """Plan, and take into the state what exists and is the farm's own; return the last plan.

    Args:
        site: of the farm.
        terraform: on one of its roots, with variables.
        tell: takes a line for what was taken.
        hear: hears the plans.

    Raises:
        CloudConflict: a name is taken by something that is not the farm's.
        BurstError: it does not work; the message says why.
    """
    farm = site.farm
    _revive_role(site, terraform)
    plan = terraform.plan(hear)
    if not plan.with_action("create"):
        return plan
    inventory = take_inventory(site.api, farm.project, farm.region, farm.name)
    existing = list_existing(site.api, inventory)
    # Before anything is imported: what is a part of somebody else's would be, too.
    if others := taken(plan, existing, farm=farm.name):
        raise _is_taken(others, farm.name)
    while found := adoptions(plan, existing, farm=farm.name, project=farm.project):
        for one in found:
            tell(f"taking over {one.address}, which exists already")
            terraform.import_(one.address, one.import_id)
        plan = terraform.plan(hear)
    if others := taken(plan, existing, farm=farm.name):
        raise _is_taken(others, farm.name)
    return plan


def _revive_role(site: Site, terraform: Terraform) -> None:
    """Have a role back that a killed run deleted, and that the state still has.

    Google keeps deleted roles for a week under their names. For Terraform such a one is there, and
    it can be deleted as little as used.
    """
    name = f"{site.farm.name.replace('-', '_')}_{_ROLE}"
    path, what = f"projects/{site.farm.project}/roles/{name}", f"can't restore the role {name}"
    try:
        role = site.api.get("IAM_BETA", path, what=what)
    except (ApiDisabled, CloudNotFound, CloudDenied):
        return
    if role.get("deleted") and any(_ROLE_TYPE in one for one in terraform.state_addresses()):
        site.api.post("IAM_BETA", f"{path}:undelete", what=what)


def _is_taken(others: tuple[Taken, ...], farm: str) -> CloudConflict:
    names = ", ".join(f"{one.existing.type} {one.existing.name}" for one in others)
    return CloudConflict(
        f"what the farm {farm} would make exists already and is not its own: {names}",
        hint="give the farm another name in burst.toml, or remove that",
    )


def find_console(site: Site, tell: Tell) -> str | None:
    """Return where the farm's console is on this machine; None if the cluster has no farm yet.

    Args:
        site: of the farm.
        tell: takes a line for people when a manager does not answer soon.

    Raises:
        BurstError: the cluster or the manager does not answer.
    """
    settings = reach_cluster(site)
    if settings is None:
        return None
    # A question that is answered at once, or not: a connection to the manager is tried for long.
    manager = f"{site.farm.name}-manager"
    if kubectl_of(settings.cluster).find("statefulset", manager) is None:
        return None
    return find_farm(settings, tell)


def reach_cluster(site: Site) -> ClusterFarm | None:
    """Return the farm's settings with a kubeconfig for its cluster; None if there is none.

    Raises:
        CloudError: Google does not tell.
        ClusterUnfit: it has no endpoint.
    """
    farm = site.farm
    try:
        cluster = site.clusters.get(farm.zone, farm.name)
    except CloudNotFound:
        return None
    if not cluster.is_running:
        return None
    settings = farm.with_storage().settings
    path = farm.place / "kubeconfig"
    context = write_for_google(path, cluster, settings.cluster.space)
    where = settings.cluster.model_copy(update={"kubeconfig": path, "context": context})
    return settings.model_copy(update={"cluster": where})
