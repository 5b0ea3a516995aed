"""Many files from a bucket: each whole and proven, or not there; and asking what is lacking.

Left out: several processes; see `test_bulk_crew`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from burst.errors import BlobMissing, StorageAway, StorageError, StorageFull
from burst.storage import bulk, bulk_ask, bulk_channels, bulk_fetch, bulk_line, bulk_tasks
from burst.storage.access import Access, open_access
from burst.storage.bucket import BucketStorage
from burst.storage.bulk_desk import Desk
from burst.storage.items import Transferred, Wanted
from burst.storage.layout import blob as blob_name
from tests.fakes.strict_gcs import StrictGcs

SMALL, LARGE = 500, 30_000
KINDS = pytest.mark.parametrize("size", [SMALL, LARGE])


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_fetch, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(bulk_fetch, "THREAD_BYTES", 2000)
    monkeypatch.setattr(bulk_channels, "CHUNK_BYTES", 1000)


class Shelf:
    """Objects in the bucket, and where they are wanted."""

    def __init__(self, access: Access, folder: Path) -> None:
        self.storage = BucketStorage(access)
        self.folder = folder

    def put(self, name: str, size: int) -> Wanted:
        content = os.urandom(size)
        self.storage.put_bytes(content, f"renders/j/{name}")
        target = self.folder / "frames" / name
        return Wanted(f"renders/j/{name}", target, size, hashlib.sha256(content).hexdigest())


@pytest.fixture
def shelf(access: Access, tmp_path: Path) -> Shelf:
    return Shelf(access, tmp_path)


def is_brought(one: Wanted) -> bool:
    return hashlib.sha256(one.target.read_bytes()).hexdigest() == one.sha256


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_files_of_all_sizes_are_brought(access: Access, shelf: Shelf, tmp_path: Path) -> None:
    wanted = [shelf.put(f"{size}.exr", size) for size in (0, 1, 999, 2000, LARGE)]
    news: list[Transferred] = []
    bulk.fetch(access, wanted, news.append)
    assert all(is_brought(one) for one in wanted)
    told = {one.name: sum(n.bytes for n in news if n.name == one.name) for one in wanted}
    assert told == {one.name: one.size for one in wanted}
    assert sorted(n.name for n in news if n.whole) == sorted(told)
    assert left_over(tmp_path) == []


@KINDS
def test_an_absent_object_is_said_and_others_stay(
    access: Access, shelf: Shelf, tmp_path: Path, size: int
) -> None:
    good = shelf.put("good", size)
    bulk.fetch(access, [good])
    absent = good._replace(name="renders/j/absent", target=tmp_path / "absent")
    with pytest.raises(BlobMissing, match="renders/j/absent is not in the storage"):
        bulk.fetch(access, [absent])
    assert is_brought(good)
    assert not absent.target.exists()
    assert left_over(tmp_path) == []


def test_an_absent_bucket_is_no_absent_object(gcs: StrictGcs, tmp_path: Path) -> None:
    wanted = Wanted("renders/j/a", tmp_path / "a", 1, "0" * 64)
    with pytest.raises(StorageError, match="there is no bucket elsewhere"):
        bulk.fetch(open_access("gs://elsewhere"), [wanted])


@KINDS
def test_another_content_never_gets_the_name(
    access: Access, shelf: Shelf, tmp_path: Path, size: int
) -> None:
    one = shelf.put("a", size)
    one.target.parent.mkdir()
    one.target.write_bytes(b"what the artist has")
    shelf.storage.put_bytes(os.urandom(size), one.name)
    with pytest.raises(BlobMissing, match="is damaged in the storage"):
        bulk.fetch(access, [one])
    assert one.target.read_bytes() == b"what the artist has"
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("size", [SMALL - 1, SMALL + 1])
def test_another_size_is_no_whole_file(access: Access, shelf: Shelf, size: int) -> None:
    one = shelf.put("a", SMALL)
    with pytest.raises(BlobMissing, match="is damaged"):
        bulk.fetch(access, [one._replace(size=size)])


@KINDS
def test_what_was_damaged_on_its_way_is_brought_again(
    access: Access, gcs: StrictGcs, shelf: Shelf, size: int
) -> None:
    one = shelf.put("a", size)
    gcs.fail("media", damage=True)
    news: list[Transferred] = []
    bulk.fetch(access, [one], news.append)
    assert is_brought(one)
    assert sum(n.bytes for n in news) == size


def test_a_download_that_is_cut_goes_on_where_it_was(
    access: Access, gcs: StrictGcs, shelf: Shelf
) -> None:
    one = shelf.put("a", LARGE)
    gcs.fail("media", cut_after=LARGE // 2)
    bulk.fetch(access, [one])
    assert is_brought(one)
    first, second = gcs.asked("media")
    assert "range" not in first.headers
    start = int(second.headers["range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= LARGE // 2


def test_a_download_that_is_cut_time_and_again_goes_on_as_long_as_it_gets_further(
    access: Access, gcs: StrictGcs, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.2)
    cuts = 2 * bulk_line.MOST_TRIES
    one = shelf.put("a", (cuts + 1) * 100_000)
    gcs.fail("media", cut_after=100_000, times=cuts)
    bulk.fetch(access, [one])
    assert is_brought(one)


class _Slow(http.server.BaseHTTPRequestHandler):
    """Begins to send ``slow`` and goes silent; says of anything else, then, that it is absent."""

    begun = threading.Event()
    let_go = threading.Event()

    def do_GET(self) -> None:
        if "slow" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", str(LARGE))
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            self.begun.set()
            self.let_go.wait(30)
        else:
            assert self.begun.wait(30)
            self.send_error(404, "No such object")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def test_a_download_on_its_way_is_ended_when_another_fails(tmp_path: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    access = Access("farm", f"http://127.0.0.1:{server.server_port}", anonymous=True)
    wanted = [Wanted(n, tmp_path / "down" / n, LARGE, "0" * 64) for n in ("slow", "absent")]
    try:
        with pytest.raises(BlobMissing, match="absent is not in the storage"):
            bulk.fetch(access, wanted)
        # The other side had not been let go of: its reader was ended, not waited for.
        assert not _Slow.let_go.is_set()
        assert list((tmp_path / "down").iterdir()) == []
        assert [t.name for t in threading.enumerate() if t.name.startswith("channel")] == []
    finally:
        _Slow.let_go.set()
        server.shutdown()
        server.server_close()


def test_a_download_of_nobody_knows_which_object_begins_anew(
    access: Access, gcs: StrictGcs, shelf: Shelf
) -> None:
    one = shelf.put("a", LARGE)
    answer = gcs.answer

    def without_its_generation(asked: Any, body: bytes) -> Any:
        given = answer(asked, body)
        headers = {key: value for key, value in given.headers.items() if "Generation" not in key}
        return replace(given, headers=headers)

    gcs.answer = without_its_generation  # type: ignore[method-assign]
    gcs.fail("media", cut_after=LARGE // 2)
    bulk.fetch(access, [one])
    assert is_brought(one)
    assert ["range" in asked.headers for asked in gcs.asked("media")] == [False, False]


def test_a_bucket_that_falls_silent_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bulk_line, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(Access, "patience_seconds_at_first", 0.2)
    monkeypatch.setattr(Access, "first_pause_seconds", 0.01)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        access = Access("farm", f"http://127.0.0.1:{silent.getsockname()[1]}", anonymous=True)
        with pytest.raises(StorageAway, match="can't be reached"):
            bulk.fetch(access, [Wanted("renders/j/a", tmp_path / "a", 1, "0" * 64)])
        silent.setblocking(False)
        tries = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                tries += 1
    assert 2 <= tries <= 3


def test_an_object_that_was_replaced_in_the_middle_is_brought_from_its_start(
    access: Access, gcs: StrictGcs, shelf: Shelf
) -> None:
    old, new = shelf.put("a", LARGE), shelf.put("b", LARGE)
    content = gcs.buckets["farm"][new.name].content
    answer = gcs.answer

    def replace_after_the_first(asked: Any, body: bytes) -> Any:
        given = answer(asked, body)
        if asked.operation == "media":
            gcs.answer = answer  # type: ignore[method-assign]
            shelf.storage.put_bytes(content, old.name)
        return given

    gcs.fail("media", cut_after=LARGE // 2)
    gcs.answer = replace_after_the_first  # type: ignore[method-assign]
    bulk.fetch(access, [old._replace(sha256=new.sha256)])
    assert old.target.read_bytes() == content


@KINDS
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_bucket_is_asked_again(
    access: Access, gcs: StrictGcs, shelf: Shelf, size: int, status: int
) -> None:
    one = shelf.put("a", size)
    gcs.fail("media", status=status, times=3)
    bulk.fetch(access, [one])
    assert is_brought(one)


def test_a_bucket_that_goes_away_is_said_and_what_was_brought_stays(
    access: Access, gcs: StrictGcs, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.3)
    wanted = [shelf.put(f"{number}", SMALL) for number in range(4)]
    gcs.fail("media", lost=True, name="renders/j/2", times=10_000)
    with pytest.raises(StorageAway):
        bulk.fetch(access, wanted)
    assert [one.target.exists() for one in wanted] == [True, True, False, True]
    assert left_over(tmp_path) == []


@KINDS
def test_a_full_disk_is_said(
    access: Access, shelf: Shelf, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one = shelf.put("a", size)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageFull):
        bulk.fetch(access, [one])
    assert not one.target.exists()
    assert left_over(tmp_path) == []


def test_no_more_is_taken_of_a_long_list_than_is_at_work(
    access: Access, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_LOOKED_AT", 10)
    one, taken, done = shelf.put("a", SMALL), 0, 0

    def many() -> Iterator[Wanted]:
        nonlocal taken
        for number in range(300):
            taken += 1
            assert taken - done <= 10 + bulk_line.STREAMS + bulk_tasks.AT_ONCE
            yield one._replace(target=one.target.with_name(str(number)))

    def tell(_news: Transferred) -> None:
        nonlocal done
        done += 1

    bulk.fetch(access, many(), tell)
    assert (taken, done) == (300, 300)


@pytest.mark.parametrize("asked_for", [1, 30, 400])
@pytest.mark.parametrize("others", [0, 300])
def test_what_is_lacking_is_found(
    access: Access, gcs: StrictGcs, asked_for: int, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_ask, "PAGE", 10)
    storage = BucketStorage(access)
    names = [blob_name(os.urandom(32).hex()) for _ in range(asked_for)]
    there = {name for name in names if int(name[-1], 16) % 2}
    storage.put_bytes(b"x", names[0])
    some = gcs.buckets["farm"].pop(names[0])
    for name in [*there, *(blob_name(os.urandom(32).hex()) for _ in range(others))]:
        gcs.buckets["farm"][name] = some.__class__(name, b"x", {}, 1, some.updated)
    gcs.requests.clear()
    assert bulk.lacking(Desk(access), names) == set(names) - there
    folders = len({name[:9] for name in names})
    assert len(gcs.requests) <= 1 + max(asked_for, 2 * folders)


def test_names_that_are_no_blobs_are_looked_for_as_well(access: Access, shelf: Shelf) -> None:
    there = [shelf.put(f"{number}", SMALL).name for number in range(3)]
    asked = [*there, "renders/j/x", "scenes/a"]
    assert bulk.lacking(Desk(access), asked) == {"renders/j/x", "scenes/a"}
    assert bulk.lacking(Desk(access), []) == set()


def test_an_absent_bucket_lacks_nothing_it_is_an_error(gcs: StrictGcs) -> None:
    with pytest.raises(StorageError, match="there is no bucket elsewhere"):
        bulk.lacking(Desk(open_access("gs://elsewhere")), ["blobs/aa/aa11"])
