"""In the middle of a job on a real cluster something is taken away; every frame is there once.

Real Blenders in pods, which read the scene through a mount. Times until a task is queued again are
printed (`-s`), and not judged. Left out: the same on one machine (``tests/chaos``), and memory
(`test_chaos_memory`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.cluster import Cluster, wait_until
from tests.fakes.farm import make_scene
from tests.kubernetes.chaos_kit import SECONDS, SHAKY, WORKERS, HurtFarm, running_farm

pytestmark = pytest.mark.blender

FRAMES = 36
SOME = 6
LONG_FRAMES = 20
AWAY_SECONDS = 30
SHORTLY_AWAY_SECONDS = 5
AWAY_FRAMES = 60
AWAY_SAMPLES = 1200
"""More than is rendered while the API server is away."""
LEFT_MIN = 12
"""With fewer frames to go another job is begun before the next trouble."""
MOMENT_SECONDS_MAX = 2.0

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
    """A scene whose frames take a second or two each."""
    blend = tmp_path_factory.mktemp("scene") / "shot.blend"
    make_scene(blend, samples=500)
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
    farm: HurtFarm, scene: Path, shaky: str
) -> None:
    # Frames that take long: with short ones all may have ended when the notice comes.
    job = farm.submit(scene, LONG_FRAMES, "--samples", str(AWAY_SAMPLES))
    farm.wait_for_middle(job, 1, WORKERS)
    workers = farm.busy(shaky)
    at = farm.preempt(shaky)
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
    assert farm.unfinished(job) == []


def test_a_manager_that_is_moved_or_killed_finds_its_workers_again(
    farm: HurtFarm, job: str
) -> None:
    farm.delete_manager()
    farm.kill_manager()
    farm.finish()
    assert farm.unfinished(job) == []


def test_workers_render_on_while_the_api_server_is_away(farm: HurtFarm, scene: Path) -> None:
    job = farm.submit(scene, AWAY_FRAMES, "--samples", str(AWAY_SAMPLES))
    farm.wait_for_middle(job, SOME, WORKERS)
    victim = farm.busy()[0]
    with farm.cluster.api_server_away():
        until = time.monotonic() + AWAY_SECONDS
        at = farm.kill(victim)
        before = farm.published(job)
        # Not to wait for something: that nothing more happens is what is shown.
        time.sleep(until - time.monotonic())
        assert farm.published(job) > before
    running: list[int] = []

    def is_done() -> bool:
        running.append(len(farm.running_jobs()))
        return farm.published(job) == AWAY_FRAMES

    wait_until(is_done, SECONDS, farm.account)
    assert max(running) <= WORKERS
    farm.finish()
    assert farm.note("pod killed, no API server", at, [victim.name])
    sessions = farm.rows("SELECT DISTINCT worker, session FROM attempts WHERE job_id = ?", job)
    assert len(sessions) == len({row["worker"] for row in sessions})


def test_all_of_it_in_the_order_of_a_seed(
    farm: HurtFarm, scene: Path, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--seed") or random.randrange(1_000_000)
    print(f"--seed {seed}")
    rng = random.Random(seed)
    troubles = [
        _delete_some, _kill_some, _cut_power, _restart_kubelet, _delete_manager, _kill_manager,
        _take_api_server,
    ]  # fmt: skip
    rng.shuffle(troubles)
    job = farm.submit(scene, FRAMES)
    for trouble in troubles:
        if FRAMES - farm.published(job) < LEFT_MIN:
            job = farm.submit(scene, FRAMES)
        farm.wait_for_middle(job, 0)
        # The moment itself is what is drawn.
        time.sleep(rng.uniform(0, MOMENT_SECONDS_MAX))
        print(trouble.__name__)
        trouble(farm, rng)
    farm.finish()


def test_a_pool_that_leaves_the_file_finishes_what_it_holds(farm: HurtFarm, job: str) -> None:
    farm.configure_pools(POOL.replace("cpu", "other"))
    farm.succeed("deploy", "--no-images")
    farm.finish()
    assert farm.unfinished(job) == []


def _delete_some(farm: HurtFarm, rng: random.Random) -> None:
    farm.delete([worker.pod for worker in farm.busy() if rng.random() < 0.5])


def _kill_some(farm: HurtFarm, rng: random.Random) -> None:
    for worker in farm.busy():
        if rng.random() < 0.5:
            farm.kill(worker)


def _cut_power(farm: HurtFarm, rng: random.Random) -> None:
    farm.cluster.cut_power(SHAKY)
    time.sleep(rng.uniform(0, MOMENT_SECONDS_MAX))
    farm.cluster.boot(SHAKY)


def _restart_kubelet(farm: HurtFarm, rng: random.Random) -> None:
    farm.cluster.kill(SHAKY, "kubelet")
    time.sleep(rng.uniform(0, MOMENT_SECONDS_MAX))
    farm.cluster.start(SHAKY, "kubelet")


def _delete_manager(farm: HurtFarm, rng: random.Random) -> None:
    farm.delete_manager()


def _kill_manager(farm: HurtFarm, rng: random.Random) -> None:
    farm.kill_manager()


def _take_api_server(farm: HurtFarm, rng: random.Random) -> None:
    with farm.cluster.api_server_away():
        time.sleep(rng.uniform(0, SHORTLY_AWAY_SECONDS))
