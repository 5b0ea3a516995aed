"""A person's whole way, by the command line alone: up, upload, render, download, down.

Real Blenders in pods, through the mount and by `fetch`, with as many workers as there is work, and
none after it. Left out: what goes wrong on the way, which the other tests here bring about.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.blenders import real_blender
from tests.fakes.chromium import running_chromium, watched_page
from tests.fakes.cluster import Cluster
from tests.fakes.emulator import Emulator
from tests.kubernetes.journey_kit import (
    WORKERS,
    Artwork,
    Seen,
    Steps,
    Studio,
    left_in,
    make_artwork,
    objects_of,
    watching,
)
from tests.kubernetes.test_cli_on_cluster import FARM

pytestmark = pytest.mark.blender

MOUNTED, FETCHED = (1, 16), (17, 20)
"""Frames that are rendered through the mount, and without it."""


@pytest.fixture(scope="module")
def artwork(tmp_path_factory: pytest.TempPathFactory) -> Artwork:
    blender = real_blender("binary", tmp_path_factory.getbasetemp() / "facts")
    return make_artwork(blender, tmp_path_factory.mktemp("art"), FETCHED[1])


@pytest.fixture
def studio(cluster: Cluster, buckets: Emulator, images: None, tmp_path: Path) -> Iterator[Studio]:
    """Commands on a cluster that has no farm yet."""
    yield Studio(cluster, buckets, tmp_path)
    cluster.kubectl("delete", "namespace", FARM, "--ignore-not-found", "--timeout=120s")


@pytest.fixture
def page() -> Iterator[Page]:
    with running_chromium() as browser, watched_page(browser) as page:
        yield page


def test_a_scene_becomes_frames_on_a_cluster_that_is_empty_before_and_after(
    cluster: Cluster,
    studio: Studio,
    buckets: Emulator,
    artwork: Artwork,
    page: Page,
    tmp_path: Path,
) -> None:
    steps = Steps()
    studio.choose("csi")
    with steps.step("up"):
        studio.succeed("up", "--kubeconfig", str(cluster.kubeconfig), "--no-images")
    labels = cluster.get("namespace", FARM)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with steps.step("upload"):
        sent = studio.result("upload", str(artwork.blend))
    assert (sent["files"], sent["sent_files"]) == (3, 3)

    with workers_seen(cluster) as seen, studio.started("console", "--no-browser") as console:
        with steps.step("render through the mount, watched in a browser"):
            job = studio.result("submit", str(artwork.blend), "--frames", span(MOUNTED))["job"]
            look_at_frames(page, console, MOUNTED[1], tmp_path)
        with steps.step("the last worker has gone"):
            seen.wait_for_none()
    assert seen.ways == {"csi"}
    with steps.step("download"):
        studio.succeed("download", job, "--output", "brought")
    assert artwork.wrong(tmp_path / "brought", *MOUNTED) == []

    studio.choose("fetch")
    with steps.step("deploy, with workers that fetch"):
        studio.succeed("deploy", "--no-images")
    with workers_seen(cluster) as seen:
        with steps.step("render what workers fetched, and bring it"):
            words = ("--frames", span(FETCHED), "--output", "fetched")
            rendered = studio.result("render", str(artwork.blend), *words)
        with steps.step("the last worker has gone again"):
            seen.wait_for_none()
    assert seen.ways == {"fetch"}
    assert (rendered["status"], rendered["resumed"]) == ("completed", False)
    assert artwork.wrong(tmp_path / "fetched", *FETCHED) == []

    before = objects_of(buckets)
    with steps.step("down"):
        studio.succeed("down", "--yes")
    assert left_in(cluster, FARM) == set()
    assert before.items() <= objects_of(buckets).items()
    with steps.step("download without a farm"):
        studio.succeed("download", job, "--output", "again", "--storage", buckets.url)
    assert artwork.wrong(tmp_path / "again", *MOUNTED) == []
    print(f"\n{steps.table()}")


def span(frames: tuple[int, int]) -> str:
    """Return a range of frames as it is typed."""
    return f"{frames[0]}-{frames[1]}"


@contextmanager
def workers_seen(cluster: Cluster) -> Iterator[Seen]:
    """Watch workers come and go; in the end there were several, and all have gone."""
    ours = f"burst/farm={FARM},burst/pool=cpu"
    with watching(cluster, FARM, ours) as seen:
        yield seen
    for kind, counts in seen.counts.items():
        print(f"{kind}: {' → '.join(map(str, counts))}")
        assert counts[0] == counts[-1] == 0
        assert 1 < max(counts) <= WORKERS


def look_at_frames(page: Page, console: subprocess.Popen[str], count: int, folder: Path) -> None:
    """See the farm at work and a job's frames come, each with its picture, in a browser."""
    assert console.stdout is not None
    page.goto(console.stdout.readline().strip())
    workers = page.locator("#workers tbody tr")
    expect(workers).not_to_have_count(0, timeout=60_000)
    page.screenshot(path=folder / "farm.png")
    page.locator("#jobs tbody a").click()
    pictures = page.locator(".cell[data-picture=here]")
    expect(pictures).not_to_have_count(0, timeout=60_000)
    assert pictures.count() < count, "all were there before they were looked at"
    page.screenshot(path=folder / "some.png")
    expect(page.locator("#status")).to_have_text("completed", timeout=120_000)
    expect(pictures).to_have_count(count)
    page.screenshot(path=folder / "all.png")
