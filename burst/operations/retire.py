"""Emptying a worker pool that is to go: its busy workers finish what they hold.

With the pool's release everything goes that it has made, workers in the middle of a frame too.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from burst.cloud.kubectl import Kubectl
from burst.config.cluster import ClusterFarm
from burst.errors import BurstError, NotFound
from burst.operations.connect import open_client
from burst.operations.reach import Tell, find_farm
from burst.protocol.artist_messages import ChangePool

FINISH_SECONDS = 1800.0
"""How long is waited for what busy workers hold: a frame may take that long."""

_POLL_SECONDS = 1.0


def empty_pool(
    settings: ClusterFarm,
    kubectl: Kubectl,
    pool: str,
    tell: Tell,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Let all workers of a pool leave, and return whether they have; blocks until then.

    It is given no more work, whatever becomes of the wait.

    Args:
        settings: of the farm.
        kubectl: of its namespace.
        pool: its name.
        tell: takes lines for people.
        clock: in seconds.

    Raises:
        ClusterError: the cluster can't be asked.
    """
    if not _scale_to_zero(settings, pool, tell):
        return False
    deadline, told = clock() + FINISH_SECONDS, 0
    ours = {"burst/farm": settings.cluster.farm, "burst/pool": pool}
    while left := len(kubectl.objects("jobs", ours)):
        if clock() > deadline:
            tell(f"pool {pool} stays for now: {left} of its workers are still busy")
            return False
        if left != told:
            tell(f"pool {pool}: waiting for {left} workers to finish what they hold")
            told = left
        time.sleep(_POLL_SECONDS)
    return True


def _scale_to_zero(settings: ClusterFarm, pool: str, tell: Tell) -> bool:
    """Have the manager start no more workers there, and let those leave that are there."""
    try:
        url = find_farm(settings)
        assert url is not None  # noqa: S101 - only a local farm may be nowhere
        with open_client(url) as client:
            client.change_pool(pool, ChangePool(scale=0))
    except NotFound:
        # Nobody knows what its workers would be made of, so there are none.
        pass
    except BurstError as error:
        tell(f"pool {pool} stays for now, its workers can't be told to leave: {error.message}")
        return False
    return True
