"""A Chromium that has the console of a real manager open; the workers are spoken by the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.fakes.chromium import running_chromium, watched_page
from tests.fakes.real_manager import RealManager


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module: its event loop must not outlive it, for others run their own."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of its own."""
    with watched_page(browser) as page:
        yield page


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[RealManager]:
    """A manager without workers."""
    made = RealManager(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def url(farm: RealManager) -> str:
    """The address of its console."""
    return farm.address.console_url
