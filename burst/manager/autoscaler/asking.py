"""How a cluster is asked, whatever for: again where it did not answer, and line by line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from burst.errors import ToolError
from burst.manager.autoscaler.mirror import Manifest

TRIES = 3
TRY_AGAIN_SECONDS = 0.3


def persistently(ask: Callable[[], Manifest]) -> Manifest:
    """Ask again, a few times, where the cluster did not answer; only what bears to be repeated."""
    for number in range(TRIES):
        try:
            return ask()
        except ToolError:
            if number == TRIES - 1:
                raise
            time.sleep(TRY_AGAIN_SECONDS)
    raise AssertionError  # pragma: no cover - the last try returns or raises


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of what comes in pieces, but for empty ones."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line)
