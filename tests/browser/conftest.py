"""A Chromium that has the console of a real manager open; the workers are spoken by the tests.

``BURST_TEST_CHROMIUM`` names the program; else it is the ``chromium`` in PATH.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.fakes.real_manager import RealManager

expect.set_options(timeout=30_000)

NOT_THERE = "Failed to load resource"
"""How Chromium tells of an answer that is an error, or of none; whoever asks deals with it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module: Playwright's loop must not outlive it, for others run their own."""
    program = os.environ.get("BURST_TEST_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("no chromium in PATH; scripts/setup --chromium installs Debian's")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that has nothing to complain of: no error of a script, no breach of the policy."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(NOT_THERE):
            complaints.append(message.text)

    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


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
