"""The way to the strict bucket, and a certificate, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.storage.access import Access, open_access
from tests.fakes.certificates import write_certificate
from tests.fakes.strict_gcs import StrictGcs


@pytest.fixture
def access(gcs: StrictGcs) -> Access:
    """The way to that bucket."""
    return open_access("gs://farm")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """One for this machine, and its key, signed by nobody but itself."""
    return write_certificate(tmp_path / "certificate.pem")
