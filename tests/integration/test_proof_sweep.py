"""Files that real Blenders wrote, damaged in every way that their formats can show.

What they can't show is in `docs/reference/proofs.md`, and left out here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from burst.worker.preview import make_preview
from burst.worker.proof import Color, NotWhole, deep, prove
from tests.fakes.blenders import MAKE_SCENE, real_blender

pytestmark = pytest.mark.blender

SIZE = (90, 70)
COLORED = ("PNG", "JPEG", "TIFF", "OPEN_EXR")
"""Formats whose channels are checked."""
HOLES_SHOW = re.compile(r"PNG|JPEG-|TIFF.*(DEFLATE|LZW|PACKBITS)|OPEN_EXR.*-(ZIP|ZIPS|PXR24|DWA.)-")
"""Formats in which noise is not left plain, as RLE leaves it, and has no table, as in PIZ."""
TAILS_SHOW = re.compile(r"PNG|JPEG|OPEN_EXR.*-(ZIP|ZIPS|PXR24|DWA.)-")
"""Formats that end in a mark or a checksum."""


class Files:
    """What one Blender wrote, and a place to damage it."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.paths = sorted(folder.glob("*-0001.*"))
        self.scratch = scratch
        best = {
            (file_format(path), path.name.split("-")[3]): path
            for path in self.paths
            if "-32-" not in path.name or file_format(path) == "HDR"
        }
        self.chosen = sorted(best.values())
        """One file of each format and packing, with as many channels as it can have."""

    def refused(self, path: Path, content: bytes) -> bool:
        damaged = self.scratch / path.name
        damaged.write_bytes(content)
        try:
            prove(damaged, file_format(path), *SIZE)
        except NotWhole:
            return True
        return False


def file_format(path: Path) -> str:
    return path.name.split("-")[0]


def color(path: Path) -> Color:
    _, mode, depth, *_ = path.name.split("-")
    return Color(mode, int(depth))


@pytest.fixture(scope="module", params=["binary", "bpy"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    real = real_blender(request.param, tmp_path_factory.getbasetemp() / "facts")
    folder = tmp_path_factory.mktemp("formats")
    real.run(MAKE_SCENE.with_name("make_formats.py"), folder, str(folder))
    return Files(folder, tmp_path_factory.mktemp("damaged"))


def test_whole_files_pass_with_what_was_asked_for_and_nothing_else(files: Files) -> None:
    kinds = {file_format(path) for path in files.paths}
    assert kinds >= {*COLORED, "OPEN_EXR_MULTILAYER", "WEBP", "BMP", "TARGA", "HDR", "IRIS"}
    for path in files.paths:
        assert prove(path, file_format(path), *SIZE, color(path)) == SIZE, path
        deep(path, file_format(path))
        if file_format(path) not in ("DPX", "CINEON", "IRIS", "JPEG2000"):
            seen = make_preview(path)
            assert seen.jpeg is not None, path
            assert seen.doubts == (), path
        for width, height in ((90, 71), (89, 70)):
            with pytest.raises(NotWhole, match="90 × 70 pixels, not"):
                prove(path, file_format(path), width, height)


def test_other_channels_and_depths_are_refused(files: Files) -> None:
    for path in files.paths:
        if file_format(path) not in COLORED:
            continue
        wanted = color(path)
        others = {mode for mode in ("BW", "RGB", "RGBA") if mode != wanted.mode}
        if path.name.startswith("OPEN_EXR") and wanted.mode != "RGB":
            # Up to 4.x black and white has four channels.
            others = {"RGB"}
        for mode in others:
            with pytest.raises(NotWhole, match=", not "):
                prove(path, file_format(path), *SIZE, Color(mode, wanted.depth))
        with pytest.raises(NotWhole, match="bits a channel"):
            prove(path, file_format(path), *SIZE, Color(wanted.mode, 24))


def test_a_cut_is_seen_at_any_byte(files: Files) -> None:
    passed = []
    for path in files.chosen:
        content = path.read_bytes()
        last = len(content)
        # A byte to be even.
        spare = 1 if file_format(path) == "WEBP" else 0
        places = {
            *range(64),
            *range(64, last, max(1, last // 200)),
            *range(last - 64, last - spare),
        }
        cuts = [at for at in places if at < last and not files.refused(path, content[:at])]
        passed += [(path.name, cuts)] if cuts else []
    assert passed == []


def test_a_hole_of_zeros_is_seen_where_the_format_can_show_it(files: Files) -> None:
    passed = []
    for path in files.chosen:
        content = path.read_bytes()
        if HOLES_SHOW.match(path.name):
            starts = range(512, len(content) - 512, max(512, len(content) // 40 // 512 * 512))
            holed = [(at, content[:at] + bytes(512) + content[at + 512 :]) for at in starts]
            missed = [at for at, damaged in holed if not files.refused(path, damaged)]
            passed += [(path.name, missed)] if missed else []
    assert passed == []


def test_a_tail_of_zeros_is_seen_where_the_format_can_show_it(files: Files) -> None:
    passed = []
    for path in files.chosen:
        content = path.read_bytes()
        last = len(content)
        if TAILS_SHOW.match(path.name):
            places = [*range(0, last, last // 60), *range(last - 64, last)]
            damaged = [(at, content[:at] + bytes(last - at)) for at in places]
            missed = [at for at, d in damaged if d != content and not files.refused(path, d)]
            passed += [(path.name, missed)] if missed else []
    assert passed == []
