"""Keep what manager and worker know to themselves: their memory, and the tokens in it.

Programs of one user can look into each other, and Blender is a program of the worker's user.
Called by both programs as they start.
"""

from __future__ import annotations

import ctypes
import os
import sys

SECRETS = ("BURST_WORKER_TOKEN", "BURST_CONSOLE_TOKEN")
"""Variables that no child needs; what was read of them goes on in memory only."""
_PR_SET_DUMPABLE = 4


def hide_memory() -> None:
    """Close this process's memory and environment to others of its user, on Linux.

    For good, and not for what it starts. A superuser can look all the same, and no core is
    written when it crashes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def forget_secrets() -> None:
    """Take the tokens out of the environment, once the settings were read."""
    for name in SECRETS:
        os.environ.pop(name, None)
