"""What stays open between a terminal and a pod, on a real cluster: the console, a shell, logs.

The pool has the manager's image here: a shell needs no Blender.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.cluster import Cluster, wait_until
from tests.fakes.emulator import Emulator
from tests.kubernetes.test_cli_on_cluster import FARM, SECONDS, Farm

POOL = """
[pools.cpu]
cores = 1
memory = "512Mi"
[pools.cpu.values.image]
repository = "burst-manager"
tag = "0.1.0"
"""


@pytest.fixture
def farm(
    cluster: Cluster, buckets: Emulator, load_image: Callable[[Path], None], tmp_path: Path
) -> Iterator[Farm]:
    images = os.environ.get("BURST_TEST_IMAGES")
    if not images:
        pytest.skip("no image of the manager: scripts/images could not build it here")
    load_image(Path(images) / "manager.tar")
    farm = Farm(cluster, buckets, tmp_path)
    farm.configure(pools=POOL)
    farm.succeed("up", "--kubeconfig", str(cluster.kubeconfig), "--no-images")
    yield farm
    farm.burst("down", "--yes")
    cluster.kubectl("delete", "namespace", FARM, "--ignore-not-found", "--timeout=120s")


def test_the_console_outlives_the_managers_pod_and_ends_with_ctrl_c(farm: Farm) -> None:
    command = [sys.executable, "-m", "burst", "console"]
    process = subprocess.Popen(
        command, cwd=farm.folder, env=farm.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert is_page(url)
        farm.cluster.kubectl("delete", "pod", f"{FARM}-manager-0", "-n", FARM)
        wait_until(lambda: is_page(url), SECONDS)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "Traceback" not in said


def test_a_shell_has_a_workers_surroundings_and_goes(farm: Farm) -> None:
    done = farm.burst("shell", "--", "sh", "-c", "echo $BURST_SCENES; touch /scenes/x; exit 7")
    assert done.returncode == 7, done.stderr
    assert done.stdout.strip() == "mount:/scenes"
    assert "Read-only file system" in done.stderr
    mine = ("pods", "-n", FARM, "-l", "burst/kind=shell")
    wait_until(lambda: not farm.cluster.get(*mine)["items"], SECONDS)
    assert "manager ready" in farm.succeed("logs", f"{FARM}-manager-0")
    assert json.loads(farm.succeed("logs", "manager", "--json").splitlines()[0])["severity"]


def is_page(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
