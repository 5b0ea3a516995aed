"""The image among the layers of an OpenEXR; that Blender shows it is in ``test_video.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from burst.worker.layers import extract_layer, main_layer


def written(path: Path, **layers: float) -> Path:
    """Write a file of one part, with a layer of one colour for each name."""
    channels = {
        f"{name.replace('__', '.')}.{channel}": np.full((4, 8), value, dtype=np.float32)
        for name, value in layers.items()
        for channel in "RGBA"
    }
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))
    return path


def colour(path: Path) -> float:
    with OpenEXR.File(str(path)) as file:
        assert list(file.channels()) == ["RGBA"]
        assert file.channels()["RGBA"].pixels.shape == (4, 8, 4)
        return float(file.channels()["RGBA"].pixels[0, 0, 0])


@pytest.mark.parametrize(
    ("layers", "chosen", "value"),
    [
        ({"Alpha__Combined": 1, "Zeta__Combined": 2}, "Zeta", 2),
        ({"Alpha__Combined": 1, "Composite__Combined": 3, "Zeta__Combined": 2}, "Composite", 3),
        ({"Alpha__Combined": 1, "Beta__Combined": 2}, "Alpha", 1),
        (
            {
                "Alpha__Combined__left": 1,
                "Zeta__Combined__left": 2,
                "Zeta__Combined__right": 3,
                "Zeta__Normal__left": 4,
            },
            "Zeta",
            2,
        ),
        ({"Zeta__Combined": 2, "Zeta__Combined__x__Combined": 3, "A__Combined": 1}, "Zeta", 2),
    ],
)
def test_the_image_is_taken_out(
    tmp_path: Path, layers: dict[str, float], chosen: str, value: float
) -> None:
    path = written(tmp_path / "a.exr", **layers)
    assert main_layer(path, ["Zeta", "Alpha"] if "Beta__Combined" not in layers else []) == chosen
    extract_layer(path, chosen, tmp_path / "b.exr")
    assert colour(tmp_path / "b.exr") == value


@pytest.mark.parametrize("layers", [{"Zeta__Combined": 1, "Zeta__Normal": 2}, {"": 1}])
def test_a_file_with_one_image_is_shown_as_it_is(tmp_path: Path, layers: dict[str, float]) -> None:
    assert main_layer(written(tmp_path / "a.exr", **layers), ["Zeta"]) is None


def test_parts_are_in_their_order_already(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 4), dtype=np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    parts = [
        OpenEXR.Part({**header, "name": name}, {f"{name}": OpenEXR.Channel(pixels)})
        for name in ("Zeta.Combined", "Alpha.Combined")
    ]
    with OpenEXR.File(parts) as file:
        file.write(str(tmp_path / "a.exr"))
    assert main_layer(tmp_path / "a.exr", ["Zeta", "Alpha"]) is None
