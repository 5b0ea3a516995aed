"""Against plain Blender: burst gives the very same pixels, whatever is rendered when.

The whole farm (a scene with motion and one with motion blur, in tasks of one frame and in
chunks, by two workers), and one warm Blender with a zoo of all that moves: frames in random
order, again, and with other scenes in between. Left out: simulations (`test_simulations.py`),
scenes of others, and every format but PNG.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burst.domain.jobs import RenderSettings
from burst.worker.blender import Blender
from tests.fakes.blenders import RealBlender, real_blender

pytestmark = pytest.mark.blender

ROOT = Path(__file__).resolve().parents[2]
FRAMES = (1, 5)
FAKES = Path(__file__).parent.parent / "fakes"
ZOO_FRAMES = range(1, 9)
SHY = ("motion_blur", "hair", "lantern", "fireflies", "mosaic")
"""What render data must not be kept for; each in a scene of its own, so that none hides another."""
SCRIPTS = ("script_driver", "script_handler", "material")


@pytest.fixture(params=["binary", "bpy"])
def blender(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> RealBlender:
    return real_blender(request.param, tmp_path_factory.mktemp("cache"))


def burst_render(
    blender: RealBlender, blend: Path, output: Path, *options: str
) -> dict[str, object]:
    mine = {key: value for key, value in os.environ.items() if not key.startswith("BURST_")}
    folder = blend.parent
    done = subprocess.run(
        [
            *(sys.executable, "-m", "burst", "render", str(blend), "--local", "--json"),
            *("--frames", f"{FRAMES[0]}-{FRAMES[1]}", "--output", str(output)),
            *("--blender", str(blender.program), "--workers", "2", *options),
        ],
        env={
            **mine,
            "PYTHONPATH": str(ROOT),
            "BURST_STATE_DIR": str(folder / "state"),
            "BURST_EXIT_WHEN_IDLE_SECONDS": "0.5",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


@pytest.mark.parametrize(
    ("scene", "options"), [((), ()), ((), ("--chunk", "3")), (("--motion-blur",), ())]
)
def test_the_farm_gives_the_pixels_of_one_plain_run(
    blender: RealBlender, tmp_path: Path, scene: tuple[str, ...], options: tuple[str, ...]
) -> None:
    blend = blender.make_scene(tmp_path / "shot.blend", *scene)
    plain = tmp_path / "plain"
    plain.mkdir()
    blender.animate(blend, str(plain / "shot_####"), *FRAMES)
    burst_render(blender, blend, tmp_path / "frames", *options)
    expected = sorted(pixels(plain).items())
    found = sorted(pixels(tmp_path / "frames").items())
    assert len(found) == len(expected) == FRAMES[1] - FRAMES[0] + 1
    for (_, plain_frame), (name, frame) in zip(expected, found, strict=True):
        assert frame.std() > 1, f"{name} is uniform: it proves nothing"
        assert np.array_equal(plain_frame, frame), name
    first, second = (frame for _, frame in found[:2])
    assert not np.array_equal(first, second), "neighbours must differ"


@pytest.fixture
def warm(blender: RealBlender, tmp_path: Path) -> Iterator[Blender]:
    opened = Blender(
        blender.program,
        blender.facts,
        scratch=tmp_path / "scratch",
        threads=2,
        memory_limit_bytes=0,
        on_line=lambda text: None,
    )
    yield opened
    opened.close()


def zoo(blender: RealBlender, folder: Path, *animals: str) -> Path:
    folder.mkdir()
    blender.run(FAKES / "make_zoo.py", folder, str(folder / "zoo.blend"), *animals)
    return folder / "zoo.blend"


def straight(blender: RealBlender, blend: Path, *, trust: bool = False) -> dict[int, bytes]:
    folder = blend.parent / "plain"
    folder.mkdir()
    first, last = ZOO_FRAMES[0], ZOO_FRAMES[-1]
    blender.animate(blend, str(folder / "f_####"), first, last, trust=trust)
    frames = {frame: picture(folder / f"f_{frame:04}.png") for frame in ZOO_FRAMES}
    assert len(set(frames.values())) >= len(frames) - 2, "it has to move to prove anything"
    return frames


def picture(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def shuffled(seed: int) -> list[int]:
    """Return all frames in some order, some of them twice."""
    order = [*ZOO_FRAMES, 3, 6]
    random.Random(seed).shuffle(order)
    return order


def rendered(warm: Blender, frame: int, folder: Path) -> bytes:
    return picture(warm.render(frame, folder, lambda progress: None).files[0])


def test_a_zoo_of_features_has_the_pixels_of_one_run_in_any_order(
    blender: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = zoo(blender, tmp_path / "zoo")
    expected = straight(blender, blend)
    other = zoo(blender, tmp_path / "other", "material", "lights")
    warm.load(blend, RenderSettings(), {})
    order = shuffled(11)
    for turn, frame in enumerate(order):
        if turn == len(order) // 2:
            # Another job's scene in between; then a process that knows nothing.
            warm.load(other, RenderSettings(), {})
            rendered(warm, frame, tmp_path / "other job")
            warm.load(blend, RenderSettings(), {})
        assert rendered(warm, frame, tmp_path / f"out-{turn}") == expected[frame], order[: turn + 1]
    # The zoo was rendered the fast way: otherwise this would prove little.
    assert judged(blender, tmp_path, blend) == {"zoo": False}


@pytest.mark.parametrize("animal", SHY)
def test_what_render_data_must_not_be_kept_for_has_the_pixels_of_one_run(
    blender: RealBlender, warm: Blender, tmp_path: Path, animal: str
) -> None:
    blend = zoo(blender, tmp_path / animal, animal, "material")
    expected = straight(blender, blend)
    warm.load(blend, RenderSettings(), {})
    for turn, frame in enumerate(shuffled(5)):
        assert rendered(warm, frame, tmp_path / f"out-{turn}") == expected[frame], frame


def test_trusted_scripts_work_as_in_one_run(
    blender: RealBlender, warm: Blender, tmp_path: Path
) -> None:
    blend = zoo(blender, tmp_path / "scripts", *SCRIPTS)
    expected = straight(blender, blend, trust=True)
    assert warm.load(blend, RenderSettings(trust_scripts=True), {}).warnings == ()
    for turn, frame in enumerate(shuffled(3)):
        assert rendered(warm, frame, tmp_path / f"out-{turn}") == expected[frame], frame
    # Not run, they give another picture, and a warning.
    loaded = warm.load(blend, RenderSettings(), {})
    frame = warm.render(5, tmp_path / "untrusted", lambda progress: None)
    assert picture(frame.files[0]) != expected[5]
    assert any("--trust-scripts" in warning for warning in (*loaded.warnings, *frame.warnings))


def judged(blender: RealBlender, folder: Path, *blends: Path) -> dict[str, bool]:
    """Return whether the driver thinks that render data must not be kept for scenes."""
    results = folder / "judged"
    blender.run(FAKES / "judge_scenes.py", folder, str(results), *map(str, blends))
    found = json.loads(results.read_text("utf-8"))
    return {name: one["history"] for name, one in found.items()}
