"""Simulations with and without a bake: named alike by burst and by Blender, and rendered right.

Left out: Alembic and other caches of finished geometry, which are no simulations; fluids in
5.0, whose wheel dies of them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from burst.domain.jobs import RenderSettings
from burst.scene.needs import read_needs
from burst.scene.trace import trace
from burst.worker.blender import Blender, BlenderFailed
from tests.fakes.blenders import RealBlender

pytestmark = pytest.mark.blender

FAKES = Path(__file__).parent.parent / "fakes"
MAKE = FAKES / "make_simulations.py"
CASES: dict[str, list[str]] = {
    "cloth": ["Cloth on 'Flag'"],
    "cloth-baked": [],
    "cloth-disk": ["Cloth on 'Flag'"],
    "cloth-diskbaked": [],
    "cloth-hidden": [],
    "softbody": ["Soft body on 'Jelly'"],
    "softbody-baked": [],
    "particles": ["Particles on 'Source'"],
    "particles-baked": [],
    "particles-still": [],
    "particles-keyed": [],
    "particles-hair": [],
    "particles-hairdynamic": ["Hair dynamics on 'Source'"],
    "particles-hairdynamicbaked": [],
    "rigid": ["Rigid bodies"],
    "rigid-baked": [],
    "rigid-off": [],
    "rigid-passive": [],
    "paint": ["Dynamic paint on 'Canvas'"],
    "paint-baked": [],
    "paint-wave": ["Dynamic paint on 'Canvas'"],
    "elsewhere": [],
    "instanced": ["Cloth on 'Flag'"],
    "cloth+rigid+particles": ["Cloth on 'Flag'", "Particles on 'Source'", "Rigid bodies"],
}
FLUIDS = {
    "fluid": ["Fluid on 'Tank'"],
    "fluid-modular": ["Fluid on 'Tank'"],
    "fluid-baked": [],
}
ZONES = {
    "zone": ["Simulation nodes on 'Grower'"],
    "zone-packedbaked": [],
    "zone-disk": ["Simulation nodes on 'Grower'"],
    "zone-diskbaked": [],
}
BAKED = "cloth-baked+softbody-baked+particles-baked+rigid-baked+paint-baked"
UNBAKED = "cloth+softbody+particles+rigid"
FRAMES = range(1, 9)


def make(real: RealBlender, folder: Path, *cases: str) -> dict[str, Path]:
    real.run(MAKE, folder, str(folder / "{}.blend"), *cases)
    return {case: folder / f"{case}.blend" for case in cases}


def picture(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def straight(real: RealBlender, blend: Path, folder: Path) -> dict[int, bytes]:
    folder.mkdir()
    real.animate(blend, str(folder / "f_####"), FRAMES[0], FRAMES[-1])
    return {frame: picture(folder / f"f_{frame:04}.png") for frame in FRAMES}


def rendered(warm: Blender, frame: int, folder: Path) -> bytes:
    return picture(warm.render(frame, folder, lambda progress: None).files[0])


def test_burst_and_blender_name_the_same_simulations(real: RealBlender, tmp_path: Path) -> None:
    expected = CASES | (FLUIDS if real.facts.version < (5, 0, 0) else ZONES)
    blends = make(real, tmp_path, *expected)
    assert {
        case: list(read_needs(trace(blend)).unbaked) for case, blend in blends.items()
    } == expected
    real.run(
        FAKES / "judge_scenes.py", tmp_path, str(tmp_path / "seen"), *map(str, blends.values())
    )
    seen = json.loads((tmp_path / "seen").read_text("utf-8"))
    # Whether nodes have a bake inside the .blend Blender tells no script.
    told = {case: [] if case in ZONES else names for case, names in expected.items()}
    assert {case: judged["unbaked"] for case, judged in seen.items()} == told


def test_an_unbaked_simulation_of_a_library_is_named(real: RealBlender, tmp_path: Path) -> None:
    (tmp_path / "props").mkdir()
    library = make(real, tmp_path / "props", "cloth")["cloth"]
    blend = real.make_scene(tmp_path / "shot.blend", "--library", str(library), "--linked", "Flag")
    assert read_needs(trace(blend)).unbaked == ("Cloth on 'Flag'",)
    # Linked from the same file, but for something else.
    other = real.make_scene(tmp_path / "o.blend", "--library", str(library), "--linked", "Ball")
    assert read_needs(trace(other)).unbaked == ()


def test_baked_simulations_have_the_pixels_of_one_run_in_any_order(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = make(real, tmp_path, BAKED)[BAKED]
    expected = straight(real, blend, tmp_path / "plain")
    assert len(set(expected.values())) > 5
    warm.load(blend, RenderSettings(), {})
    order = [*FRAMES, 4, 2]
    random.Random(7).shuffle(order)
    for turn, frame in enumerate(order):
        assert rendered(warm, frame, tmp_path / f"out-{turn}") == expected[frame], order[: turn + 1]


def test_an_unbaked_simulation_is_refused_or_rendered_in_order_as_in_one_run(
    real: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = make(real, tmp_path, UNBAKED)[UNBAKED]
    with pytest.raises(BlenderFailed) as caught:
        warm.load(blend, RenderSettings(), {})
    assert caught.value.gives_up == "job"
    names = "Cloth on 'Flag', Particles on 'Source', Rigid bodies, Soft body on 'Jelly'"
    assert names in caught.value.reason
    assert "--force" in caught.value.reason
    expected = straight(real, blend, tmp_path / "plain")
    loaded = warm.load(blend, RenderSettings(unbaked="render"), {})
    assert [warning.split(" is not baked")[0] for warning in loaded.warnings] == names.split(", ")
    for frame in FRAMES:
        assert rendered(warm, frame, tmp_path / f"out-{frame}") == expected[frame], frame
