"""What only a bucket has: answers that get lost, connections that break, refusals, generations.

What it has in common with a directory is in `test_storage_contract.py`; many files at once are
in `test_bulk_send.py` and `test_bulk_fetch.py`. How a real bucket words its refusals is taken
from Google's documents.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from burst.errors import StorageAway, StorageConflict, StorageDenied, StorageError, StorageFull
from burst.storage import bucket, objects, patience
from burst.storage.access import Access
from burst.storage.bucket import BucketStorage, open_bucket
from burst.storage.items import Stored
from tests.fakes.strict_gcs import CALLER, QUANTUM_BYTES, StrictGcs

UPLOAD, FINAL = "attempts/j/a/f.png", "renders/j/f.png"
LARGE = os.urandom(9 * 1024 * 1024)
"""So much is sent in chunks."""


@pytest.fixture
def storage(gcs: StrictGcs) -> BucketStorage:
    return open_bucket("gs://farm")


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(objects, "_CHUNK_BYTES", 8 * QUANTUM_BYTES)
    (tmp_path / "large.exr").write_bytes(LARGE)
    return tmp_path / "large.exr"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(gcs: StrictGcs, name: str) -> bytes:
    return gcs.buckets["farm"][name].content


def _names(gcs: StrictGcs) -> set[str]:
    return set(gcs.buckets["farm"])


def test_a_name_that_is_not_utf_8_is_none(storage: BucketStorage) -> None:
    name = "renders/j/a\udcff.png"
    for call in (
        storage.get_bytes,
        storage.identity,
        storage.delete,
        lambda n: storage.missing([n]),
    ):
        with pytest.raises(StorageError, match="is not a name in the storage: it is not UTF-8"):
            call(name)


@pytest.mark.parametrize("lost", ["copy", "delete", "look"])
def test_a_lost_answer_to_publishing_is_no_conflict(
    storage: BucketStorage, gcs: StrictGcs, lost: str
) -> None:
    storage.put_bytes(b"frame", UPLOAD)
    gcs.fail("copy", lost=True)
    gcs.fail(lost, lost=True)
    storage.publish(UPLOAD, FINAL, _sha256(b"frame"))
    assert _names(gcs) == {FINAL}
    assert _content(gcs, FINAL) == b"frame"
    assert gcs.buckets["farm"][FINAL].told["metadata"]["burst-published-from"] == UPLOAD


def test_a_lost_answer_to_replacing_is_no_conflict(storage: BucketStorage, gcs: StrictGcs) -> None:
    storage.put_bytes(b"old", FINAL)
    old = storage.identity(FINAL)
    storage.put_bytes(b"frame", UPLOAD)
    gcs.fail("copy", lost=True)
    storage.publish(UPLOAD, FINAL, _sha256(b"frame"), old)
    assert _content(gcs, FINAL) == b"frame"


def test_publishing_says_each_time_what_it_may_replace(
    storage: BucketStorage, gcs: StrictGcs
) -> None:
    storage.put_bytes(b"old", FINAL)
    old = str(storage.identity(FINAL))
    storage.put_bytes(b"one", UPLOAD)
    with pytest.raises(StorageConflict):
        storage.publish(UPLOAD, FINAL, _sha256(b"one"))
    storage.publish(UPLOAD, FINAL, _sha256(b"one"), old)
    said = [asked.query["ifGenerationMatch"] for asked in gcs.asked("copy")]
    assert said == ["0", old]


def test_a_file_that_vanished_need_not_be_replaced(storage: BucketStorage, gcs: StrictGcs) -> None:
    storage.put_bytes(b"old", FINAL)
    old = storage.identity(FINAL)
    storage.delete(FINAL)
    storage.put_bytes(b"new", UPLOAD)
    storage.publish(UPLOAD, FINAL, _sha256(b"new"), old)
    assert _content(gcs, FINAL) == b"new"


def test_a_name_that_becomes_free_in_between_is_taken(
    storage: BucketStorage, gcs: StrictGcs
) -> None:
    storage.put_bytes(b"stranger", FINAL)
    storage.put_bytes(b"ours", UPLOAD)
    real = gcs.fault

    def deleted(asked: Any) -> Any:
        if asked.operation == "look" and asked.name == FINAL:
            gcs.buckets["farm"].pop(FINAL, None)
        return real(asked)

    gcs.fault = deleted  # type: ignore[method-assign]
    storage.publish(UPLOAD, FINAL, _sha256(b"ours"))
    assert _content(gcs, FINAL) == b"ours"


def test_an_identity_of_a_directory_allows_nothing(storage: BucketStorage) -> None:
    storage.put_bytes(b"old", FINAL)
    storage.put_bytes(b"new", UPLOAD)
    with pytest.raises(StorageConflict):
        storage.publish(UPLOAD, FINAL, _sha256(b"new"), "1234-5678")


def test_a_copy_may_take_several_requests(storage: BucketStorage, gcs: StrictGcs) -> None:
    gcs.rewrite_steps = 3
    storage.put_bytes(b"frame", UPLOAD)
    storage.publish(UPLOAD, FINAL, _sha256(b"frame"))
    assert len(gcs.asked("copy")) == 3
    assert _content(gcs, FINAL) == b"frame"


def test_a_lost_answer_to_creating_is_no_defeat(storage: BucketStorage, gcs: StrictGcs) -> None:
    gcs.fail("insert", lost=True)
    assert storage.create(b"mine", "collection.json")
    assert not storage.create(b"theirs", "collection.json")
    assert _content(gcs, "collection.json") == b"mine"
    assert {asked.query["ifGenerationMatch"] for asked in gcs.asked("insert")} == {"0"}


def test_a_lost_answer_to_a_removal_is_a_removal(storage: BucketStorage, gcs: StrictGcs) -> None:
    storage.put_bytes(b"{}", "scenes/a/1.json")
    (stored,) = storage.scan("scenes/")
    gcs.fail("delete", lost=True)
    assert storage.remove(stored)
    assert list(storage.list("scenes/")) == []
    assert not storage.remove(stored)


def test_only_the_named_generation_is_removed(storage: BucketStorage, gcs: StrictGcs) -> None:
    storage.put_bytes(b"old", "blobs/aa/x")
    (old,) = storage.scan("blobs/")
    storage.put_bytes(b"new", "blobs/aa/x")
    assert not storage.remove(old)
    assert [asked.query["generation"] for asked in gcs.asked("delete")] == [old.identity]


def test_a_long_listing_comes_in_pages(storage: BucketStorage, gcs: StrictGcs) -> None:
    for number in range(7):
        storage.put_bytes(b"%d" % number, f"logs/{number}")
    gcs.page = 3
    assert sorted(stored.name for stored in storage.scan("logs/")) == [
        f"logs/{number}" for number in range(7)
    ]
    assert len(gcs.asked("list")) == 3
    storage.delete("logs/")
    assert not _names(gcs)


DEEDS: dict[str, tuple[str, Callable[[BucketStorage, Path], Any]]] = {
    "storage.objects.create": ("Writer", lambda s, _: s.put_bytes(b"x", "logs/new")),
    "storage.objects.delete": ("Writer", lambda s, _: s.delete("logs/")),
    "storage.objects.get": ("Reader", lambda s, _: s.get_bytes("logs/x")),
    "storage.objects.list": ("Reader", lambda s, _: list(s.list("logs/"))),
}
"""Permission → what needs it."""


@pytest.mark.parametrize("permission", DEEDS)
def test_a_missing_permission_is_named_with_the_command_that_grants_it(
    storage: BucketStorage, gcs: StrictGcs, tmp_path: Path, permission: str
) -> None:
    storage.put_bytes(b"x", "logs/x")
    gcs.denied = {permission}
    role, deed = DEEDS[permission]
    with pytest.raises(StorageDenied, match=f"{CALLER} has no {permission} on gs://farm") as caught:
        deed(storage, tmp_path)
    named = "roles/storage.objectViewer" if role == "Reader" else "roles/storage.objectUser"
    assert (
        "`gcloud storage buckets add-iam-policy-binding gs://farm "
        f"--member=user:{CALLER} --role={named}`" in str(caught.value.hint)
    )
    # What is denied is not asked for again and again.
    assert len(gcs.requests) < 5


ANY_DEED: dict[str, Callable[[BucketStorage, Path], Any]] = {
    "create": lambda s, _: s.create(b"x", "logs/y"),
    "delete": lambda s, _: s.delete("logs/"),
    "fetch": lambda s, folder: s.fetch("logs/x", folder / "x"),
    "get_bytes": lambda s, _: s.get_bytes("logs/x"),
    "identity": lambda s, _: s.identity("logs/x"),
    "list": lambda s, _: list(s.list("logs/")),
    "publish": lambda s, _: s.publish("logs/x", "renders/x", _sha256(b"x")),
    "put_bytes": lambda s, _: s.put_bytes(b"x", "logs/z"),
    "put_file": lambda s, _: s.put_file(Path(__file__), "logs/z"),
    "remove": lambda s, _: s.remove(Stored("logs/x", 1, 0.0, "1")),
    "sweep": lambda s, _: s.sweep(),
}


@pytest.mark.parametrize("deed", ANY_DEED)
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_bucket_is_asked_again(
    storage: BucketStorage, gcs: StrictGcs, tmp_path: Path, deed: str, status: int
) -> None:
    storage.put_bytes(b"x", "logs/x")
    operations = ("insert", "look", "media", "list", "copy", "delete")
    faults = [gcs.fail(operation, status=status, times=2) for operation in operations]
    ANY_DEED[deed](storage, tmp_path)
    assert any(fault.times == 0 for fault in faults), "nothing was in its way"


@pytest.mark.parametrize("deed", ANY_DEED)
def test_a_bucket_that_stays_busy_is_away(
    storage: BucketStorage,
    gcs: StrictGcs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    deed: str,
) -> None:
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.2)
    storage.put_bytes(b"x", "logs/x")
    for operation in ("insert", "look", "media", "list", "copy", "delete"):
        gcs.fail(operation, status=503, message="Backend error.", times=10_000)
    with pytest.raises(StorageAway, match=r"too busy or broken just now \(503 Backend error\)"):
        ANY_DEED[deed](storage, tmp_path)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("deed", sorted(set(ANY_DEED) - {"identity", "fetch", "get_bytes"}))
def test_an_absent_bucket_is_named_with_the_command_that_makes_it(
    gcs: StrictGcs, tmp_path: Path, deed: str
) -> None:
    del gcs.buckets["farm"]
    with pytest.raises(StorageError, match="there is no bucket farm") as caught:
        ANY_DEED[deed](open_bucket("gs://farm"), tmp_path)
    assert "gcloud storage buckets create gs://farm" in str(caught.value.hint)


def test_a_download_that_breaks_off_goes_on_where_it_was(
    storage: BucketStorage, gcs: StrictGcs, large: Path, tmp_path: Path
) -> None:
    storage.put_file(large, "renders/j/large.exr")
    gcs.fail("media", cut_after=3_000_000)
    gcs.fail("media", cut_after=1_000_000)
    storage.fetch("renders/j/large.exr", tmp_path / "down" / "large.exr")
    assert (tmp_path / "down" / "large.exr").read_bytes() == LARGE
    first, second, third = (asked.headers.get("range") for asked in gcs.asked("media"))
    assert first is None
    assert second is not None
    assert third is not None
    assert int(second[6:-1]) < int(third[6:-1]) <= 4_000_000


def test_who_gets_on_is_waited_for_longer_than_who_does_not(
    storage: BucketStorage,
    gcs: StrictGcs,
    large: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage.put_file(large, "renders/j/large.exr")
    now = [0.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    real = gcs.fault

    def later(asked: Any) -> Any:
        # Each request takes longer than one that comes to nothing would be given.
        now[0] += 2 * Access.patience_seconds_once_reached
        return real(asked)

    gcs.fault = later  # type: ignore[method-assign]
    for _ in range(4):
        gcs.fail("media", cut_after=1_000_000)
        gcs.fail("chunk", lost=True)
    storage.fetch("renders/j/large.exr", tmp_path / "large.exr")
    assert (tmp_path / "large.exr").read_bytes() == LARGE
    with pytest.raises(StorageAway):
        # The same chunk came to nothing twice, with much time between.
        storage.put_file(large, UPLOAD)
    assert len(gcs.asked("chunk")) == 5 + 2


def test_what_changed_between_two_halves_of_a_download_is_not_mixed(
    storage: BucketStorage, gcs: StrictGcs, large: Path, tmp_path: Path
) -> None:
    storage.put_file(large, "renders/j/large.exr")
    fault = gcs.fail("media", cut_after=3_000_000)
    real = gcs.fault

    def replaced(asked: Any) -> Any:
        if asked.operation == "media" and not fault.times:
            gcs.fault = real  # type: ignore[method-assign]
            gcs.buckets["farm"]["renders/j/large.exr"] = replace(
                gcs.buckets["farm"]["renders/j/large.exr"], content=LARGE[::-1], generation=1
            )
        return real(asked)

    gcs.fault = replaced  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        storage.fetch("renders/j/large.exr", tmp_path / "down" / "large.exr")
    assert list((tmp_path / "down").iterdir()) == []


def test_a_byte_that_changes_on_its_way_here_is_noticed(
    storage: BucketStorage, gcs: StrictGcs, large: Path, tmp_path: Path
) -> None:
    storage.put_file(large, "renders/j/large.exr")
    gcs.fail("media", damage=True)
    storage.fetch("renders/j/large.exr", tmp_path / "large.exr")
    assert (tmp_path / "large.exr").read_bytes() == LARGE
    gcs.fail("media", damage=True)
    assert storage.get_bytes("renders/j/large.exr") == LARGE
    gcs.fail("media", damage=True, times=100)
    with pytest.raises(StorageError, match="damaged again and again"):
        storage.fetch("renders/j/large.exr", tmp_path / "down" / "large.exr")
    assert list((tmp_path / "down").iterdir()) == []


@pytest.mark.parametrize("is_told", [True, False])
def test_the_checksum_comes_with_the_content_or_is_asked_for(
    storage: BucketStorage, gcs: StrictGcs, is_told: bool
) -> None:
    storage.put_bytes(b"content", FINAL)
    gcs.tells_checksums = is_told
    gcs.fail("media", damage=True)
    assert storage.get_bytes(FINAL) == b"content"
    asked = [asked.operation for asked in gcs.requests if asked.operation != "insert"]
    assert asked == (["media"] * 2 if is_told else ["media", "look"] * 2)


def test_damage_after_a_break_is_noticed_too(
    storage: BucketStorage, gcs: StrictGcs, large: Path, tmp_path: Path
) -> None:
    storage.put_file(large, "renders/j/large.exr")
    gcs.fail("media", cut_after=1_000_000)
    gcs.fail("media", damage=True)
    storage.fetch("renders/j/large.exr", tmp_path / "large.exr")
    assert (tmp_path / "large.exr").read_bytes() == LARGE
    assert len(gcs.asked("media")) == 3


@pytest.mark.parametrize("operation", ["insert", "chunk"])
def test_a_byte_that_changes_on_its_way_there_is_noticed(
    storage: BucketStorage, gcs: StrictGcs, large: Path, tmp_path: Path, operation: str
) -> None:
    source = large if operation == "chunk" else tmp_path / "small"
    (tmp_path / "small").write_bytes(b"pixels" * 100)
    gcs.fail(operation, damage=True)
    storage.put_file(source, UPLOAD, _sha256(source.read_bytes()))
    assert _content(gcs, UPLOAD) == source.read_bytes()
    storage.delete(UPLOAD)
    gcs.fail(operation, damage=True, times=1000)
    with pytest.raises(StorageError, match="damaged again and again"):
        storage.put_file(source, UPLOAD, _sha256(source.read_bytes()))
    assert not _names(gcs)


def test_a_bucket_that_takes_a_damaged_content_is_not_believed(
    storage: BucketStorage, gcs: StrictGcs, tmp_path: Path
) -> None:
    gcs.is_blind = True
    (tmp_path / "frame").write_bytes(b"pixels" * 100)
    gcs.fail("insert", damage=True)
    storage.put_file(tmp_path / "frame", UPLOAD)
    assert _content(gcs, UPLOAD) == b"pixels" * 100
    gcs.fail("insert", damage=True, times=1000)
    with pytest.raises(StorageError, match="damaged again and again"):
        storage.put_file(tmp_path / "frame", "attempts/j/b/f.png")
    assert _names(gcs) == {UPLOAD}


def test_folders_that_a_console_made_are_no_files(storage: BucketStorage, gcs: StrictGcs) -> None:
    for name in ("logs/", "logs/j/", "logs/j/x"):
        storage.put_bytes(b"", name)
    assert set(storage.list("")) == {"logs/j/x"}
    storage.delete("logs/")
    assert not _names(gcs)


def test_a_large_upload_survives_cuts_and_lost_answers(
    storage: BucketStorage, gcs: StrictGcs, large: Path
) -> None:
    gcs.fail("start", lost=True)
    gcs.fail("chunk", cut_after=1_500_000)
    gcs.fail("chunk", lost=True)
    gcs.fail("chunk", status=503)
    storage.put_file(large, UPLOAD, _sha256(LARGE))
    assert _content(gcs, UPLOAD) == LARGE
    assert gcs.buckets["farm"][UPLOAD].told["metadata"]["burst-sha256"] == _sha256(LARGE)
    # Five chunks, and each of those that failed once more: not from the start.
    assert len(gcs.asked("chunk")) == 5 + 3


def test_the_lost_answer_to_the_last_chunk_is_asked_for_again(
    storage: BucketStorage, gcs: StrictGcs, large: Path
) -> None:
    real, chunks = gcs.fault, []

    def lose_the_last(asked: Any) -> Any:
        if asked.operation == "chunk":
            chunks.append(asked)
            if len(chunks) == 5:
                gcs.fail("chunk", lost=True)
        return real(asked)

    gcs.fault = lose_the_last  # type: ignore[method-assign]
    storage.put_file(large, UPLOAD, _sha256(LARGE))
    assert len(chunks) == 6
    assert _content(gcs, UPLOAD) == LARGE


def test_an_upload_that_the_bucket_forgot_begins_anew(
    storage: BucketStorage, gcs: StrictGcs, large: Path
) -> None:
    gcs.fail("chunk", status=410, message="Gone.")
    storage.put_file(large, UPLOAD, _sha256(LARGE))
    assert len(gcs.asked("start")) == 2
    assert _content(gcs, UPLOAD) == LARGE


def test_a_file_that_changes_while_it_is_sent_is_sent_whole_or_not(
    storage: BucketStorage, gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "log"
    source.write_bytes(b"first")
    real, after = bucket._sums, [b"second", b"third and longer"]

    def changed(file: Any) -> Any:
        sums = real(file)
        if after:
            source.write_bytes(after.pop(0))
        return sums

    monkeypatch.setattr(bucket, "_sums", changed)
    storage.put_file(source, "logs/log")
    assert _content(gcs, "logs/log") == b"third and longer"
    storage.delete("logs/")
    after[:] = [b"%d" % number for number in range(9)]
    with pytest.raises(StorageError, match=f"{source} changed while it was stored as logs/log"):
        storage.put_file(source, "logs/log")
    with pytest.raises(StorageError, match="changed while it was stored"):
        storage.put_file(source, "logs/log", _sha256(b"first"))
    assert not _names(gcs)


def test_a_source_that_is_gone_is_an_error(storage: BucketStorage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"can't store logs/x: No such file"):
        storage.put_file(tmp_path / "none", "logs/x")


def test_a_full_disk_says_so(storage: BucketStorage, gcs: StrictGcs) -> None:
    storage.put_bytes(b"pixels" * 100, FINAL)
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(StorageFull, match=r"can't bring it: no space left"),
    ):
        storage._objects.download(FINAL, full, "can't bring it")
    assert len(gcs.asked("media")) == 1


def test_contents_are_told_for_what_they_are(storage: BucketStorage, gcs: StrictGcs) -> None:
    kinds = {
        "renders/j/1.png": "image/png",
        "renders/j/index.json": "application/json",
        "renders/j/a.tar.gz": "application/octet-stream",
        "blobs/aa/x": "application/octet-stream",
    }
    for name in kinds:
        storage.put_bytes(b"x", name)
    assert {name: gcs.buckets["farm"][name].told["contentType"] for name in kinds} == kinds


def test_what_dead_uploads_left_goes_after_a_day(storage: BucketStorage, gcs: StrictGcs) -> None:
    for name in ("incoming/old/0", "incoming/new/0", "blobs/aa/old"):
        storage.put_bytes(b"part", name)
    objects_ = gcs.buckets["farm"]
    for name in ("incoming/old/0", "blobs/aa/old"):
        objects_[name] = replace(objects_[name], updated="2020-01-01T00:00:00.000000Z")
    storage.sweep()
    assert _names(gcs) == {"incoming/new/0", "blobs/aa/old"}


def test_many_threads_share_one_storage(
    storage: BucketStorage, caplog: pytest.LogCaptureFixture
) -> None:
    storage.put_bytes(b"content", "logs/x")
    start, read = threading.Barrier(40), []

    def get() -> None:
        start.wait()
        read.extend(storage.get_bytes("logs/x") for _ in range(3))

    threads = [threading.Thread(target=get) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [b"content"] * 120
    assert "pool is full" not in caplog.text


def test_only_objects_are_asked_about(storage: BucketStorage, gcs: StrictGcs) -> None:
    # The bucket itself takes a permission that who reads and writes objects need not have.
    storage.put_bytes(b"x", UPLOAD)
    storage.identity(UPLOAD)
    storage.publish(UPLOAD, FINAL, _sha256(b"x"))
    storage.get_bytes(FINAL)
    storage.delete("renders/")
    time.sleep(0.1)
    assert gcs.asked("bucket") == []


FORKING = """
import os, sys
from burst.storage.storage import open_storage

storage = open_storage("gs://farm")
assert "google.cloud" not in sys.modules and "requests" not in sys.modules
storage.put_bytes(b"content", "logs/x")
child = os.fork()
for _ in range(20):
    assert storage.get_bytes("logs/x") == b"content"
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_has_connections_of_its_own(gcs: StrictGcs) -> None:
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", FORKING], env=environment, check=True, timeout=30)
    assert len(gcs.asked("media")) == 40
