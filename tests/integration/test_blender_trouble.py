"""Real Blenders that die, hang, grow, or can't do what is asked: a sentence each, no leftovers.

Left out: the kernel's own out-of-memory killer, a worker that dies on macOS, and graphics
drivers that crash.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from burst.domain.jobs import RenderSettings
from burst.worker.blender import Blender, BlenderFailed, Progress
from burst.worker.proof import prove
from tests.fakes.blenders import RealBlender, real_blender

pytestmark = pytest.mark.blender

ENDLESS = ("--samples", "2000000")
"""A frame that takes hours."""
ORPHAN = Path(__file__).parents[1] / "fakes" / "orphan.py"
PATIENCE_SECONDS = 30


@pytest.fixture(scope="module", params=["binary", "bpy"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RealBlender:
    return real_blender(request.param, tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture(scope="module")
def endless(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.make_scene(tmp_path_factory.mktemp("endless") / "endless.blend", *ENDLESS)


@pytest.fixture(scope="module")
def quick(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.make_scene(tmp_path_factory.mktemp("quick") / "quick.blend")


Open = Callable[..., Blender]


@pytest.fixture
def open_blender(real: RealBlender, tmp_path: Path) -> Iterator[Open]:
    opened: list[Blender] = []

    def open_one(**changes: float) -> Blender:
        limits = {"memory_limit_bytes": 0, "first_progress_seconds": 60, **changes}
        blender = Blender(
            real.program,
            real.facts,
            scratch=tmp_path / "scratch",
            threads=1,
            on_line=lambda text: None,
            **limits,  # type: ignore[arg-type]
        )
        opened.append(blender)
        return blender

    yield open_one
    for blender in opened:
        blender.close()


def assert_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")


def fail_while_rendering(
    blender: Blender, scene: Path, folder: Path, strike: Callable[[], None]
) -> BlenderFailed:
    """Render, strike at the first progress, and return how it failed."""
    blender.load(scene, RenderSettings(), {})
    pid = blender.pid
    assert pid is not None
    struck: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        if not struck:
            struck.append(progress)
            strike()

    with pytest.raises(BlenderFailed) as caught:
        blender.render(1, folder, on_progress)
    assert struck
    assert blender.pid is None
    assert_gone(pid)
    return caught.value


def test_a_kill_from_another_thread_interrupts_and_the_next_load_starts_anew(
    open_blender: Open, endless: Path, quick: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    killer = threading.Thread(target=blender.kill)
    failed = fail_while_rendering(blender, endless, tmp_path / "out", killer.start)
    killer.join()
    assert failed.outcome == "interrupted"
    loaded = blender.load(quick, RenderSettings(), {})
    rendered = blender.render(1, tmp_path / "again", lambda progress: None)
    prove(rendered.files[0], loaded.file_format, loaded.width, loaded.height)


def test_a_crash_is_a_failure_that_names_signal_and_frame(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    failed = fail_while_rendering(
        blender, endless, tmp_path / "out", lambda: os.kill(blender.pid or 0, signal.SIGSEGV)
    )
    assert failed.outcome == "failed"
    assert failed.reason == "Blender crashed (SIGSEGV) while rendering frame 1"
    assert failed.log_tail


def test_a_kill_by_nobody_we_know_is_taken_for_lack_of_memory(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    failed = fail_while_rendering(
        blender, endless, tmp_path / "out", lambda: os.kill(blender.pid or 0, signal.SIGKILL)
    )
    assert failed.outcome == "out_of_memory"


def test_a_stopped_blender_is_found_hung_and_killed(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    blender = open_blender(first_progress_seconds=3)
    failed = fail_while_rendering(
        blender, endless, tmp_path / "out", lambda: os.kill(blender.pid or 0, signal.SIGSTOP)
    )
    assert failed.outcome == "failed"
    assert failed.reason.startswith("Blender hung while rendering frame 1")


def test_a_long_frame_without_a_word_is_not_taken_for_hung(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    # Far less than the frame takes, and Blender says nothing while it samples: it is
    # its computing that keeps it alive until it is told to stop.
    blender = open_blender(first_progress_seconds=1)
    beats: list[float] = []

    def strike() -> None:
        threading.Timer(4, lambda: (beats.append(time.monotonic()), blender.kill())).start()

    failed = fail_while_rendering(blender, endless, tmp_path / "out", strike)
    assert failed.outcome == "interrupted"
    assert beats


def test_too_much_memory_ends_it_as_out_of_memory(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    blender = open_blender(memory_limit_bytes=64 * 2**20)

    def grow() -> None:
        # Watched once a second: whether that falls into the load or the render is chance.
        blender.load(endless, RenderSettings(), {})
        blender.render(1, tmp_path / "out", lambda progress: None)

    with pytest.raises(BlenderFailed) as caught:
        grow()
    assert caught.value.outcome == "out_of_memory"
    assert "GiB of memory" in caught.value.reason


@pytest.mark.parametrize("mode", ["idle", "render"])
def test_blender_dies_with_a_worker_that_is_killed(
    real: RealBlender, endless: Path, tmp_path: Path, mode: str
) -> None:
    facts = real.facts.model_dump_json()
    command = [sys.executable, str(ORPHAN), str(real.program), facts, str(endless), str(tmp_path)]
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen([*command, mode], stdout=subprocess.PIPE, text=True, env=env) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        assert psutil.pid_exists(pid)
        worker.kill()
    assert_gone(pid)


def test_a_scene_without_a_camera_fails_in_blenders_words(
    real: RealBlender, open_blender: Open, tmp_path: Path
) -> None:
    blend = real.make_scene(tmp_path / "blind.blend", "--no-camera")
    blender = open_blender()
    blender.load(blend, RenderSettings(), {})
    with pytest.raises(BlenderFailed, match=r"rendering frame 1: .*[Nn]o camera") as caught:
        blender.render(1, tmp_path / "out", lambda progress: None)
    assert caught.value.outcome == "failed"
    assert blender.pid is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"blender_scene": "Nope"}, "no scene named Nope, only Shot"),
        ({"engine": "LUXCORE"}, "no render engine LUXCORE"),
        ({"file_format": "GIF"}, "can't write GIF"),
    ],
)
def test_a_setting_that_blender_does_not_have_is_refused_by_name(
    open_blender: Open, quick: Path, settings: dict[str, str], words: str
) -> None:
    with pytest.raises(BlenderFailed, match=words):
        open_blender().load(quick, RenderSettings(**settings), {})  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"no blend at all", b"BLENDER-v304" + bytes(100)])
def test_a_file_that_is_no_blend_fails_to_load(
    open_blender: Open, tmp_path: Path, content: bytes
) -> None:
    blend = tmp_path / "broken.blend"
    blend.write_bytes(content)
    with pytest.raises(BlenderFailed, match=r"while loading broken\.blend"):
        open_blender().load(blend, RenderSettings(), {})


def test_a_full_disk_is_said_with_the_folder(
    real: RealBlender, open_blender: Open, tmp_path: Path
) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can't be mounted here")
    try:
        blend = real.make_scene(tmp_path / "big.blend", "--width", "400", "--height", "300")
        blender = open_blender()
        blender.load(blend, RenderSettings(), {})
        with pytest.raises(BlenderFailed) as caught:
            blender.render(1, folder / "out", lambda progress: None)
        assert caught.value.reason == f"the disk is full: Blender could not write to {folder}/out"
    finally:
        subprocess.run(["umount", str(folder)], check=True)
