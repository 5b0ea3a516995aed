"""Previews of every kind of picture that can be decoded, and what looks wrong in them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from burst.worker.preview import BLACK, TRANSPARENT, make_preview
from tests.fakes.exr_bytes import write_luminance_and_chroma


def preview(source: Path, width: int = 320) -> Image.Image:
    jpeg = make_preview(source, width).jpeg
    assert jpeg is not None
    with Image.open(io.BytesIO(jpeg)) as image:
        image.load()
        assert image.format == "JPEG"
        return image.copy()


def color_at(source: Path, x: int, y: int) -> tuple[int, ...]:
    color = preview(source).getpixel((x, y))
    assert isinstance(color, tuple)
    return color


def near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 8 for a, b in zip(one, other, strict=True))


# ── What Pillow reads ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp", "a.tga"])
def test_each_format_becomes_a_small_jpeg_of_the_same_shape(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    Image.new("RGB", (1280, 720), (200, 40, 90)).save(source)
    image = preview(source)
    assert image.size == (320, 180)
    assert near(color_at(source, 100, 100), (200, 40, 90))
    assert make_preview(source).doubts == ()


def test_a_name_without_an_extension_has_a_preview(tmp_path: Path) -> None:
    source = tmp_path / "shot_0001"
    Image.new("RGB", (64, 36)).save(source, "PNG")
    assert preview(source).size == (64, 36)


def test_sixteen_bits_are_brought_down_not_cut_off(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.new("I;16", (640, 4), 0x8000).save(source)
    assert near(color_at(source, 5, 1), (0x80, 0x80, 0x80))


def test_transparent_is_neither_black_nor_white(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.new("RGBA", (640, 360), (255, 255, 255, 0)).save(source)
    assert near(color_at(source, 5, 5), (64, 64, 64))


@pytest.mark.parametrize(
    ("mode", "color", "doubts"),
    [
        ("RGB", (0, 0, 0), (BLACK,)),
        ("L", 0, (BLACK,)),
        ("I;16", 0, (BLACK,)),
        ("RGBA", (0, 0, 0, 255), (BLACK,)),
        ("RGBA", (0, 0, 0, 0), (TRANSPARENT,)),
        ("RGBA", (9, 9, 9, 0), (TRANSPARENT,)),
        ("RGB", (0, 0, 1), ()),
        ("L", 255, ()),
    ],
)
def test_a_picture_that_shows_nothing_is_doubted(
    tmp_path: Path, mode: str, color: Any, doubts: tuple[str, ...]
) -> None:
    source = tmp_path / "a.png"
    Image.new(mode, (100, 60), color).save(source)
    assert make_preview(source).doubts == doubts


def test_one_pixel_that_is_not_black_is_enough(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    image = Image.new("RGB", (1920, 1080))
    image.putpixel((1001, 607), (0, 1, 0))
    image.save(source)
    assert make_preview(source).doubts == ()


def test_a_shadow_alone_is_not_black(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    image = Image.new("RGBA", (100, 60), (0, 0, 0, 0))
    image.putpixel((50, 30), (0, 0, 0, 128))
    image.save(source)
    assert make_preview(source).doubts == ()


@pytest.mark.parametrize("name", ["a.png", "a.exr", "a.hdr", "a.dpx", "a"])
def test_what_can_not_be_decoded_has_no_preview_and_no_doubts(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    for content in (b"no picture", b"\x76\x2f\x31\x01" + bytes(50), b"#?RADIANCE\n\n-Y 9 +X 9\n"):
        source.write_bytes(content)
        seen = make_preview(source)
        assert (seen.jpeg, seen.doubts) == (None, ())


# ── OpenEXR ──────────────────────────────────────────────────────────────────────────


def pixels(*color: float, size: tuple[int, int] = (36, 64), dtype: str = "float16") -> Any:
    return np.full((*size, len(color)), color, dtype)


def write_exr(path: Path, channels: dict[str, Any], **header: Any) -> Path:
    made = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    OpenEXR.File(made, channels).write(str(path))
    return path


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_linear_light_is_shown_as_srgb(tmp_path: Path, dtype: str) -> None:
    source = write_exr(tmp_path / "a.exr", {"RGBA": pixels(0.2140, 1.0, 7.0, 1.0, dtype=dtype)})
    assert near(color_at(source, 5, 5), (127, 255, 255))


def test_a_large_picture_is_made_small(tmp_path: Path) -> None:
    source = write_exr(tmp_path / "a.exr", {"RGB": pixels(0.5, 0.5, 0.5, size=(500, 1999))})
    assert preview(source).size == (320, 80)


def test_premultiplied_alpha_shows_the_background(tmp_path: Path) -> None:
    source = write_exr(tmp_path / "a.exr", {"RGBA": pixels(0.0, 0.0, 0.0, 0.0)})
    assert near(color_at(source, 5, 5), (64, 64, 64))
    assert make_preview(source).doubts == (TRANSPARENT,)


@pytest.mark.parametrize(
    "names",
    [
        ("Cam", "ViewLayer.Combined", "ViewLayer.Normal"),
        ("AA.Combined", "Composite.Combined"),
        ("ViewLayer.Diff", "ViewLayer.Combined.left"),
    ],
)
def test_of_several_layers_the_combined_one_is_shown(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    shown = next(
        n for n in names if n.startswith("Composite") or (n.startswith("View") and "Comb" in n)
    )
    channels = {
        f"{name}.{letter}": pixels(1.0 if name == shown else 0.0)[..., 0]
        for name in names
        for letter in "RGB"
    }
    source = write_exr(tmp_path / "a.exr", channels)
    assert near(color_at(source, 5, 5), (255, 255, 255))


def test_of_several_parts_the_combined_one_is_shown(tmp_path: Path) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    parts = [
        OpenEXR.Part(
            {**header, "name": name},
            {f"{name}.{letter}": pixels(value)[..., 0] for letter in "RGB"},
            name,
        )
        for name, value in (("ViewLayer.Normal", 0.0), ("ViewLayer.Combined", 1.0))
    ]
    OpenEXR.File(parts).write(str(tmp_path / "a.exr"))
    assert near(color_at(tmp_path / "a.exr", 5, 5), (255, 255, 255))


@pytest.mark.parametrize("name", ["Y", "V"])
def test_one_channel_is_gray(tmp_path: Path, name: str) -> None:
    source = write_exr(tmp_path / "a.exr", {name: pixels(0.2140)[..., 0]})
    assert near(color_at(source, 5, 5), (127, 127, 127))


def test_luminance_with_chroma_of_half_the_size_is_shown(tmp_path: Path) -> None:
    write_luminance_and_chroma(tmp_path / "a.exr", pixels(0.2140, size=(10, 14))[..., 0])
    assert near(color_at(tmp_path / "a.exr", 5, 5), (127, 127, 127))


def test_a_part_of_the_picture_is_shown_in_its_place(tmp_path: Path) -> None:
    window = (np.array([16, 9], np.int32), np.array([31, 17], np.int32))
    display = (np.array([0, 0], np.int32), np.array([63, 35], np.int32))
    source = write_exr(
        tmp_path / "a.exr",
        {"RGB": pixels(1.0, 1.0, 1.0, size=(9, 16))},
        dataWindow=window,
        displayWindow=display,
    )
    assert preview(source).size == (64, 36)
    assert near(color_at(source, 24, 13), (255, 255, 255))
    assert near(color_at(source, 40, 13), (64, 64, 64))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_values_that_are_no_numbers_are_counted_by_pixel(tmp_path: Path, dtype: str) -> None:
    frame = pixels(0.5, 0.5, 0.5, 1.0, dtype=dtype)
    frame[3, 4, :2] = np.nan
    source = write_exr(tmp_path / "a.exr", {"RGBA": frame})
    assert make_preview(source).doubts == ("1 pixel is not a number",)
    frame[7, 8, 2], frame[9, 9, 3] = np.inf, -np.inf
    assert make_preview(write_exr(source, {"RGBA": frame})).doubts == ("3 pixels are not numbers",)
    assert preview(source).size == (64, 36)


def test_a_black_one_is_doubted_and_a_spark_is_enough(tmp_path: Path) -> None:
    frame = pixels(0.0, 0.0, 0.0, 1.0, size=(500, 2000))
    source = write_exr(tmp_path / "a.exr", {"RGBA": frame})
    assert make_preview(source).doubts == (BLACK,)
    frame[333, 1777, 1] = 1e-5
    assert make_preview(write_exr(source, {"RGBA": frame})).doubts == ()


def test_a_file_without_an_image_has_no_preview(tmp_path: Path) -> None:
    source = write_exr(tmp_path / "a.exr", {"ViewLayer.Depth.Z": pixels(1.0)[..., 0]})
    assert make_preview(source).jpeg is None


# ── Radiance HDR ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("packed", [True, False])
def test_an_hdr_is_shown_as_srgb(tmp_path: Path, packed: bool) -> None:
    width, height, color = 64, 36, (55, 128, 0, 128)
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 36 +X 64\n"
    mark = struct.pack(">BBH", 2, 2, width)
    line = mark + b"".join(bytes([128 + 64, value]) for value in color)
    source = tmp_path / "a.hdr"
    source.write_bytes(head + (line if packed else bytes(color) * width) * height)
    assert near(color_at(source, 5, 5), (127, 188, 0))
    assert make_preview(source).doubts == ()
    black = mark + b"".join(bytes([128 + 64, 0]) for _ in range(4))
    source.write_bytes(head + (black if packed else bytes(4) * width) * height)
    assert make_preview(source).doubts == (BLACK,)
