"""A real fake-gcs-server behind a connection that is cut: at first, in the middle, for good.

What is sent and brought many at a time, and what farm and worker make of an outage, is elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.errors import StorageAway
from burst.storage import objects
from burst.storage.access import Access
from burst.storage.storage import Storage, open_storage
from tests.fakes.emulator import Emulator
from tests.fakes.proxy import Proxy

LARGE = os.urandom(24 * 1024 * 1024)


@pytest.fixture
def proxy(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy(emulator.endpoint)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.endpoint)
    monkeypatch.setattr(Access, "first_pause_seconds", 0.05)
    monkeypatch.setattr(Access, "longest_pause_seconds", 0.2)
    monkeypatch.setattr(objects, "_CHUNK_BYTES", 2 * 1024 * 1024)
    yield proxy
    proxy.stop()


@pytest.fixture
def storage(proxy: Proxy) -> Storage:
    return open_storage("gs://farm")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large.exr").write_bytes(LARGE)
    return tmp_path / "large.exr"


def _cut_for_a_moment(proxy: Proxy) -> None:
    proxy.cut()
    threading.Timer(0.3, proxy.heal).start()


def test_a_large_file_is_brought_through_cuts(
    storage: Storage, proxy: Proxy, large: Path, tmp_path: Path
) -> None:
    storage.put_file(large, "renders/j/large.exr")
    cuts = [5_000_000, 12_000_000, 13_000_000]
    start = proxy.passed

    def cut(passed: int) -> None:
        if cuts and passed - start > cuts[0]:
            cuts.pop(0)
            _cut_for_a_moment(proxy)

    proxy.on_passed = cut
    storage.fetch("renders/j/large.exr", tmp_path / "again.exr")
    assert cuts == []
    assert (tmp_path / "again.exr").read_bytes() == LARGE
    # What had come already was not brought again.
    assert proxy.passed - start < 1.3 * len(LARGE)


def test_a_large_file_is_sent_through_cuts(storage: Storage, proxy: Proxy, large: Path) -> None:
    stop, cuts = threading.Event(), []

    def cut_now_and_then() -> None:
        while not stop.wait(0.25) and len(cuts) < 3:
            cuts.append(1)
            _cut_for_a_moment(proxy)

    thread = threading.Thread(target=cut_now_and_then)
    thread.start()
    try:
        for number in range(4):
            storage.put_file(large, f"attempts/j/{number}/large.exr", _sha256())
    finally:
        stop.set()
        thread.join()
    assert cuts
    proxy.heal()
    for number in range(4):
        assert storage.get_bytes(f"attempts/j/{number}/large.exr") == LARGE


@pytest.mark.parametrize("reached", [False, True])
def test_a_connection_that_stays_cut_is_given_up_and_leaves_nothing(
    storage: Storage,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reached: bool,
) -> None:
    monkeypatch.setattr(Access, "patience_seconds_at_first", 0.5)
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.5)
    if reached:
        storage.put_bytes(b"x", "logs/x")
    proxy.cut()
    with pytest.raises(StorageAway, match="Connection refused") as caught:
        storage.fetch("logs/x", tmp_path / "down" / "x")
    assert "STORAGE_EMULATOR_HOST" in str(caught.value.hint)
    assert list((tmp_path / "down").iterdir()) == []
    with pytest.raises(StorageAway):
        storage.put_bytes(b"y", "logs/y")
    proxy.heal()
    storage.put_bytes(b"y", "logs/y")
    assert storage.get_bytes("logs/y") == b"y"


def _sha256() -> str:
    return hashlib.sha256(LARGE).hexdigest()
