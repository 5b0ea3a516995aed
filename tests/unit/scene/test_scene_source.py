"""Where the content of scenes is: which source a worker has, and what its errors mean."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from burst.errors import BlobMissing, ConfigError, StorageAway, StorageDenied, StorageError
from burst.scene import source as module
from burst.scene.blob_cache import CachedBlobs
from burst.scene.manifest import FileEntry
from burst.scene.source import MountedBlobs, is_remote, open_source
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.items import Wanted

SHA256 = hashlib.sha256(b"T").hexdigest()
FILES = {"t.png": FileEntry(SHA256, 1)}


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    storage = DirectoryStorage(tmp_path / "storage")
    storage.put_bytes(b"T", layout.blob(SHA256))
    return storage


@pytest.fixture
def mount(tmp_path: Path, storage: DirectoryStorage) -> MountedBlobs:
    """Another place than the storage, with the same in it."""
    blob = tmp_path / "mnt" / layout.blob(SHA256)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"T")
    return MountedBlobs(tmp_path / "mnt", storage)


class Bucket(DirectoryStorage):
    """Has no paths of its own."""

    def blob_path(self, sha256: str) -> Path | None:
        return None


def test_a_directory_is_read_in_place_and_a_bucket_is_fetched(tmp_path: Path) -> None:
    directory, bucket = DirectoryStorage(tmp_path / "s"), Bucket(tmp_path / "b")
    cache = tmp_path / "cache"
    assert open_source(None, directory, cache, 0).blobs == tmp_path / "s/blobs"
    fetched = open_source(None, bucket, cache, 0)
    assert isinstance(fetched, CachedBlobs)
    assert fetched.blobs == cache / "blobs"
    assert isinstance(open_source("fetch", directory, cache, 0), CachedBlobs)
    mounted = open_source("mount:/mnt/b", bucket, cache, 0)
    assert isinstance(mounted, MountedBlobs)
    assert mounted.path(SHA256) == Path("/mnt/b") / layout.blob(SHA256)


@pytest.mark.parametrize("setting", ["mount:relative", "mount:", "/mnt", "csi"])
def test_what_is_no_source_is_refused_with_those_that_are(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match="is no place for scenes") as caught:
        open_source(setting, Bucket(tmp_path / "b"), tmp_path / "cache", 0)
    assert "mount:/path" in str(caught.value.hint)


def test_a_whole_scene_is_held(mount: MountedBlobs) -> None:
    mount.hold(FILES, lambda: True)
    mount.recheck(FILES)
    assert mount.is_in_place()


@pytest.mark.parametrize("lost", ["blob", "size"])
def test_what_no_worker_can_have_is_told_from_trouble_here(
    mount: MountedBlobs, storage: DirectoryStorage, lost: str
) -> None:
    if lost == "blob":
        mount.path(SHA256).unlink()
        storage.delete(layout.blob(SHA256))
    else:
        mount.path(SHA256).write_bytes(b"long")
    words = {"blob": "t.png is not in the storage", "size": "t.png is damaged in the storage"}
    with pytest.raises(BlobMissing, match=words[lost]) as caught:
        mount.hold(FILES, lambda: True)
    assert caught.value.hint == "upload the scene again"


def test_a_mount_that_lacks_what_the_storage_has_is_away(mount: MountedBlobs) -> None:
    mount.path(SHA256).unlink()
    with pytest.raises(StorageAway, match=r"t\.png is in the storage, but not to be found below"):
        mount.recheck(FILES)


def test_an_empty_mount_point_is_away_and_loses_no_job(
    mount: MountedBlobs, storage: DirectoryStorage, tmp_path: Path
) -> None:
    other = MountedBlobs(tmp_path / "nothing", Bucket(tmp_path / "empty"))
    with pytest.raises(StorageAway, match="there is no folder") as caught:
        other.recheck(FILES)
    assert caught.value.hint == "look whether it is mounted"
    assert not other.is_in_place()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((one, StorageAway) for one in (errno.EIO, errno.ENOTCONN, errno.ESTALE)),
        *((one, StorageAway) for one in (errno.ECONNREFUSED, errno.ETIMEDOUT)),
        *((one, StorageDenied) for one in (errno.EACCES, errno.EPERM)),
        (errno.ENAMETOOLONG, StorageError),
    ],
)
def test_each_error_of_a_mount_has_its_kind(
    mount: MountedBlobs, number: int, kind: type[StorageError]
) -> None:
    error = OSError(number, os.strerror(number), "/mnt/x")
    trouble = mount.trouble("t.png", FILES["t.png"], error)
    assert type(trouble) is kind
    assert "t.png" in str(trouble)


def test_nothing_is_read_in_a_remote_mount_and_copies_come_by_client(
    mount: MountedBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("a mount was touched")

    mount.is_remote = True
    target = tmp_path / "copy"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", hang)
        patched.setattr(os, "access", hang)
        mount.hold(FILES, lambda: True)
    mount.path(SHA256).unlink()
    assert mount.bring([Wanted(layout.blob(SHA256), target, 1, SHA256)])
    assert target.read_bytes() == b"T"


def test_remote_are_those_whose_files_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
        r"2 1 0:9 / /mnt/my\040bucket ro - fuse.gcsfuse farm ro",
        "3 1 0:9 / /mnt/home rw - nfs4 server:/home rw",
        "4 1 0:9 / /mnt/home/disk rw - xfs /dev/sdb rw",
        "5 1 0:9 / /mnt/usb rw - fuseblk /dev/sdc rw",
        "6 1 0:9 / /mnt/twice rw - ext4 /dev/sdd rw",
        "7 1 0:9 / /mnt/twice rw - fuse sshfs rw",
    ]
    table = tmp_path / "mountinfo"
    table.write_text("\n".join(lines))
    monkeypatch.setattr(module, "_MOUNTS", table)
    remote = ("/mnt/my bucket/sub", "/mnt/my bucket", "/mnt/home/ada", "/mnt/twice")
    local = ("/", "/mnt", "/mnt/my", "/mnt/home/disk/x", "/mnt/usb", "/mnt/homeless")
    assert all(is_remote(Path(path)) for path in remote)
    assert not any(is_remote(Path(path)) for path in local)
