"""Files that are cut, zeroed or damaged are refused, whole ones pass.

Left out: what Blender itself writes (`tests/integration/test_blender_results.py`), and
replaced pixels in formats without checksums, which nobody can see.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from burst.worker.proof import Color, NotWhole, deep, prove

SIZE = (41, 23)


def picture(mode: str = "RGB") -> Image.Image:
    noise = random.Random(7).randbytes(SIZE[0] * SIZE[1] * len(mode))
    return Image.frombytes(mode, SIZE, noise)


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    sink = io.BytesIO()
    picture(mode).save(sink, kind, **options)
    return sink.getvalue()


def exr(*, tiled: bool = False, parts: int = 1, compression: int = 3) -> bytes:
    """Write an OpenEXR of one half-float channel a part, as small as the format allows."""
    width, height = SIZE
    lines = {0: 1, 2: 1, 3: 16}[compression]
    many = parts > 1
    version = 2 | (0x200 if tiled and not many else 0) | (0x1000 if many else 0)
    header = struct.pack("<II", 20000630, version)
    channel = b"Y\0" + struct.pack("<iIii", 1, 0, 1, 1) + b"\0"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    chunks: list[list[bytes]] = []
    for part in range(parts):
        packed = []
        if tiled:
            for row in range(-(-height // 16)):
                for column in range(-(-width // 16)):
                    area = min(16, height - row * 16) * min(16, width - column * 16)
                    data = zlib.compress(bytes(2 * area))
                    packed.append(struct.pack("<5i", column, row, 0, 0, len(data)) + data)
        else:
            for top in range(0, height, lines):
                plain = random.Random(top).randbytes(width * 2 * min(lines, height - top) // 2) * 2
                data = zlib.compress(plain) if compression else plain
                packed.append(struct.pack("<2i", top, len(data)) + data)
        prefix = struct.pack("<i", part) if many else b""
        chunks.append([prefix + chunk for chunk in packed])
        attributes = [
            (b"channels", b"chlist", channel),
            (b"compression", b"compression", bytes([compression])),
            (b"dataWindow", b"box2i", window),
        ]
        if tiled:
            attributes.append((b"tiles", b"tiledesc", struct.pack("<IIB", 16, 16, 0)))
        if many:
            kind = b"tiledimage" if tiled else b"scanlineimage"
            attributes.append((b"type", b"string", kind))
            attributes.append((b"chunkCount", b"int", struct.pack("<i", len(packed))))
        for name, kind, value in attributes:
            header += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
        header += b"\0"
    header += b"\0" if many else b""
    position = len(header) + 8 * sum(len(part) for part in chunks)
    tables = b""
    for chunk in (chunk for part in chunks for chunk in part):
        tables += struct.pack("<Q", position)
        position += len(chunk)
    return header + tables + b"".join(chunk for part in chunks for chunk in part)


WHOLE = {
    "a.png": encoded("PNG"),
    "alpha.png": encoded("PNG", "RGBA"),
    "a.jpg": encoded("JPEG"),
    "progressive.jpg": encoded("JPEG", progressive=True),
    "a.tif": encoded("TIFF"),
    "packed.tif": encoded("TIFF", compression="tiff_adobe_deflate"),
    "a.webp": encoded("WEBP"),
    "lossless.webp": encoded("WEBP", lossless=True),
    "alpha.webp": encoded("WEBP", "RGBA"),
    "a.bmp": encoded("BMP"),
    "a.tga": encoded("TGA"),
    "packed.tga": encoded("TGA", compression="tga_rle"),
    "a.jp2": encoded("JPEG2000"),
    "lines.exr": exr(),
    "plain.exr": exr(compression=0),
    "tiles.exr": exr(tiled=True),
    "parts.exr": exr(parts=3),
    "tiled-parts.exr": exr(parts=2, tiled=True),
}
CHECKED_TO_THE_END = ["a.png", "alpha.png", "a.jpg", "progressive.jpg", "lines.exr", "parts.exr"]
"""Formats in which a tail of zeros shows wherever it begins."""


def refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        prove(path, None, None, None)
    except NotWhole:
        return True
    return False


def places(content: bytes) -> list[int]:
    last = len(content)
    return sorted({*range(0, last, max(1, last // 97)), last - 1, last - 2, last - 20})


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_passes_with_its_size_and_no_other(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    prove(path, None, *SIZE)
    prove(path, None, None, None)
    with pytest.raises(NotWhole, match="41 × 23 pixels, not 41 × 24"):
        prove(path, None, SIZE[0], SIZE[1] + 1)
    with pytest.raises(NotWhole, match="pixels, not"):
        prove(path, None, SIZE[0] * 2, SIZE[1])


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path, name: str) -> None:
    content = WHOLE[name]
    whole_before = 0
    if name.endswith(".tga"):
        # Pillow puts a footer behind the pixels, which no reader needs.
        whole_before = 26
    passed = [
        cut
        for cut in places(content)
        if cut < len(content) - whole_before and not refused(tmp_path / name, content[:cut])
    ]
    assert passed == []


@pytest.mark.parametrize("name", CHECKED_TO_THE_END)
def test_a_tail_of_zeros_is_refused_wherever_it_begins(tmp_path: Path, name: str) -> None:
    content = WHOLE[name]
    zeroed = [(cut, content[:cut] + bytes(len(content) - cut)) for cut in places(content)]
    assert zeroed
    passed = [cut for cut, data in zeroed if data != content and not refused(tmp_path / name, data)]
    assert passed == []


@pytest.mark.parametrize("name", ["a.png", "alpha.png"])
def test_a_png_with_any_byte_flipped_is_refused(tmp_path: Path, name: str) -> None:
    content = WHOLE[name]
    for place in places(content):
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        assert refused(tmp_path / name, bytes(flipped)), place


def test_something_behind_the_end_of_a_png_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.png", WHOLE["a.png"] + b"\0")


@pytest.mark.parametrize("name", ["lines.exr", "tiles.exr", "parts.exr"])
def test_an_exr_whose_table_was_never_written_is_refused(tmp_path: Path, name: str) -> None:
    content = WHOLE[name]
    # The table is the only place that holds the place of the last chunk.
    last_offset = struct.pack("<Q", content_start_of_last_chunk(content))
    assert content.count(last_offset) == 1
    path = tmp_path / name
    path.write_bytes(content.replace(last_offset, bytes(8)))
    with pytest.raises(NotWhole, match="never written"):
        prove(path, None, None, None)


def content_start_of_last_chunk(content: bytes) -> int:
    """Return the largest number in the file that reads as the place of a chunk."""
    found = [struct.unpack_from("<Q", content, place)[0] for place in range(len(content) - 8)]
    return max(value for value in found if 300 < value < len(content))


@pytest.mark.parametrize("file_format", [None, "PNG"])
def test_another_format_under_the_name_is_refused(tmp_path: Path, file_format: str | None) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE["a.jpg"])
    with pytest.raises(NotWhole, match="not a PNG"):
        prove(path, file_format, None, None)


def test_the_format_that_was_asked_for_counts_more_than_the_name(tmp_path: Path) -> None:
    path = tmp_path / "frame.0001"
    path.write_bytes(WHOLE["a.png"][:-1])
    with pytest.raises(NotWhole, match="cut"):
        prove(path, "PNG", None, None)


def test_of_an_unknown_kind_of_file_only_emptiness_is_known(tmp_path: Path) -> None:
    path = tmp_path / "strokes.svg"
    path.write_bytes(b"<svg/>")
    prove(path, None, None, None)
    path.write_bytes(b"")
    with pytest.raises(NotWhole, match="empty"):
        prove(path, None, None, None)


def test_a_file_that_is_not_there_is_not_whole(tmp_path: Path) -> None:
    with pytest.raises(NotWhole, match="can't be read"):
        prove(tmp_path / "none.png", None, None, None)


@pytest.mark.parametrize("name", WHOLE)
def test_noise_in_place_of_a_file_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    content = WHOLE[name]
    dice = random.Random(name)
    for _ in range(50):
        damaged = bytearray(content)
        for place in dice.sample(range(min(200, len(content))), 8):
            damaged[place] = dice.randrange(256)
        # Either verdict is right for one damage or the other; anything else is a bug.
        refused(tmp_path / name, bytes(damaged))
    assert refused(tmp_path / name, dice.randbytes(4) + bytes(len(content)))


def test_decoding_finds_what_structure_hides(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    header, rest = WHOLE["a.png"][:33], WHOLE["a.png"][-12:]
    pixels = zlib.compress(b"too few")
    body = struct.pack(">I", len(pixels)) + b"IDAT" + pixels
    path.write_bytes(header + body + struct.pack(">I", zlib.crc32(b"IDAT" + pixels)) + rest)
    prove(path, None, *SIZE)
    with pytest.raises(NotWhole, match="can't be decoded"):
        deep(path)
    path.write_bytes(WHOLE["a.png"])
    deep(path)


def test_decoding_passes_what_can_not_be_decoded_here(tmp_path: Path) -> None:
    path = tmp_path / "strokes.svg"
    path.write_bytes(b"<svg/>")
    deep(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "lines.exr", "a.tif"])
def test_a_name_without_an_extension_hides_no_cut(tmp_path: Path, name: str) -> None:
    path = tmp_path / "frame0001"
    path.write_bytes(WHOLE[name])
    prove(path, None, *SIZE)
    assert refused(path, WHOLE[name][:-20])


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("a.png", Color("RGBA", 8), "is RGB, not RGBA"),
        ("alpha.png", Color("RGB", 8), "is RGBA, not RGB"),
        ("a.png", Color("RGB", 16), "has 8 bits a channel, not 16"),
        ("a.jpg", Color("BW", 8), "is RGB, not BW"),
        ("a.tif", Color("RGBA", 8), "is RGB, not RGBA"),
        ("a.tif", Color("RGB", 16), "has 8 bits a channel, not 16"),
        ("lines.exr", Color("RGBA", 16), "is BW, not RGBA"),
    ],
)
def test_other_channels_than_wanted_are_refused(
    tmp_path: Path, name: str, wanted: Color, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    with pytest.raises(NotWhole, match=said):
        prove(path, None, None, None, wanted)


@pytest.mark.parametrize("color", [0, 255, 90])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "packed.tif", "a.webp"])
@pytest.mark.parametrize("optimize", [False, True])
def test_a_flat_picture_has_nothing_that_looks_like_a_hole(
    tmp_path: Path, name: str, color: int, optimize: bool
) -> None:
    path = tmp_path / name
    kind = {"a.jpg": {"optimize": optimize}, "packed.tif": {"compression": "tiff_lzw"}}
    Image.new("RGB", (1920, 1080), (color,) * 3).save(path, **kind.get(name, {}))
    prove(path, None, 1920, 1080)


def test_a_hole_in_a_jpeg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    noise = Image.frombytes("RGB", (200, 200), random.Random(3).randbytes(120_000))
    noise.save(path)
    content = path.read_bytes()
    starts = range(0, len(content) - 512, 512)
    holed = [(at, content[:at] + bytes(512) + content[at + 512 :]) for at in starts]
    assert [at for at, damaged in holed if not refused(path, damaged)] == []
