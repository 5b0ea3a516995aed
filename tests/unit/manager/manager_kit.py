"""What the manager's tests share: a clock that stands still, a farm in a folder, a worker."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from burst.domain.commands import CommandTask, Echo, Encode
from burst.domain.jobs import SceneRef
from burst.domain.workers import BlenderFacts, Capabilities
from burst.manager.database.database import Database
from burst.manager.farm import Farm
from burst.manager.publishing import Publishing
from burst.manager.queue import Queue
from burst.manager.scheduler import Scheduler
from burst.manager.settings import ManagerSettings
from burst.protocol.artist_messages import JobView, SubmitJob
from burst.protocol.messages import OutputFile
from burst.protocol.worker_messages import (
    Assignment,
    AttemptEnded,
    Beat,
    BeatAnswer,
    Claim,
    ClaimAnswer,
    FrameFinished,
    FramePublished,
    RegisterWorker,
    Report,
    SignOff,
)
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from tests.fakes.asynchronous import asynchronous as asynchronous

SCENE = SceneRef(name="shot", version="v1")
BLENDER = BlenderFacts(version=(5, 0, 1), kind="binary", engines={"CYCLES": ""})


class FakeClock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self._start = datetime(2030, 1, 1, tzinfo=UTC)
        self._passed = 1000.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        self._passed += seconds


class Manager:
    """The deciding parts of a manager on a folder, without listeners."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = FakeClock()
        self.folder = folder
        self.database = Database.at(folder / "burst.db")
        self.storage = DirectoryStorage(folder / "storage")
        self.storage.put_bytes(b"{}", layout.manifest(SCENE.name, SCENE.version))
        self.settings = ManagerSettings(state_dir=folder, **settings)
        self.start()

    def start(self) -> None:
        """Build everything from what is on disk, as a new manager would."""
        self.farm = Farm(self.settings, self.database, self.storage, self.clock)
        self.scheduler = Scheduler(self.farm)
        self.publishing = Publishing(self.farm)
        self.queue = Queue(self.farm, self.publishing)

    def close(self) -> None:
        self.database.close()

    async def submit(self, frames: str = "1-3", **values: Any) -> JobView:
        message = SubmitJob(name="shot", scene=SCENE, frames=frames, **values)
        return (await self.queue.submit(message)).job

    async def worker(self, name: str = "one", **values: Any) -> Worker:
        worker = Worker(self, name)
        await worker.register(**values)
        return worker

    async def submit_commands(self, *tasks: CommandTask, **values: Any) -> JobView:
        """Submit a job that renders nothing."""
        return (await self.queue.submit(SubmitJob(name="chores", commands=tasks, **values))).job

    def view(self, job_id: str) -> JobView:
        from burst.manager.views import job_view

        return job_view(self.farm.index.jobs[job_id])


class Worker:
    """A worker that says what the test tells it to."""

    def __init__(self, manager: Manager, name: str) -> None:
        self.manager = manager
        self.name = name
        self.session = ""
        self.claims = 0
        self.held: dict[str, Assignment] = {}

    async def register(self, **values: Any) -> None:
        message = introduction(self.name, **values)
        self.session = (await self.manager.scheduler.register(message)).session
        self.claims, self.held = 0, {}

    async def claim(self, *reports: Report, wait: float = 0, lost: bool = False) -> ClaimAnswer:
        """Claim; with ``lost`` the answer never arrives."""
        message = Claim(
            session=self.session,
            holding=tuple(self.held),
            claims=self.claims,
            reports=reports,
            wait_seconds=wait,
        )
        answer = await self.manager.scheduler.claim(self.name, message, stays)
        self.claims += 1
        if answer.assignment is not None and not lost:
            self.held[answer.assignment.attempt_id] = answer.assignment
        return answer

    async def take_all(self) -> list[Assignment]:
        """Claim whatever there is."""
        found = []
        while (assignment := (await self.claim()).assignment) is not None:
            found.append(assignment)
        return found

    async def take(self) -> Assignment:
        """Claim a task that must be there."""
        assignment = (await self.claim()).assignment
        assert assignment is not None
        return assignment

    async def beat(self, *reports: Report) -> BeatAnswer:
        message = Beat(
            session=self.session, holding=tuple(self.held), claims=self.claims, reports=reports
        )
        answer = await self.manager.scheduler.beat(self.name, message)
        for attempt_id in answer.cancel:
            self.held.pop(attempt_id, None)
        return answer

    async def sign_off(self, *reports: Report) -> BeatAnswer:
        message = SignOff(session=self.session, reports=reports, reason="told to leave")
        return await self.manager.scheduler.sign_off(self.name, message)

    def upload(self, assignment: Assignment, frame: int, content: bytes = b"") -> FrameFinished:
        """Put a frame under the attempt's name and return the report of it."""
        content = content or f"{assignment.attempt_id} {frame}".encode()
        report = finished(assignment, frame, content)
        name = report.files[0].name
        self.manager.storage.put_bytes(
            content, layout.attempt(assignment.job_id, assignment.attempt_id, name)
        )
        return report

    async def finish(self, assignment: Assignment, *, publish: bool = True) -> None:
        """Render, report and publish every frame of an assignment."""
        for frame in assignment.frames:
            report = self.upload(assignment, frame)
            (verdict,) = (await self.beat(report)).verdicts
            assert verdict.answer == "publish"
            if publish:
                self.publish(report, verdict.replaces)
                await self.beat(published(assignment, frame))
        self.held.pop(assignment.attempt_id, None)

    def publish(self, report: FrameFinished, replaces: dict[str, str]) -> None:
        for file in report.files:
            self.manager.storage.publish(
                layout.attempt(report.job_id, report.attempt_id, file.name),
                layout.render(report.job_id, file.name),
                file.sha256,
                replaces.get(file.name),
            )


