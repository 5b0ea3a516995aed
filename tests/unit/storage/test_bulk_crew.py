"""Several processes that carry files: they do what one does, and none outlives its work.

Left out: what a transfer makes of each answer; see `test_bulk_send` and `test_bulk_fetch`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from burst.errors import BlobMissing, StorageDenied, StorageError
from burst.storage import bulk
from burst.storage.access import Access
from burst.storage.bulk_crew import Crew
from burst.storage.items import LocalBlob, Transferred, Wanted
from burst.storage.layout import blob as blob_name
from tests.fakes.blobs import local_blob
from tests.fakes.processes import started_by, wait_until_none
from tests.fakes.strict_gcs import StrictGcs

PROCESSES = 3
_SECONDS = 20


@pytest.fixture(autouse=True)
def many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "processes_worth", lambda *_: PROCESSES)


def many(folder: Path, count: int = 400) -> list[LocalBlob]:
    sizes = [700_000, 300_000, *(number % 90 for number in range(count - 2))]
    return [local_blob(folder / f"f\udcff{n}", os.urandom(size)) for n, size in enumerate(sizes)]


@pytest.mark.usefixtures("no_process_stays")
def test_all_files_go_and_come_back(access: Access, gcs: StrictGcs, tmp_path: Path) -> None:
    blobs = many(tmp_path)
    changed = blobs[7]
    changed.path.write_bytes(b"another content")
    news: list[Transferred] = []
    assert bulk.send(access, blobs, news.append) == [changed]
    content = {blob_name(one.sha256): one.path.read_bytes() for one in blobs if one != changed}
    assert {name: stored.content for name, stored in gcs.buckets["farm"].items()} == content
    assert sum(one.bytes for one in news) == sum(one.size for one in blobs) - changed.size
    assert sum(one.whole for one in news) == len(blobs) - 1
    names = sorted(content)
    wanted = [
        Wanted(name, tmp_path / "out" / str(n), len(content[name]), name.rpartition("/")[2])
        for n, name in enumerate(names)
    ]
    bulk.fetch(access, iter(wanted))
    assert [one.target.read_bytes() for one in wanted] == [content[name] for name in names]


@pytest.mark.usefixtures("no_process_stays")
def test_an_error_comes_as_what_it_is(access: Access, gcs: StrictGcs, tmp_path: Path) -> None:
    gcs.denied.add("storage.objects.create")
    with pytest.raises(StorageDenied, match=r"storage\.objects\.create") as failure:
        bulk.send(access, many(tmp_path, 10))
    assert "add-iam-policy-binding" in str(failure.value.hint)
    with pytest.raises(BlobMissing):
        bulk.fetch(access, [Wanted("renders/j/absent", tmp_path / "x", 1, "0" * 64)])


@pytest.mark.usefixtures("no_process_stays")
def test_a_token_that_is_refused_is_made_anew(
    gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcs.token = "first"
    gcs.write_key(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    access = Access("farm", gcs.endpoint)
    access.headers()
    gcs.token = "second"
    blobs = many(tmp_path, 50)
    assert bulk.send(access, blobs) == []
    assert set(gcs.buckets["farm"]) == {blob_name(one.sha256) for one in blobs}


@pytest.mark.parametrize("processes", [1, PROCESSES])
@pytest.mark.usefixtures("no_process_stays")
def test_who_gives_tokens_may_be_away_for_a_moment(
    gcs: StrictGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(bulk, "processes_worth", lambda *_: processes)
    gcs.token = "first"
    gcs.write_key(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    grant, refused = gcs.grant, []

    def away() -> Any:
        if len(refused) < 2:
            refused.append(1)
            raise ConnectionResetError
        return grant()

    monkeypatch.setattr(gcs, "grant", away)
    blobs = many(tmp_path, 20)
    assert bulk.send(Access("farm", gcs.endpoint), blobs) == []
    assert set(gcs.buckets["farm"]) == {blob_name(one.sha256) for one in blobs}
    assert len(refused) == 2


@pytest.mark.usefixtures("no_process_stays")
def test_an_interruption_ends_all_processes(access: Access, tmp_path: Path) -> None:
    def interrupt(_news: Transferred) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk.send(access, many(tmp_path), interrupt)
    assert bulk.send(access, many(tmp_path)) == []


@pytest.mark.usefixtures("no_process_stays")
def test_a_process_that_dies_is_an_error(access: Access, gcs: StrictGcs, tmp_path: Path) -> None:
    gcs.fail("insert", status=503, times=10_000)
    blobs = many(tmp_path, 20)
    before = set(started_by(os.getpid()))

    def kill() -> None:
        deadline = time.monotonic() + _SECONDS
        while not gcs.asked("insert") and time.monotonic() < deadline:
            time.sleep(0.01)
        newest = max(pid for pid in started_by(os.getpid()) if pid not in before)
        os.kill(newest, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(StorageError, match="a process that carried files has died"):
        bulk.send(access, blobs)
    killer.join()


PROGRAM = """
    import sys
    from pathlib import Path
    from burst.storage import bulk
    from burst.storage.access import open_access
    from burst.storage.items import LocalBlob
    bulk.processes_worth = lambda *_: 3
    blobs = [LocalBlob(Path("/dev/null"), f"{number:064x}", 0, 0) for number in range(500)]
    bulk.send(open_access("gs://farm"), blobs)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(
    gcs: StrictGcs, tmp_path: Path, sent: signal.Signals
) -> None:
    gcs.fail("insert", status=503, times=1_000_000)
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with (tmp_path / "log").open("wb") as log:
        parent = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _SECONDS
        while len(children := started_by(parent.pid)) < PROCESSES or not gcs.asked("insert"):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
        parent.send_signal(sent)
        parent.wait(_SECONDS)
        wait_until_none(children)
    finally:
        parent.kill()
        parent.wait()


def test_a_crew_that_was_given_nothing_ends(access: Access) -> None:
    with Crew(access, "send", 2) as crew:
        assert crew.carry([], lambda _news: None) == []
