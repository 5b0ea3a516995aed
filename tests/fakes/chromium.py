"""The system's Chromium, and tabs of it that have nothing to complain of.

``BURST_TEST_CHROMIUM`` names the program; else it is the ``chromium`` in PATH.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

expect.set_options(timeout=30_000)

NOT_THERE = "Failed to load resource"
"""How Chromium tells of an answer that is an error, or of none; whoever asks deals with it."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start a browser. As long as it runs, no other event loop can in this thread."""
    program = os.environ.get("BURST_TEST_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("no chromium in PATH; scripts/setup --chromium installs Debian's")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@contextmanager
def watched_page(browser: Browser) -> Iterator[Page]:
    """Open a tab; at its end no script had an error, and nothing broke the page's policy."""
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
