"""Real Blenders on real disks without room: where the frame goes, and where Blender lives.

Each disk is a small tmpfs, which only root may mount. Left out: what the farm makes of it
(``tests/chaos/test_disk_full.py``).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from burst.domain.jobs import RenderSettings
from burst.worker.blender import BlenderFailed
from burst.worker.faults import Fault
from burst.worker.proof import prove
from burst.worker.space import is_disk_full
from tests.fakes.blenders import RealBlender
from tests.fakes.troubles import Open

pytestmark = pytest.mark.blender


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs on a folder for as long as the block runs."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can't be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("file_format", ["PNG", "OPEN_EXR", "JPEG", "TIFF"])
def test_a_frame_that_does_not_fit_is_said_with_the_folder_and_fits_when_there_is_room(
    real: RealBlender, open_blender: Open, tmp_path: Path, file_format: str
) -> None:
    blend = real.make_scene(tmp_path / "big.blend", "--width", "400", "--height", "300")
    settings = RenderSettings(file_format=file_format)
    blender = open_blender()
    with small_disk(tmp_path / "full", "size=8k") as folder:
        blender.load(blend, settings, {})
        with pytest.raises(BlenderFailed) as caught:
            blender.render(1, folder / "out", lambda progress: None)
        assert caught.value.fault is Fault.DISK_FULL
        assert is_disk_full(caught.value)
        assert caught.value.reason == (
            f"the disk is full: Blender could not write to {folder}/out; "
            "it goes on by itself when there is space again"
        )
        subprocess.run(["mount", "-o", "remount,size=8m", str(folder)], check=True)
        loaded = blender.load(blend, settings, {})
        rendered = blender.render(1, folder / "again", lambda progress: None)
        prove(rendered.files[0], loaded.file_format, loaded.width, loaded.height)


def test_a_disk_that_takes_no_folder_for_a_frame_is_full(
    open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    blender.load(quick, RenderSettings(), {})
    with small_disk(tmp_path / "full", "nr_inodes=2") as folder:
        (folder / "taken").touch()
        with pytest.raises(BlenderFailed) as caught:
            blender.render(1, folder / "out", lambda progress: None)
    assert caught.value.fault is Fault.DISK_FULL


def test_a_disk_without_room_for_blenders_own_folders_is_full_until_there_is_some(
    open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "home", "nr_inodes=3") as home:
        blender = open_blender(scratch=home / "blender")
        with pytest.raises(BlenderFailed) as caught:
            blender.load(quick, RenderSettings(), {})
        assert caught.value.fault is Fault.DISK_FULL
        subprocess.run(["mount", "-o", "remount,nr_inodes=0", str(home)], check=True)
        blender.load(quick, RenderSettings(), {})
        rendered = blender.render(1, tmp_path / "out", lambda progress: None)
        assert rendered.files
        blender.close()


def test_a_frame_needs_no_room_in_blenders_temporary_folder(
    open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "home", "size=64k") as home:
        blender = open_blender(scratch=home)
        (home / "ballast").write_bytes(bytes(64 * 1024))
        loaded = blender.load(quick, RenderSettings(), {})
        rendered = blender.render(1, tmp_path / "out", lambda progress: None)
        prove(rendered.files[0], loaded.file_format, loaded.width, loaded.height)
        blender.close()


def test_a_folder_that_nobody_may_write_to_is_named(
    open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    blender.load(quick, RenderSettings(), {})
    with small_disk(tmp_path / "sealed", "ro") as folder, pytest.raises(BlenderFailed) as caught:
        blender.render(1, folder / "out", lambda progress: None)
    assert caught.value.fault is Fault.NOT_WRITABLE
    assert caught.value.reason == (
        f"Blender can't write to {folder}/out: Read-only file system; check the worker's disk"
    )
