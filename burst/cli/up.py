"""``burst up``, ``deploy`` and ``down``: a farm comes, changes, and goes."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, google_run, options, words
from burst.cli.google import google_farm, site_as_made, site_to_make
from burst.cli.images import Registry
from burst.cli.settings import cluster_farm, farm_settings
from burst.errors import ClusterUnreachable, ConfigError, UsageError

if TYPE_CHECKING:
    from burst.config.cluster import ClusterFarm
    from burst.config.google import GoogleFarm
    from burst.operations.deploy import Removal


def up(
    local: options.Local = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    namespace: options.Namespace = None,
    farm: options.FarmName = None,
    project: options.Project = None,
    zone: options.Zone = None,
    registry: Registry = None,
    no_images: options.NoImages = False,
    cluster_only: Annotated[
        bool, typer.Option("--cluster-only", help="Make the cluster, and put nothing on it yet.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be made and its price; make nothing.")
    ] = False,
    yes: options.Yes = False,
    workers: options.Workers = None,
    blender: options.Blender = None,
    storage: options.Storage = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Start a farm that stays until burst down: in the cloud, or with --local on this machine.

    On Google Cloud it makes what burst.toml says, cluster and all, and says before what that
    costs; with a kubeconfig the cluster is there already. Every command means the farm from then
    on. Doing it again brings it up to date, and goes on after whatever came in between.
    """
    on_cluster = (kubeconfig, context, namespace, farm, registry, project, zone)
    if local:
        if any(value is not None for value in on_cluster) or no_images or plan or cluster_only:
            raise UsageError("--local means this machine, and no cluster")
        from burst.cli.farm import up_local

        settings = farm_settings(state_dir, workers, blender, storage, local=True)
        up_local(settings, are_given=bool(workers or blender or storage), json=json)
        return
    if workers is not None or blender is not None:
        raise UsageError(
            "--workers and --blender are for a farm on this machine",
            hint="say it of its pools: [pools.NAME] in burst.toml, and burst pools set",
        )
    if kubeconfig is None and context is None:
        where = {"zone": zone, "farm": farm, "namespace": namespace}
        on_google = google_farm(state_dir, project, is_to_be_made=True, **where)
        if on_google is not None:
            _up_on_google(
                on_google, registry, plan=plan, yes=yes,
                cluster_only=cluster_only, with_images=not no_images, json=json,
            )  # fmt: skip
            return
    if plan or cluster_only or zone is not None:
        raise UsageError(
            "--plan, --cluster-only and --zone are for a farm on Google Cloud",
            hint="name its project: --project ID, or set one up: burst init",
        )
    there = cluster_farm(
        state_dir,
        storage,
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        farm=farm,
    )
    _tell_of_machines(there)
    _deploy(there, registry, with_images=not no_images, json=json)


def _up_on_google(
    farm: GoogleFarm,
    registry: str | None,
    *,
    plan: bool,
    yes: bool,
    cluster_only: bool,
    with_images: bool,
    json: bool,
) -> None:
    if not plan:
        google_run.need_terminal(yes=yes, what="burst up")
    from burst.operations.provision import with_registry

    site = with_registry(site_to_make(farm), registry)
    if plan:
        google_run.show_plan(site, json=json)
        return
    google_run.up_google(
        site, yes=yes, cluster_only=cluster_only, with_images=with_images, json=json
    )


