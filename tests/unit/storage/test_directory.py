"""What only a directory has: locks on what is being written, hard links, full disks.

A power cut can't be had here: that ``fsync`` does what it says is taken on trust.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burst.errors import ConfigError, StorageAway, StorageConflict, StorageError, StorageFull
from burst.storage.directory import DirectoryStorage
from burst.storage.items import LocalBlob, Wanted
from burst.storage.storage import open_storage

WRITER = """
import sys
from pathlib import Path
from burst.storage import directory

def stuck(source, sink):
    sink.write(b"half of it")
    sink.flush()
    print("writing", flush=True)
    sys.stdin.read()

directory.copy = stuck
directory.DirectoryStorage(Path(sys.argv[1])).put_file(Path(sys.argv[0]), "blobs/x")
"""


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "storage")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_a_killed_writer_left_is_swept_but_not_under_a_living_one(
    storage: DirectoryStorage, tmp_path: Path
) -> None:
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, script, storage.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"writing\n"
        storage.sweep()
        (left,) = (storage.root / "incoming").iterdir()
        assert left.read_bytes() == b"half of it"
        assert storage.missing(["blobs/x"]) == {"blobs/x"}
        writer.kill()
        writer.wait()
    storage.sweep()
    assert list((storage.root / "incoming").iterdir()) == []
    assert storage.missing(["blobs/x"]) == {"blobs/x"}


def test_a_write_that_a_sweep_took_for_abandoned_is_done_again_whole(
    storage: DirectoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"pixels" * 1000)
    real, swept = fcntl.flock, []

    def flock(file: Any, how: int) -> None:
        if not swept:
            # The moment between opening the file and locking it.
            swept.append(file.name)
            Path(file.name).unlink()
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    storage.put_file(source, "attempts/j/a/f.png")
    assert swept
    assert storage.get_bytes("attempts/j/a/f.png") == source.read_bytes()


def test_writing_goes_on_in_a_storage_that_was_cleared_away(storage: DirectoryStorage) -> None:
    (storage.root / "incoming").rmdir()
    storage.root.rmdir()
    storage.put_bytes(b"x", "logs/x")
    assert storage.get_bytes("logs/x") == b"x"


def test_blobs_are_read_only_and_other_files_are_not(
    storage: DirectoryStorage, tmp_path: Path
) -> None:
    digest = _sha256(b"content")
    (tmp_path / "source").write_bytes(b"content")
    assert storage.put_blobs([LocalBlob(tmp_path / "source", digest, 7, 0)]) == []
    path = storage.blob_path(digest)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o444
    storage.put_bytes(b"log", "logs/x")
    assert (storage.root / "logs/x").stat().st_mode & 0o200


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_so_and_leaves_nothing(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    def full(*args: Any) -> int:
        raise OSError(number, os.strerror(number))

    (tmp_path / "source").write_bytes(b"pixels")
    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(StorageFull) as caught:
        storage.put_file(tmp_path / "source", "renders/j/a.png")
    assert caught.value.message == "can't store renders/j/a.png: no space left on the disk"
    assert caught.value.hint
    assert [p for p in storage.root.rglob("*") if p.is_file()] == []


def test_copies_go_the_long_way_where_the_kernel_has_no_short_one(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real, calls = os.copy_file_range, []

    def cross_device(source: int, sink: int, count: int) -> int:
        if calls:
            raise OSError(errno.EXDEV, "cross-device")
        calls.append(1)
        return real(source, sink, 3)

    (tmp_path / "source").write_bytes(b"pixels")
    monkeypatch.setattr(os, "copy_file_range", cross_device)
    storage.put_file(tmp_path / "source", "renders/j/a.png")
    assert storage.get_bytes("renders/j/a.png") == b"pixels"


def test_a_short_copy_that_says_it_is_the_end_is_not_believed(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"pixels")
    monkeypatch.setattr(os, "copy_file_range", lambda *arguments: 0)
    storage.put_file(tmp_path / "source", "renders/j/a.png")
    assert storage.get_bytes("renders/j/a.png") == b"pixels"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_publishing_works_without_hard_links(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_links(*args: Any) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    storage.put_bytes(b"ours", "attempts/j/a/f.png")
    storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"ours"))
    assert storage.get_bytes("renders/j/f.png") == b"ours"
    storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"ours"))
    storage.put_bytes(b"late", "attempts/j/b/f.png")
    with pytest.raises(StorageConflict):
        storage.publish("attempts/j/b/f.png", "renders/j/f.png", _sha256(b"late"))
    assert storage.get_bytes("renders/j/f.png") == b"ours"


def test_other_errors_of_a_link_are_errors(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", broken)
    storage.put_bytes(b"ours", "attempts/j/a/f.png")
    with pytest.raises(StorageError, match=r"can't publish renders/j/f\.png: Input/output error"):
        storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"ours"))
    assert storage.get_bytes("attempts/j/a/f.png") == b"ours"


def test_a_failed_fetch_leaves_no_part(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage.put_bytes(b"content", "renders/j/a")

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(StorageFull):
        storage.fetch("renders/j/a", tmp_path / "out" / "a")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_root_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can't use"):
        DirectoryStorage(tmp_path / "file" / "storage")


def test_urls_of_other_kinds_are_refused(tmp_path: Path) -> None:
    assert open_storage(f"file://{tmp_path}/s").url == f"{tmp_path}/s"
    with pytest.raises(ConfigError, match="ftp://x is no storage"):
        open_storage("ftp://x")
    with pytest.raises(ConfigError, match="can't be a bucket"):
        open_storage("gs:/farm")


def test_a_folder_that_can_not_be_listed_is_not_an_empty_one(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put_bytes(b"{}", "scenes/a/1.json")
    storage.put_bytes(b"{}", "scenes/b/1.json")
    real = os.scandir

    def scandir(folder: Any) -> Any:
        if str(folder).endswith("scenes/b"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), folder)
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    for call in (storage.list, storage.scan):
        with pytest.raises(StorageAway, match="can't list scenes/: Input/output error"):
            list(call("scenes/"))


LOOKS: dict[str, Callable[[DirectoryStorage], object]] = {
    "missing": lambda storage: storage.missing(["renders/j/a"]),
    "scan": lambda storage: list(storage.scan("renders/")),
    "read_path": lambda storage: storage.read_path("renders/j/a"),
    "fetch_all": lambda storage: storage.fetch_all(
        [Wanted("renders/j/a", storage.root / "x", 1, "0" * 64)]
    ),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_can_not_be_looked_at_is_an_error_of_the_storage(
    storage: DirectoryStorage,
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[DirectoryStorage], object],
) -> None:
    storage.put_bytes(b"pixels", "renders/j/a")

    def closed(path: Path, **_how: Any) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(StorageError, match="can't look at renders/j/a: Permission denied"):
        look(storage)


def test_what_is_written_in_the_midst_of_a_removal_stays(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put_bytes(b"old", "scenes/a/1.json")
    (old,) = storage.scan("scenes/")
    real, writers = Path.unlink, []

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "1.json":
            # Between the look at what it is, and the deed.
            writers.append(threading.Thread(target=storage.put_bytes, args=(b"new", old.name)))
            writers[0].start()
            writers[0].join(0.3)
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    assert storage.remove(old)
    writers[0].join()
    assert storage.get_bytes(old.name) == b"new"


def test_names_are_made_durable_as_contents_are(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real, durable = os.fsync, set()

    def fsync(file: int) -> None:
        durable.add(Path(f"/proc/self/fd/{file}").readlink())
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    storage.put_bytes(b"{}", "scenes/a/1.json")
    assert durable >= {storage.root, storage.root / "scenes", storage.root / "scenes" / "a"}
    durable.clear()
    (tmp_path / "source").write_bytes(b"content")
    digest = _sha256(b"content")
    storage.put_blobs([LocalBlob(tmp_path / "source", digest, 7, 0)])
    assert durable >= {storage.root / "blobs", storage.root / "blobs" / digest[:2]}


def test_a_sweep_leaves_what_is_not_its_own(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = storage.root / "incoming"
    (incoming / "folder").mkdir()
    (incoming / "closed").touch()
    (incoming / "left").touch()
    real = Path.open

    def closed(path: Path, *how: Any) -> Any:
        if path.name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *how)

    monkeypatch.setattr(Path, "open", closed)
    storage.sweep()
    assert sorted(path.name for path in incoming.iterdir()) == ["closed", "folder"]


RACER = """
import sys
from pathlib import Path
from burst.errors import StorageConflict
from burst.storage.directory import DirectoryStorage

storage = DirectoryStorage(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    storage.publish(f"attempts/j/{sys.argv[2]}/f.png", "renders/j/f.png", sys.argv[3])
    print("won")
except StorageConflict:
    print("conflict")
"""


def test_of_racing_processes_one_wins(storage: DirectoryStorage, tmp_path: Path) -> None:
    script = tmp_path / "racer.py"
    script.write_text(RACER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    racers = []
    for number in range(3):
        content = f"content {number}".encode()
        storage.put_bytes(content, f"attempts/j/{number}/f.png")
        racers.append(
            subprocess.Popen(
                [sys.executable, script, storage.root, str(number), _sha256(content)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    outcomes = [racer.communicate("go\n")[0].strip() for racer in racers]
    assert sorted(outcomes) == ["conflict", "conflict", "won"]
    winner = outcomes.index("won")
    assert storage.get_bytes("renders/j/f.png") == f"content {winner}".encode()
