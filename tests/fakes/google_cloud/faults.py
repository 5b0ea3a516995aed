"""What goes wrong on demand: a pattern, how often, and what."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from tests.fakes.google_cloud.refusals import RefusedError

FOREVER = -1

STOCK_OUT = (
    "Google Compute Engine: Not all instances running in IGM after 35.1s. Expected 1, running 0, "
    "transitioning 1. Current errors: [ZONE_RESOURCE_POOL_EXHAUSTED]: Instance creation failed: "
    "The zone 'projects/{project}/zones/{zone}' does not have enough resources available to "
    "fulfill the request. Try a different zone, or try again later."
)


@dataclass
class Fault:
    """What goes wrong with requests that match."""

    method: str
    """A pattern: ``POST``, ``GET|HEAD``."""
    path: str
    """A pattern that is found in the path."""
    times: int = 1
    """How often, or `FOREVER`."""
    skip: int = 0
    """How many that match are left alone first."""
    refusal: RefusedError | None = None
    failure: str = ""
    """What the operation that the request starts ends with."""
    is_lost: bool = False
    """Do it, and hang up without an answer."""
    is_dropped: bool = False
    """Hang up, without doing it."""
    seconds: float = 0
    """How long the answer takes."""

    def takes(self, method: str, path: str) -> bool:
        """Tell whether it strikes now, and count."""
        if not self.times or not re.fullmatch(self.method, method):
            return False
        if not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times > 0:
            self.times -= 1
        return True


class Faults:
    """All that are put in."""

    def __init__(self) -> None:
        self._all: list[Fault] = []
        self._lock = threading.Lock()

    def strike(self, method: str, path: str) -> Fault | None:
        """Return what goes wrong with a request."""
        with self._lock:
            return next((one for one in self._all if one.takes(method, path)), None)

    def add(self, method: str, path: str, **how: Any) -> Fault:
        """Put one in."""
        fault = Fault(method, path, **how)
        with self._lock:
            self._all.append(fault)
        return fault

    def clear(self) -> None:
        """Take all back."""
        with self._lock:
            self._all.clear()

    def refuse(self, method: str, path: str, code: int, message: str, **how: Any) -> Fault:
        """Answer with an error; ``reason`` and ``status`` are those of `RefusedError`."""
        told = {key: how.pop(key) for key in ("reason", "status") if key in how}
        return self.add(method, path, refusal=RefusedError(code, message, **told), **how)

    def quota(self, path: str, metric: str = "CPUS", limit: int = 8, **how: Any) -> Fault:
        """Refuse for lack of quota."""
        message = (
            f'Insufficient regional quota to satisfy request: resource "{metric}": request '
            f"requires '16.0' and is short '8.0'. project has a quota of '{limit}.0' with "
            f"'{limit}.0' available."
        )
        return self.refuse("POST", path, 403, message, reason="quotaExceeded", **how)

    def stock_out(
        self, path: str = r"/nodePools$", zone: str = "europe-west4-a", **how: Any
    ) -> Fault:
        """Let the operation end for lack of machines."""
        return self.add("POST", path, failure=STOCK_OUT.format(project="-", zone=zone), **how)

    def too_many(self, path: str, method: str = ".*", **how: Any) -> Fault:
        """Refuse for too many requests."""
        return self.refuse(method, path, 429, "Quota exceeded for quota metric 'Requests'.", **how)

    def unavailable(self, path: str, method: str = ".*", **how: Any) -> Fault:
        """Be away."""
        return self.refuse(method, path, 503, "The service is currently unavailable.", **how)

    def lose_answer(self, path: str, method: str = "POST", **how: Any) -> Fault:
        """Do what is asked, and hang up."""
        return self.add(method, path, is_lost=True, **how)

    def drop_poll(self, **how: Any) -> Fault:
        """Hang up on who asks for an operation."""
        return self.add("GET", r"/operations/", is_dropped=True, **how)

    def slow(self, path: str, seconds: float, method: str = ".*", **how: Any) -> Fault:
        """Take time for the answer."""
        return self.add(method, path, seconds=seconds, **how)
