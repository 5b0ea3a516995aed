"""A fake manager over a real storage directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.manager import FakeManager


@pytest.fixture
def storage_dir(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def manager(storage_dir: Path) -> Iterator[FakeManager]:
    fake = FakeManager(str(storage_dir))
    yield fake
    fake.stop()
