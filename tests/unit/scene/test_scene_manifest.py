"""The manifest: what it refuses, and that the same files are the same version."""

import json

import pytest
from pydantic import ValidationError

from burst.errors import StorageError
from burst.scene.manifest import FileEntry, Manifest

SHA = "ab" * 32


def manifest(files=("shot.blend", "tex/a.png"), sha256=SHA, **values):
    entries = {name: FileEntry(sha256, 5) for name in files}
    return Manifest(**{"name": "shot", "main": "shot.blend", "files": entries} | values)


def test_it_reads_back_what_it_wrote():
    whole = manifest(files=["shot.blend", "ünï/ß d.png"], outside={"C:\\a.png": "outside/1/a.png"})
    assert Manifest.from_bytes(whole.to_bytes()) == whole


def test_the_version_does_not_depend_on_the_order_of_files():
    assert manifest(["shot.blend", "a"]).version == manifest(["a", "shot.blend"]).version


@pytest.mark.parametrize(
    "other",
    [
        {"name": "other"},
        {"sha256": "cd" * 32},
        {"files": ["shot.blend", "tex/b.png"]},
        {"main": "tex/a.png"},
        {"outside": {"/x/a.png": "tex/a.png"}},
    ],
)
def test_whatever_differs_is_another_version(other):
    assert manifest(**other).version != manifest().version


def test_the_version_is_of_the_bytes_that_are_stored():
    whole = manifest()
    assert len(whole.version) == 16
    assert Manifest.from_bytes(whole.to_bytes()).version == whole.version
    assert b"version" not in whole.to_bytes()


@pytest.mark.parametrize(
    "place", ["", "/etc/passwd", "../up", "a/../b", "a//b", "./a", "a/", "..", "nul\0"]
)
def test_places_that_leave_the_scene_are_refused(place):
    with pytest.raises(ValidationError):
        manifest(["shot.blend", place])
    with pytest.raises(ValidationError):
        manifest(outside={"/x": place})


def test_a_file_that_is_also_a_folder_is_refused():
    with pytest.raises(ValidationError, match="a file and a folder"):
        manifest(["shot.blend", "a", "a/b/c"])


def test_the_main_file_must_be_there():
    with pytest.raises(ValidationError, match="not among its files"):
        manifest(["other.blend"])


@pytest.mark.parametrize("entry", [["short", 5], [SHA, -1], [SHA.upper(), 1]])
def test_entries_are_hashes_and_sizes(entry):
    content = json.loads(manifest().to_bytes())
    content["files"]["tex/a.png"] = entry
    with pytest.raises(StorageError, match="can't be read"):
        Manifest.from_bytes(json.dumps(content).encode())


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":2}', b"\xff\xfe", b"[]"])
def test_a_damaged_or_newer_manifest_is_refused(content):
    with pytest.raises(StorageError, match="manifest can't be read"):
        Manifest.from_bytes(content)
