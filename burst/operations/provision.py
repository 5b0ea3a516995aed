"""Making a farm on Google Cloud, or bringing it up to date; again at any time, from any point.

What is there already is found by looking, never by remembering: a run that was killed is gone on
with by the next one, of this machine or of another. Nothing is made before somebody agreed to the
plan and its price.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from burst.cloud.billing import prices
from burst.cloud.bundled import bundled
from burst.cloud.google_cluster import DEFAULT_POOL
from burst.cloud.state_bucket import StateBucket, ensure_bucket
from burst.cloud.terraform import Terraform
from burst.cloud.terraform_events import Hear
from burst.cloud.terraform_plan import Change, Plan
from burst.cloud.terraform_run import held_farm, open_to_plan
from burst.cloud.terraform_times import TIMES, Estimate, Times, estimate, read_times, with_run
from burst.config.cluster import ClusterFarm
from burst.config.farm import default_cache_dir
from burst.config.google import SETTINGS_FILE, to_json
from burst.config.images import ImageSettings
from burst.domain.costs import Costs
from burst.domain.costs import estimate as estimate_costs
from burst.domain.prices import PriceTable
from burst.errors import ApiDisabled, BurstError, CloudDenied, CloudError, CloudNotFound
from burst.operations.connect import open_client
from burst.operations.cost import place_of
from burst.operations.deploy import Deployment, deploy
from burst.operations.doctor import Finding
from burst.operations.doctor_cloud import CloudPlan, enable_apis, examine_cloud, missing_apis
from burst.operations.google_farm import (
    LOOK,
    ROOTS,
    Site,
    adopt,
    find_console,
    has_state,
    open_farm_root,
    reach_cluster,
    refuse_another,
    settle,
)
from burst.operations.reach import Tell, find_farm, kubectl_of
from burst.operations.retire import empty_pool
from burst.operations.tfvars import farm_variables, on_own_nodes, storage_variables

_POOL = re.compile(r'module\.pool\["([^"]+)"\]\.google_container_node_pool\.')
_SYSTEM_POOL = "system"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done, and what that costs."""

    changes: tuple[Change, ...]
    drift: tuple[Change, ...]
    """What is not as the last run left it."""
    costs: Costs
    prices: PriceTable
    takes: Estimate | None
    """How long, by past runs; None if nothing like it was ever done."""


@dataclass(frozen=True, slots=True)
class Talk:
    """How a run speaks with whoever started it."""

    tell: Tell
    hear: Hear
    """Hears what Terraform does."""
    agree: Callable[[Proposal], None]
    """Shows a plan; raises if it is not to be."""
    allow: Callable[[str], None]
    """Asks a question; raises if the answer is no."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What became of a farm."""

    changed: tuple[str, ...]
    """Addresses of what was made, changed or removed."""
    cluster: dict[str, Any]
    deployment: Deployment | None
    """None: only the cluster was wanted."""
    troubles: tuple[str, ...] = ()
    """What the manager says that it lacks."""


def propose(site: Site, talk: Talk) -> Proposal:
    """Return what `provision` would do; nothing is written anywhere but on this machine.

    Raises:
        BurstError: it can't be planned; the message says why.
    """
    site.root("farm", talk.tell).check_version()
    bucket = site.bucket if has_state(site) else None
    if bucket is not None:
        refuse_another(site)
    check_ready(site)
    talk.tell("planning …")
    plans = []
    for name in ROOTS:
        terraform = site.root(name, talk.tell, site.farm.place / LOOK)
        open_to_plan(terraform, bundled("terraform"), bucket=bucket, prefix=name)
        terraform.write_variables(_variables(site, name))
        plans.append(terraform.plan(talk.hear, lock=False))
    return _proposal(site, plans, _read_times(bucket))


