"""A real manager process on a folder, and a worker whose part a test speaks.

No Blender and no process of a worker: what is rendered is a few bytes, or a small picture.
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageDraw

from burst.domain.jobs import SceneRef
from burst.domain.workers import BlenderFacts, Capabilities
from burst.manager import state_dir
from burst.protocol.client import ManagerClient
from burst.protocol.messages import OutputFile, RenderProgress
from burst.protocol.worker_messages import (
    Assignment,
    AttemptEnded,
    Beat,
    BeatAnswer,
    Claim,
    FrameFinished,
    FramePublished,
    RegisterWorker,
    Report,
    SignOff,
)
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.storage import Storage

ROOT = Path(__file__).resolve().parents[2]
SCENE = SceneRef(name="shot", version="v1")
TOKEN = "t0ken"

Committed = tuple[FrameFinished, Mapping[str, str]]
"""What was reported of a frame, and which files it may replace."""

STARTER = """
import logging
from burst.config.load import load
from burst.manager.app import run_manager
from burst.manager.settings import ManagerSettings
logging.basicConfig(level=logging.INFO)
run_manager(load(ManagerSettings).settings)
"""


class RealManager:
    """A manager process on a folder."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.storage: Storage = DirectoryStorage(folder / "storage")
        self.storage.put_bytes(b"{}", layout.manifest(SCENE.name, SCENE.version))
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BURST_")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", STARTER],
            cwd=self.folder,
            env={
                **environment,
                "PYTHONPATH": str(ROOT),
                "HOME": str(self.folder),
                "BURST_STATE_DIR": str(self.folder),
                "BURST_CONSOLE_LISTEN": "127.0.0.1:0",
                "BURST_WORKER_LISTEN": "127.0.0.1:0",
                "BURST_WORKER_TOKEN": TOKEN,
                "BURST_WORKERS": "0",
                **self._settings,
            },
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr
        for line in self._process.stderr:
            if b"manager ready" in line:
                break
        else:
            raise AssertionError("the manager ended before it was ready")
        # What it says from here on is not of interest, but must not block it.
        self._reader = threading.Thread(target=self._process.stderr.read)
        self._reader.start()
        address = state_dir.find_manager(self.folder)
        assert address is not None
        self.artist = ManagerClient(address.console_url, self._settings.get("BURST_CONSOLE_TOKEN"))
        self.worker: ManagerClient = ManagerClient(address.worker_url, TOKEN)
        self.address = address

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self._process
        assert self._process.stderr
        self.artist.close()
        self.worker.close()
        self._process.send_signal(number)
        try:
            return self._process.wait(30)
        finally:
            self._process.kill()
            self._reader.join()
            self._process.stderr.close()


class WorkersSide(Protocol):
    """What a worker needs of a manager, wherever that runs."""

    @property
    def worker(self) -> ManagerClient:
        """Calls on the workers' listener."""
        ...

    @property
    def storage(self) -> Storage:
        """Where frames go."""
        ...


class SpokenWorker:
    """A worker that says what the test tells it to."""

    def __init__(self, manager: WorkersSide, name: str = "w") -> None:
        self.manager, self.name = manager, name
        facts = BlenderFacts(version=(5, 0, 1), kind="binary", engines={"CYCLES": ""})
        able = Capabilities(blenders=(facts,), memory_bytes=1, ffmpeg="5.1")
        message = RegisterWorker(name=name, pool="p", host="h", pid=1, capabilities=able, threads=1)
        self.session = manager.worker.register(message).session
        self.claims = 0
        self.held: list[Assignment] = []

    def claim(self) -> Assignment:
        message = Claim(session=self.session, claims=self.claims, holding=self._holding)
        task = self.manager.worker.claim(self.name, message).assignment
        assert task is not None
        self.claims += 1
        self.held.append(task)
        return task

    def beat(self, *reports: Report, progress: RenderProgress | None = None) -> BeatAnswer:
        message = Beat(
            session=self.session,
            claims=self.claims,
            holding=self._holding,
            reports=reports,
            progress=progress,
        )
        return self.manager.worker.beat(self.name, message)

    def upload(self, task: Assignment, frame: int, *, picture: bool = False) -> FrameFinished:
        """Put a frame, and with ``picture`` its preview, where an attempt puts them."""
        content = f"{task.attempt_id} {frame}".encode()
        name = f"shot_{frame:04}.png"
        storage = self.manager.storage
        storage.put_bytes(content, layout.attempt(task.job_id, task.attempt_id, name))
        if picture:
            small = preview(frame, task.attempt_id)
            storage.put_bytes(small, layout.preview(task.job_id, frame, task.attempt_id))
        sha256 = hashlib.sha256(content).hexdigest()
        return FrameFinished(
            job_id=task.job_id,
            attempt_id=task.attempt_id,
            token=task.token,
            frame=frame,
            files=(OutputFile(name=name, size=len(content), sha256=sha256),),
            render_seconds=0.5,
            peak_memory_bytes=1,
        )

    def commit(self, task: Assignment, *, picture: bool = False) -> list[Committed]:
        """Upload and report every frame of a task."""
        reports = [self.upload(task, frame, picture=picture) for frame in task.frames]
        verdicts = self.beat(*reports).verdicts
        assert {verdict.answer for verdict in verdicts} == {"publish"}
        self.held.remove(task)
        return list(zip(reports, (verdict.replaces for verdict in verdicts), strict=True))

    def publish(self, task: Assignment, frames: Sequence[Committed]) -> None:
        """Give frames their names, and report that."""
        for report, replaces in frames:
            (file,) = report.files
            self.manager.storage.publish(
                layout.attempt(task.job_id, task.attempt_id, file.name),
                layout.render(task.job_id, file.name),
                file.sha256,
                replaces.get(file.name),
            )
        told = [
            FramePublished(
                job_id=task.job_id,
                attempt_id=task.attempt_id,
                token=task.token,
                frame=report.frame,
            )
            for report, _ in frames
        ]
        assert {verdict.answer for verdict in self.beat(*told).verdicts} == {"done"}

    def render(self, *, picture: bool = False) -> Assignment:
        """Claim a task, and do all of it."""
        task = self.claim()
        self.publish(task, self.commit(task, picture=picture))
        return task

    def fail(self, task: Assignment, reason: str) -> None:
        """Report that a task failed."""
        self.held.remove(task)
        self.beat(
            AttemptEnded(
                job_id=task.job_id,
                attempt_id=task.attempt_id,
                token=task.token,
                outcome="failed",
                reason=reason,
            )
        )

    def sign_off(self) -> None:
        self.manager.worker.sign_off(self.name, SignOff(session=self.session, reason="done"))

    @property
    def _holding(self) -> tuple[str, ...]:
        return tuple(task.attempt_id for task in self.held)


def preview(frame: int, attempt_id: str) -> bytes:
    """Return a small picture, another one for each frame and for each attempt at it."""
    red, green, blue, place = hashlib.sha256(f"{frame} {attempt_id}".encode()).digest()[:4]
    image = Image.new("RGB", (320, 180), (red // 2, green // 2, blue // 2))
    ImageDraw.Draw(image).ellipse((place, 50, place + 60, 110), fill=(240, 200, 90))
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=70)
    return sink.getvalue()
