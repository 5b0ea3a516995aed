"""All talk with the manager: beats on a thread of its own, the rest on its caller's.

The courier's thread beats, carries the outbox, and acts on the answers. The agent
registers, delivers leftovers, claims and signs off; a claim carries reports too. While the
manager is away the thread keeps trying, reports stay in the outbox, and what is being
rendered goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psutil

from burst.errors import (
    DatabaseUnavailable,
    InvalidRequest,
    ManagerError,
    ManagerUnreachable,
    WorkerGone,
)
from burst.protocol.client import ManagerClient
from burst.protocol.messages import LogLine, RenderProgress, WorkerStatistics
from burst.protocol.worker_messages import (
    Assignment,
    Beat,
    BeatAnswer,
    Claim,
    ClaimAnswer,
    FrameFinished,
    Registered,
    RegisterWorker,
    Report,
    Reports,
    SignOff,
    Verdict,
)
from burst.worker.held import HeldAttempts
from burst.worker.outbox import Outbox
from burst.worker.space import Rest

log = logging.getLogger(__name__)

LOG_LINES_KEPT = 2000
LOG_LINES_A_BEAT = 300
"""A Blender that floods its output loses lines, not the connection."""

RETRY_SECONDS = 0.5
RETRY_SECONDS_MAX = 5.0
STATISTICS_SECONDS = 5.0

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Orders:
    """What the manager wants, and whether it is there."""

    drain: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    """The manager has given this worker up: drop everything and register anew."""
    away: threading.Event = field(default_factory=threading.Event)
    """The manager did not answer for too long: stop."""


class Courier:
    """The worker's side of the worker protocol."""

    def __init__(
        self,
        client: ManagerClient,
        outbox: Outbox,
        held: HeldAttempts,
        away_seconds: float,
        on_verdict: Callable[[Report, Verdict], None],
        on_cancel: Callable[[tuple[str, ...]], None],
    ) -> None:
        """Talk through ``client``.

        Args:
            client: calls on the manager.
            outbox: reports to deliver.
            held: attempts to name in every beat.
            away_seconds: how long the manager may be away.
            on_verdict: hears the answer to every report.
            on_cancel: hears which held attempts are not current any more; all that are
                held, when the manager has given this worker up.
        """
        self._client = client
        self._outbox = outbox
        self._held = held
        self._away_seconds = away_seconds
        self._on_verdict = on_verdict
        self._on_cancel = on_cancel
        self.orders = Orders()
        self.rest = Rest()
        self.progress: RenderProgress | None = None
        self.trouble = ""
        """What keeps this worker from its work, in a sentence; empty while nothing does."""
        self._name = ""
        self._session_lock = threading.Lock()
        """Guards what belongs to one session: terms, claims, and whether it is gone."""
        self._terms: Registered | None = None
        self._claims = 0
        self._beat_seconds = 1.0
        self._logs: deque[LogLine] = deque(maxlen=LOG_LINES_KEPT)
        self._wake = threading.Event()
        self._answered_at = time.monotonic()
        self._statistics_at = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def register(self, message: RegisterWorker) -> Registered:
        """Join the farm, trying until the manager is there or away for too long.

        Raises:
            ManagerUnreachable: it is.
        """
        terms = self._insist(lambda: self._client.register(message))
        with self._session_lock:
            self._name, self._terms, self._claims = message.name, terms, 0
            self.orders.gone.clear()
        self._beat_seconds = terms.beat_seconds
        self.orders.drain.clear()
        if not self._thread.is_alive():
            self._thread.start()
        return terms

    def deliver_leftovers(self) -> None:
        """Send what an earlier life, or an earlier session, left in the outbox."""
        taken = self._outbox.take()
        if not taken:
            return
        message = Reports(reports=tuple(taken.values()))
        try:
            answer = self._insist(lambda: self._client.report(message))
        except InvalidRequest as error:
            # Written by another version of burst, for what is long given to others.
            log.warning("the manager does not understand what is left in the outbox: %s", error)
            self._outbox.settle([*taken])
            return
        except ManagerError:
            self._outbox.give_back([*taken])
            raise
        self._settle(taken, answer)

    def claim(self, wait_seconds: float) -> Assignment | None:
        """Ask for a task; None if there is none for now, or the manager does not answer.

        None too, without asking, while the worker rests for lack of space.
        """
        if rest_seconds := self.rest.seconds_left:
            self._closing.wait(min(rest_seconds, max(wait_seconds, RETRY_SECONDS)))
            return None
        taken = self._outbox.take()
        message = Claim(**self._beat(taken), wait_seconds=wait_seconds)
        try:
            answer: ClaimAnswer = self._client.claim(self._name, message)
        except (ManagerError, ManagerUnreachable) as error:
            self._give_back(taken, message)
            self._note_failure(error, message.session)
            self._claims += 1
            self._closing.wait(RETRY_SECONDS)
            return None
        if answer.assignment is not None:
            self._held.add(answer.assignment)
        self._claims += 1
        self._settle(taken, answer)
        return answer.assignment

    def report(self, report: Report) -> None:
        """Have a report delivered as soon as can be."""
        if isinstance(report, FrameFinished):
            self.rest.end()
        self._outbox.add(report)
        self._wake.set()

    def log(self, line: LogLine) -> None:
        """Have a line brought to the job's log with one of the next beats."""
        self._logs.append(line)

    def sign_off(self, reason: str) -> None:
        """Leave the farm; says what is still in the outbox. A manager that is away is left so."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=RETRY_SECONDS_MAX)
        if self._terms is None or self.orders.gone.is_set():
            return
        taken = self._outbox.take()
        message = SignOff(
            session=self._terms.session,
            reports=tuple(taken.values()),
            logs=self._take_logs(),
            reason=reason,
        )
        try:
            self._settle(taken, self._client.sign_off(self._name, message))
        except (ManagerError, ManagerUnreachable) as error:
            self._outbox.give_back([*taken])
            log.warning("could not sign off: %s", error)

    def _run(self) -> None:
        """Beat until the worker leaves."""
        while not self._closing.is_set():
            self._wake.wait(self._beat_seconds)
            self._wake.clear()
            if self._closing.is_set() or self.orders.gone.is_set():
                continue
            try:
                self._carry()
            except Exception:
                # The edge of this thread: without beats the manager gives the worker up.
                log.exception("a bug while talking with the manager")
                self._closing.wait(RETRY_SECONDS)

    def _carry(self) -> None:
        """Beat once."""
        taken = self._outbox.take()
        try:
            message = Beat(**self._beat(taken))
            answer = self._client.beat(self._name, message)
        except (ManagerError, ManagerUnreachable) as error:
            self._give_back(taken, message)
            self._note_failure(error, message.session)
            self._closing.wait(RETRY_SECONDS)
        except BaseException:
            self._outbox.give_back([*taken])
            raise
        else:
            self._settle(taken, answer)

    def _beat(self, taken: dict[int, Report]) -> dict[str, Any]:
        with self._session_lock:
            assert self._terms is not None  # noqa: S101 - nothing is sent before registering
            session, claims = self._terms.session, self._claims
        return {
            "session": session,
            # In this order: an attempt that is added in between was handed out in a claim
            # that `claims` does not count yet.
            "claims": claims,
            "holding": self._held.ids(),
            "reports": tuple(taken.values()),
            "logs": self._take_logs(),
            "progress": self.progress,
            "trouble": self.trouble,
            "statistics": self._statistics(),
        }

    def _settle(self, taken: dict[int, Report], answer: BeatAnswer) -> None:
        """Act on an answer: first the verdicts, then the orders."""
        self._answered_at = time.monotonic()
        self._beat_seconds = answer.beat_seconds
        for report, verdict in zip(taken.values(), answer.verdicts, strict=True):
            self._on_verdict(report, verdict)
        self._outbox.settle([*taken])
        if answer.cancel:
            self._on_cancel(answer.cancel)
        if answer.drain:
            self.orders.drain.set()

    def _note_failure(self, error: ManagerError | ManagerUnreachable, session: str) -> None:
        """Take note that a call of a session was not answered."""
        if isinstance(error, WorkerGone):
            self._note_gone(session)
        elif time.monotonic() - self._answered_at > self._away_seconds:
            self.orders.away.set()
        log.warning("manager: %s", error)

    def _note_gone(self, session: str) -> None:
        """Stop all that is done for a session that the manager has given up."""
        with self._session_lock:
            if self._terms is None or self._terms.session != session:
                # A late answer: the worker has registered anew meanwhile.
                return
            # Before: what is claimed from now on is not begun.
            self.orders.gone.set()
            held = self._held.ids()
        self._on_cancel(held)

    def _insist(self, call: Callable[[], _Answer]) -> _Answer:
        """Repeat a call until the manager answers, for as long as it may be away."""
        self._answered_at = time.monotonic()
        pause = RETRY_SECONDS
        while True:
            try:
                return call()
            except (ManagerUnreachable, DatabaseUnavailable) as error:
                if time.monotonic() - self._answered_at > self._away_seconds:
                    raise
                log.warning("manager: %s; trying again", error)
                if self._closing.wait(pause):
                    raise
                pause = min(RETRY_SECONDS_MAX, pause * 2)

    def _give_back(self, taken: dict[int, Report], message: Beat) -> None:
        """Keep what a call that failed would have brought."""
        self._outbox.give_back([*taken])
        self._logs.extendleft(reversed(message.logs))

    def _take_logs(self) -> tuple[LogLine, ...]:
        count = min(len(self._logs), LOG_LINES_A_BEAT)
        return tuple(self._logs.popleft() for _ in range(count))

    def _statistics(self) -> WorkerStatistics | None:
        now = time.monotonic()
        if now - self._statistics_at < STATISTICS_SECONDS:
            return None
        self._statistics_at = now
        try:
            return WorkerStatistics(
                cpu_percent=psutil.cpu_percent(),
                load=psutil.getloadavg()[0],
                memory_percent=psutil.virtual_memory().percent,
                disk_free_bytes=psutil.disk_usage(str(self._outbox.folder)).free,
                worker_memory_bytes=psutil.Process().memory_info().rss,
            )
        except (OSError, psutil.Error) as error:
            # A disk that fails, or a folder that somebody cleared away, is no end of the talk.
            log.warning("no figures of this machine: %s", error)
            return None
