"""When a running Blender has to be killed: decisions only, no clock and no process.

`burst.worker.blender` feeds a `Watchdog` about once a second while it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from burst.worker.process import Usage

MEMORY_SHARE = 0.9
"""Of the limit: beyond it the kernel may end the whole container, agent included."""
IDLE_CPU_SHARE = 0.01
"""A Blender that is silent and uses less than this much of one core does not compute."""


class Verdict(Enum):
    """What is wrong with a Blender; all but `SLOW` is a reason for it to die."""

    HUNG = "hung"
    """Silent for too long without computing."""
    SLOW = "slow"
    """As silent, but it computes: no reason to die, a reason to say so."""
    TOO_BIG = "too big"
    """Close to the memory limit."""


@dataclass(slots=True)
class Watchdog:
    """Watches one load or one render."""

    silence_seconds: float
    """How long Blender may say nothing while it does not compute either."""
    memory_limit_bytes: int
    """What Blender may take; 0 is no limit."""
    now: float
    """Monotonic time of the last sign of life."""
    usage: Usage
    """What it used then."""
    peak_memory_bytes: int = 0

    def heard(self, now: float, usage: Usage) -> None:
        """Note a sign of life."""
        self.now, self.usage = now, usage

    def check(self, now: float, usage: Usage) -> Verdict | None:
        """Say what is wrong, if anything, and remember its peak memory."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.memory_bytes)
        if 0 < self.memory_limit_bytes * MEMORY_SHARE < usage.memory_bytes:
            return Verdict.TOO_BIG
        silent_seconds = now - self.now
        if silent_seconds < self.silence_seconds:
            return None
        computed_seconds = usage.cpu_seconds - self.usage.cpu_seconds
        if computed_seconds > silent_seconds * IDLE_CPU_SHARE:
            # Long silent steps are normal (a BVH of a huge scene): look again later.
            self.heard(now, usage)
            return Verdict.SLOW
        return Verdict.HUNG
