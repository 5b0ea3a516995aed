"""The way to the strict bucket, for the tests of this folder."""

from __future__ import annotations

import pytest

from burst.storage.access import Access, open_access
from tests.fakes.strict_gcs import StrictGcs


@pytest.fixture
def access(gcs: StrictGcs) -> Access:
    """The way to that bucket."""
    return open_access("gs://farm")
