"""Opening a client to a manager's console listener. Light: every command imports it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burst.protocol.client import ManagerClient


def open_client(url: str) -> ManagerClient:
    """Return a client that shows ``BURST_CONSOLE_TOKEN``, where the console asks for one."""
    # Here: httpx is slow to import, and not every command has somebody to talk to.
    from burst.protocol.client import ManagerClient

    return ManagerClient(url, os.environ.get("BURST_CONSOLE_TOKEN"))
