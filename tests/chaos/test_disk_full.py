"""A full disk is said clearly, loses nothing, and the farm goes on when there is space.

Each of storage, scratch and state directory is a small tmpfs of its own, which only root
may mount; so is each folder of a worker that lies on no disk of its own otherwise. Leaves
out a full disk where the artist's frames go: `burst download` has that.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.blenders import real_blender
from tests.fakes.checker import ExpectedJob, Left, check
from tests.fakes.farm import HEIGHT, WIDTH, Farm, Program, job_in, poll, running_farm

pytestmark = [
    pytest.mark.blender,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system"),
]

FRAMES = tuple(range(1, 13))


@contextmanager
def small_disk(folder: Path, megabytes: int, files: int = 0) -> Iterator[None]:
    """Mount a tmpfs for as long as the block runs, with room for so many files (0: any)."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,nr_inodes={files}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no byte free on the disk of a folder for as long as the block runs."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            fill(lambda size=size: file.write(bytes(size)))
        try:
            yield
        finally:
            ballast.unlink()


@contextmanager
def crowded(folder: Path) -> Iterator[None]:
    """Leave no room for one more file or folder for as long as the block runs."""
    numbers = itertools.count()
    ballast = folder / "crowd"
    ballast.mkdir()
    fill(lambda: (ballast / str(next(numbers))).touch())
    try:
        yield
    finally:
        shutil.rmtree(ballast)


def fill(write: Callable[[], int | None]) -> None:
    """Write until the disk is full."""
    while True:
        try:
            write()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return
            raise


def test_a_full_storage_interrupts_with_the_reason_and_goes_on_with_space(
    tmp_path: Path, scene: Path
) -> None:
    storage = tmp_path / "storage"
    with (
        small_disk(storage, 8),
        running_farm(tmp_path, BURST_WORKERS="2", BURST_STORAGE_URL=str(storage)) as farm,
    ):
        farm.storage = storage
        cli, job_id = render_some(farm, scene)
        with filled(storage):
            reasons = poll(lambda: interruptions(farm), farm.logs)
        assert "no space left on the disk" in reasons[0]
        finish(farm, cli, job_id)


def test_a_full_scratch_interrupts_with_the_reason_and_goes_on_with_space(
    tmp_path: Path, scene: Path
) -> None:
    workers = tmp_path / "state" / "workers"
    with small_disk(workers, 16), running_farm(tmp_path, BURST_WORKERS="2") as farm:
        cli, job_id = render_some(farm, scene)
        with filled(workers):
            reasons = poll(lambda: interruptions(farm), farm.logs)
        assert "the disk is full" in reasons[0]
        finish(farm, cli, job_id)


def test_a_full_state_directory_stops_the_farm_for_as_long_as_it_lasts(
    tmp_path: Path, scene: Path
) -> None:
    state, storage = tmp_path / "state", tmp_path / "storage"
    with (
        small_disk(state, 16),
        running_farm(tmp_path, BURST_WORKERS="2", BURST_STORAGE_URL=str(storage)) as farm,
    ):
        farm.storage = storage
        cli, job_id = render_some(farm, scene)
        with filled(state):
            poll(lambda: "could not write its database" in worker_words(farm), farm.logs)
        finish(farm, cli, job_id)


PLACES = {
    "outbox": "a report is kept in memory only",
    "scenes": "no space left on the disk",
    "scratch": "the disk is full: Blender could not write to",
}
"""Folder of a worker → what is said when it is full."""


@pytest.mark.parametrize(
    ("place", "kind"),
    # Of the first two Blender sees nothing.
    [("outbox", "binary"), ("scenes", "bpy"), ("scratch", "binary"), ("scratch", "bpy")],
)
def test_a_full_folder_of_a_worker_loses_nothing_and_it_goes_on_with_space(
    tmp_path: Path, scene: Path, place: str, kind: str
) -> None:
    blender = str(real_blender(kind, tmp_path / "facts").program)
    folder = tmp_path / "by-hand" / "w1" / place
    # The worker leaves before the manager does, so that it can sign off.
    settings = {"BURST_EXIT_WHEN_IDLE_SECONDS": "5"}
    with small_disk(folder, 16, 400), running_farm(tmp_path, **settings) as farm:
        frames = f"{FRAMES[0]}-{FRAMES[-1]}"
        more = ("--workers", "0", "--samples", "1")
        cli = farm.start_render(scene, frames, tmp_path / "out", *more)
        job_id = poll(lambda: job_in(cli.words()), cli.words)
        if place == "scratch":
            # It is emptied when a worker begins.
            worker = farm.start_worker("w1", BURST_BLENDER=blender)
            poll(lambda: "registered" in worker.words(), worker.words)
        with crowded(folder):
            if place != "scratch":
                worker = farm.start_worker("w1", BURST_BLENDER=blender)
            poll(lambda: PLACES[place] in worker.words(), worker.words)
            if place == "outbox":
                poll(lambda: farm.published(job_id), worker.words)
        assert cli.wait(120) == 0, cli.words()
        worker.kill(signal.SIGTERM)
        assert worker.wait() == 0, worker.words()
        finish(farm, cli, job_id)


def render_some(farm: Farm, scene: Path) -> tuple[Program, str]:
    """Return the command line and the job when its first frame is published."""
    cli = farm.start_render(scene, f"{FRAMES[0]}-{FRAMES[-1]}", farm.root / "out")
    job_id = poll(lambda: job_in(cli.words()), cli.words)
    poll(lambda: farm.published(job_id), cli.words)
    return cli, job_id


def interruptions(farm: Farm) -> list[str]:
    """Return why attempts were interrupted: more than any job has retries."""
    query = "SELECT reason FROM attempts WHERE status = 'interrupted'"
    reasons = [row["reason"] for row in farm.rows(query)]
    return reasons if len(reasons) >= 4 else []


def worker_words(farm: Farm) -> str:
    """Return what the manager and local workers have logged."""
    logs = (farm.state_dir / "logs").rglob("*.log")
    return "\n".join(path.read_text("utf-8", "replace") for path in logs)


def finish(farm: Farm, cli: Program, job_id: str) -> None:
    """See the job through and look at all that is left."""
    assert cli.wait(120) == 0, cli.words()
    farm.wait_gone()
    left = Left(farm.state_dir, farm.storage, farm.temporary)
    wrong = check(left, [ExpectedJob(job_id, FRAMES, WIDTH, HEIGHT, farm.root / "out")])
    assert not wrong, "\n".join([*wrong, farm.logs()])
    assert not farm.rows("SELECT * FROM attempts WHERE status = 'failed'"), "that cost a retry"
