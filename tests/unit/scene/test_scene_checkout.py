"""Laying a scene out. Real Blenders, and processes that are killed: the integration tests."""

import errno
import os
import shutil

import pytest

from burst.domain.jobs import SceneRef
from burst.errors import StorageError, StorageFull
from burst.scene.checkout import checkout, must_copy, remove_checkout
from burst.scene.hashing import Hasher
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.source import MountedBlobs
from burst.storage import layout


@pytest.fixture
def source(tmp_path, storage):
    return MountedBlobs(tmp_path / "storage", storage)


@pytest.fixture
def stored(tmp_path, storage):
    """Put a scene of these files into the storage."""

    def store(files, outside=None):
        entries = {}
        for name, content in files.items():
            path = tmp_path / "source"
            path.write_bytes(content)
            sha256 = Hasher(None).hash_all([path])[path].sha256
            storage.put_file(path, layout.blob(sha256))
            entries[name] = FileEntry(sha256, len(content))
        manifest = Manifest(name="s", main=next(iter(files)), files=entries, outside=outside or {})
        storage.put_bytes(manifest.to_bytes(), layout.manifest("s", manifest.version))
        return SceneRef(name="s", version=manifest.version)

    return store


@pytest.mark.parametrize(
    ("relative", "copied"),
    [
        ("shot.blend", False),
        ("tex/wood.png", False),
        ("anim.abc", False),
        ("smoke/cloud_0001.vdb", False),
        ("blendcache_shot/4F42_000001_00.bphys", True),
        ("a/blendcache_shot/anything", True),
        ("caches/4F42_000001_00.bphys", True),
        ("cache_fluid_1a2b/data/fluid_data_0001.vdb", True),
        ("cache_fluid/config/config_0001.uni", True),
        ("my sim/data/fluid_data_0001.vdb", True),
        ("my sim/mesh/fluid_mesh_0001.bobj.gz", True),
        ("set/layer.usd", True),
        ("set/layer.USDA", True),
        ("set/layer.usdc", True),
        ("set/layer.usdz", True),
        ("blendcache_like.png", False),
    ],
)
def test_what_blender_may_write_to_is_copied(relative, copied):
    assert must_copy(relative) is copied


def test_files_are_links_into_the_storage_under_their_names(tmp_path, storage, source, stored):
    scene = stored({"shots/my shot.blend": b"B", "tex/ü.png": b"T", "tex/Ü.png": b"U"})
    done = checkout(scene, storage, source, tmp_path / "out")
    assert done.blend == tmp_path / "out/shots/my shot.blend"
    assert done.blend.is_symlink()
    assert done.blend.read_bytes() == b"B"
    assert (done.folder / "tex/ü.png").read_bytes() == b"T"
    assert (done.folder / "tex/Ü.png").read_bytes() == b"U"


def test_absolute_names_are_mapped_to_where_they_are_now(tmp_path, storage, source, stored):
    outside = {"/home/ada/t.<UDIM>.png": "outside/1/t.<UDIM>.png"}
    scene = stored({"a.blend": b"B", "outside/1/t.1001.png": b"T"}, outside)
    done = checkout(scene, storage, source, tmp_path / "out")
    assert done.remap == {"/home/ada/t.<UDIM>.png": tmp_path / "out/outside/1/t.<UDIM>.png"}


def test_writing_to_a_cache_in_a_checkout_leaves_its_blob_alone(tmp_path, storage, source, stored):
    cache = "blendcache_a/4F42_000001_00.bphys"
    scene = stored({"a.blend": b"B", cache: b"cached"})
    copy = checkout(scene, storage, source, tmp_path / "out").folder / cache
    with copy.open("r+b") as file:
        file.write(b"CHANGE")
    assert not copy.is_symlink()
    again = checkout(scene, storage, source, tmp_path / "another").folder / cache
    assert again.read_bytes() == b"cached"


def test_a_second_checkout_keeps_the_first(tmp_path, storage, source, stored):
    scene = stored({"a.blend": b"B"})
    checkout(scene, storage, source, tmp_path / "out")
    (tmp_path / "out/rendered.png").write_bytes(b"1")
    checkout(scene, storage, source, tmp_path / "out")
    assert (tmp_path / "out/rendered.png").exists()


