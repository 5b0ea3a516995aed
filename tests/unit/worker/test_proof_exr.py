"""OpenEXR files of every packing and layout: whole ones pass, cut and holed ones don't.

Written by the OpenEXR library. Left out: what Blender writes
(`tests/integration/test_proof_sweep.py`), and damage that the format can't show
(`docs/reference/proofs.md`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from burst.worker.proof import Color, NotWhole, deep, prove
from tests.fakes.exr_bytes import write_luminance_and_chroma

HEIGHT, WIDTH = 150, 210
PACKINGS = {
    "none": OpenEXR.NO_COMPRESSION,
    "rle": OpenEXR.RLE_COMPRESSION,
    "zips": OpenEXR.ZIPS_COMPRESSION,
    "zip": OpenEXR.ZIP_COMPRESSION,
    "piz": OpenEXR.PIZ_COMPRESSION,
    "pxr24": OpenEXR.PXR24_COMPRESSION,
    "b44": OpenEXR.B44_COMPRESSION,
    "b44a": OpenEXR.B44A_COMPRESSION,
    "dwaa": OpenEXR.DWAA_COMPRESSION,
    "dwab": OpenEXR.DWAB_COMPRESSION,
}
CHECKSUMMED = ("zips", "zip", "pxr24")
TILES = OpenEXR.TileDescription()
TILES.xSize, TILES.ySize = 32, 32


def picture(kind: str, dtype: str = "float16") -> Any:
    """Return four channels of pixels."""
    if kind == "noise":
        dice = np.random.default_rng(5)
        slope = np.linspace(0, 1, WIDTH)[None, :, None] * np.ones((HEIGHT, 1, 4))
        return (slope + dice.normal(0, 0.02, slope.shape)).astype(dtype)
    if kind == "patches":
        dice = np.random.default_rng(6)
        patches = dice.integers(0, 8, (HEIGHT, WIDTH // 3, 4)) / 1024 + 0.5
        return np.repeat(patches, 3, axis=1)[:, :WIDTH].astype(dtype)
    return np.full((HEIGHT, WIDTH, 4), {"black": 0.0, "white": 1.0, "gray": 0.18}[kind], dtype)


def write(path: Path, packing: str, layout: str = "lines", pixels: Any = None) -> bytes:
    pixels = picture("noise") if pixels is None else pixels
    tiled = layout == "tiles"
    header: dict[str, Any] = {"compression": PACKINGS[packing]}
    header["type"] = OpenEXR.tiledimage if tiled else OpenEXR.scanlineimage
    if tiled:
        header["tiles"] = TILES
    if layout == "parts":
        names = ("one", "two", "three")
        parts = [OpenEXR.Part({**header, "name": n}, {"RGBA": pixels}, n) for n in names]
        OpenEXR.File(parts).write(str(path))
    else:
        OpenEXR.File(header, {"RGBA": pixels}).write(str(path))
    return path.read_bytes()


def refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        prove(path, "OPEN_EXR", None, None)
    except NotWhole:
        return True
    return False


@pytest.mark.parametrize("layout", ["lines", "tiles", "parts"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_cut_is_seen_wherever_it_is(tmp_path: Path, packing: str, layout: str) -> None:
    path = tmp_path / "a.exr"
    content = write(path, packing, layout)
    prove(path, None, WIDTH, HEIGHT, Color("RGBA", 16))
    deep(path)
    last = len(content)
    cuts = [*range(64), *range(64, last, last // 50), *range(last - 64, last)]
    assert [cut for cut in cuts if not refused(path, content[:cut])] == []


@pytest.mark.parametrize("layout", ["lines", "tiles", "parts"])
@pytest.mark.parametrize("packing", [name for name in PACKINGS if name != "none"])
def test_a_hole_of_zeros_and_a_tail_of_zeros_are_seen(
    tmp_path: Path, packing: str, layout: str
) -> None:
    path = tmp_path / "a.exr"
    # Noise is not made smaller by RLE, and a bit map of many values may have holes.
    content = write(path, packing, layout, picture("patches"))
    last = len(content)
    starts = [place * 512 for place in range(1, last // 512, max(1, last // 512 // 40))]
    holed = [(at, content[:at] + bytes(512) + content[at + 512 :]) for at in starts]
    tails = [*range(0, last - 64, last // 40), *range(last - 64, last - 8)]
    holed += [(at, content[:at] + bytes(last - at)) for at in tails]
    assert [at for at, damaged in holed if not refused(path, damaged)] == []


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", ["black", "white", "gray"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_flat_picture_has_nothing_that_looks_like_a_hole(
    tmp_path: Path, packing: str, kind: str, dtype: str
) -> None:
    path = tmp_path / "a.exr"
    for layout in ("lines", "tiles"):
        write(path, packing, layout, picture(kind, dtype))
        prove(path, None, WIDTH, HEIGHT)
        deep(path)


@pytest.mark.parametrize("packing", CHECKSUMMED)
def test_a_flipped_byte_is_found_by_decoding(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "a.exr"
    content = write(path, packing)
    passed = []
    for place in range(len(content) // 3, len(content), len(content) // 40):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            deep(path)
        except NotWhole:
            continue
        passed.append(place)
    assert passed == []


def test_what_the_library_can_not_decode_is_refused_by_a_deep_look(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    content = bytearray(write(path, "rle", "parts", picture("patches")))
    # A length that no run has: the structure is right, the pixels are not.
    middle = len(content) // 2
    content[middle : middle + 40] = b"\x7f\x55" * 20
    path.write_bytes(content)
    prove(path, None, WIDTH, HEIGHT)
    with pytest.raises(NotWhole, match="can't be decoded: a part is damaged"):
        deep(path)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(Color("RGB", 16), "is RGBA, not RGB"), (Color("RGBA", 32), "has 16 bits a channel, not 32")],
)
def test_other_channels_than_wanted_are_refused(tmp_path: Path, wanted: Color, said: str) -> None:
    path = tmp_path / "a.exr"
    write(path, "zip")
    with pytest.raises(NotWhole, match=said):
        prove(path, "OPEN_EXR", WIDTH, HEIGHT, wanted)


def test_subsampled_channels_are_measured_right(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    write_luminance_and_chroma(path, np.full((10, 14), 0.5, "float16"))
    prove(path, None, 14, 10)
    deep(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(NotWhole):
        prove(path, None, 14, 10)
