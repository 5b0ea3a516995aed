"""The index that is built from the database equals the one that lived through everything.

Random histories over the scheduler, the queue and the publishing loop, on a real database.
What is not compared: figures of frames that were rendered twice (the database keeps one
row a frame), and what lives in memory only (leases, progress).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from manager_kit import Manager, Worker, asynchronous, command, ended, finished, published

from burst.domain.commands import CommandTask
from burst.domain.frames import is_frame
from burst.domain.transitions import FrameStatus, TaskStatus
from burst.errors import InvalidRequest, NotAllowed, StorageConflict
from burst.manager.index import Index, JobEntry
from burst.manager.rebuild import build_index
from burst.manager.turns import Look
from burst.protocol.artist_messages import MakeVideo
from burst.protocol.worker_messages import Assignment, FrameFinished


def _job(job: JobEntry) -> dict[str, Any]:
    statuses = [job.board.status(i) for i in range(len(job.board))]
    open_tasks = (TaskStatus.QUEUED, TaskStatus.WAITING, TaskStatus.ACTIVE)
    return {
        "status": (job.status, job.status_reason, job.priority, job.seq, job.work_key),
        "plan": (job.plan, job.fail_fast, job.given_up),
        "times": (job.created_at, job.started_at, job.ended_at),
        "tasks": statuses,
        "missing": {i: job.missing_frames(i) for i, s in enumerate(statuses) if s in open_tasks}
        if not job.ended
        else {},
        "failures": dict(job.failures),
        "failed_on": {task: names for task, names in job.failed_on.items() if names},
        "outgrown": dict(job.outgrown),
        "pending": dict(job.pending),
        "published": (job.published, job.published_seq),
        "attempts": (job.retries, job.interruptions),
    }


def comparable(index: Index) -> dict[str, Any]:
    """Return everything of an index that decides."""
    return {
        "jobs": {job.id: _job(job) for job in index.jobs.values()},
        "attempts": {
            a.id: (a.job_id, a.task_index, a.worker, a.session, a.token_sha256)
            for a in index.attempts.values()
        },
        "workers": {
            w.name: (w.session, w.draining, w.attempts, w.pool, w.threads)
            for w in index.workers.values()
        },
        "counters": index.counters,
    }


def check_turns(job: JobEntry) -> None:
    """Check that a command task runs only when what it waits for is there, and not never."""
    look = Look(job)
    for number, task in enumerate(job.plan.commands):
        status = job.board.status(job.plan.frame_task_count + number)
        states = {awaited.state for awaited in look.awaited(task)}
        if status in (TaskStatus.QUEUED, TaskStatus.ACTIVE):
            assert states <= {"done"}, (task.name, job.status)
        if status is TaskStatus.WAITING and not job.ended:
            assert states == {"open"} or states == {"open", "done"}, task.name
        assert not (status is TaskStatus.WAITING and job.ended)
    if not job.ended:
        over = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELED)
        is_open = sum(job.board.count(status) for status in over) < len(job.board)
        assert is_open or any(True for _ in job.unpublished)


class _History:
    """Does random things to a farm."""

    def __init__(self, manager: Manager, seed: int) -> None:
        self.manager = manager
        self.random = random.Random(seed)
        self.workers: list[Worker] = []
        self.reports: list[FrameFinished] = []
        self.verdicts: dict[tuple[str, int], dict[str, str]] = {}
        self.assignments: dict[str, Assignment] = {}

    async def step(self) -> None:
        actions = [self.submit, self.register, self.render, self.publish, self.fail, self.steer]
        actions += [self.claim, self.claim, self.render, self.publish, self.sweep, self.leave]
        actions += [self.claim, self.render, self.publish, self.video, self.work, self.work]
        actions += [self.work, self.again]
        self.manager.clock.advance(self.random.random())
        await self.random.choice(actions)()

    async def submit(self) -> None:
        last = self.random.randint(1, 6)
        values = {
            "chunk": self.random.choice([1, 1, 2, 3]),
            "retry_limit": self.random.choice([1, 2, 3]),
            "priority": self.random.choice([20, 50]),
            "fail_fast": self.random.random() < 0.3,
        }
        if self.random.random() < 0.1:
            await self.manager.submit_commands(command("a"), command("b", "a"), **values)
            return
        await self.manager.submit(f"1-{last}", commands=self.commands(last), **values)

    def commands(self, last: int) -> tuple[CommandTask, ...]:
        gaps = self.random.random() < 0.3
        some = (
            command("tell", "video", "frames"),
            command("first"),
            command("video", "frames", "first", frames=f"1-{last}", allow_gaps=gaps),
            command("last", "tell"),
        )
        return self.random.choice([(), some, some[1:3], (command("video", "frames"),)])

    async def register(self) -> None:
        worker = await self.manager.worker(self.random.choice(["a", "b", "c"]))
        self.workers = [w for w in self.workers if w.name != worker.name] + [worker]

    async def claim(self) -> None:
        if self.workers:
            worker = self.random.choice(self.workers)
            answer = await worker.claim(lost=self.random.random() < 0.2)
            if task := answer.assignment:
                self.assignments[task.attempt_id] = task

    async def work(self) -> None:
        """Let a worker do a task from its claim to its end, so that jobs get somewhere."""
        if self.workers:
            worker = self.random.choice(self.workers)
            task = (await worker.claim()).assignment
            if task is not None:
                # The name may be taken: what `publish` confirms is not always true.
                with contextlib.suppress(StorageConflict):
                    await worker.finish(task)

    async def render(self) -> None:
        for worker in self.workers:
            for task in list(worker.held.values())[:1]:
                frame = self.random.choice(task.frames)
                # Now and then an upload is lost on a dying disk, or was never there.
                whole = self.random.random() < 0.9
                report = worker.upload(task, frame) if whole else finished(task, frame)
                (verdict,) = (await worker.beat(report)).verdicts
                if verdict.answer == "publish":
                    self.reports.append(report)
                    self.verdicts[report.attempt_id, frame] = verdict.replaces

    async def publish(self) -> None:
        if self.reports and self.workers:
            report = self.reports.pop(self.random.randrange(len(self.reports)))
            task, worker = self.assignments[report.attempt_id], self.workers[0]
            if self.random.random() < 0.7:
                try:
                    worker.publish(report, self.verdicts[report.attempt_id, report.frame])
                except Exception:  # noqa: BLE001 - swept, deleted or replaced meanwhile
                    return
            await worker.beat(published(task, report.frame))

    async def fail(self) -> None:
        for worker in self.workers[:1]:
            for task in list(worker.held.values())[:1]:
                del worker.held[task.attempt_id]
                outcome = self.random.choice(["failed", "interrupted", "out_of_memory"])
                gives_up = self.random.choice([None, None, None, None, "task", "job"])
                await worker.beat(ended(task, outcome, gives_up=gives_up))

    async def steer(self) -> None:
        jobs = list(self.manager.farm.index.jobs)
        if not jobs:
            return
        job_id, queue = self.random.choice(jobs), self.manager.queue
        action = self.random.choice(["cancel", "pause", "resume", "requeue", "frames", "delete"])
        try:
            if action == "requeue":
                await queue.requeue(job_id, None)
            elif action == "frames":
                await queue.requeue(job_id, f"1-{self.random.randint(1, 2)}")
            elif action == "delete":
                await queue.delete(job_id)
            else:
                await queue.act(job_id, action)  # type: ignore[arg-type]
        except (NotAllowed, InvalidRequest):
            return

    async def video(self) -> None:
        jobs = [job for job in self.manager.farm.index.jobs.values() if len(job.board) < 10]
        if not jobs:
            return
        frames = self.random.choice([None, None, "1", "1-3"])
        message = MakeVideo(frames=frames, allow_gaps=self.random.random() < 0.5)
        try:
            await self.manager.queue.make_video(self.random.choice(jobs).id, message)
        except (NotAllowed, InvalidRequest):
            return

    async def again(self) -> None:
        for job in list(self.manager.farm.index.jobs.values()):
            frames = self.random.choice([None, "1", "1-2"])
            try:
                await self.manager.queue.requeue(job.id, frames)
            except (NotAllowed, InvalidRequest):
                continue

    async def sweep(self) -> None:
        await self.manager.publishing.round()

    async def leave(self) -> None:
        if self.workers and self.random.random() < 0.5:
            worker = self.workers.pop()
            if self.random.random() < 0.5:
                await worker.sign_off()
            else:
                await self.manager.scheduler.give_up(worker.name, "it was killed")


@pytest.mark.parametrize("seed", range(12))
def test_the_rebuilt_index_equals_the_one_that_lived(tmp_path: Path, seed: int) -> None:
    manager = Manager(tmp_path)

    async def play() -> None:
        history = _History(manager, seed)
        for _ in range(120):
            await history.step()
            live = comparable(manager.farm.index)
            rebuilt = build_index(manager.database.read, manager.clock.monotonic())
            assert comparable(rebuilt) == live
            for job in manager.farm.index.jobs.values():
                check_turns(job)
            for attempt in manager.farm.index.attempts.values():
                # More only where a frame of its task was lost after it was handed out.
                assert rebuilt.attempts[attempt.id].missing >= attempt.missing

    try:
        asyncio.run(play())
    finally:
        manager.close()


@pytest.mark.parametrize("seed", [100, 101])
def test_a_history_with_restarts_keeps_every_count(tmp_path: Path, seed: int) -> None:
    manager = Manager(tmp_path)

    async def play() -> None:
        history = _History(manager, seed)
        for number in range(100):
            await history.step()
            if number % 7 == 0:
                manager.start()
            for job in manager.farm.index.jobs.values():
                counts = [job.board.count(status) for status in TaskStatus]
                assert sum(counts) == len(job.board)
                pending = {n: p for n, p in job.pending.items() if is_frame(n)}
                requeued = [p for p in pending.values() if p.status is FrameStatus.REQUEUED]
                assert 0 <= job.published <= len(job.frames) - len(requeued)
                assert len(pending) + job.published <= len(job.frames)
                check_turns(job)

    try:
        asyncio.run(play())
    finally:
        manager.close()


@asynchronous
async def test_the_file_can_be_copied_at_any_moment_and_opens_clean(tmp_path: Path) -> None:
    (tmp_path / "farm").mkdir()
    manager = Manager(tmp_path / "farm")
    history = _History(manager, 7)
    try:
        for number in range(30):
            await history.step()
            copy = tmp_path / f"copy-{number}"
            copy.mkdir()
            for path in manager.folder.glob("burst.db*"):
                shutil.copy(path, copy / path.name)
            with sqlite3.connect(copy / "burst.db") as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            connection.close()
            if number % 10 == 9:
                opened = Manager(copy)
                assert comparable(opened.farm.index) == comparable(manager.farm.index)
                opened.close()
    finally:
        manager.close()
