"""A bucket that is strict, and does not wait long; and an eye on processes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from burst.storage.access import Access
from tests.fakes.processes import started_by, wait_until_none
from tests.fakes.strict_gcs import StrictGcs, running_strict_gcs


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictGcs]:
    """A bucket called ``farm``, to which ``STORAGE_EMULATOR_HOST`` leads."""
    monkeypatch.setattr(Access, "first_pause_seconds", 0.001)
    monkeypatch.setattr(Access, "longest_pause_seconds", 0.01)
    monkeypatch.setattr(Access, "patience_seconds_at_first", 5.0)
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 5.0)
    with running_strict_gcs("farm") as gcs:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
        yield gcs


@pytest.fixture
def no_process_stays() -> Iterator[None]:
    """See to it that every process that a test starts has ended."""
    before = set(started_by(os.getpid()))
    yield
    wait_until_none([pid for pid in started_by(os.getpid()) if pid not in before])
