"""Which function answers which method of Google's APIs, and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud


READS = frozenset({"GET", "HEAD"})


@dataclass
class Request:
    """One request that came in, and its answer's status: 0 if nobody got an answer."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    status: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it could change anything; to ask what one may does not."""
        asks = (":getIamPolicy", ":testIamPermissions")
        return self.method not in READS and not self.path.endswith(asks)


@dataclass
class Call:
    """One request, taken apart and found to be in order."""

    cloud: GoogleCloud
    method: str
    """As Google names it: ``compute.networks.insert``."""
    names: dict[str, str] = field(default_factory=dict)
    """What the path names."""
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    """What the operation that this starts is to fail with."""

    @property
    def project(self) -> str:
        """The project's id."""
        return self.cloud.project

    @property
    def collection(self) -> str:
        """What the method is about: ``networks``."""
        return self.method.split(".")[-2]


Handler = Callable[[Call], Any]

METHODS: dict[str, Handler] = {}
"""Method → what answers it."""


def answers(*names: str) -> Callable[[Handler], Handler]:
    """Have a function answer these methods."""

    def note(handler: Handler) -> Handler:
        METHODS.update(dict.fromkeys(names, handler))
        return handler

    return note
