"""What a job changes in a scene: set as asked, in every attempt, or refused with the reason.

By real Blenders. Left out: GPUs that there are none of here; one that is asked for and not
there is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from burst.domain.jobs import RenderSettings
from burst.worker.blender import Blender, BlenderFailed
from tests.fakes.blenders import RealBlender

pytestmark = pytest.mark.blender

TRY = Path(__file__).parent.parent / "fakes" / "try_overrides.py"

SHADER = 'data.materials["Paint"].node_tree.nodes["Principled BSDF"]'
SET = [
    ("scene.cycles.max_bounces", 4, 4),
    ("scene.cycles.max_bounces", 5.0, 5),
    ("scene.cycles.sample_clamp_direct", 2, 2.0),
    ("scene.cycles.use_denoising", True, True),
    ("scene.cycles.use_denoising", 0, False),
    ("scene.render.film_transparent", True, True),
    ("scene.render.use_motion_blur", True, True),
    ("scene.render.use_persistent_data", False, False),
    ("scene.view_settings.exposure", 0.5, 0.5),
    ("scene.render.pixel_aspect_x", 1.1, pytest.approx(1.1)),
    ("scene.render.image_settings.color_mode", "RGBA", "RGBA"),
    ("scene.render.stamp_note_text", 7, "7"),
    ("scene.gravity", [0, 0, -1.5], [0, 0, -1.5]),
    ("scene.gravity[2]", -2.5, -2.5),
    ("scene.camera", "Camera", "Camera"),
    ("scene.world", None, None),
    ("camera.data.lens", 35, 35.0),
    ("camera.location", [1, 2, 3], [1, 2, 3]),
    ("view_layer.use_pass_z", True, True),
    ('scene.view_layers["ViewLayer"].use_pass_mist', True, True),
    ("scene.view_layers[0].use_pass_mist", False, False),
    ('data.objects["Cube"].hide_render', True, True),
    ("data.objects['Cube'].color[1]", 0.25, 0.25),
    (f'{SHADER}.inputs["Roughness"].default_value', 0.25, 0.25),
    ('data.lights["Sun"].energy', 12, 12.0),
    ('data.objects["Cube"]["wear"]', 3, 3.0),
    ('data.objects["Cube"]["tint"]', [1, 2], [1, 2]),
    ('data.objects["Cube"].lock_location', [True, False, True], [True, False, True]),
]  # fmt: skip
REFUSED = [
    ("scene.cycles.max_bouncs", 4, "has no property max_bouncs, there is max_bounces"),
    ("scene.cycles.max_bounces", -1, "it takes 0 to 1024, not -1"),
    ("scene.cycles.max_bounces", 4.5, "it takes a whole number, not 4.5"),
    ("scene.cycles.max_bounces", "many", "it takes a whole number, not 'many'"),
    ("scene.cycles.max_bounces", True, "it takes a whole number, not True"),
    ("scene.cycles.use_denoising", "yes", "it takes true or false"),
    ("scene.render.image_settings.color_mode", "CMYK", "there is BW, RGB, RGBA"),
    ("scene.gravity", [1, 2], "it takes 3 values"),
    ("scene.gravity[3]", 1, "there is no [3], it has 3"),
    ("scene.camera", "Nobody", "no object 'Nobody', there is Camera, Cube, Second, Sun"),
    ('data.objects["Cub"].hide_render', True, 'no ["Cub"], there is Cube'),
    ('data.objects["Cube"]["rust"]', 1, 'no ["rust"], there is'),
    ('data.objects["Cube"]["wear"]', "much", "it takes a float"),
    ("data.objects[99].hide_render", True, "there is no [99], it has 4"),
    ("data.objects", 1, "Blender does not let it be changed"),
    ("scene.name_full", "x", "Blender does not let it be changed"),
    ("scene", 1, "name a property of it"),
    ("bpy.app.debug", True, "a property begins with scene, view_layer, data, world or camera"),
    ("scene.__class__", 1, 'is no name, ["key"] or [number]'),
    ("scene.bl_rna.name", 1, "has no property bl_rna"),
    ("scene.keyframe_insert", 1, "has no property keyframe_insert"),
    ("scene.render.filepath; import os", 1, "is no name"),
    ('data.objects[__import__("os")].x', 1, "is no name"),
    ("scene.view_layers[0].depsgraph.scene.gravity[7]", 0, "can't set"),
    ("world.color", [0, 0, 0], "the scene has none"),
    ("scene.render.filepath", "/tmp/x", "--output"),
    ('data.scenes["Shot"].render.filepath', "/tmp/x", "--output"),
    ("scene.frame_end", 9, "--frames"),
    ("scene.frame_step", 2, "--frames"),
    ("scene.render.threads", 64, "each worker has its own"),
    ("scene.render.use_overwrite", False, "the farm needs it"),
    ("scene.render.use_file_extension", False, "the farm needs it"),
    ("scene.render.image_settings.file_format", "JPEG", "--format"),
    ("scene.render.engine", "BLENDER_WORKBENCH", "--engine"),
    ("scene.cycles.device", "GPU", "--device"),
]


@pytest.fixture(scope="module")
def blend(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overrides")
    return real.make_scene(folder / "shot.blend", "--extras")


def picture(warm: Blender, frame: int, folder: Path) -> bytes:
    [path] = warm.render(frame, folder, lambda progress: None).files
    with Image.open(path) as image:
        return image.tobytes()


def refusal(warm: Blender, blend: Path, device: str = "cpu", **settings: Any) -> BlenderFailed:
    with pytest.raises(BlenderFailed) as caught:
        warm.load(blend, RenderSettings(**settings), {}, device)
    return caught.value


def test_any_property_is_set_as_asked_or_refused_with_what_there_is(
    real: RealBlender, blend: Path, tmp_path: Path
) -> None:
    cases = [(path, value) for path, value, _ in (*SET, *REFUSED)]
    (tmp_path / "cases").write_text(json.dumps(cases), "utf-8")
    real.run(TRY, tmp_path, str(blend), str(tmp_path / "cases"), str(tmp_path / "results"))
    results = json.loads((tmp_path / "results").read_text("utf-8"))
    done, refused = results[: len(SET)], results[len(SET) :]
    wrong = [
        (path, result) for (path, _, shown), result in zip(SET, done, strict=True)
        if result != ["set", shown]
    ]  # fmt: skip
    assert not wrong, wrong
    wrong = [
        (path, value, result)
        for (path, value, why), result in zip(REFUSED, refused, strict=True)
        if result[0] != "refused" or why not in result[1]
    ]
    assert not wrong, wrong


def test_each_attempt_is_rendered_with_the_same_changes(
    blend: Path, warm: Blender, tmp_path: Path
) -> None:
    plain = RenderSettings()
    changed = RenderSettings(
        camera="Second",
        samples=3,
        resolution_percentage=50,
        properties={"scene.render.film_transparent": True, 'data.lights["Sun"].energy': 9.0},
    )
    warm.load(blend, plain, {})
    before = picture(warm, 5, tmp_path / "plain")
    warm.load(blend, changed, {})
    first = {frame: picture(warm, frame, tmp_path / f"a{frame}") for frame in (5, 2)}
    again = picture(warm, 5, tmp_path / "again")
    # In a process that rendered something else in between.
    warm.load(blend, plain, {})
    assert picture(warm, 5, tmp_path / "plain again") == before
    warm.load(blend, changed, {})
    late = {frame: picture(warm, frame, tmp_path / f"b{frame}") for frame in (2, 5)}
    assert first == late
    assert again == first[5] != before


def test_a_chosen_camera_stays_though_markers_switch_to_others(
    blend: Path, warm: Blender, tmp_path: Path
) -> None:
    warm.load(blend, RenderSettings(), {})
    switched = picture(warm, 9, tmp_path / "marker")
    warm.load(blend, RenderSettings(camera="Camera"), {})
    chosen = picture(warm, 9, tmp_path / "chosen")
    warm.load(blend, RenderSettings(camera="Second"), {})
    assert picture(warm, 9, tmp_path / "second") == switched != chosen
    failure = refusal(warm, blend, camera="Third")
    assert "no camera named Third, only Camera, Second" in failure.reason
    assert failure.gives_up == "job"


def test_the_last_property_wins_over_the_other_settings(
    blend: Path, warm: Blender, tmp_path: Path
) -> None:
    wider = {"scene.render.resolution_x": 30, "scene.render.resolution_percentage": 50}
    loaded = warm.load(blend, RenderSettings(resolution_x=80, properties=wider), {})
    assert loaded.width == 15


def test_a_property_that_is_not_there_gives_up_the_job(blend: Path, warm: Blender) -> None:
    failure = refusal(warm, blend, properties={"scene.cycles.bounces": 4})
    assert "can't set scene.cycles.bounces: " in failure.reason
    assert failure.gives_up == "job"


def test_a_device_that_is_not_there_is_a_failure_and_not_a_slow_render(
    blend: Path, warm: Blender
) -> None:
    failure = refusal(warm, blend, device="optix")
    assert "Cycles finds no optix device here" in failure.reason
    # Another worker may have one.
    assert failure.gives_up is None


def test_the_denoiser_is_switched_on_or_off_or_refused(
    real: RealBlender, blend: Path, warm: Blender, tmp_path: Path
) -> None:
    warm.load(blend, RenderSettings(denoiser="off"), {})
    noisy = picture(warm, 1, tmp_path / "noisy")
    if real.facts.features.get("oidn", "not built in"):
        failure = refusal(warm, blend, denoiser="oidn")
        assert "has no denoiser OPENIMAGEDENOISE here" in failure.reason
        assert failure.gives_up is None
        return
    warm.load(blend, RenderSettings(denoiser="oidn"), {})
    assert picture(warm, 1, tmp_path / "clean") != noisy
