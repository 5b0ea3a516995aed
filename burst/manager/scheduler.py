"""Which task goes to which worker, and what becomes of what workers report.

The calls of the worker protocol end here, one method each. Every method reads, decides
with the functions of `registry` and `attempts`, and saves once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from burst.domain.transitions import AttemptStatus, FrameStatus
from burst.errors import NotAllowed
from burst.manager import attempts, registry
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.farm import Farm
from burst.manager.index import WorkerEntry
from burst.manager.matching import next_task
from burst.protocol.messages import LogLine
from burst.protocol.worker_messages import (
    AskInputs,
    Assignment,
    AttemptEnded,
    Beat,
    BeatAnswer,
    Claim,
    ClaimAnswer,
    InputFrame,
    Registered,
    RegisterWorker,
    Report,
    Reports,
    SignOff,
    Verdict,
)


class Scheduler:
    """The workers' side of the farm."""

    def __init__(self, farm: Farm) -> None:
        """Schedule for one farm."""
        self._farm = farm
        self._lost: set[str] = set()

    async def register(self, message: RegisterWorker) -> Registered:
        """Take a worker in."""
        farm, changes = self._farm, Changes()
        now, monotonic = farm.clock.now(), farm.clock.monotonic()
        worker = registry.register(farm.index, message, now, monotonic, changes)
        # Where some stay, the autoscaler says who leaves.
        stays = farm.index.stays_idle(message.pool)
        await farm.save(changes)
        return Registered(
            session=worker.session,
            lease_seconds=farm.lease_seconds,
            beat_seconds=farm.beat_seconds,
            idle_exit_seconds=None if stays else farm.settings.idle_exit_seconds,
        )

    async def beat(self, name: str, message: Beat) -> BeatAnswer:
        """Take a sign of life with its reports."""
        changes = Changes()
        worker, verdicts = self._hear(name, message, changes)
        await self._farm.save(changes)
        return BeatAnswer(**self._answer(worker, message, verdicts))

    async def claim(
        self, name: str, message: Claim, hung_up: Callable[[], Coroutine[Any, Any, None]]
    ) -> ClaimAnswer:
        """Take reports and hand out a task, waiting for one if need be.

        Args:
            name: the worker.
            message: its claim.
            hung_up: returns when the caller has hung up, so that no task is handed to nobody,
                and a worker that was killed does not look as if it waited.
        """
        farm, changes = self._farm, Changes()
        worker, verdicts = self._hear(name, message, changes)
        number = message.claims + 1
        assignment = self._next_task(worker, number, changes)
        await farm.save(changes)
        deadline = farm.clock.monotonic() + message.wait_seconds
        caller = asyncio.create_task(hung_up())
        caller.add_done_callback(lambda _: farm.waiting.wake_worker(name))
        try:
            # Verdicts are waited for: a claim with reports is answered at once.
            while not (assignment or verdicts or self._orders(worker, message) or caller.done()):
                left = deadline - farm.clock.monotonic()
                if left <= 0:
                    break
                await self._wait(worker, left)
                if caller.done() or not farm.index.is_here(name, message.session):
                    # Whatever this one was woken for is for another.
                    farm.waiting.wake(1)
                    break
                # Not always the one from before: the index may have been built anew.
                worker = farm.index.workers[name]
                changes = Changes()
                assignment = self._next_task(worker, number, changes)
                await farm.save(changes)
        finally:
            caller.cancel()
        return ClaimAnswer(**self._answer(worker, message, verdicts), assignment=assignment)

    async def report(self, message: Reports) -> BeatAnswer:
        """Judge what an earlier life of a worker left in its outbox."""
        changes = Changes()
        verdicts = self._judge(message.reports, changes)
        await self._farm.save(changes)
        return BeatAnswer(verdicts=verdicts, beat_seconds=self._farm.beat_seconds)

    async def inputs(self, message: AskInputs) -> bytes:
        """Return the published frames of the job of an attempt, as the JSON of `Inputs`.

        Made in a thread, all of it: there may be many thousands.

        Raises:
            NotAllowed: the attempt is not current.
        """
        farm = self._farm
        attempt = farm.index.attempts.get(message.attempt_id)
        is_current = (
            attempt is not None
            and attempt.job_id == message.job_id
            and attempts.token_matches(attempt.token_sha256, message)
        )
        if not is_current:
            raise NotAllowed(f"attempt {message.attempt_id} is not current any more")
        # Whoever knows the attempt was answered after its commit: what it waited for is on disk.
        return await asyncio.to_thread(self._inputs_of, message.job_id)

    def _inputs_of(self, job_id: str) -> bytes:
        rows = self._farm.database.read(statements.published_frames(job_id))
        # One by one, for no thread runs while a whole model is turned into JSON.
        frames = (InputFrame.model_validate(row).model_dump_json() for row in rows)
        return f'{{"frames":[{",".join(frames)}]}}'.encode()

    async def sign_off(self, name: str, message: SignOff) -> BeatAnswer:
        """Let a worker go; what it still holds is interrupted."""
        farm, changes = self._farm, Changes()
        verdicts = self._judge(message.reports, changes)
        self._log(message.logs)
        if farm.index.is_here(name, message.session):
            outcome = AttemptStatus.INTERRUPTED
            registry.remove(farm.index, name, outcome, message.reason, farm.clock.now(), changes)
        await farm.save(changes)
        return BeatAnswer(verdicts=verdicts)

    async def drain(self, name: str) -> WorkerEntry:
        """Let a worker finish what it holds, and leave."""
        changes = Changes()
        worker = self._farm.index.worker(name)
        registry.drain(worker, changes)
        await self._farm.save(changes)
        return worker

    async def give_up_lost(self) -> list[str]:
        """Give up workers whose lease has run out, and return their names."""
        farm, changes = self._farm, Changes()
        names = registry.lost_workers(farm.index, farm.lease_seconds, farm.clock.monotonic())
        for name in names:
            reason = f"no sign of life for {farm.lease_seconds:.0f} s"
            registry.remove(farm.index, name, AttemptStatus.LOST, reason, farm.clock.now(), changes)
        await farm.save(changes)
        self._lost.update(names)
        return names

    def take_lost(self) -> set[str]:
        """Return the workers that were lost since the last call."""
        lost, self._lost = self._lost, set()
        return lost

    async def give_up(
        self, name: str, reason: str, outcome: AttemptStatus = AttemptStatus.LOST
    ) -> None:
        """Give up a worker that is known to have ended; what it held becomes ``outcome``."""
        farm, changes = self._farm, Changes()
        if name in farm.index.workers:
            registry.remove(farm.index, name, outcome, reason, farm.clock.now(), changes)
            await farm.save(changes)

    async def _wait(self, worker: WorkerEntry, seconds: float) -> None:
        """Let an open claim wait for news; while it is open the worker is alive."""
        worker.open_claims += 1
        try:
            await self._farm.waiting.wait(worker.name, seconds)
        finally:
            worker.open_claims -= 1
            worker.seen = self._farm.clock.monotonic()

    def _hear(
        self, name: str, message: Beat, changes: Changes
    ) -> tuple[WorkerEntry, tuple[Verdict, ...]]:
        farm = self._farm
        worker = registry.present(farm.index, name, message.session)
        verdicts = self._judge(message.reports, changes)
        self._log(message.logs)
        now, monotonic = farm.clock.now(), farm.clock.monotonic()
        registry.heard(farm.index, worker, message, now, monotonic, changes)
        return worker, verdicts

    def _answer(
        self, worker: WorkerEntry, message: Beat, verdicts: tuple[Verdict, ...]
    ) -> dict[str, object]:
        return {
            "verdicts": verdicts,
            "cancel": registry.stale_attempts(worker, message.holding),
            "drain": worker.draining,
            "beat_seconds": self._farm.beat_seconds,
        }

    def _orders(self, worker: WorkerEntry, message: Beat) -> bool:
        return worker.draining or bool(registry.stale_attempts(worker, message.holding))

    def _next_task(self, worker: WorkerEntry, claim: int, changes: Changes) -> Assignment | None:
        if worker.draining:
            return None
        farm = self._farm
        workers, pools = farm.index.workers.values(), farm.index.open_pools()
        for job in farm.index.claimable_jobs():
            task = next_task(job, worker, workers, pools)
            if task is not None:
                now = farm.clock.now()
                return attempts.grant(farm.index, job, task, worker, claim, now, changes)
        return None

    def _judge(self, reports: Sequence[Report], changes: Changes) -> tuple[Verdict, ...]:
        farm = self._farm
        verdicts = []
        for report in reports:
            verdict = attempts.judge(farm.index, report, farm.clock.now(), changes)
            verdicts.append(verdict if verdict is not None else self._look_up(report))
        return tuple(verdicts)

    def _look_up(self, report: Report) -> Verdict:
        """Decide on a report about a frame that was published before: our answer was lost."""
        if isinstance(report, AttemptEnded):
            return attempts.DROP
        read = self._farm.database.read
        rows = read(statements.frame_by_number(report.job_id, report.frame))
        tokens = read(statements.attempt_by_id(report.attempt_id))
        known = (
            rows
            and tokens
            and rows[0]["attempt_id"] == report.attempt_id
            and rows[0]["status"] == FrameStatus.PUBLISHED
            and attempts.token_matches(tokens[0]["token_sha256"], report)
        )
        return attempts.DONE if known else attempts.DROP

    def _log(self, lines: Sequence[LogLine]) -> None:
        by_job: dict[str, list[LogLine]] = {}
        for line in lines:
            if line.job_id in self._farm.index.jobs:
                by_job.setdefault(str(line.job_id), []).append(line)
        for job_id, of_job in by_job.items():
            self._farm.add_log(job_id, of_job)