def deploy(
    registry: Registry = None,
    no_images: options.NoImages = False,
    storage: options.Storage = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Bring the farm on the cluster up to date with burst.toml and this version of burst.

    On Google Cloud the cluster stays as it is: machines of other pools come with burst up.
    """
    on_google = google_farm(state_dir, is_to_be_made=True)
    if on_google is None:
        settings = cluster_farm(state_dir, storage)
        _tell_of_machines(settings)
    else:
        from burst.operations.provision import settings_there

        # Known from now on, where another laptop has made it.
        farm_settings(state_dir)
        settings = settings_there(site_to_make(on_google))
    _deploy(settings, registry, with_images=not no_images, json=json)


def down(
    local: options.Local = False,
    project: options.Project = None,
    zone: options.Zone = None,
    farm: options.FarmName = None,
    everything: Annotated[
        bool, typer.Option("--all", help="With scenes, frames and all that is known of the farm.")
    ] = False,
    yes: options.Yes = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Stop the farm. Of one on this machine the queue stays; from a cluster all is taken away.

    On Google Cloud the cluster goes as well, and at the end it is looked whether anything is
    left. Scenes and frames stay in their bucket, unless --all is given.
    """
    if local:
        from burst.cli.farm import down_local

        down_local(farm_settings(state_dir, local=True), json=json)
        return
    on_google = google_farm(state_dir, project, farm=farm, zone=zone)
    if on_google is not None:
        google_run.need_terminal(yes=yes, what="burst down")
        site = site_as_made(on_google)
        google_run.down_google(site, yes=yes, everything=everything, typed=farm, json=json)
        return
    if everything:
        raise UsageError("--all is for a farm on Google Cloud")
    _down_on_cluster(cluster_farm(state_dir, farm=farm), yes=yes, json=json)


def _down_on_cluster(settings: ClusterFarm, *, yes: bool, json: bool) -> None:
    from burst.cli.progress import after_a_while
    from burst.config.cluster import NOTE
    from burst.operations.deploy import take_down, unfinished_jobs

    cluster = settings.cluster
    if not yes:
        with after_a_while("asking the farm for its unfinished jobs"):
            left = unfinished_jobs(settings)
        known = "" if left is None else f", with {words.count(left, 'unfinished job')}"
        question = f"Take the farm {cluster.farm} from {cluster.context or 'the cluster'}{known}?"
        console.confirm(question, yes=False)
    try:
        removal = take_down(settings, console.tell)
    except (ClusterUnreachable, ConfigError) as error:
        note = shlex.quote(str(settings.state_dir / NOTE))
        gone = f"if the cluster is gone for good, forget it: rm {note}"
        hint = "; ".join(filter(None, (error.hint, gone)))
        raise type(error)(error.message, hint=hint) from error
    if json:
        console.emit({"removed": list(removal.removed), "stays": list(removal.stays)})
    else:
        _tell_removed(settings, removal)


def _deploy(settings: ClusterFarm, registry: str | None, *, with_images: bool, json: bool) -> None:
    from burst.config.cluster import images_of
    from burst.operations.deploy import deploy as deploy_farm

    images = images_of(settings, {"registry": registry}, os.environ)
    done = deploy_farm(settings, images, console.tell, with_images=with_images)
    if json:
        releases = [
            {"name": one.name, "change": one.change, "revision": one.revision}
            for one in done.releases
        ]
        console.emit(
            {
                "farm": done.farm,
                "namespace": done.namespace,
                "context": done.context,
                "cluster_version": done.cluster_version,
                "releases": releases,
                "removed_pools": list(done.removed),
            }
        )
        return
    console.tell(f"the farm {done.farm} is up, on {done.context} ({done.cluster_version})")
    console.tell("  render on it: burst render SCENE.blend")
    console.tell("  look at it:   burst console")
    console.tell("  end it:       burst down")


def _tell_of_machines(settings: ClusterFarm) -> None:
    """Say which settings are for machines that somebody else makes."""
    from burst.config.google_rules import only_on_google

    if keys := only_on_google(settings.pools):
        console.tell(
            f"note: without meaning here, as burst makes no machines of this cluster: "
            f"{', '.join(keys)}"
        )


def _tell_removed(settings: ClusterFarm, removal: Removal) -> None:
    if not removal.removed:
        console.tell(f"there was no farm {settings.cluster.farm} in {settings.cluster.space}")
    for name in removal.stays:
        console.tell(f"stays: {name}")
    if settings.storage_url:
        console.tell(f"stays: {settings.storage_url}, with scenes and frames")
    console.tell(f"stays: the namespace {settings.cluster.space}, and the images")