def provision(
    site: Site, talk: Talk, *, cluster_only: bool = False, with_images: bool = True
) -> Provisioned:
    """Make the farm, or bring it up to date; blocks until its manager is up.

    Args:
        site: of the farm.
        talk: with whoever started it.
        cluster_only: put nothing on the cluster.
        with_images: see to it that the images are there.

    Raises:
        FarmBusy: another run is at work on it.
        BurstError: it does not work; the message says why. The next run goes on.
    """
    site.root("farm", talk.tell).check_version()
    talk.tell(f"looking at the project {site.farm.project} …")
    # A farm whose names are taken is none, before anything is switched on for it.
    is_agreed = not _has_state(site)
    _enable_apis(site, talk)
    if is_agreed:
        talk.agree(propose(site, talk))
        ensure_bucket(site.api, site.wanted_bucket, site.project_number)
        talk.tell(f"made the bucket {site.farm.state_bucket}, for the farm's state")
    else:
        refuse_another(site)
        ensure_bucket(site.api, site.wanted_bucket, site.project_number)
        check_ready(site)
    with held_farm(site.bucket, site.farm.place, "burst up", talk.tell):
        changed, outputs = _apply(site, talk, is_agreed=is_agreed)
        cluster = dict(outputs["cluster"])
        _remove_strays(site, outputs, talk.tell)
        if cluster_only:
            return Provisioned(changed, cluster, None)
        settings = settings_there(site)
        images = _images(site, str(outputs["registry"]))
        deployment = deploy(settings, images, talk.tell, with_images=with_images)
    return Provisioned(changed, cluster, deployment, _troubles(settings))


def _has_state(site: Site) -> bool:
    try:
        return has_state(site)
    except ApiDisabled:
        return False


def settings_there(site: Site) -> ClusterFarm:
    """Return the farm for its charts: where its cluster is, and on which nodes its workers run.

    Raises:
        CloudError: the cluster is not there, or Google does not tell.
    """
    settings = reach_cluster(site)
    if settings is None:
        raise CloudNotFound(
            f"the cluster {site.farm.name} is not running", hint="look at it: burst status"
        )
    return on_own_nodes(settings)


def check_ready(site: Site) -> None:
    """Refuse a farm that can't be made, before anything costs money; one that is there is fine.

    APIs that are off are no reason: they are switched on.

    Raises:
        CloudError: something is wrong; all of it is in the message.
    """
    farm = site.farm
    try:
        site.clusters.get(farm.zone, farm.name)
    except ApiDisabled:
        pass
    except CloudNotFound:
        pass
    else:
        return
    zones = {name: pool.zones for name, pool in farm.settings.pools.items() if pool.zones}
    plan = CloudPlan(
        farm.project, farm.name, place_of(farm).shape, (farm.state_bucket, farm.data_bucket), zones
    )
    found = examine_cloud(plan, site.environ)
    bad = [one for one in found if one.verdict == "bad" and one.subject not in ("APIs", "API")]
    if bad:
        raise _not_ready(bad)


def _not_ready(bad: list[Finding]) -> CloudError:
    hints = "; ".join(dict.fromkeys(one.hint for one in bad if one.hint))
    if len(bad) == 1:
        return CloudError(bad[0].text, hint=hints or None)
    lines = [f"{one.subject}: {one.text}" for one in bad]
    return CloudError("\n  ".join(["the farm can't be made:", *lines]), hint=hints or None)


def _enable_apis(site: Site, talk: Talk) -> None:
    """Switch on what the farm needs, if somebody allows it."""
    project = site.farm.project
    try:
        missing = missing_apis(site.api, project)
    except CloudDenied:
        # Who may not look at them may still use them.
        return
    if not missing:
        return
    talk.allow(f"Enable {len(missing)} APIs of {project} ({', '.join(missing)})?")
    enable_apis(site.api, project, missing)
    talk.tell(f"enabled {len(missing)} APIs of {project}")


