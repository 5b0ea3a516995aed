"""Previews of every kind of picture that Pillow reads; OpenEXR and HDR have none."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from burst.worker.preview import make_preview


def preview(source: Path, width: int = 320) -> Image.Image:
    target = source.with_name("preview.jpg")
    assert make_preview(source, target, width)
    with Image.open(target) as image:
        image.load()
        assert image.format == "JPEG"
        return image.copy()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp", "a.tga"])
def test_each_format_becomes_a_small_jpeg_of_the_same_shape(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    Image.new("RGB", (1280, 720), (200, 40, 90)).save(source)
    image = preview(source)
    assert image.size == (320, 180)
    red, green, blue = image.getpixel((100, 100))  # type: ignore[misc]
    assert abs(red - 200) + abs(green - 40) + abs(blue - 90) < 20


def test_a_small_picture_is_not_enlarged(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.new("RGB", (64, 36)).save(source)
    assert preview(source).size == (64, 36)


def test_sixteen_bits_are_brought_down_not_cut_off(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.new("I;16", (640, 4), 0x8000).save(source)
    red = preview(source).getpixel((5, 1))[0]  # type: ignore[index]
    assert abs(red - 0x80) < 4


def test_transparent_is_neither_black_nor_white(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Image.new("RGBA", (640, 360), (255, 255, 255, 0)).save(source)
    assert 32 < preview(source).getpixel((5, 5))[0] < 128  # type: ignore[index]


@pytest.mark.parametrize("name", ["a.exr", "a.hdr", "a.svg", "cut.png"])
def test_what_can_not_be_shown_has_no_preview(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert not make_preview(source, tmp_path / "preview.jpg")
