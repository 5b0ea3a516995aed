"""A port of a pod on this machine, for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from burst.cloud.forward import Forward
from burst.cloud.kubectl import Kubectl


@contextmanager
def open_forward(kubectl: Kubectl, target: str, port: int) -> Iterator[Forward]:
    """Forward a port for as long as the block runs."""
    forward = Forward(kubectl, target, port)
    try:
        forward.wait()
        yield forward
    finally:
        forward.close()
