"""The arithmetic of bulk transfer: where files are cut, checksums of what is joined, what to ask.

Left out: the requests themselves; see `test_bulk_send`, `test_bulk_fetch` and `test_bulk_ask`.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.storage import bulk
from burst.storage.bulk_ask import FirstLook, needs_no_look, plan
from burst.storage.bulk_parts import MIB, MOST_COMPOSED, cut, joined_crc32c
from burst.storage.checksum import crc32c
from burst.storage.items import Wanted
from burst.storage.layout import blob


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_the_checksum_of_what_is_joined_is_that_of_its_parts(pieces: list[bytes]) -> None:
    joined = joined_crc32c([(crc32c(piece), len(piece)) for piece in pieces])
    assert joined == crc32c(b"".join(pieces))


@given(st.integers(min_value=1, max_value=5 * 1024 * 1024 * MIB))
def test_parts_are_the_whole_file_and_two_rounds_join_them(size: int) -> None:
    parts = cut(size)
    assert parts[0].start == 0
    assert all(one.start + one.length == two.start for one, two in itertools.pairwise(parts))
    assert parts[-1].start + parts[-1].length == size
    assert len(parts) <= MOST_COMPOSED**2
    assert len({part.name for part in parts}) == len(parts)


def names(count: int, folder: str = "") -> list[str]:
    return [blob(folder + os.urandom(32).hex()[len(folder) :]) for _ in range(count)]


def test_few_names_are_asked_for_one_by_one() -> None:
    assert needs_no_look([blob("00" + "1" * 62), blob("01" + "1" * 62)])
    assert not needs_no_look([blob("00" + "1" * 62), blob("00" + "2" * 62)])


def test_a_first_page_tells_how_many_blobs_there_are() -> None:
    whole = sorted(names(64_000))
    look = FirstLook(tuple(whole[:1000]), is_all=False)
    assert look.blobs == pytest.approx(64_000, rel=0.2)
    assert FirstLook(tuple(whole[:7]), is_all=True).blobs == 7


def test_folders_with_little_else_are_listed() -> None:
    look = FirstLook(tuple(sorted(names(20_000))[:1000]), is_all=False)
    asked = [*names(50, "ab"), *names(40, "cd"), *names(1, "ef")]
    decided = plan(asked, look)
    assert set(decided.folders) == {"blobs/ab/", "blobs/cd/"}
    assert set(decided.names) == {asked[-1]}


def test_folders_of_many_pages_are_asked_name_by_name() -> None:
    # Four million blobs: sixteen pages in each folder.
    look = FirstLook(tuple(blob(f"{n:05x}" + "0" * 59) for n in range(0, 256, 1)), is_all=False)
    assert look.blobs > 1_000_000 / 4
    look = FirstLook(tuple(blob(f"{n * 4:08x}" + "0" * 56) for n in range(1000)), is_all=False)
    few, many = names(10, "ab"), names(5000, "cd")
    decided = plan([*few, *many], look)
    assert "blobs/ab/" not in decided.folders
    assert set(few) <= set(decided.names)


def test_processes_are_started_for_much_only() -> None:
    def files(count: int, size: int) -> list[Wanted]:
        return [Wanted("a", Path("b"), size, "c")] * count

    assert bulk.processes_worth(500, 500_000, 8) == 1
    assert bulk.processes_worth(10_000, 300_000_000, 8) == bulk.MOST_PROCESSES
    assert bulk.processes_worth(10_000, 300_000_000, 2) == 2
    assert bulk.processes_worth(10, 1_000_000_000, 8) > 1
