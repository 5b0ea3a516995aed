"""Opening a client to a manager's console listener. Light: every command imports it."""

from __future__ import annotations

import os

from burst.protocol.client import ManagerClient


def open_client(url: str) -> ManagerClient:
    """Return a client that shows ``BURST_CONSOLE_TOKEN``, where the console asks for one."""
    return ManagerClient(url, os.environ.get("BURST_CONSOLE_TOKEN"))
