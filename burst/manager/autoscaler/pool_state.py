"""What the autoscaler remembers of one worker pool between its rounds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from burst.domain.pools import WorkerPool
from burst.manager.autoscaler import policy
from burst.manager.index import PoolChoice
from burst.protocol.artist_messages import PoolView

log = logging.getLogger(__name__)


DOUBT_SECONDS = 1800.0
"""So long after a failure few are tried before many: longer than a node boots, and fails."""


@dataclass(slots=True)
class Census:
    """How many workers of a pool there are, by what they do."""

    here: int = 0
    """Registered, those that drain included."""
    draining: int = 0
    idle: int = 0
    """Had nothing to do for long."""
    starting: int = 0
    waits: dict[str, int] = field(default_factory=dict)
    """What holds up those that start → how many of them."""


@dataclass(slots=True)
class PoolState:
    """How a pool has fared."""

    name: str
    failed_starts: int = 0
    in_doubt: bool = False
    """Whether some that were made could not start, since the last that could."""
    taken: int = 0
    """Workers in a row whose machines were taken before they came."""
    gave_up: int = 0
    """Workers in a row that came for nothing: they can't render, or nothing that is queued."""
    last_failure_at: float = 0.0
    failure: str = ""
    out_of_stock_until: float = 0.0
    surplus_since: float | None = None
    """Since when workers start that nobody needs."""

    def note_failure(self, reason: str, now: float) -> None:
        """Note that a worker that was made could not start."""
        self.in_doubt = True
        self.note_refused(reason, now)

    def note_refused(self, reason: str, now: float) -> None:
        """Note that no worker could be made."""
        self.failed_starts += 1
        self._note(reason, now)
        log.warning("%s: a worker could not start: %s", self.name, reason)

    def note_taken(self, reason: str, now: float) -> None:
        """Note that the machine of one that started was taken, with those of others mostly.

        The next may fare better; but where each is taken there would be no end of them.
        """
        if now - self.last_failure_at >= policy.retry_seconds(self._useless):
            self.taken += 1
        if self.taken > 1:
            self._note(reason, now)

    def note_gave_up(self, reason: str, now: float) -> None:
        """Note that a worker came for nothing."""
        self.gave_up += 1
        self._note(reason, now)
        log.warning("%s: a worker came for nothing: %s", self.name, reason)

    def note_out_of_stock(self, reason: str, until: float) -> None:
        """Note that there was no machine for a worker."""
        if until > self.out_of_stock_until:
            log.warning("%s: no machine for a worker: %s", self.name, reason)
        self.out_of_stock_until = until
        self.failure = f"no machine was to be had: {reason}"

    def note_came(self, now: float, *, newcomer: bool, rendered: bool) -> None:
        """Note that workers came, or finished their first frame: that ends the waiting."""
        if rendered:
            self.gave_up = 0
        if newcomer:
            self.failed_starts, self.taken, self.in_doubt = 0, 0, False
        if not self._useless and now >= self.out_of_stock_until:
            self.failure = ""

    def needless(self, resize: policy.Resize, now: float, patience: float) -> int:
        """Return how many workers that start are to be taken back: not wanted for a while."""
        if not resize.surplus:
            self.surplus_since = None
            return 0
        if self.surplus_since is None:
            self.surplus_since = now
        return resize.surplus if now - self.surplus_since >= patience else 0

    def for_policy(
        self, pool: WorkerPool, census: Census, scale: int | None, now: float
    ) -> policy.Pool:
        """Return the figures that the policy decides on."""
        return policy.Pool(
            name=pool.name,
            maximum=pool.maximum,
            workers=census.here - census.draining,
            starting=census.starting,
            leaving=census.draining,
            cores=pool.cores,
            memory_bytes=pool.memory_bytes,
            boot_seconds=pool.boot_seconds,
            failed_starts=self._useless,
            last_failure_at=self.last_failure_at,
            is_shared=pool.is_shared,
            minimum=pool.minimum,
            scale=scale,
            idle=census.idle,
            out_of_stock_until=self.out_of_stock_until,
            trouble=pool.trouble,
            in_doubt=self._is_doubted(now),
        )

    def view(
        self, pool: WorkerPool, census: Census, resize: policy.Resize, scale: int | None
    ) -> PoolView:
        """Return the pool as artists see it."""
        waits = sorted(census.waits.items(), key=lambda item: (-item[1], item[0]))
        return PoolView(
            name=pool.name,
            running=census.here,
            starting=census.starting + resize.start,
            wanted=resize.wanted,
            maximum=pool.maximum,
            reason=resize.reason,
            failure=pool.trouble or self.failure,
            waiting="; ".join(f"{count} wait: {text}" for text, count in waits),
            minimum=pool.minimum,
            scale=scale,
            preference=pool.preference,
            cores=pool.cores,
            memory_bytes=pool.memory_bytes,
            memory_class=pool.memory_class,
            device=pool.device,
            blender=tuple(".".join(map(str, version)) for version in pool.blender),
            spot=pool.spot,
        )

    def _is_doubted(self, now: float) -> bool:
        is_broken = self.in_doubt or self.gave_up >= policy.FAILED_STARTS_PASSED_ON
        return is_broken and now - self.last_failure_at < DOUBT_SECONDS

    @property
    def _useless(self) -> int:
        """How many in a row were of no use; one machine that was taken is nothing yet."""
        return max(self.failed_starts, self.gave_up, self.taken - 1)

    def _note(self, reason: str, now: float) -> None:
        self.last_failure_at, self.failure = now, reason


def chosen(pool: WorkerPool, choice: PoolChoice | None) -> WorkerPool:
    """Return a pool with what somebody chose for it."""
    if choice is None:
        return pool
    minimum = pool.minimum if choice.minimum is None else choice.minimum
    maximum = pool.maximum if choice.maximum is None else choice.maximum
    return replace(pool, minimum=minimum, maximum=maximum)
