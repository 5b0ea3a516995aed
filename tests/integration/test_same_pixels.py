"""The whole farm against plain Blender: `burst render --local` gives the very same pixels.

A scene with motion and one with motion blur, by both Blenders, in tasks of one frame and in
chunks, by two workers. Left out: scenes of others, and every format but PNG.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fakes.blenders import RealBlender, real_blender

pytestmark = pytest.mark.blender

ROOT = Path(__file__).resolve().parents[2]
FRAMES = (1, 5)


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
