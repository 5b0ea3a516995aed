"""What one Blender leaves to the next, and what it is told of the machine.

Left out: command lines, which are in test_driver_scene.py, and the cage, in test_cage.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from burst.domain.jobs import RenderSettings
from burst.domain.workers import BlenderFacts
from burst.worker.blender import Blender
from burst.worker.surroundings import environment, prepare

STUB = Path(__file__).parents[2] / "fakes" / "blender_stub.py"
PLANTED = (
    "home/.bashrc",
    "home/.config/autostart/a",
    "home/.local/lib/python3.11/site-packages/a.pth",
    "home/blender/scripts/startup/a.py",
    "tmp/a",
)
COMPILED = ("home/.cache/mesa_shader_cache/a", "home/.nv/ComputeCache/a")


def plant(scratch: Path) -> None:
    for name in (*PLANTED, *COMPILED):
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_text("x")
    (scratch / "home" / "link").symlink_to(scratch)


def left(scratch: Path) -> set[str]:
    files = (path for path in scratch.rglob("*") if path.is_file())
    return {path.relative_to(scratch).as_posix() for path in files}


def test_a_blender_finds_of_the_one_before_only_compiled_shaders(tmp_path: Path) -> None:
    prepare(tmp_path)
    plant(tmp_path)
    prepare(tmp_path)
    assert left(tmp_path) == set(COMPILED)


@pytest.mark.parametrize("trusted", [False, True])
def test_after_scripts_that_were_trusted_it_finds_nothing(tmp_path: Path, trusted: bool) -> None:
    program, blend = tmp_path / "blender", tmp_path / "fine.blend"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STUB}" "$@"\n')
    program.chmod(0o755)
    blend.write_bytes(b"BLENDER")
    scratch = tmp_path / "scratch"
    facts = BlenderFacts(version=(4, 2, 0), kind="binary")
    blender = Blender(
        program, facts, scratch=scratch, threads=1, memory_limit_bytes=0, on_line=lambda text: None
    )
    blender.load(blend, RenderSettings(trust_scripts=trusted), {})
    plant(scratch)
    blender.close()
    prepare(scratch)
    assert left(scratch) == (set() if trusted else set(COMPILED))


def test_only_what_needs_an_x_server_hears_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("XAUTHORITY", "/home/me/.Xauthority")
    monkeypatch.setenv("BURST_WORKER_TOKEN", "secret")
    without, having = prepare(tmp_path, graphics=False), prepare(tmp_path, graphics=True)
    assert set(having) - set(without) == {"DISPLAY", "XAUTHORITY"}
    assert "secret" not in having.values()


def test_no_way_to_a_bucket_and_no_login_reach_blender(tmp_path: Path) -> None:
    ours = {
        "STORAGE_EMULATOR_HOST": "http://localhost:1",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/artist/key.json",
        "GOOGLE_CLOUD_PROJECT": "show",
        "CLOUDSDK_CONFIG": "/home/artist/.config/gcloud",
        "BURST_STORAGE_URL": "gs://show",
        "BURST_WORKER_TOKEN": "secret",
    }
    passed = environment({**ours, "PATH": "/usr/bin"}, tmp_path)
    assert passed["PATH"] == "/usr/bin:/bin"
    assert [name for name, value in passed.items() if value in ours.values()] == []


def test_the_python_of_pyenv_or_conda_is_found_after_the_systems(tmp_path: Path) -> None:
    # A Blender of a distribution would look there for its modules, and the cage not let it.
    passed = environment({"PATH": "/home/artist/conda/bin:/usr/local/bin:/usr/bin"}, tmp_path)
    assert passed["PATH"] == "/usr/bin:/bin:/home/artist/conda/bin:/usr/local/bin"


def test_a_folder_of_path_that_can_not_be_looked_into_is_no_obstacle(tmp_path: Path) -> None:
    # One that is closed is refused to all but root; such a long name to everybody.
    path = f"/{'x' * 300}/bin"
    assert environment({"PATH": path}, tmp_path)["PATH"].split(":")[-1] == path
