"""A person's whole way, by the command line alone: up, upload, render, download, down.

Real Blenders in pods, through the mount and by `fetch`, with as many workers as there is work, and
none after it. Left out: what goes wrong on the way, which the other tests here bring about.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.blenders import real_blender
from tests.fakes.chromium import running_chromium, watched_page
from tests.fakes.cluster import Cluster, wait_until
from tests.fakes.emulator import Emulator
from tests.kubernetes.journey_kit import (
    Artwork,
    Steps,
    left_in,
    make_artwork,
    objects_of,
    watching,
)
from tests.kubernetes.test_cli_on_cluster import FARM, Farm

pytestmark = pytest.mark.blender

MOUNTED, FETCHED = (1, 16), (17, 20)
"""Frames that are rendered through the mount, and without it."""
WORKERS = 3
SECONDS = 180


@pytest.fixture(scope="module")
def artwork(tmp_path_factory: pytest.TempPathFactory) -> Artwork:
    blender = real_blender("binary", tmp_path_factory.getbasetemp() / "facts")
    return make_artwork(blender, tmp_path_factory.mktemp("art"), FETCHED[1])


class Studio(Farm):
    """A farm with one pool of real workers."""

    def choose(self, scenes_by: str) -> None:
        """Say in burst.toml how workers read scenes."""
        emulator = f'[{{ name = "STORAGE_EMULATOR_HOST", value = "{self.endpoint}" }}]'
        self.configure(
            manager="",
            pools=f"[cluster.worker]\nextraEnv = {emulator}\n"
            f'[images]\nimage_blender = "debian"\n'
            f'[pools.cpu]\ncores = 1\nmemory = "1500Mi"\nmaximum = {WORKERS}\n'
            f'scenes_by = "{scenes_by}"\n',
        )

    def result(self, *arguments: str) -> Any:
        """Return what a command prints that must succeed."""
        return json.loads(self.succeed(*arguments, "--json"))

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command as long as this is open; it is interrupted if it is still there."""
        process = subprocess.Popen(
            [sys.executable, "-m", "burst", *arguments],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=30)
            finally:
                process.kill()


@pytest.fixture
def studio(
    cluster: Cluster, buckets: Emulator, installed: None, tmp_path: Path
) -> Iterator[Studio]:
    """Commands on a cluster that has no farm yet."""
    yield Studio(cluster, buckets, tmp_path)
    cluster.kubectl("delete", "namespace", FARM, "--ignore-not-found", "--timeout=120s")


@pytest.fixture
def installed(load_image: Callable[[Path], None]) -> None:
    import os

    folder = os.environ.get("BURST_TEST_IMAGES")
    if not folder:
        pytest.skip("no images: scripts/images builds them")
    for name in ("manager", "worker"):
        load_image(Path(folder) / f"{name}.tar")


@pytest.fixture
def page() -> Iterator[Page]:
    with running_chromium() as browser, watched_page(browser) as page:
        yield page


def _render(studio: Studio, artwork: Artwork, frames: tuple[int, int], output: str) -> list[str]:
    span = f"{frames[0]}-{frames[1]}"
    return ["render", str(artwork.blend), "--frames", span, "--output", output, "--json"]


def test_a_scene_becomes_frames_on_a_cluster_that_is_empty_before_and_after(
    cluster: Cluster, studio: Studio, buckets: Emulator, artwork: Artwork, page: Page, tmp_path: Path
) -> None:
    steps = Steps()
    studio.choose("csi")
    with steps.step("up"):
        studio.succeed("up", "--kubeconfig", str(cluster.kubeconfig), "--no-images")
    labels = cluster.get("namespace", FARM)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with steps.step("upload"):
        sent = studio.result("upload", str(artwork.blend))
    assert sent["files"] == 3
    ours = f"burst/farm={FARM},burst/pool=cpu"
    with (
        watching(cluster, FARM, "jobs", ours) as jobs,
        watching(cluster, FARM, "pods", ours) as pods,
    ):
        with steps.step("render through the mount"):
            with studio.started(*_render(studio, artwork, MOUNTED, "live")) as rendering:
                with studio.started("console", "--no-browser") as console:
                    _look_at_frames(page, console, tmp_path)
                said, told = rendering.communicate(timeout=SECONDS)
            assert rendering.returncode == 0, told
        with steps.step("workers gone"):
            wait_until(lambda: not jobs.now and not pods.now, SECONDS)
        print("jobs", jobs.counts, "pods", pods.counts, pods.ways)
    with steps.step("down"):
        studio.succeed("down", "--yes")
    print(left_in(cluster, FARM))
    print(steps.table())


def _look_at_frames(page: Page, console: subprocess.Popen[str], folder: Path) -> None:
    """See a job's frames come, each with its picture."""
    assert console.stdout is not None
    page.goto(console.stdout.readline().strip())
    page.locator("#jobs tbody a").click(timeout=60_000)
    page.screenshot(path=folder / "early.png")
    pictures = page.locator(".cell[data-picture=here]")
    expect(pictures).not_to_have_count(0, timeout=120_000)
    page.screenshot(path=folder / "some.png")
    expect(page.locator("#status")).to_have_text("completed", timeout=120_000)
    expect(pictures).to_have_count(MOUNTED[1], timeout=60_000)
    page.screenshot(path=folder / "all.png")