def test_a_checkout_whose_links_lead_nowhere_is_built_anew(tmp_path, storage, source, stored):
    scene = stored({"a.blend": b"B", "t.png": b"T"})
    done = checkout(scene, storage, source, tmp_path / "out")
    (done.folder / "t.png").unlink()
    (done.folder / "t.png").symlink_to(tmp_path / "gone")
    assert (
        checkout(scene, storage, source, tmp_path / "out").folder / "t.png"
    ).read_bytes() == b"T"


def test_what_a_killed_checkout_left_is_cleared(tmp_path, storage, source, stored):
    scene = stored({"a.blend": b"B"})
    (tmp_path / ".out.part/half").mkdir(parents=True)
    done = checkout(scene, storage, source, tmp_path / "out")
    assert [path.name for path in done.folder.iterdir()] == ["a.blend"]
    assert not (tmp_path / ".out.part").exists()


def test_a_missing_blob_is_refused_by_the_name_of_its_file(tmp_path, storage, source, stored):
    scene = stored({"a.blend": b"B", "tex/wood.png": b"T"})
    manifest = Manifest.from_bytes(storage.get_bytes(layout.manifest("s", scene.version)))
    storage.delete(layout.blob(manifest.files["tex/wood.png"].sha256))
    with pytest.raises(StorageError, match=r"tex/wood\.png is not in the storage"):
        checkout(scene, storage, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_short_copy_that_says_it_is_the_end_is_not_believed(
    tmp_path, storage, source, stored, monkeypatch
):
    scene = stored({"a.blend": b"B", "blendcache_a/x_000001_00.bphys": b"cache"})
    monkeypatch.setattr(os, "copy_file_range", lambda *arguments: 0)
    done = checkout(scene, storage, source, tmp_path / "out")
    assert (done.folder / "blendcache_a/x_000001_00.bphys").read_bytes() == b"cache"


def test_a_checkout_that_fails_takes_no_space(tmp_path, storage, source, stored, monkeypatch):
    scene = stored({"a.blend": b"B", "blendcache_a/x_000001_00.bphys": b"C", "tex/t.png": b"T"})

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(StorageFull):
        checkout(scene, storage, source, tmp_path / "scenes" / "out")
    assert [path.name for path in (tmp_path / "scenes").iterdir()] == [".out.lock"]


def test_a_blob_of_another_size_is_refused(tmp_path, storage, source, stored):
    scene = stored({"a.blend": b"B"})
    manifest = Manifest.from_bytes(storage.get_bytes(layout.manifest("s", scene.version)))
    storage.put_bytes(b"longer", layout.blob(manifest.files["a.blend"].sha256))
    with pytest.raises(StorageError, match=r"a\.blend is damaged in the storage"):
        checkout(scene, storage, source, tmp_path / "out")


def test_a_blob_that_this_worker_may_not_read_is_refused_by_name(
    tmp_path, storage, source, stored, monkeypatch
):
    scene = stored({"a.blend": b"B"})
    # A superuser may read everything, so the rights of others are asked for here.
    monkeypatch.setattr("os.access", lambda path, mode: bool(path.stat().st_mode & 0o004))
    manifest = Manifest.from_bytes(storage.get_bytes(layout.manifest("s", scene.version)))
    storage.blob_path(manifest.files["a.blend"].sha256).chmod(0o600)
    with pytest.raises(StorageError, match=r"a\.blend can't be read in the storage: .* is closed"):
        checkout(scene, storage, source, tmp_path / "out")


def test_an_unknown_scene_is_refused(tmp_path, storage, source):
    with pytest.raises(StorageError, match="can't read scenes/s/"):
        checkout(SceneRef(name="s", version="0" * 16), storage, source, tmp_path / "out")


def test_a_manifest_under_another_version_is_refused(tmp_path, storage, source, stored):
    scene = stored({"a.blend": b"B"})
    wrong = SceneRef(name="s", version="0" * 16)
    content = storage.get_bytes(layout.manifest("s", scene.version))
    storage.put_bytes(content, layout.manifest("s", wrong.version))
    with pytest.raises(StorageError, match="not that of version 0000"):
        checkout(wrong, storage, source, tmp_path / "out")


def test_removing_leaves_the_blobs_and_can_be_repeated(tmp_path, storage, source, stored):
    scene = stored({"a.blend": b"B"})
    done = checkout(scene, storage, source, tmp_path / "out")
    blob = done.blend.resolve()
    remove_checkout(done.folder)
    remove_checkout(done.folder)
    remove_checkout(tmp_path / "never/was")
    assert not done.folder.exists()
    assert blob.read_bytes() == b"B"