def capabilities(**values: Any) -> Capabilities:
    """Return what a worker with one Blender and ffmpeg can do."""
    facts: dict[str, Any] = {"blenders": (BLENDER,), "memory_bytes": 1 << 30, "ffmpeg": "5.1.6"}
    return Capabilities(**{**facts, **values})


async def stays() -> None:
    """Be a caller that does not hang up."""
    await asyncio.Event().wait()


def introduction(name: str = "one", **values: Any) -> RegisterWorker:
    facts: dict[str, Any] = {
        "name": name,
        "pool": "local",
        "host": "here",
        "pid": 7,
        "capabilities": capabilities(),
        "threads": 2,
    }
    return RegisterWorker(**{**facts, **values})


def finished(assignment: Assignment, frame: int, content: bytes = b"x") -> FrameFinished:
    sha256 = hashlib.sha256(content).hexdigest()
    return FrameFinished(
        job_id=assignment.job_id,
        attempt_id=assignment.attempt_id,
        token=assignment.token,
        frame=frame,
        files=(OutputFile(name=file_name(assignment, frame), size=len(content), sha256=sha256),),
        render_seconds=1.5,
        peak_memory_bytes=1000,
    )


def file_name(assignment: Assignment, number: int) -> str:
    """Return what the one file of a frame, or of a command task, is called."""
    return f"{assignment.task_name}.out" if assignment.commands else f"shot_{number:04}.png"


def published(assignment: Assignment, frame: int) -> FramePublished:
    return FramePublished(
        job_id=assignment.job_id,
        attempt_id=assignment.attempt_id,
        token=assignment.token,
        frame=frame,
    )


def ended(assignment: Assignment, outcome: str = "failed", **values: Any) -> AttemptEnded:
    return AttemptEnded.model_validate(
        {
            "job_id": assignment.job_id,
            "attempt_id": assignment.attempt_id,
            "token": assignment.token,
            "outcome": outcome,
            "reason": "for the test",
            **values,
        }
    )


def command(name: str, *after: str, **encode: Any) -> CommandTask:
    """Return a command task; one that makes a video if its frames are named."""
    if not encode:
        return CommandTask(name=name, commands=(Echo(text=name),), after=after)
    video = Encode(**{"name": f"{name}.mp4", "fps": 24, **encode})
    return CommandTask(name=name, commands=(video,), after=after)


class Caller:
    """Calls an application, without a socket and without httpx's own host."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        self._app = app
        self._base_url = base_url

    def call(self, method: str, path: str, **content: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
                return await client.request(method, path, **content)

        return asyncio.run(run())

    def get(self, path: str, **content: Any) -> httpx.Response:
        return self.call("GET", path, **content)

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self.call("POST", path, **content)


async def until(look: Callable[[], bool]) -> None:
    """Wait until something is so, for a time."""
    async with asyncio.timeout(20):
        while not look():  # noqa: ASYNC110 - what is waited for may be a thread's
            await asyncio.sleep(0.01)
