"""Real Blenders that are stopped, lose their worker, or can't do what is asked.

Left out: what goes wrong by itself (``test_faults_*.py``), and a worker that dies on macOS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from burst.domain.jobs import RenderSettings
from burst.worker.blender import BlenderFailed
from burst.worker.proof import prove
from tests.fakes.blenders import RealBlender
from tests.fakes.troubles import Open, assert_gone, fail_while_rendering

pytestmark = pytest.mark.blender

ORPHAN = Path(__file__).parents[1] / "fakes" / "orphan.py"


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


def test_a_frame_before_0_is_not_rendered_as_another(
    open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    blender = open_blender()
    blender.load(quick, RenderSettings(), {})
    with pytest.raises(BlenderFailed, match="frame -5") as caught:
        blender.render(-5, tmp_path / "out", lambda progress: None)
    assert caught.value.gives_up == "task"
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


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
