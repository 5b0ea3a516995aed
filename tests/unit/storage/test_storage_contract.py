"""One suite for every implementation of the storage seam.

What only a directory has (hard links, locks, ``incoming/``) is in `test_directory.py`, what
only a bucket has (answers that get lost) in `test_bucket.py`. The bucket here is `strict_gcs`;
over fake-gcs-server the suite runs in ``tests/integration``.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import psutil
import pytest

from burst.errors import BlobMissing, StorageConflict, StorageError
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.items import LocalBlob, Stored, Wanted
from burst.storage.storage import Storage, open_storage
from tests.fakes.blobs import local_blob
from tests.fakes.strict_gcs import running_strict_gcs


def _directory(folder: Path) -> Iterator[Storage]:
    yield DirectoryStorage(folder / "storage")


def _bucket(_folder: Path) -> Iterator[Storage]:
    with running_strict_gcs("farm") as gcs, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
        yield open_storage("gs://farm")


IMPLEMENTATIONS = {"bucket": _bucket, "directory": _directory}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    yield from IMPLEMENTATIONS[request.param](tmp_path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_is_put_can_be_read_listed_and_found(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "frame").write_bytes(b"pixels")
    storage.put_file(tmp_path / "frame", "renders/job/a.png")
    storage.put_bytes(b"{}", "renders/job/sub/index.json")
    assert storage.get_bytes("renders/job/a.png") == b"pixels"
    names = {"renders/job/a.png", "renders/job/sub/index.json"}
    assert set(storage.list("renders/job/")) == names
    assert set(storage.list("renders/job/a")) == {"renders/job/a.png"}
    assert storage.missing([*names, "renders/job/b.png"]) == {"renders/job/b.png"}


def test_a_blob_gets_its_name_only_with_its_content(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"changed since it was hashed")
    digest = _sha256(b"content")
    blob = LocalBlob(tmp_path / "source", digest, 7, google_crc32c.value(b"content"))
    assert storage.put_blobs([blob]) == [blob]
    assert storage.missing([layout.blob(digest)])
    (tmp_path / "source").write_bytes(b"content")
    assert storage.put_blobs([blob]) == []
    assert storage.get_bytes(layout.blob(digest)) == b"content"


def test_a_blob_whose_file_is_gone_is_returned(storage: Storage, tmp_path: Path) -> None:
    blob = LocalBlob(tmp_path / "gone", _sha256(b"x"), 1, google_crc32c.value(b"x"))
    assert storage.put_blobs([blob]) == [blob]
    assert list(storage.list("blobs/")) == []


def test_many_blobs_are_put_and_brought_again(storage: Storage, tmp_path: Path) -> None:
    blobs, news = [], []
    for number in range(20):
        content = f"content {number}".encode() * number
        (tmp_path / f"{number}").write_bytes(content)
        crc32c = google_crc32c.value(content)
        blobs.append(LocalBlob(tmp_path / f"{number}", _sha256(content), len(content), crc32c))
    assert storage.put_blobs(blobs, news.append) == []
    assert sum(told.bytes for told in news) == sum(blob.size for blob in blobs)
    names = {layout.blob(blob.sha256) for blob in blobs}
    assert {told.name for told in news if told.whole} == names == set(storage.list("blobs/"))
    wanted = [
        Wanted(layout.blob(blob.sha256), tmp_path / "down" / blob.path.name, blob.size, blob.sha256)
        for blob in blobs
    ]
    news.clear()
    storage.fetch_all(iter(wanted), news.append)
    assert sum(told.bytes for told in news) == sum(blob.size for blob in blobs)
    assert {told.name for told in news if told.whole} == names
    for one, blob in zip(wanted, blobs, strict=True):
        assert one.target.read_bytes() == blob.path.read_bytes()
    assert len(list((tmp_path / "down").iterdir())) == len(blobs)


@pytest.mark.parametrize("comes", [True, False])
def test_what_is_expected_may_come_or_not(storage: Storage, tmp_path: Path, comes: bool) -> None:
    blob, before = local_blob(tmp_path / "a", b"content"), psutil.Process().children()
    with storage.expecting(10_000, 1 << 30):
        if comes:
            assert storage.put_blobs([blob]) == []
            assert storage.put_blobs([blob]) == []
    assert bool(storage.missing([layout.blob(blob.sha256)])) is not comes
    deadline = time.monotonic() + 20
    while set(psutil.Process().children()) - set(before):
        assert time.monotonic() < deadline, "somebody still waits for files"
        time.sleep(0.02)


def test_what_is_not_what_it_should_be_is_not_brought(storage: Storage, tmp_path: Path) -> None:
    storage.put_bytes(b"other", "renders/j/a.png")
    for name in ("renders/j/a.png", "renders/j/b.png"):
        wanted = Wanted(name, tmp_path / "down" / "a.png", 5, _sha256(b"pixel"))
        with pytest.raises(BlobMissing, match=name):
            storage.fetch_all([wanted])
    assert not list(tmp_path.glob("down/*")) + list(tmp_path.glob("down/.*"))


def test_only_the_first_creates(storage: Storage) -> None:
    outcomes = []
    threads = [
        threading.Thread(target=lambda n=n: outcomes.append((storage.create(b"%d" % n, "x/y"), n)))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for created, number in outcomes if created]
    assert len(winners) == 1
    assert storage.get_bytes("x/y") == b"%d" % winners[0]


def test_what_is_there_is_told_with_size_and_time(storage: Storage) -> None:
    started = time.time()
    storage.put_bytes(b"12345", "logs/j/x")
    (stored,) = storage.scan("logs/")
    assert stored == Stored("logs/j/x", 5, stored.changed, str(storage.identity("logs/j/x")))
    assert started - 5 < stored.changed < time.time() + 5


def test_only_that_very_file_is_removed(storage: Storage) -> None:
    storage.put_bytes(b"old", "logs/j/x")
    (old,) = storage.scan("logs/")
    storage.put_bytes(b"new", "logs/j/x")
    assert not storage.remove(old)
    assert storage.get_bytes("logs/j/x") == b"new"
    (new,) = storage.scan("logs/")
    assert storage.remove(new)
    assert storage.missing(["logs/j/x"])
    assert not storage.remove(new)


def test_a_put_replaces_the_whole_content(storage: Storage) -> None:
    storage.put_bytes(b"a longer first content", "logs/x")
    storage.put_bytes(b"short", "logs/x")
    assert storage.get_bytes("logs/x") == b"short"


NAMES = (
    "sp ace",
    "ünï",
    "日本",
    "a#1",
    "what?",
    "50%",
    "a%2Fb",
    "a+b",
    "&=;",
    "[x]*",
    "'\"",
    "~.x",
)


def test_names_mean_themselves(storage: Storage, tmp_path: Path) -> None:
    names = {f"renders/j/{name}/{name}": name.encode() for name in NAMES}
    for name, content in names.items():
        storage.put_bytes(content, name)
        storage.put_bytes(content, f"attempts/{name}")
    assert set(storage.list("renders/")) == set(names)
    assert storage.missing([*names, "renders/j/none"]) == {"renders/j/none"}
    storage.fetch_all(
        Wanted(name, tmp_path / "down" / str(number), len(content), _sha256(content))
        for number, (name, content) in enumerate(names.items())
    )
    for number, (name, content) in enumerate(names.items()):
        assert storage.get_bytes(name) == content
        assert (tmp_path / "down" / str(number)).read_bytes() == content
        storage.publish(f"attempts/{name}", f"logs/{name}", _sha256(content))
        assert storage.get_bytes(f"logs/{name}") == content
        storage.delete(name)
    assert list(storage.list("renders/")) == list(storage.list("attempts/")) == []


def test_an_empty_file_is_a_file(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    storage.put_file(tmp_path / "empty", "blobs/aa/empty")
    assert storage.get_bytes("blobs/aa/empty") == b""


def test_reading_what_is_not_there_is_an_error(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="logs/none"):
        storage.get_bytes("logs/none")
    with pytest.raises(StorageError):
        storage.fetch("logs/none", tmp_path / "target")
    assert list(tmp_path.glob("*target*")) == []
    assert storage.identity("logs/none") is None
    assert list(storage.list("nothing/")) == []


def test_a_fetched_file_appears_whole(storage: Storage, tmp_path: Path) -> None:
    storage.put_bytes(b"content", "renders/job/a")
    storage.fetch("renders/job/a", tmp_path / "deep" / "down" / "a")
    assert [p.name for p in (tmp_path / "deep" / "down").iterdir()] == ["a"]
    assert (tmp_path / "deep" / "down" / "a").read_bytes() == b"content"


def test_a_file_with_as_long_a_name_as_there_can_be_is_fetched(
    storage: Storage, tmp_path: Path
) -> None:
    storage.put_bytes(b"content", "renders/job/a")
    target = tmp_path / ("n" * 255)
    storage.fetch("renders/job/a", target)
    assert target.read_bytes() == b"content"
    target.unlink()
    storage.fetch_all([Wanted("renders/job/a", target, 7, _sha256(b"content"))])
    assert target.read_bytes() == b"content"


def test_what_can_be_read_in_place_is_what_was_put(storage: Storage) -> None:
    storage.put_bytes(b"pixels", "renders/j/1.png")
    path = storage.read_path("renders/j/1.png")
    assert path is None or path.read_bytes() == b"pixels"
    if path is not None:
        with pytest.raises(StorageError, match=r"there is no renders/j/2\.png"):
            storage.read_path("renders/j/2.png")


def test_deleting_takes_the_prefix_and_nothing_else(storage: Storage) -> None:
    for name in ("attempts/j/a1/x", "attempts/j/a1/sub/y", "attempts/j/a2/x", "attempts/jj/x"):
        storage.put_bytes(b"1", name)
    storage.delete("attempts/j/a1/")
    assert set(storage.list("attempts/")) == {"attempts/j/a2/x", "attempts/jj/x"}
    storage.delete("attempts/j/")
    storage.delete("attempts/j/")
    assert set(storage.list("attempts/")) == {"attempts/jj/x"}


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/passwd", "a/..", "nul\0byte"])
def test_names_that_leave_the_storage_are_refused(storage: Storage, name: str) -> None:
    for call in (
        lambda: storage.put_bytes(b"x", name),
        lambda: storage.get_bytes(name),
        lambda: storage.delete(name),
        lambda: storage.identity(name),
        lambda: storage.publish("attempts/a", name, _sha256(b"x")),
    ):
        with pytest.raises(StorageError, match="is not a name"):
            call()


def test_an_identity_changes_with_the_file_and_only_then(storage: Storage) -> None:
    storage.put_bytes(b"one", "renders/j/a")
    first = storage.identity("renders/j/a")
    assert storage.identity("renders/j/a") == first
    storage.put_bytes(b"one", "renders/j/a")
    assert storage.identity("renders/j/a") != first


def test_publishing_moves_the_upload_to_its_name(storage: Storage) -> None:
    storage.put_bytes(b"frame", "attempts/j/a/f.png")
    storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"frame"))
    assert storage.get_bytes("renders/j/f.png") == b"frame"
    assert list(storage.list("attempts/")) == []


def test_publishing_never_replaces_a_strangers_file(storage: Storage) -> None:
    storage.put_bytes(b"stranger", "renders/j/f.png")
    storage.put_bytes(b"ours", "attempts/j/a/f.png")
    with pytest.raises(StorageConflict, match="taken by another"):
        storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"ours"))
    assert storage.get_bytes("renders/j/f.png") == b"stranger"
    assert storage.get_bytes("attempts/j/a/f.png") == b"ours"


def test_publishing_again_after_a_lost_answer_is_success(storage: Storage) -> None:
    storage.put_bytes(b"ours", "attempts/j/a/f.png")
    for _ in range(3):
        storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"ours"))
    identity = storage.identity("renders/j/f.png")
    storage.put_bytes(b"ours", "attempts/j/b/f.png")
    storage.publish("attempts/j/b/f.png", "renders/j/f.png", _sha256(b"ours"))
    assert storage.identity("renders/j/f.png") == identity
    assert list(storage.list("attempts/")) == []


def test_the_file_that_may_be_replaced_is_replaced(storage: Storage) -> None:
    storage.put_bytes(b"old", "renders/j/f.png")
    old = storage.identity("renders/j/f.png")
    storage.put_bytes(b"new", "attempts/j/a/f.png")
    storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"new"), old)
    assert storage.get_bytes("renders/j/f.png") == b"new"


def test_a_file_that_changed_since_is_not_replaced(storage: Storage) -> None:
    storage.put_bytes(b"old", "renders/j/f.png")
    old = storage.identity("renders/j/f.png")
    storage.put_bytes(b"changed", "renders/j/f.png")
    storage.put_bytes(b"new", "attempts/j/a/f.png")
    with pytest.raises(StorageConflict):
        storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"new"), old)
    assert storage.get_bytes("renders/j/f.png") == b"changed"


def test_publishing_an_upload_that_is_gone_is_a_conflict(storage: Storage) -> None:
    with pytest.raises(StorageConflict, match=r"upload for renders/j/f\.png is gone"):
        storage.publish("attempts/j/a/f.png", "renders/j/f.png", _sha256(b"x"))
    assert storage.missing(["renders/j/f.png"])


@pytest.mark.parametrize("same", [True, False])
def test_of_racing_publishers_one_wins(storage: Storage, same: bool) -> None:
    contents = [b"same" if same else f"content {i}".encode() for i in range(8)]
    for i, content in enumerate(contents):
        storage.put_bytes(content, f"attempts/j/{i}/f.png")
    start, outcomes = threading.Barrier(len(contents)), [""] * len(contents)

    def publish(i: int) -> None:
        start.wait()
        try:
            storage.publish(f"attempts/j/{i}/f.png", "renders/j/f.png", _sha256(contents[i]))
        except StorageConflict:
            outcomes[i] = "conflict"
        else:
            outcomes[i] = "won"

    threads = [threading.Thread(target=publish, args=(i,)) for i in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("won") == (len(contents) if same else 1)
    assert storage.get_bytes("renders/j/f.png") == contents[outcomes.index("won")]


def test_a_storage_can_be_opened_by_its_url_again(storage: Storage) -> None:
    storage.put_bytes(b"here", "logs/x")
    assert open_storage(storage.url).get_bytes("logs/x") == b"here"
