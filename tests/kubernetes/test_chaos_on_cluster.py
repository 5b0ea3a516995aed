"""In the middle of a job on a real cluster something is taken away; every frame is there once.

Real Blenders in pods, which read the scene through a mount. Times until a task is queued again are
printed (`-s`), and not judged. Left out: the same on one machine (``tests/chaos``), and memory
(`test_chaos_memory`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.cluster import Cluster
from tests.fakes.farm import make_scene
from tests.kubernetes.chaos_kit import MANAGER, SHAKY, WORKERS, HurtFarm, running_farm

pytestmark = pytest.mark.blender

FRAMES = 36
SOME = 6
AWAY_SECONDS = 30
AWAY_FRAMES = 160
"""More than are rendered while the API server is away."""

POOL = f"""
[pools.cpu]
cores = 0.5
memory = "1200Mi"
maximum = {WORKERS}
"""


@pytest.fixture(scope="module")
def farm(
    cluster: Cluster, load_image: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HurtFarm]:
    """One farm for all, checked after each."""
    folder = tmp_path_factory.mktemp("farm")
    with running_farm(cluster, load_image, folder, POOL) as farm:
        yield farm


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene whose frames take about a second each."""
    blend = tmp_path_factory.mktemp("scene") / "shot.blend"
    make_scene(blend, samples=128)
    return blend


@pytest.fixture
def job(farm: HurtFarm, scene: Path) -> str:
    """A job in its middle, with all workers busy."""
    job = farm.submit(scene, FRAMES)
    farm.wait_for_middle(job, SOME, WORKERS)
    return job


@pytest.fixture
def shaky(cluster: Cluster) -> Iterator[str]:
    """A node that may be taken away; it is there again afterwards."""
    yield SHAKY
    cluster.boot(SHAKY)


def test_pods_that_are_deleted_give_their_tasks_back(farm: HurtFarm, job: str) -> None:
    workers = farm.busy()
    at = farm.delete([worker.pod for worker in workers])
    farm.finish()
    assert farm.note("pods deleted", at, [worker.name for worker in workers])


def test_workers_that_are_killed_lose_their_tasks_to_others(farm: HurtFarm, job: str) -> None:
    killed = [(worker.name, farm.kill(worker)) for worker in farm.busy()]
    farm.finish()
    assert sum(farm.note("pods killed", at, [name]) for name, at in killed)


def test_a_node_that_is_taken_with_notice_gives_its_tasks_back(
    farm: HurtFarm, job: str, shaky: str
) -> None:
    workers = farm.busy(shaky)
    at = time.time()
    farm.cluster.preempt(shaky)
    farm.finish()
    assert farm.note("node preempted", at, [worker.name for worker in workers])


def test_a_node_without_power_loses_its_tasks_to_another(
    farm: HurtFarm, job: str, shaky: str
) -> None:
    workers = farm.busy(shaky)
    at = time.time()
    farm.cluster.cut_power(shaky)
    farm.finish()
    assert farm.note("node without power", at, [worker.name for worker in workers])


def test_a_node_whose_kubelet_is_away_renders_on(farm: HurtFarm, job: str) -> None:
    farm.cluster.stop(SHAKY, "kubelet")
    try:
        farm.wait_for_middle(job, FRAMES, busy=0)
    finally:
        farm.cluster.start(SHAKY, "kubelet")
    farm.finish()
    assert farm.outcomes(job) == {"completed"}


def test_a_manager_that_is_moved_or_killed_finds_its_workers_again(
    farm: HurtFarm, job: str
) -> None:
    farm.delete([f"{MANAGER}-0"])
    farm.wait_for_manager()
    farm.kill_manager()
    farm.wait_for_manager()
    farm.finish()
    assert farm.outcomes(job) == {"completed"}
