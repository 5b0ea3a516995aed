"""Many files to a bucket: what arrives, what is never sent twice, and what goes wrong.

Left out: several processes (`test_bulk_crew`), and a real emulator (the contract suite, and
tests/integration).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burst.errors import StorageAway, StorageDenied, StorageError
from burst.storage import bulk, bulk_parts, bulk_send
from burst.storage.access import Access, open_access
from burst.storage.bucket import BucketStorage
from burst.storage.bulk_desk import Desk
from burst.storage.bulk_objects import BulkObjects
from burst.storage.items import LocalBlob, Transferred
from burst.storage.layout import blob as blob_name
from tests.fakes.blobs import local_blob
from tests.fakes.strict_gcs import StrictGcs

SMALL, STREAM, PARTED = 900, 5000, 40_000
"""Bytes of a file of each kind, with the limits of `small_limits`."""
HUGE = 4096 * 70 + 5
"""Of one whose parts are joined in two rounds."""
KINDS = pytest.mark.parametrize("size", [SMALL, STREAM, PARTED])


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_send, "SMALL_BYTES", 1000)
    monkeypatch.setattr(bulk_send, "CHUNK_BYTES", 600)
    monkeypatch.setattr(bulk_send, "PARTED_BYTES", 10_000)
    monkeypatch.setattr(bulk_parts, "PART_BYTES", 4096)


def kept(gcs: StrictGcs) -> dict[str, bytes]:
    return {name: stored.content for name, stored in gcs.buckets["farm"].items()}


def expected(*blobs: LocalBlob) -> dict[str, bytes]:
    return {blob_name(one.sha256): one.path.read_bytes() for one in blobs}


def test_files_of_all_sizes_arrive(access: Access, gcs: StrictGcs, tmp_path: Path) -> None:
    sizes = [0, 1, 999, 1000, 1001, 9999, 10_000, 10_001, 3 * 4096, 200_000]
    blobs = [local_blob(tmp_path / f"{size}", os.urandom(size)) for size in sizes]
    news: list[Transferred] = []
    assert bulk.send(access, blobs, news.append) == []
    assert kept(gcs) == expected(*blobs)
    told = {blob_name(one.sha256): 0 for one in blobs}
    for one in news:
        told[one.name] += one.bytes
    assert told == {blob_name(one.sha256): one.size for one in blobs}
    assert sorted(one.name for one in news if one.whole) == sorted(told)


def test_more_parts_than_can_be_composed_at_once_are_joined_in_two_rounds(
    access: Access, gcs: StrictGcs, tmp_path: Path
) -> None:
    blob = local_blob(tmp_path / "huge", os.urandom(HUGE))
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)
    assert len(gcs.asked("compose")) == 4


@KINDS
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content + b"more",
        lambda content: bytes([content[0] ^ 1]) + content[1:],
    ],
    ids=["shorter", "longer", "other"],
)
def test_a_file_that_changed_since_is_returned_and_nothing_is_stored(
    access: Access,
    gcs: StrictGcs,
    tmp_path: Path,
    size: int,
    change: Callable[[bytes], bytes],
) -> None:
    blob, other = local_blob(tmp_path / "a", os.urandom(size)), local_blob(tmp_path / "b", b"other")
    blob.path.write_bytes(change(blob.path.read_bytes()))
    assert bulk.send(access, [blob, other]) == [blob]
    assert kept(gcs) == expected(other)


@KINDS
def test_a_file_that_is_gone_is_returned(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    blob.path.unlink()
    assert bulk.send(access, [blob]) == [blob]
    assert kept(gcs) == {}


@pytest.mark.parametrize("size", [STREAM, PARTED])
def test_a_file_that_changes_while_it_is_sent_is_returned(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    read, reads = os.pread, []

    def pread(file: int, count: int, offset: int) -> bytes:
        reads.append(offset)
        if len(reads) == 6:
            blob.path.write_bytes(os.urandom(size))
        return read(file, count, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert bulk.send(access, [blob]) == [blob]
    assert kept(gcs) == {}


def test_no_part_arrives_when_the_others_have_been_cleared_away(
    access: Access, gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(PARTED))
    first, *_, last = bulk_parts.cut(PARTED)
    read, answer = os.pread, gcs.answer
    arrived, looked = threading.Event(), threading.Event()

    def pread(file: int, count: int, offset: int) -> bytes:
        if offset < last.start:
            return read(file, count, offset)
        # It is shorter by now, and the first part is on its way.
        assert arrived.wait(20)
        return b""

    def slowly(asked: Any, body: bytes) -> Any:
        if asked.operation == "list" and arrived.is_set():
            looked.set()
        elif asked.operation == "insert" and asked.name.endswith(first.name):
            arrived.set()
            looked.wait(0.5)
        return answer(asked, body)

    monkeypatch.setattr(os, "pread", pread)
    monkeypatch.setattr(gcs, "answer", slowly)
    assert bulk.send(access, [blob]) == [blob]
    assert kept(gcs) == {}


@KINDS
def test_a_lost_answer_is_no_conflict_and_nothing_is_overwritten(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    gcs.fail("compose" if size == PARTED else "insert", lost=True)
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)


@KINDS
def test_a_blob_that_is_there_is_not_overwritten(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    bulk.send(access, [blob])
    before = gcs.buckets["farm"][blob_name(blob.sha256)].generation
    assert bulk.send(access, [blob]) == []
    assert gcs.buckets["farm"][blob_name(blob.sha256)].generation == before
    assert kept(gcs) == expected(blob)


@KINDS
def test_a_damaged_blob_is_named(access: Access, gcs: StrictGcs, tmp_path: Path, size: int) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    bulk.send(access, [blob])
    stored = gcs.buckets["farm"][blob_name(blob.sha256)]
    object.__setattr__(stored, "content", b"?" * size)
    with pytest.raises(StorageError, match="is damaged in the storage") as failure:
        bulk.send(access, [blob])
    assert "gcloud storage rm gs://farm/blobs/" in str(failure.value.hint)


@KINDS
def test_what_was_damaged_on_its_way_is_sent_again(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    gcs.fail("insert", damage=True, times=2)
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)


@KINDS
def test_what_a_bucket_took_without_looking_is_looked_at(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = gcs._write

    def careless(bucket: str, name: str, told: dict[str, Any], *rest: Any) -> Any:
        return write(bucket, name, {**told, "crc32c": None}, *rest)

    monkeypatch.setattr(gcs, "_write", careless)
    gcs.fail("insert", damage=True)
    blob = local_blob(tmp_path / "a", os.urandom(size))
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)
    assert gcs.asked("delete")


@KINDS
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_bucket_is_asked_again(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int, status: int
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    gcs.fail("insert", status=status, times=2)
    gcs.fail("compose", status=status)
    gcs.fail("list", status=status)
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)


def test_a_connection_that_breaks_is_made_anew(
    access: Access, gcs: StrictGcs, tmp_path: Path
) -> None:
    blobs = [local_blob(tmp_path / f"{number}", os.urandom(PARTED)) for number in range(3)]
    gcs.fail("insert", cut_after=300, times=4)
    assert bulk.send(access, blobs) == []
    assert kept(gcs) == expected(*blobs)


def test_a_bucket_that_stays_busy_is_an_error_and_what_was_sent_stays(
    access: Access, gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.3)
    blobs = [local_blob(tmp_path / f"{number}", os.urandom(SMALL)) for number in range(5)]
    gcs.fail("insert", status=503, name=blobs[2].sha256, times=10_000)
    with pytest.raises(StorageAway, match=r"can't send .* to blobs/") as failure:
        bulk.send(access, blobs)
    assert failure.value.hint
    assert kept(gcs) == expected(*blobs[:2], *blobs[3:])
    gcs.heal()
    assert bulk.lacking(Desk(access), [blob_name(one.sha256) for one in blobs]) == {
        blob_name(blobs[2].sha256)
    }


def test_parts_that_arrived_are_not_sent_again(
    access: Access, gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.3)
    blob = local_blob(tmp_path / "a", os.urandom(PARTED))
    parts = bulk_parts.cut(PARTED)
    gcs.fail("insert", status=503, name=parts[3].name, times=10_000)
    with pytest.raises(StorageAway):
        bulk.send(access, [blob])
    arrived = set(kept(gcs))
    assert 0 < len(arrived) < len(parts)
    gcs.heal()
    gcs.requests.clear()
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)
    sent = {asked.name for asked in gcs.asked("insert")}
    assert not sent & arrived
    assert len(sent) == len(parts) - len(arrived)


def test_a_part_of_another_content_is_sent_again(
    access: Access, gcs: StrictGcs, tmp_path: Path
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(PARTED))
    part = bulk_parts.cut(PARTED)[1]
    BucketStorage(access).put_bytes(b"x" * part.length, f"incoming/{blob.sha256}/{part.name}")
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)


@pytest.mark.parametrize("size", [PARTED, HUGE])
def test_parts_that_somebody_else_composed_meanwhile_are_not_sent_again(
    access: Access, gcs: StrictGcs, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(size))
    compose, rounds = BulkObjects.compose, []

    async def late(objects: BulkObjects, name: str, sources: Any, **how: Any) -> Any:
        rounds.append(name)
        if len(rounds) == 1:
            # The other one is done with it, and has cleared all parts away.
            await asyncio.to_thread(bulk.send, open_access("gs://farm"), [blob])
        return await compose(objects, name, sources, **how)

    monkeypatch.setattr(BulkObjects, "compose", late)
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)
    assert len(gcs.asked("insert")) == len(bulk_parts.cut(size))


def test_parts_that_vanish_are_sent_again(access: Access, gcs: StrictGcs, tmp_path: Path) -> None:
    blob = local_blob(tmp_path / "a", os.urandom(PARTED))
    gcs.fail("compose", status=404, message="No such object")
    assert bulk.send(access, [blob]) == []
    assert kept(gcs) == expected(blob)


def test_what_is_refused_is_said(access: Access, gcs: StrictGcs, tmp_path: Path) -> None:
    gcs.denied.add("storage.objects.create")
    with pytest.raises(StorageDenied, match=r"storage\.objects\.create") as failure:
        bulk.send(access, [local_blob(tmp_path / "a", b"a")])
    assert "add-iam-policy-binding" in str(failure.value.hint)


def test_an_absent_bucket_is_said(gcs: StrictGcs, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no bucket elsewhere"):
        bulk.send(open_access("gs://elsewhere"), [local_blob(tmp_path / "a", b"a")])


@KINDS
def test_a_token_that_is_refused_in_the_middle_is_made_anew(
    gcs: StrictGcs, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = logged_in(gcs, tmp_path, monkeypatch)
    blobs = [local_blob(tmp_path / f"{number}", os.urandom(size)) for number in range(3)]
    assert bulk.send(access, blobs[:1]) == []
    access.headers()
    gcs.token = "second"
    assert bulk.send(access, blobs) == []
    assert kept(gcs) == expected(*blobs)


def test_a_login_that_is_no_longer_valid_is_said(
    gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = logged_in(gcs, tmp_path, monkeypatch)
    access.headers()
    gcs.has_revoked_keys, gcs.token = True, "second"
    with pytest.raises(StorageDenied, match="the login"):
        bulk.send(access, [local_blob(tmp_path / "a", b"a")])


def logged_in(gcs: StrictGcs, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    """Return an access with a service account, whose tokens the stand-in gives out."""
    gcs.token = "first"
    gcs.write_key(folder / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "key.json"))
    return Access("farm", gcs.endpoint)