def _apply(site: Site, talk: Talk, *, is_agreed: bool) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Bring both roots up to date, and return what changed and the outputs of ``farm``."""
    settle(site, talk.tell)
    if not is_agreed:
        talk.tell("planning …")
    roots: dict[str, tuple[Terraform, Plan]] = {}
    for name in ROOTS:
        terraform = open_farm_root(site, name, talk.tell, talk.hear)
        terraform.write_variables(_variables(site, name))
        roots[name] = terraform, adopt(site, terraform, talk.tell, talk.hear)
    plans = [plan for _, plan in roots.values()]
    times = _read_times(site.bucket)
    if not is_agreed and any(not plan.is_empty for plan in plans):
        talk.agree(_proposal(site, plans, times))
    site.bucket.write(SETTINGS_FILE, to_json(site.farm))
    _empty_leaving(site, roots["farm"][1], talk.tell)
    changed: list[str] = []
    for terraform, plan in roots.values():
        if plan.is_empty:
            continue
        began = time.monotonic()
        done = terraform.apply(plan, talk.hear).done
        changed += done
        times = with_run(times, done.values(), time.monotonic() - began)
        site.bucket.write(TIMES, times.to_json())
    return tuple(changed), roots["farm"][0].outputs()


def _variables(site: Site, root: str) -> dict[str, Any]:
    return storage_variables(site.farm) if root == "storage" else farm_variables(site.farm)


def _proposal(site: Site, plans: list[Plan], times: Times) -> Proposal:
    changes = tuple(change for plan in plans for change in plan.changes)
    drift = tuple(change for plan in plans for change in plan.drift)
    table = prices(site.for_prices, default_cache_dir(), datetime.now(UTC))
    costs = estimate_costs(place_of(site.farm).shape, table)
    found = [estimate(plan, times) for plan in plans if not plan.is_empty]
    known = [one for one in found if one is not None]
    takes = None
    if known:
        unknown = tuple(dict.fromkeys(type_ for one in known for type_ in one.unknown))
        takes = Estimate(sum(one.seconds for one in known), unknown)
    return Proposal(changes, drift, costs, table, takes)


def _read_times(bucket: StateBucket | None) -> Times:
    return read_times(bucket.read(TIMES) if bucket else None)


def _empty_leaving(site: Site, plan: Plan, tell: Tell) -> None:
    """Let workers of pools whose machines are to go finish what they hold."""
    found = [_POOL.match(change.address) for change in plan.with_action("delete", "replace")]
    names = [match[1] for match in found if match]
    try:
        settings = reach_cluster(site) if names and find_console(site, tell) else None
    except BurstError as error:
        tell(f"machines go with what they are at, which is rendered again: {error.message}")
        return
    if settings is None:
        return
    for name in names:
        if not empty_pool(settings, kubectl_of(settings.cluster), name, tell):
            tell(f"the machines of {name} go all the same: what they are at is rendered again")


def _remove_strays(site: Site, outputs: dict[str, Any], tell: Tell) -> None:
    """Remove the pool that GKE makes by itself, where a run that ended too soon has left it."""
    farm = site.farm
    cluster = site.clusters.get(farm.zone, farm.name)
    for stray in cluster.strays([*outputs["pools"].values(), _SYSTEM_POOL]):
        if stray == DEFAULT_POOL:
            tell(f"removing {stray}, which an interrupted run has left in the cluster")
            site.clusters.delete_pool(farm.zone, farm.name, stray)
        else:
            tell(f"note: the node pool {stray} is not burst's; it stays, and may cost money")


def _images(site: Site, registry: str) -> ImageSettings:
    """Return which images it is made of: those of its own registry, if no other was named."""
    images = site.farm.images
    if images.registry != ImageSettings().registry:
        return images
    return images.model_copy(update={"registry": registry})


def _troubles(settings: ClusterFarm) -> tuple[str, ...]:
    """Ask the manager what it lacks."""
    url = find_farm(settings)
    if url is None:
        return ()
    with open_client(url) as client:
        status = client.status()
    return tuple(filter(None, (status.storage_trouble, status.pools_trouble)))


def with_registry(site: Site, registry: str | None) -> Site:
    """Return a site whose images come from a registry of somebody else's."""
    if registry is None:
        return site
    images = site.farm.images.model_copy(update={"registry": registry})
    return replace(site, farm=replace(site.farm, images=images))
