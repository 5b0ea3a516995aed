"""``burst up``, ``deploy`` and ``down``: a farm comes, changes, and goes."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from burst.cli import console, options, words
from burst.cli.images import Registry
from burst.cli.settings import cluster_farm, farm_settings
from burst.errors import ClusterUnreachable, ConfigError, UsageError

if TYPE_CHECKING:
    from burst.config.cluster import ClusterFarm
    from burst.operations.deploy import Removal


def up(
    local: options.Local = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    namespace: options.Namespace = None,
    farm: options.FarmName = None,
    registry: Registry = None,
    no_images: options.NoImages = False,
    workers: options.Workers = None,
    blender: options.Blender = None,
    storage: options.Storage = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Start a farm that stays until burst down: on a cluster, or with --local on this machine.

    On a cluster it is made of what burst.toml says, and every command means it from then on.
    Doing it again brings it up to date.
    """
    on_cluster = (kubeconfig, context, namespace, farm, registry)
    if local:
        if any(value is not None for value in on_cluster) or no_images:
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
    there = cluster_farm(
        state_dir,
        storage,
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        farm=farm,
    )
    _deploy(there, registry, with_images=not no_images, json=json)


def deploy(
    registry: Registry = None,
    no_images: options.NoImages = False,
    storage: options.Storage = None,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Bring the farm on the cluster up to date with burst.toml and this version of burst."""
    _deploy(cluster_farm(state_dir, storage), registry, with_images=not no_images, json=json)


def down(
    local: options.Local = False,
    yes: options.Yes = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Stop the farm. Of one on this machine the queue stays; from a cluster all is taken away.

    Scenes and frames stay in their bucket in any case.
    """
    if local:
        from burst.cli.farm import down_local

        down_local(farm_settings(state_dir, local=True), json=json)
        return
    settings = cluster_farm(state_dir)
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


def _tell_removed(settings: ClusterFarm, removal: Removal) -> None:
    if not removal.removed:
        console.tell(f"there was no farm {settings.cluster.farm} in {settings.cluster.space}")
    for name in removal.stays:
        console.tell(f"stays: {name}")
    if settings.storage_url:
        console.tell(f"stays: {settings.storage_url}, with scenes and frames")
    console.tell(f"stays: the namespace {settings.cluster.space}, and the images")
