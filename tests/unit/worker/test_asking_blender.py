"""Asking a Blender which files a scene names, when it answers, dies, hangs or is none.

Shell scripts stand in for it; what real ones answer is in `tests/integration`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from burst.errors import BlenderNotFound
from burst.scene.asked import Asked
from burst.scene.sequences import Many
from burst.worker.asking import NoAnswerError, ask_for_files
from burst.worker.inside.cage import landlock_version
from burst.worker.trust import Cage

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or landlock_version() == 0, reason="no Landlock: none is asked"
)

SAY = """for pipe; do :; done
say() { echo "$1" >"/proc/self/fd/$pipe"; }
say '{"event": "ready"}'
"""
NAMED = """say '{"event": "named", "owner": "/film/shot.blend", "name": "//tex/b\\udce4rk.png",\
 "many": "frames", "used_by": "Image bark"}'
"""
DONE = """say '{"event": "done", "reason": ""}'; sleep 100\n"""


def blender(folder: Path, script: str) -> Path:
    program = folder / "blender"
    program.write_text("#!/bin/sh\n" + script, encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    blend = tmp_path / "shot.blend"
    blend.write_bytes(b"BLENDER")
    return blend


def ask(folder: Path, script: str, scene: Path, seconds: float = 30) -> list[Asked]:
    return ask_for_files(blender(folder, script), scene, "binary", seconds)


def test_what_it_names_is_returned_with_every_byte_of_the_name(tmp_path, scene):
    assert ask(tmp_path, SAY + NAMED + DONE, scene) == [
        Asked(Path("/film/shot.blend"), b"//tex/b\xe4rk.png", Many.FRAMES, "Image bark")
    ]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("kill -SEGV $$", "it died of SIGSEGV"),
        (SAY + NAMED + "kill -ABRT $$", "it died of SIGABRT"),
        ("echo 'it is too old'; exit 3", "it is too old"),
        ("exit 3", "it exited with 3"),
        (SAY + NAMED + """say '{"event": "done", "reason": "not a blend file"}'; sleep 9""",
         "not a blend file"),
        (SAY + NAMED + "sleep 100", "it took too long"),
    ],
)  # fmt: skip
def test_one_that_gives_no_answer_says_why(tmp_path, scene, script, why):
    with pytest.raises(NoAnswerError) as caught:
        ask(tmp_path, script, scene, seconds=2 if "too long" in why else 30)
    assert str(caught.value) == why


def test_a_program_that_is_not_there_is_no_blender(tmp_path, scene):
    with pytest.raises(BlenderNotFound):
        ask_for_files(tmp_path / "none", scene, None, 30)
    with pytest.raises(FileNotFoundError):
        ask_for_files(tmp_path / "none", scene, "bpy", 30)


def test_the_artists_files_can_be_read_and_not_be_written(tmp_path, scene):
    cache = tmp_path / "blendcache_shot" / "1_000001_00.bphys"
    cache.parent.mkdir()
    cache.write_bytes(b"BPHYSICS")
    script = f"cat {cache}; rm -f {cache}; echo x >{cache}; echo x >{cache.parent}/more; exit 3"
    with pytest.raises(NoAnswerError):
        ask(tmp_path, script, scene)
    assert cache.read_bytes() == b"BPHYSICS"
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_none_is_started_where_nothing_keeps_it_from_the_files(tmp_path, scene, monkeypatch):
    monkeypatch.setattr(Cage, "lacks", lambda _cage: "this kernel has no Landlock")
    with pytest.raises(NoAnswerError, match="no Landlock"):
        ask(tmp_path, f"touch {tmp_path}/started", scene)
    assert not (tmp_path / "started").exists()
