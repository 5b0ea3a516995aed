"""Operations that take time, in the three forms that Google's APIs have for them."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tests.fakes.google_cloud.refusals import RefusedError

COMPUTE = "https://www.googleapis.com/compute/v1"
CONTAINER = "https://container.googleapis.com/v1"


class Style(StrEnum):
    """Whose form an operation has."""

    COMPUTE = "compute"
    CONTAINER = "container"
    LONG = "long-running"


def timestamp() -> str:
    """Return now, as Google writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Operation:
    """One operation."""

    name: str
    style: Style
    kind: str
    """What it does: ``insert``, ``CREATE_CLUSTER``."""
    scope: str
    """Where it is found: ``projects/p/zones/z``."""
    target: str
    due: float
    settle: Callable[[str], None]
    """Is called with the failure, or with nothing, when it ends."""
    failure: str
    result: Callable[[], dict[str, Any]]
    number: int
    started: str = field(default_factory=timestamp)
    ended: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return bool(self.ended)

    def shown(self) -> dict[str, Any]:
        """Return it in its API's form."""
        match self.style:
            case Style.COMPUTE:
                return self._compute()
            case Style.CONTAINER:
                return self._container()
            case Style.LONG:
                return self._long()

    def _compute(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "kind": "compute#operation",
            "id": str(self.number),
            "name": self.name,
            "operationType": self.kind,
            "targetLink": f"{COMPUTE}/{self.target}",
            "status": "DONE" if self.is_done else "RUNNING",
            "progress": 100 if self.is_done else 0,
            "insertTime": self.started,
            "startTime": self.started,
            "selfLink": f"{COMPUTE}/{self.scope}/operations/{self.name}",
        }
        _, _, where = self.scope.partition("/")[2].partition("/")
        kind, _, _ = where.partition("/")
        if kind in ("regions", "zones"):
            shown[kind[:-1]] = f"{COMPUTE}/{self.scope}"
        if self.is_done:
            shown["endTime"] = self.ended
        if self.is_done and self.failure:
            code, _, message = self.failure.rpartition(": ")
            told = {"code": code or "INTERNAL_ERROR", "message": message}
            shown |= {
                "error": {"errors": [told]},
                "httpErrorStatusCode": 503,
                "httpErrorMessage": "SERVICE UNAVAILABLE",
            }
        return shown

    def _container(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "name": self.name,
            "zone": self.scope.split("/")[3],
            "location": self.scope.split("/")[3],
            "operationType": self.kind,
            "status": "DONE" if self.is_done else "RUNNING",
            "startTime": self.started,
            "selfLink": f"{CONTAINER}/{self.scope}/operations/{self.name}",
            "targetLink": f"{CONTAINER}/{self.target}",
        }
        if self.is_done:
            shown["endTime"] = self.ended
        if self.is_done and self.failure:
            shown["statusMessage"] = self.failure
            shown["error"] = {"code": 8, "message": self.failure}
        return shown

    def _long(self) -> dict[str, Any]:
        prefix = f"{self.scope}/" if self.scope else ""
        shown: dict[str, Any] = {"name": f"{prefix}operations/{self.name}", "done": self.is_done}
        if self.is_done and self.failure:
            shown["error"] = {"code": 8, "message": self.failure}
        elif self.is_done:
            shown["response"] = self.result()
        return shown


class Operations:
    """All operations, and how long they take."""

    def __init__(self, seconds: float) -> None:
        self.seconds: dict[str, float] = {"": seconds}
        """Kind → how long it takes; without a kind, all others."""
        self._all: dict[str, Operation] = {}
        self._lock = threading.RLock()

    def start(
        self,
        style: Style,
        kind: str,
        scope: str,
        target: str,
        settle: Callable[[str], None],
        *,
        failure: str = "",
        result: Callable[[], dict[str, Any]] = dict,
    ) -> Operation:
        """Start one."""
        with self._lock:
            now = time.time()
            name = f"operation-{int(now * 1000)}-{secrets.token_hex(6)}"
            self._all[name] = Operation(
                name=name,
                style=style,
                kind=kind,
                scope=scope,
                target=target,
                due=now + self.seconds.get(kind, self.seconds[""]),
                settle=settle,
                failure=failure,
                result=result,
                number=7_000_000_000_000_000_000 + len(self._all),
            )
            return self._all[name]

    def settle(self, *, now: bool = False) -> None:
        """End what is due, or everything ``now``; who needs another's end comes after it."""
        with self._lock:
            for one in sorted(self.running(), key=lambda one: one.due):
                if now or one.due <= time.time():
                    one.ended = timestamp()
                    one.settle(one.failure)

    def running(self, about: str = "") -> list[Operation]:
        """Return those that have not ended, about a resource or what belongs to it."""
        return (
            [
                one
                for one in self._all.values()
                if not one.is_done and (one.target == about or one.target.startswith(f"{about}/"))
            ]
            if about
            else [one for one in self._all.values() if not one.is_done]
        )

    def get(self, name: str, scope: str) -> Operation:
        """Return one, which lies where it is looked for."""
        found = self._all.get(name)
        if found is None or found.scope != scope:
            raise RefusedError(404, f"Operation '{scope}/operations/{name}' was not found")
        return found

    def among(self, style: Style, scope: str) -> list[Operation]:
        """Return those of a kind of API and of a scope; ``-`` in it is any location."""
        head, is_any, _ = scope.partition("/-")
        return [
            one
            for one in self._all.values()
            if one.style is style
            and (one.scope.startswith(f"{head}/") if is_any else one.scope == scope)
        ]
