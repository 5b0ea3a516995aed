"""Scene versions: listed, found by what is typed, compared, removed."""

from __future__ import annotations

import os

import pytest

from burst.errors import UsageError
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.versions import (
    Difference,
    compare,
    find_version,
    list_versions,
    read_manifest,
    read_manifests,
    remove_version,
)
from burst.storage import layout
from burst.storage.directory import DirectoryStorage


def entry(digit: str, size: int = 1) -> FileEntry:
    return FileEntry(digit * 64, size)


def manifest(name: str = "shot", **files: FileEntry) -> Manifest:
    return Manifest(name=name, main="main", files={"main": entry("0"), **files})


def put(storage: DirectoryStorage, made: Manifest, at: float) -> str:
    name = layout.manifest(made.name, made.version)
    storage.put_bytes(made.to_bytes(), name)
    os.utime(storage.root / name, (at, at))
    return made.version


def test_versions_are_listed_newest_first(storage: DirectoryStorage) -> None:
    old = put(storage, manifest(a=entry("1")), 100)
    new = put(storage, manifest(a=entry("2"), b=entry("3", 5)), 300)
    other = put(storage, manifest("other"), 200)
    storage.put_bytes(b"{}", "scenes/stray.json")
    storage.put_bytes(b"{}", "scenes/shot/deep/er.json")
    listed = list_versions(storage)
    assert [one.scene.version for one in listed] == [new, other, old]
    assert [one.uploaded for one in listed] == [300, 200, 100]
    assert [one.scene.version for one in list_versions(storage, "shot")] == [new, old]
    assert [made and made.size for made in read_manifests(storage, listed)] == [7, 1, 2]


def test_a_name_means_its_newest_version(storage: DirectoryStorage) -> None:
    old = put(storage, manifest(a=entry("1")), 100)
    new = put(storage, manifest(a=entry("2")), 200)
    for typed, meant in (("shot", new), ("SHOT", new), (f"shot@{old[:6]}", old)):
        assert find_version(storage, typed).scene.version == meant


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("nothing", "there is no scene nothing"),
        ("shot@zzz", "no version of shot begins with zzz"),
        ("shot@", "which version of shot"),
    ],
)
def test_what_is_not_there_is_refused(storage: DirectoryStorage, typed: str, message: str) -> None:
    put(storage, manifest(a=entry("1")), 100)
    with pytest.raises(UsageError, match=message):
        find_version(storage, typed)


def test_an_abbreviation_of_several_is_refused(storage: DirectoryStorage) -> None:
    for name in ("ab1", "ab2"):
        storage.put_bytes(manifest().to_bytes(), layout.manifest("shot", name))
    with pytest.raises(UsageError, match="2 versions of shot begin with ab"):
        find_version(storage, "shot@ab")
    assert find_version(storage, "shot@ab1").scene.version == "ab1"


def test_a_version_that_is_removed_while_they_are_listed_keeps_none_from_being_read(
    storage: DirectoryStorage,
) -> None:
    put(storage, manifest(a=entry("1")), 100)
    put(storage, manifest(a=entry("2")), 200)
    listed = list_versions(storage)
    assert remove_version(storage, listed[0])
    assert read_manifests(storage, listed) == [None, manifest(a=entry("1"))]


def test_two_versions_are_compared_file_by_file() -> None:
    before = manifest(same=entry("1"), gone=entry("2"), other=entry("3"))
    after = manifest(same=entry("1"), new=entry("4"), other=entry("5", 9))
    found = compare(before, after)
    assert found.added == {"new": entry("4")}
    assert found.removed == {"gone": entry("2")}
    assert found.changed == {"other": (entry("3"), entry("5", 9))}
    assert compare(after, after) == Difference({}, {}, {})


def test_a_version_that_was_uploaded_again_meanwhile_is_not_removed(
    storage: DirectoryStorage,
) -> None:
    made = manifest(a=entry("1"))
    put(storage, made, 100)
    seen = find_version(storage, "shot")
    put(storage, made, 200)
    assert not remove_version(storage, seen)
    again = find_version(storage, "shot")
    assert read_manifest(storage, again) == made
    assert remove_version(storage, again)
    assert list_versions(storage) == []
