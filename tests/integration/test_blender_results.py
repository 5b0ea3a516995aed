"""Real Blenders, kept open: what they render is what a plain run renders, and is whole.

Left out: GPUs and EEVEE (no hardware here), Alembic, USD and fluid caches, and everything
that goes wrong (`test_blender_trouble.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from burst.domain.jobs import RenderSettings
from burst.scene.naming import key_of
from burst.worker.blender import Blender, LoadedScene, RenderedFrame
from burst.worker.proof import deep, prove
from tests.fakes.blenders import RealBlender

pytestmark = pytest.mark.blender


def render(blender: Blender, frame: int, folder: Path) -> RenderedFrame:
    return blender.render(frame, folder, lambda progress: None)


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def prove_main(loaded: LoadedScene, rendered: RenderedFrame) -> None:
    prove(rendered.files[0], loaded.file_format, loaded.width, loaded.height)


@pytest.mark.parametrize("options", [(), ("--motion-blur",)], ids=["plain", "motion-blur"])
def test_frames_out_of_order_have_the_pixels_of_one_plain_run(
    real: RealBlender, warm: Blender, tmp_path: Path, options: tuple[str, ...]
) -> None:
    blend = real.make_scene(tmp_path / "shot.blend", *options)
    real.animate(blend, str(tmp_path / "plain" / "shot_####"), 1, 6)
    loaded = warm.load(blend, RenderSettings(), {})
    pids = set()
    for frame in (5, 2, 6, 1, 2):
        rendered = render(warm, frame, tmp_path / f"out-{frame}")
        pids.add(warm.pid)
        assert [path.name for path in rendered.files] == [f"shot_{frame:04}.png"]
        prove_main(loaded, rendered)
        assert pixels(rendered.files[0]) == pixels(tmp_path / "plain" / f"shot_{frame:04}.png")
    assert len(pids) == 1
    assert rendered.peak_memory_bytes > 50 * 2**20


def test_loading_the_same_scene_again_keeps_the_process_and_another_restarts_it(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    one = real.make_scene(tmp_path / "one.blend")
    two = real.make_scene(tmp_path / "two.blend", "--output", "//")
    first = warm.load(one, RenderSettings(), {})
    pid = warm.pid
    assert warm.load(one, RenderSettings(), {}) == first
    assert warm.pid == pid
    warm.load(two, RenderSettings(), {})
    assert warm.pid not in (pid, None)
    # An empty base name is what Blender makes of it: the number alone.
    assert [path.name for path in render(warm, 3, tmp_path / "out").files] == ["0003.png"]


def test_a_jobs_settings_win_over_the_scenes(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = real.make_scene(tmp_path / "shot.blend", "--second-scene", "Other")
    settings = RenderSettings(
        blender_scene="Other",
        file_format="JPEG",
        resolution_x=50,
        resolution_y=31,
        resolution_percentage=50,
        samples=1,
    )
    loaded = warm.load(blend, settings, {})
    assert (loaded.blender_scene, loaded.engine) == ("Other", "CYCLES")
    assert (loaded.width, loaded.height, loaded.file_format) == (25, 15, "JPEG")
    rendered = render(warm, 1, tmp_path / "other")
    prove_main(loaded, rendered)
    # Only the first scene has a cube in it.
    shot = RenderSettings(**{**settings.model_dump(), "blender_scene": "Shot"})
    warm.load(blend, shot, {})
    assert pixels(rendered.files[0]) != pixels(render(warm, 1, tmp_path / "shot").files[0])


def test_every_format_that_blender_writes_is_proven_whole(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = real.make_scene(tmp_path / "shot.blend", "--width", "128", "--height", "72")
    formats = ["OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF", "WEBP", "BMP", "TARGA", "HDR"]
    for file_format in [*formats, "JPEG2000", "DPX", "CINEON", "IRIS"]:
        loaded = warm.load(blend, RenderSettings(file_format=file_format), {})
        rendered = render(warm, 1, tmp_path / file_format)
        assert loaded.file_format == file_format
        prove_main(loaded, rendered)
        prove(rendered.files[0], None, 128, 72)
        deep(rendered.files[0])


def test_a_scene_made_for_video_is_rendered_as_png_frames(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = real.make_scene(tmp_path / "film.blend", "--format", "FFMPEG")
    loaded = warm.load(blend, RenderSettings(), {})
    assert loaded.file_format == "PNG"
    prove_main(loaded, render(warm, 2, tmp_path / "out"))


def test_a_crop_border_gives_the_size_that_was_foretold(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = real.make_scene(tmp_path / "crop.blend", "--crop", "--width", "101")
    loaded = warm.load(blend, RenderSettings(resolution_percentage=77), {})
    prove_main(loaded, render(warm, 1, tmp_path / "out"))


def test_both_eyes_and_file_output_nodes_land_in_the_folder(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    base = tmp_path / "elsewhere" / "aux"
    blend = real.make_scene(tmp_path / "shot.blend", "--stereo", "--file-output", f"{base}/")
    loaded = warm.load(blend, RenderSettings(), {})
    folder = tmp_path / "out {braces}"
    rendered = render(warm, 4, folder)
    names = [path.relative_to(folder).as_posix() for path in rendered.files]
    assert names[:2] == ["shot_0004_L.png", "shot_0004_R.png"]
    assert all(name.startswith("aux/copy_beauty") for name in names[2:])
    assert len(names) > 2
    assert not base.exists()
    for path in rendered.files:
        prove(path, loaded.file_format, None, None)


def test_a_missing_texture_is_named_and_found_again_by_its_new_place(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    absent = "/nowhere/of/old/wood.png"
    blend = real.make_scene(tmp_path / "shot.blend", "--texture", absent)
    lacking = RenderSettings(missing="warn")
    loaded = warm.load(blend, lacking, {})
    assert loaded.warnings == (f"image {absent} is missing",)
    pink = render(warm, 1, tmp_path / "pink").files[0]
    local = tmp_path / "wood.png"
    Image.new("RGB", (4, 4), (20, 200, 20)).save(local)
    assert warm.load(blend, lacking, {key_of(absent): local}).warnings == ()
    green = render(warm, 1, tmp_path / "green").files[0]
    assert pixels(pink) != pixels(green)


def test_a_missing_library_is_named_and_found_again_by_its_new_place(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    props = tmp_path / "props"
    props.mkdir()
    library = real.make_scene(props / "cube.blend")
    blend = real.make_scene(tmp_path / "shot.blend", "--library", str(library))
    local = tmp_path / "cube-moved.blend"
    library.rename(local)
    loaded = warm.load(blend, RenderSettings(missing="warn"), {})
    assert len(loaded.warnings) == 1
    assert loaded.warnings[0].startswith("library ")
    assert "cube.blend is missing" in loaded.warnings[0]
    assert warm.load(blend, RenderSettings(), {key_of(str(library)): local}).warnings == ()
    render(warm, 1, tmp_path / "out")


def test_libraries_of_libraries_in_other_folders_are_not_taken_for_missing(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    for folder in ("a", "a/b", "c"):
        (tmp_path / folder).mkdir()
    last = real.make_scene(tmp_path / "c" / "last.blend")
    middle = tmp_path / "a" / "middle.blend"
    real.make_scene(middle, "--library", str(last), "--relative")
    blend = tmp_path / "a" / "b" / "shot.blend"
    real.make_scene(blend, "--library", str(middle), "--relative")
    assert warm.load(blend, RenderSettings(), {}).warnings == ()
    last.unlink()
    blend.touch()
    (warning,) = warm.load(blend, RenderSettings(missing="warn"), {}).warnings
    assert "last.blend is missing" in warning


def test_python_in_the_scene_is_not_run_and_unbaked_simulations_are_named(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = real.make_scene(tmp_path / "shot.blend", "--script", "--particles")
    warnings = list(warm.load(blend, RenderSettings(unbaked="render"), {}).warnings)
    warnings += render(warm, 2, tmp_path / "out").warnings
    assert any(warning.startswith("Python in the scene was not run") for warning in warnings)
    assert any("Particles on 'Cube' is not baked" in warning for warning in warnings)


def test_cycles_renders_here_and_eevee_has_a_reason_or_none(real: RealBlender) -> None:
    assert real.facts.engines["CYCLES"] == ""
    assert "BLENDER_WORKBENCH" in real.facts.engines
    assert any(name.startswith("BLENDER_EEVEE") for name in real.facts.engines)
