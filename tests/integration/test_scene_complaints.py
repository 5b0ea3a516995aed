"""What is wrong with a scene: said in a sentence, and refused or rendered as the job asks.

By real Blenders: missing files, of all frames or of one; scripts that fail; files that can't
be read; and what a rendered file tells about where it was made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from burst.domain.jobs import RenderSettings
from burst.scene.naming import key_of
from burst.worker.blender import Blender, BlenderFailed, RenderedFrame
from tests.fakes.blenders import RealBlender

pytestmark = pytest.mark.blender

MAKE_ZOO = Path(__file__).parent.parent / "fakes" / "make_zoo.py"
TRUSTED = RenderSettings(trust_scripts=True)
TELLING_FOLDER = "secret project"
TELLING = (TELLING_FOLDER, "Hostname")
"""The name of a folder, and Blender's word before the host's name, which may be short."""
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "DPX", "TARGA")


@pytest.fixture
def warm(real: RealBlender, tmp_path: Path) -> Iterator[Blender]:
    blender = Blender(
        real.program,
        real.facts,
        scratch=tmp_path / TELLING_FOLDER / "scratch",
        threads=2,
        memory_limit_bytes=0,
        on_line=lambda text: None,
    )
    yield blender
    blender.close()


def scene_with(real: RealBlender, folder: Path, *animals: str) -> Path:
    real.run(MAKE_ZOO, folder, str(folder / "zoo.blend"), *animals)
    return folder / "zoo.blend"


def refused(warm: Blender, blend: Path, settings: RenderSettings) -> BlenderFailed:
    with pytest.raises(BlenderFailed) as caught:
        warm.load(blend, settings, {})
    return caught.value


def render(warm: Blender, frame: int, folder: Path) -> RenderedFrame:
    return warm.render(frame, folder / f"out-{frame}", lambda progress: None)


def test_missing_files_are_a_refusal_that_names_the_first_few(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = scene_with(real, tmp_path, "gallery")
    failure = refused(warm, blend, RenderSettings())
    named = ", ".join(f"image //lost {number}.png" for number in range(5))
    assert f"the scene needs {named} and 2 more, which are missing" in failure.reason
    assert "--allow-missing" in failure.reason
    assert failure.gives_up == "job"
    loaded = warm.load(blend, RenderSettings(missing="warn"), {})
    # Not the one that nobody shows.
    assert loaded.warnings == tuple(f"image //lost {n}.png is missing" for n in range(7))
    assert render(warm, 1, tmp_path).warnings == ()


def test_files_of_nodes_and_modifiers_are_found_in_their_new_places(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = scene_with(real, tmp_path, "far_files")
    failure = refused(warm, blend, RenderSettings())
    assert "the scene needs light profile /nowhere/lamp.ies, which is missing" in failure.reason
    moved = {"/nowhere/lamp.ies": tmp_path / "lamp.ies", "/nowhere/mesh.pc2": tmp_path / "mesh.pc2"}
    moved["/nowhere/lamp.ies"].write_text("IESNA:LM-63-1995\n")
    # A cache of the plane's four points, high above where they were.
    points = [(x, y, 5.0) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
    head = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 4, 1.0, 1.0, 1)
    body = b"".join(struct.pack("<3f", *point) for point in points)
    moved["/nowhere/mesh.pc2"].write_bytes(head + body)
    warm.load(blend, RenderSettings(missing="warn"), {})
    without = render(warm, 1, tmp_path / "without").files[0]
    remap = {key_of(name): path for name, path in moved.items()}
    assert warm.load(blend, RenderSettings(), remap).warnings == ()
    with_files = render(warm, 1, tmp_path / "with").files[0]
    assert Image.open(without).tobytes() != Image.open(with_files).tobytes()


def test_a_missing_file_of_one_frame_gives_up_that_frame_alone(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = scene_with(real, tmp_path, "sequence", "stubborn_sequence")
    (tmp_path / "images" / "slides.0004.png").unlink()
    (tmp_path / "images" / "stubborn.0001.png").unlink()
    warm.load(blend, RenderSettings(), {})
    assert render(warm, 3, tmp_path).warnings == ()
    with pytest.raises(BlenderFailed) as caught:
        render(warm, 4, tmp_path)
    assert "frame 4 needs slides.0004.png, which is missing" in caught.value.reason
    assert caught.value.gives_up == "task"
    warm.load(blend, RenderSettings(missing="warn"), {})
    assert render(warm, 1, tmp_path).warnings == (
        "frame 1 needs stubborn.0001.png, which is missing",
    )
    assert render(warm, 2, tmp_path).warnings == ()


def test_scripts_that_fail_are_warnings_on_the_frames_they_spoil(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = scene_with(real, tmp_path, "broken_boot", "broken_driver", "broken_handler")
    boot = "a script of the scene failed: ValueError: no such rig"
    driver = "a driver of the scene failed: IndexError: list index out of range"
    handler = "a script of the scene failed: AssertionError: four is too many"
    assert warm.load(blend, TRUSTED, {}).warnings == (boot,)
    assert render(warm, 2, tmp_path).warnings == (boot,)
    assert set(render(warm, 4, tmp_path).warnings) == {boot, driver, handler}
    # Blender does not run a driver again that failed once.
    assert set(render(warm, 5, tmp_path).warnings) == {boot, driver}


def test_python_that_was_not_run_is_named_with_the_switch(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = scene_with(real, tmp_path, "broken_boot", "material")
    [warning] = warm.load(blend, RenderSettings(), {}).warnings
    assert warning.startswith("Python in the scene was not run: ")
    assert warning.endswith("(--trust-scripts runs it)")
    assert render(warm, 2, tmp_path).warnings == (warning,)


def test_a_driver_without_its_target_is_named(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = scene_with(real, tmp_path, "lost_target", "driver")
    warning = "a driver of the scene is broken: location of 'Orphan'"
    assert warm.load(blend, RenderSettings(), {}).warnings == (warning,)


@pytest.mark.parametrize("keep", [0, 20, 0.6, 0.95])
def test_a_blend_that_can_not_be_read_gives_up_the_job(
    real: RealBlender, warm: Blender, tmp_path: Path, keep: float
) -> None:
    whole = real.make_scene(tmp_path / "shot.blend").read_bytes()
    cut = tmp_path / "cut.blend"
    cut.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    failure = refused(warm, cut, RenderSettings())
    assert "Blender can't read the scene: " in failure.reason
    assert failure.gives_up == "job"


def test_a_file_tells_nothing_of_where_it_was_rendered(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    place = tmp_path / TELLING_FOLDER
    place.mkdir()
    blend = real.make_scene(place / "shot.blend", "--file-output", "//nodes/", "--telling")
    told = {}
    for file_format in FORMATS:
        for keeps in (False, True):
            settings = RenderSettings(file_format=file_format, keep_metadata=keeps)
            warm.load(blend, settings, {})
            files = warm.render(3, place / f"{file_format}-{keeps}", lambda progress: None).files
            assert len(files) == 2
            content = b"".join(path.read_bytes() for path in files)
            told[file_format, keeps] = [word for word in TELLING if word.encode() in content]
    assert {key: words for key, words in told.items() if not key[1] and words} == {}
    # The search finds it where the job wants it.
    assert told["PNG", True] == told["OPEN_EXR", True] == list(TELLING)


def test_what_is_burnt_into_the_picture_stays_and_is_said(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = real.make_scene(tmp_path / "shot.blend", "--telling")
    burn = {"scene.render.use_stamp": True}
    loaded = warm.load(blend, RenderSettings(properties=burn), {})
    assert loaded.warnings == (
        "the .blend's path is burnt into the picture, as the scene asks",
        "the host's name is burnt into the picture, as the scene asks",
    )
