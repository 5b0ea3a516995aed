"""Where the driver sends output, as far as that is decided without Blender.

Left out: what Blender makes of it (`tests/integration/test_outputs.py`).
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from burst.worker.inside.outputs import Output
from burst.worker.inside.places import base_name, mark_number, places, replace_number


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("//render/shot_####", "shot_####"),
        ("//render/", ""),
        ("", ""),
        ("C:\\out\\shot_##", "shot_##"),
        ("//..", ""),
    ],
)
def test_the_artists_base_name_is_kept_and_nothing_else(path: str, name: str) -> None:
    assert base_name(path) == name


@pytest.mark.parametrize(
    ("base", "name", "place"),
    [
        ("//render/depth/", "z_", "depth/z_"),
        ("//render", "z_##", "z_##"),
        ("//render/depth", "sub/z_", "depth/sub/z_"),
        ("//render/depth", "../normal/n_", "normal/n_"),
        ("//render/a/../depth", "z_", "depth/z_"),
        ("{blend_dir}/render/depth", "z_", "depth/z_"),
        ("//render/depth/", "", "depth/"),
        ("//render/{scene_name}/", "{camera_name}_", "{scene_name}/{camera_name}_"),
        ("/mnt/a/depth", "z_", "depth/z_"),
        ("C:\\out\\depth\\", "z_", "depth/z_"),
        ("C:\\", "z_", "output/z_"),
        ("", "z_", "output/z_"),
        ("//", "z_", "output/z_"),
        ("{blend_dir}", "z_", "output/z_"),
        ("../..", "../../etc/x_", "etc/x_"),
        ("//render/depth", "../../../../etc/x_", "etc/x_"),
        ("//render/depth", "/abs/x_", "depth/abs/x_"),
    ],
)
def test_a_file_keeps_its_place_below_the_output_folder(base: str, name: str, place: str) -> None:
    assert places([(base, name)], "//render/shot_####") == [place]


def test_an_absolute_output_folder_is_no_other_than_itself() -> None:
    files = [("/proj/render/aux/", "a"), ("/proj/render", "b"), ("/proj", "c"), ("render", "d")]
    assert places(files, "/proj/render/shot_") == ["aux/a", "b", "proj/c", "render/d"]


def test_folders_that_are_apart_stay_apart_and_one_folder_stays_one() -> None:
    files = [
        ("/mnt/a/depth", "z_"),
        ("/mnt/b/depth/", "z_"),
        ("//render/depth", "z_"),
        ("//render/depth/", "n_"),
        ("/mnt/a/depth/", "n_"),
    ]
    chosen = places(files, "//render/")
    assert chosen == ["depth-2/z_", "depth-3/z_", "depth/z_", "depth/n_", "depth-2/n_"]


def test_no_file_takes_the_place_of_another_that_climbs_there() -> None:
    main = "//render/shot_####"
    files = [("/mnt/depth", "../shot_####"), ("//render", "shot_####"), ("//render", "shot_####")]
    assert places(files, main) == ["output-2/shot_####", "shot_####", "shot_####"]


@pytest.mark.parametrize(
    ("name", "written", "renamed"),
    [
        ("in", "in@frame4@0101@.png", "in0007.png"),
        ("in_##_x", "in_@frame2@101@_x.png", "in_07_x.png"),
        ("a_##_b_###", "a_##_b_@frame3@-02@_L.exr", "a_##_b_007_L.exr"),
    ],
)
def test_another_scenes_frame_number_gives_way_to_the_jobs(
    name: str, written: str, renamed: str
) -> None:
    before, hashes, after = mark_number(name).partition("@#")
    assert written.startswith(before)
    assert hashes
    assert written.split("@")[-1].startswith(after.split("@")[-1])
    assert replace_number(written, 7) == renamed


def test_a_name_without_marks_is_left_alone() -> None:
    assert replace_number("shot_0001_@4@.png", 7) == "shot_0001_@4@.png"


def rendering(folder: Path, views: tuple[str, ...] = ()) -> Output:
    """Return the output of a scene without nodes, whose files go to ``folder``."""

    def frame_path(frame: int, view: str) -> str:
        return f"{folder}/shot_{frame:04}{view}.png"

    render = SimpleNamespace(
        filepath="//render/shot_",
        frame_path=frame_path,
        use_multiview=bool(views),
        views_format="MULTIVIEW",
        views=[SimpleNamespace(name=name, use=True) for name in views],
        image_settings=SimpleNamespace(views_format="INDIVIDUAL"),
    )
    scene = SimpleNamespace(render=render, sequence_editor=None)
    data = SimpleNamespace(scenes=[scene], node_groups=[])
    return Output(SimpleNamespace(data=data), scene)


def written(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).touch()
    return [str(folder / name) for name in names]


def test_files_of_the_main_image_come_first(tmp_path: Path) -> None:
    paths = written(tmp_path, "a0007.png", "shot_0007_R.png", "shot_0007_L.png", "shot_0007.txt")
    settled, main_count = rendering(tmp_path, ("_L", "_R")).settle(7, paths)
    names = [Path(path).name for path in settled]
    assert names == ["shot_0007_L.png", "shot_0007_R.png", "a0007.png", "shot_0007.txt"]
    assert main_count == 2


def test_a_main_image_with_another_scenes_number_gets_its_own(tmp_path: Path) -> None:
    paths = written(tmp_path, "shot_0101.png", "in@frame4@0101@.png", "in@frame4@0105@.png")
    settled, _ = rendering(tmp_path).settle(7, paths)
    names = [Path(path).name for path in settled]
    assert names == ["shot_0007.png", "in0007-2.png", "in0007.png"]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("views", "names", "lacking"),
    [
        ((), ("aux0007.png",), "shot_0007.png"),
        (("_L", "_R"), ("shot_0007_L.png",), "shot_0007_R.png"),
    ],
)
def test_a_main_image_that_is_not_there_is_a_failure(
    tmp_path: Path, views: tuple[str, ...], names: tuple[str, ...], lacking: str
) -> None:
    with pytest.raises(RuntimeError, match=f"wrote no main image, no {lacking}"):
        rendering(tmp_path, views).settle(7, written(tmp_path, *names))
