"""A helm for the tests of the charts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from chart_kit import Helm


@pytest.fixture(scope="session")
def helm() -> Helm:
    program = os.environ.get("BURST_TEST_HELM") or shutil.which("helm")
    if not program:
        pytest.skip("no helm: scripts/test makes one, or name yours with BURST_TEST_HELM")
    return Helm(Path(program))
