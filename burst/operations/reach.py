"""Reaching a farm, wherever it is: on this machine, on a cluster, or at an address.

A farm on this machine is started when it is needed. One on a cluster is there since `burst up`,
and is reached by a port-forward, one a process, which is opened when somebody first asks and
ends with the program. One at an address was made by others.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from burst.cloud.forward import START_SECONDS, Forward
from burst.cloud.kubectl import Kubectl
from burst.config.cluster import ClusterFarm, ClusterSettings
from burst.config.farm import FarmSettings
from burst.errors import (
    ClusterError,
    ClusterUnreachable,
    ConfigError,
    ManagerUnreachable,
    NotOnCluster,
)
from burst.manager.state_dir import find_manager
from burst.operations.connect import open_client
from burst.operations.local_farm import ensure_farm, storage_url
from burst.protocol.artist_messages import FarmStatus

CONSOLE_PORT = 8080
"""Of the manager's pod, on its loopback."""

ANSWER_SECONDS = 30.0
"""How long a manager may take that is just starting in its pod."""
AGAIN_SECONDS = 10.0
"""How long a connection that is made again may take before its user is told to look anew."""
QUIET_SECONDS = 2.0
"""How long a connection may take before it is said what it waits for."""
_POLL_SECONDS = 0.3

Tell = Callable[[str], None]
"""Takes a line for people."""

_forwards: dict[tuple[str, str, str], Forward] = {}
"""By kubeconfig, context and namespace."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A farm that answers."""

    console_url: str
    started: bool
    """This call started it."""
    implicit: bool
    """It leaves by itself after its last job."""


def kubectl_of(cluster: ClusterSettings) -> Kubectl:
    """Return calls on the farm's namespace."""
    return Kubectl(cluster.kubeconfig, cluster.context, cluster.space)


def manager_of(cluster: ClusterSettings) -> str:
    """Return what has the manager's pod, as kubectl names it."""
    return f"statefulset/{cluster.farm}-manager"


def reach_farm(
    settings: FarmSettings,
    *,
    implicit: bool = True,
    blenders: Sequence[Path] = (),
    tell: Tell = lambda text: None,
) -> Reached:
    """Return the farm, started if it is a local one that does not run; blocks until it answers.

    Args:
        settings: where it is.
        implicit: a local one that is started leaves by itself when its last job has ended.
        blenders: those of a local one that is started, where they were looked for already.
        tell: takes a line for people when a manager has to be started, or does not answer soon.

    Raises:
        StateError: a local one could not start.
        ClusterError: the one on a cluster can't be reached.
        ManagerUnreachable: it does not answer.
    """
    if isinstance(settings, ClusterFarm):
        return Reached(_forwarded(settings.cluster, tell), started=False, implicit=False)
    if settings.console_url is not None:
        return Reached(settings.console_url, started=False, implicit=False)
    farm = ensure_farm(settings, implicit=implicit, blenders=blenders, tell=tell)
    return Reached(farm.address.console_url, farm.started, farm.address.implicit)


def find_farm(settings: FarmSettings, tell: Tell = lambda text: None) -> str | None:
    """Return where the console of the farm is; None if it is a local one that does not run.

    Args:
        settings: where it is.
        tell: takes a line for people when a manager does not answer soon.

    Raises:
        ClusterError: the one on a cluster can't be reached.
    """
    if isinstance(settings, ClusterFarm):
        return _forwarded(settings.cluster, tell)
    if settings.console_url is not None:
        return settings.console_url
    address = find_manager(settings.state_dir)
    return None if address is None else address.console_url


def reach_again(settings: ClusterFarm) -> str:
    """Make a connection anew through which nothing comes any more; returns where it is now.

    One that is just being made is left to it: whoever ended it at every look would never see it
    ready.
    """
    forward = _forwards.get(_key(settings.cluster))
    if forward is None:
        return _forwarded(settings.cluster)
    if forward.is_ready:
        forward.renew()
    with suppress(ClusterError):
        forward.wait(AGAIN_SECONDS)
    return forward.url


def storage_in_use(settings: FarmSettings, tell: Tell = lambda text: None) -> str:
    """Return the storage of the farm that runs, or of the local one that would be started.

    Args:
        settings: where the farm is.
        tell: takes a line for people when a manager does not answer soon.

    Raises:
        ConfigError: it is a folder that this machine has not got.
        ClusterError: the farm on a cluster can't be reached.
    """
    if not settings.is_local:
        with open_client(reach_farm(settings, tell=tell).console_url) as client:
            return storage_from_here(settings, client.status())
    address = find_manager(settings.state_dir)
    if address is None:
        return storage_url(settings)
    try:
        with open_client(address.console_url) as client:
            return client.status().storage_url
    except ManagerUnreachable:
        return storage_url(settings)


def storage_from_here(settings: FarmSettings, status: FarmStatus) -> str:
    """Return the storage that a farm says it has, if this machine has it too.

    Raises:
        ConfigError: it is a folder that this machine has not got.
    """
    url = status.storage_url
    if settings.is_local or url.startswith("gs://"):
        return url
    if isinstance(settings, ClusterFarm):
        raise ConfigError(
            f"the farm's storage is {url}, which only its pods have",
            hint="give the farm a bucket, as storage_url in [farm], then: burst deploy",
        )
    if not Path(url.removeprefix("file://")).is_dir():
        raise ConfigError(
            f"the farm's storage is the folder {url}, which this machine has not got",
            hint="mount it here under the same path, or give the farm a bucket",
        )
    return url


def _key(cluster: ClusterSettings) -> tuple[str, str, str]:
    return str(cluster.kubeconfig), cluster.context or "", f"{cluster.space}/{cluster.farm}"


def _forwarded(cluster: ClusterSettings, tell: Tell = lambda text: None) -> str:
    """Return where the manager's console is on this machine, connected if it was not."""
    key = _key(cluster)
    forward = _forwards.get(key)
    if forward is None:
        forward = Forward(kubectl_of(cluster), manager_of(cluster), CONSOLE_PORT)
        atexit.register(forward.close)
        _forwards[key] = forward
    try:
        _connect(forward, cluster.farm, tell)
        _wait_for_answer(forward)
    except BaseException as error:
        _forwards.pop(key).close()
        if isinstance(error, NotOnCluster):
            raise NotOnCluster(
                f"there is no farm {cluster.farm} in the namespace {cluster.space}",
                hint="make it: burst up, or use this machine: --local",
            ) from error
        if isinstance(error, ClusterUnreachable) and forward.is_pod_away:
            pod = f"{cluster.farm}-manager-0"
            raise ClusterUnreachable(
                error.message, hint=f"see why: kubectl describe pod {pod} -n {cluster.space}"
            ) from error
        raise
    return forward.url


def _connect(forward: Forward, farm: str, tell: Tell) -> None:
    try:
        forward.wait(QUIET_SECONDS)
    except ClusterUnreachable as error:
        known = error.message if forward.said else f"connecting to the farm {farm}"
        tell(f"{known}, trying for {START_SECONDS:.0f} s …")
        forward.wait()


def _wait_for_answer(forward: Forward) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with open_client(forward.url) as client:
                client.status()
        except ManagerUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return
