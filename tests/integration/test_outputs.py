"""Every file that a plain run writes, the farm publishes: same names, same pixels.

Left out: what the farm does with the files afterwards (`test_blender_results.py`, unit tests
of the finisher).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from burst.domain.jobs import RenderSettings
from burst.worker.blender import Blender, BlenderFailed, LoadedScene, RenderedFrame
from burst.worker.proof import Color, deep, prove
from tests.fakes.blenders import MAKE_SCENE, RealBlender

pytestmark = pytest.mark.blender

MAKE_OUTPUTS = MAKE_SCENE.with_name("make_outputs.py")
CASES = [
    "unnumbered",
    "unnamed",
    "middle",
    "bare",
    "nodes",
    "climbing",
    "multilayer",
    "group",
    "eyes",
    "both",
    "multiview",
    "multiview_layers",
    "views",
    "cameras",
    "borrowed",
]
MOVED = {"../elsewhere/pass/": "pass/", "take_##/": ""}
"""Folder in the plain run, relative to ``render`` → place below the output folder."""


def make(real: RealBlender, blend: Path, case: str) -> Path:
    blend.parent.mkdir()
    real.run(MAKE_OUTPUTS, blend.parent, str(blend), case)
    return blend


def plain_run(real: RealBlender, blend: Path) -> dict[str, Path]:
    """Render in one plain run, and return its files by their place below the output folder."""
    folder = blend.parent
    shutil.rmtree(folder / "render", ignore_errors=True)
    before = {blend, *folder.rglob("*")}
    real.animate(blend, "", 1, 3)
    found = {}
    for path in set(folder.rglob("*")) - before:
        if path.is_file() and "plain-blender" not in path.parts:
            name = os.path.relpath(path, folder / "render")
            found[name] = path
    return found


def farm_run(
    warm: Blender, blend: Path, folder: Path
) -> tuple[LoadedScene, list[RenderedFrame], dict[str, Path]]:
    """Render frame after frame as a worker does, and return all files by their names."""
    loaded = warm.load(blend, RenderSettings(), {})
    frames, found = [], {}
    for frame in (3, 1, 2):
        rendered = warm.render(frame, folder / f"{{{frame}}}", lambda progress: None)
        for number, path in enumerate(rendered.files):
            name = path.relative_to(folder / f"{{{frame}}}").as_posix()
            assert name not in found, f"two frames write {name}"
            found[name] = path
            is_main = number < rendered.main_count
            if is_main:
                color = Color(loaded.color_mode, loaded.color_depth)
                prove(path, loaded.file_format, loaded.width, loaded.height, color)
            else:
                prove(path, None, None, None)
            deep(path)
        frames.append(rendered)
    return loaded, frames, found


def assert_same_pixels(ours: Path, plain: Path) -> None:
    with ours.open("rb") as file:
        is_exr = file.read(4) == b"\x76\x2f\x31\x01"
    if not is_exr:
        with Image.open(ours) as one, Image.open(plain) as other:
            assert (one.mode, one.size) == (other.mode, other.size)
            assert one.tobytes() == other.tobytes(), ours
        return
    with OpenEXR.File(str(ours)) as one, OpenEXR.File(str(plain)) as other:
        assert [part.name() for part in one.parts] == [part.name() for part in other.parts]
        for mine, theirs in zip(one.parts, other.parts, strict=True):
            assert mine.channels.keys() == theirs.channels.keys()
            for name, channel in mine.channels.items():
                same = np.array_equal(channel.pixels, theirs.channels[name].pixels, equal_nan=True)
                assert same, (ours, name)


@pytest.mark.parametrize("case", CASES)
def test_every_file_of_a_plain_run_has_its_name_and_pixels_on_the_farm(
    real: RealBlender, warm: Blender, tmp_path: Path, case: str
) -> None:
    blend = make(real, tmp_path / "plain" / "shot.blend", case)
    plain = plain_run(real, blend)
    loaded, _, ours = farm_run(warm, blend, tmp_path / "out")
    assert loaded.warnings == ()
    for path, place in MOVED.items():
        plain = {name.replace(path, place): file for name, file in plain.items()}
    assert sorted(ours) == sorted(plain)
    assert ours
    for name, path in ours.items():
        assert_same_pixels(path, plain[name])


def test_a_strips_scene_is_numbered_by_the_jobs_frames(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    """The plain run names these files by the other scene's frame, or saves over one file."""
    start = "" if real.facts.version < (5, 0, 0) else "f_"
    names = [f"inner/{start}in{frame:04}.png" for frame in (1, 2, 3)]
    names += [f"inner/{start}in_{frame:02}_x.png" for frame in (1, 2, 3)]
    names += [f"shot_{frame:04}.png" for frame in (1, 2, 3)]
    for case in ("strip", "shifted_strip"):
        blend = make(real, tmp_path / case / "shot.blend", case)
        _, frames, ours = farm_run(warm, blend, tmp_path / f"out-{case}")
        assert sorted(ours) == sorted(names)
        assert [frame.files[0].name for frame in frames] == [
            "shot_0003.png",
            "shot_0001.png",
            "shot_0002.png",
        ]
        if case == "strip":
            plain = plain_run(real, blend)
            for name in ("shot_0001.png", "shot_0002.png"):
                assert_same_pixels(ours[name], plain[name])


def test_nodes_and_slots_without_a_name_have_their_folders_name(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = make(real, tmp_path / "plain" / "shot.blend", "nameless")
    _, _, ours = farm_run(warm, blend, tmp_path / "out")
    assert sorted(ours) == sorted(plain_run(real, blend))


def test_fields_in_names_are_filled_in(real: RealBlender, warm: Blender, tmp_path: Path) -> None:
    blend = make(real, tmp_path / "plain" / "shot.blend", "templates")
    _, _, ours = farm_run(warm, blend, tmp_path / "out")
    if real.facts.version >= (5, 0, 0):
        assert sorted(ours) == sorted(plain_run(real, blend))
        assert "Shot/Camera_a_File Output0001.png" in ours
        assert "dir/{f}_a0001.png" in ours
    else:
        # Up to 4.x braces are nothing special; a plain run would write to where it was started.
        assert "{blend_name}_{resolution_x}_01.png" in ours


def test_a_frame_without_its_main_image_fails(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = make(real, tmp_path / "plain" / "shot.blend", "nodes")
    warm.load(blend, RenderSettings(), {})
    folder = tmp_path / "out"
    (folder / "shot_0001.png").mkdir(parents=True)
    with pytest.raises(BlenderFailed) as caught:
        warm.render(1, folder, lambda progress: None)
    assert "shot_0001.png" in str(caught.value)
