"""Who holds a farm: what the locks say, and whether their holders are gone. Pure.

Two locks lie in the state bucket. burst's own, `RUN`, stands around a whole ``up`` or ``down``;
Terraform's stands around each of its calls, and says no more than who at which host. A holder is
known to be gone in these cases only; whoever is elsewhere is taken to be alive:

- burst: it used this very state directory, whose lock the caller holds by now; or it was a
  process of this machine, since it was last started, and that process is not there any more.
- terraform: burst began it here, saw that nothing of it is left, and the lock is as old as it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from burst.cloud.terraform_process import SAME_START_SECONDS, Call

RUN = "run.json"
"""Name of burst's own in the state bucket."""

LOCKING = timedelta(minutes=5)
"""A call that locks does so in its first seconds; a slow login takes longer."""


@dataclass(frozen=True, slots=True)
class Host:
    """The machine and the state directory that a run is of."""

    name: str
    state_id: str
    """Made up once for each state directory."""
    boot_id: str
    """Another one whenever the machine starts, and in each container with processes of its own."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of burst that holds a farm."""

    id: str
    command: str
    """As it was typed: ``burst up``."""
    user: str
    host: Host
    pid: int
    started_at: float
    """When its process began, in seconds since 1970."""
    began: str
    """When it took the lock, for people."""

    def __str__(self) -> str:
        return (
            f"{self.command} of {self.user} at {self.host.name} (process {self.pid}, "
            f"since {self.began})"
        )

    def to_json(self) -> bytes:
        """Return it as it lies in the bucket."""
        return json.dumps(asdict(self), indent=2).encode()


def read_run(content: bytes) -> Run | None:
    """Return the run that holds the lock, or None if that can't be read."""
    try:
        told: dict[str, Any] = json.loads(content)
        return Run(**{**told, "host": Host(**told["host"])})
    except (ValueError, TypeError, KeyError):
        return None


def is_gone(run: Run, here: Host, started_at: Callable[[int], float | None]) -> bool:
    """Say whether a run is known to be gone.

    Args:
        run: that holds the farm.
        here: where the caller runs, who holds the lock of his state directory.
        started_at: tells when a process of this machine began; None if there is none.
    """
    if (run.host.name, run.host.state_id) == (here.name, here.state_id):
        return True
    if (run.host.name, run.host.boot_id) != (here.name, here.boot_id):
        return False
    began = started_at(run.pid)
    return began is None or abs(began - run.started_at) > SAME_START_SECONDS


@dataclass(frozen=True, slots=True)
class StateLock:
    """Terraform's lock on a state."""

    who: str
    """User and host."""
    operation: str
    created: datetime

    def __str__(self) -> str:
        return (
            f"terraform {self.operation} of {self.who}, since {self.created:%Y-%m-%d %H:%M:%S} UTC"
        )


def read_state_lock(content: bytes) -> StateLock | None:
    """Return what Terraform's lock says, or None if that can't be read."""
    try:
        told: dict[str, str] = json.loads(content)
        created = datetime.fromisoformat(told["Created"][:19] + "+00:00")
        operation = told["Operation"].removeprefix("OperationType").lower()
        return StateLock(told["Who"], operation, created)
    except (ValueError, TypeError, KeyError):
        return None


def is_left_by(lock: StateLock, call: Call, who: str) -> bool:
    """Say whether a lock was left by a call of which nothing lives any more.

    Args:
        lock: Terraform's.
        call: that burst began here, and whose end nobody saw.
        who: user and host here, as Terraform writes them.
    """
    began = datetime.fromtimestamp(int(call.begun_at), tz=lock.created.tzinfo)
    return lock.who == who and began <= lock.created <= began + LOCKING
