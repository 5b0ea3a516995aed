"""What the driver decides without Blender: names, folders, places of files, sizes.

Left out: everything that needs a scene (`tests/integration/test_blender_results.py`).
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from burst.scene import naming
from burst.worker.inside.files import find_local
from burst.worker.inside.scene import final_size, frames_name
from burst.worker.surroundings import command_line, environment


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("C:\\tex\\wood.png", "/here/1/wood.png"),
        ("C:/tex/wood.png", "/here/1/wood.png"),
        ("c:/tex/wood.png", None),
        ("/tex/caf\udce9.png", "/here/2"),
        ("//wood.png", None),
    ],
)
def test_moved_files_are_found_under_any_spelling(path: str, local: str | None) -> None:
    table = {
        naming.key_of("C:/tex\\wood.png"): "/here/1/wood.png",
        naming.key_of("/tex/caf\udce9.png"): "/here/2",
    }
    assert find_local(table, path) == local


@pytest.mark.parametrize(
    ("movie", "frames"),
    [
        ("//out/shot.mp4", "//out/shot-"),
        ("//out/shot_####.MOV", "//out/shot_####"),
        ("//out/shot_", "//out/shot_"),
        ("//out.mp4/", "//out.mp4/"),
        ("//v1.2", "//v1.2"),
    ],
)
def test_frames_of_a_movie_are_not_called_by_its_suffix(movie: str, frames: str) -> None:
    assert frames_name(movie) == frames


def render_settings(**changes: object) -> SimpleNamespace:
    stereo = SimpleNamespace(display_mode="SIDEBYSIDE", use_squeezed_frame=False)
    image = SimpleNamespace(views_format="INDIVIDUAL", stereo_3d_format=stereo)
    settings = {
        "resolution_x": 1921,
        "resolution_y": 1081,
        "resolution_percentage": 50,
        "use_border": False,
        "use_crop_to_border": False,
        "use_multiview": False,
        "image_settings": image,
    }
    return SimpleNamespace(**{**settings, **changes})


def test_the_percentage_drops_what_is_left_over() -> None:
    assert final_size(render_settings()) == (960, 540)


def test_only_a_border_that_crops_changes_the_size() -> None:
    border = {"border_min_x": 0.25, "border_max_x": 0.5, "border_min_y": 0.0, "border_max_y": 1.0}
    shown = render_settings(use_border=True, **border)
    cropped = render_settings(use_border=True, use_crop_to_border=True, **border)
    assert (final_size(shown), final_size(cropped)) == ((960, 540), (240, 540))


def test_two_eyes_side_by_side_are_twice_as_wide() -> None:
    both = render_settings(use_multiview=True)
    both.image_settings.views_format = "STEREO_3D"
    assert final_size(both) == (1920, 540)
    both.image_settings.stereo_3d_format.use_squeezed_frame = True
    assert final_size(both) == (960, 540)


def test_no_secret_and_no_python_reaches_blender(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    outer = {
        "PATH": f"{venv / 'bin'}:/usr/bin",
        "BURST_WORKER_TOKEN": "secret",
        "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
        "PYTHONPATH": "/x",
        "PYTHONHOME": "/x",
        "VIRTUAL_ENV": str(venv),
        "HOME": "/home/artist",
        "LC_ALL": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "1",
    }
    env = environment(outer, tmp_path / "scratch")
    assert env["PATH"] == "/usr/bin:/bin"
    assert (env["LC_ALL"], env["CUDA_VISIBLE_DEVICES"]) == ("C.UTF-8", "1")
    passed_on = {"PATH", "LC_ALL", "CUDA_VISIBLE_DEVICES"}
    own = {name: value for name, value in env.items() if name not in passed_on}
    assert {"HOME", "TMPDIR", "BLENDER_USER_CONFIG"} <= set(own)
    assert all(value.startswith(str(tmp_path / "scratch")) for value in own.values())


def test_both_kinds_of_blender_get_the_pipes_last() -> None:
    script = Path("/x/driver.py")
    binary = command_line(Path("/usr/bin/blender"), "binary", script, (5, 8))
    assert binary[-3:] == ["--", "5", "8"]
    # Only before the script does Blender heed it.
    assert binary.index("--python-exit-code") < binary.index("--python")
    assert "--disable-autoexec" in binary
    assert command_line(Path("/v/python"), "bpy", script, (5, 8)) == [
        "/v/python",
        "-I",
        "/x/driver.py",
        "5",
        "8",
    ]
