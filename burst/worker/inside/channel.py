"""The two pipes between burst and a program inside Blender, and dying with burst."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

_PARENT_POLL_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


class Channel:
    """JSON objects, one a line, over two descriptors that no grandchild inherits."""

    def __init__(self, reads: int, writes: int) -> None:
        """Take over both descriptors."""
        os.set_inheritable(reads, False)
        os.set_inheritable(writes, False)
        self._reads, self._writes = reads, writes
        self._lock = threading.Lock()

    def send(self, event: str, **facts: Any) -> None:
        """Send one object; burst not being there any more is no error here."""
        data = json.dumps({"event": event, **facts}).encode() + b"\n"
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._writes, data) :]
            except OSError:
                return

    def received(self) -> Iterator[dict[str, Any]]:
        """Yield what burst sends, until it hangs up."""
        with os.fdopen(self._reads, "rb", closefd=False) as lines:
            for line in lines:
                yield json.loads(line)

    def die_with_parent(self) -> None:
        """Make sure that this process never outlives the one that started it.

        On Linux the kernel does it, at once, when the *thread* that started this process
        ends. A thread of ours does it elsewhere, and for the moment before the kernel was
        asked; it runs only when Blender lets Python run.
        """
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        watch = threading.Thread(target=self._watch_parent, args=(os.getppid(),), daemon=True)
        watch.start()

    def _watch_parent(self, parent: int) -> None:
        poll = select.poll()
        poll.register(self._reads, 0)
        while os.getppid() == parent and not poll.poll(_PARENT_POLL_SECONDS * 1000):
            pass
        # Hung up. If that was a polite end, the main thread leaves within this moment.
        time.sleep(_PARENT_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)
