"""One name, many files."""

from pathlib import Path

import pytest

from burst.scene.disk import Disk
from burst.scene.sequences import Many
from burst.scene.sequences import expand as expand_on


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "run [old] *"
    place.mkdir()

    def fill(*names):
        for name in names:
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return place

    return fill


def expand(path, many):
    return expand_on(str(path), many, Disk())


def names(files, base):
    assert all(file.asked == file.path for file in files)
    return [Path(file.path).relative_to(base).as_posix() for file in files]


def test_a_single_name_is_its_file(folder):
    base = folder("a_001.png", "a_002.png")
    assert names(expand(base / "a_001.png", Many.ONE), base) == ["a_001.png"]


def test_a_folder_is_not_a_single_file(folder):
    assert expand(folder("a.png"), Many.ONE) == []


def test_a_run_has_every_number_of_the_same_width_and_wider(folder):
    base = folder("a_998.png", "a_999.png", "a_1000.png", "a_0999.png", "a_9.png", "b_998.png")
    found = names(expand(base / "a_998.png", Many.FRAMES), base)
    assert found == ["a_1000.png", "a_998.png", "a_999.png"]


def test_the_last_number_before_the_suffix_counts(folder):
    base = folder(
        "s1_0001_l.png", "s1_0002_l.png", "s2_0001_l.png", "s1_0001_r.png", "s1_0001_l.exr"
    )
    found = names(expand(base / "s1_0001_l.png", Many.FRAMES), base)
    assert found == ["s1_0001_l.png", "s1_0002_l.png"]


def test_a_run_is_found_though_its_first_file_is_gone(folder):
    base = folder("a_02.png", "a_03.png")
    assert names(expand(base / "a_01.png", Many.FRAMES), base) == ["a_02.png", "a_03.png"]


def test_a_name_without_a_number_is_itself(folder):
    base = folder("still.png", "still.exr")
    assert names(expand(base / "still.png", Many.FRAMES), base) == ["still.png"]
    assert expand(base / "gone.png", Many.FRAMES) == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("t.<UDIM>.png", ["t.1001.png", "t.1012.png"]),
        ("t.<UVTILE>.png", ["t.u1_v1.png"]),
    ],
)
def test_tiles_are_found_by_their_mark(folder, pattern, found):
    base = folder("t.1001.png", "t.1012.png", "t.x.1001.png", "t.u1_v1.png", "t.100.png")
    assert names(expand(base / pattern, Many.FRAMES), base) == found


def test_a_cache_folder_is_everything_below_it(folder):
    base = folder("data/f_0001.vdb", "config/c.uni", "readme")
    wanted = ["config/c.uni", "data/f_0001.vdb", "readme"]
    assert names(expand(base, Many.FOLDER), base) == wanted


def test_a_point_cache_folder_is_only_its_caches(folder):
    base = folder("a_000001_00.bphys", "a_000002_00.bphys", "notes.txt", "deeper/b_000001_00.bphys")
    found = names(expand(base, Many.POINT_CACHE), base)
    assert found == ["a_000001_00.bphys", "a_000002_00.bphys"]


@pytest.mark.parametrize("many", list(Many))
def test_what_is_not_there_is_nothing(tmp_path, many):
    assert expand(tmp_path / "no folder" / "a_01.png", many) == []
