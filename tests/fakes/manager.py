"""A stand-in for the manager's artists' API: real HTTP on a port, answers set by the test.

It knows one job. What a real manager answers is tested over the real one in
``tests/integration``.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from burst.domain.jobs import RenderSettings, SceneRef
from burst.domain.transitions import FrameStatus, JobStatus
from burst.domain.workers import Requirements
from burst.protocol.artist_messages import (
    FRAMES_MAX,
    Event,
    FarmStatus,
    Frames,
    FrameView,
    Jobs,
    JobView,
    Pools,
    PoolView,
    TaskCounts,
    Tasks,
    TaskView,
    Workers,
    WorkerView,
)
from burst.protocol.messages import API, OutputFile

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def job_view(**changes: Any) -> JobView:
    """Return a job of two frames that is active."""
    values: dict[str, Any] = {
        "id": "shot-abc234",
        "name": "shot",
        "status": JobStatus.ACTIVE,
        "status_reason": "",
        "priority": 50,
        "scene": SceneRef(name="shot", version="0" * 64),
        "frames": "1-2",
        "frame_count": 2,
        "frames_published": 0,
        "chunk": 1,
        "settings": RenderSettings(),
        "requirements": Requirements(),
        "commands": (),
        "retry_limit": 3,
        "fail_fast": False,
        "fps": 24,
        "output": "",
        "tasks": TaskCounts(queued=2, waiting=0, active=0, completed=0, failed=0, canceled=0),
        "retries": 0,
        "interruptions": 0,
        "created_at": NOW,
        "started_at": NOW,
        "ended_at": None,
        "mean_frame_seconds": None,
        "slowest_frame": None,
        "slowest_frame_seconds": None,
        "eta_seconds": None,
    }
    return JobView.model_validate(values | changes)


def frame_view(frame: int, seq: int, *files: OutputFile) -> FrameView:
    """Return a published frame."""
    return FrameView(
        frame=frame,
        status=FrameStatus.PUBLISHED,
        files=files,
        attempt_id=f"attempt-{frame}",
        worker="local-1",
        render_seconds=1.5,
        peak_memory_bytes=0,
        published_seq=seq,
    )


def event(kind: Any, seq: int = 1, **content: Any) -> Event:
    """Return an event."""
    return Event(seq=seq, kind=kind, at=NOW, **content)


class FakeManager:
    """One job, its frames, and the events that each listener is sent in turn."""

    def __init__(self, storage_url: str) -> None:
        self.job = job_view()
        self.frames: list[FrameView] = []
        self.workers: tuple[WorkerView, ...] = ()
        self.tasks: tuple[TaskView, ...] = ()
        self.pools: tuple[PoolView, ...] = ()
        self.asked: list[tuple[str, Any]] = []
        """What was put: path and body."""
        self.streams: list[list[Any]] = []
        """One list a listener: events, and callables that are run between them."""
        self.listened_after: list[str | None] = []
        self.storage_url = storage_url
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        if path == "/status":
            return FarmStatus(
                version="0.1.0",
                started_at=NOW,
                storage_url=self.storage_url,
                jobs={self.job.status: 1},
                tasks_queued=0,
                tasks_active=0,
                workers=0,
                pools=(),
            )
        if path == "/jobs":
            return Jobs(jobs=(self.job,))
        if path == "/pools":
            return Pools(pools=self.pools)
        if path == "/workers":
            return Workers(workers=self.workers)
        if path == f"/jobs/{self.job.id}":
            return self.job
        if path == f"/jobs/{self.job.id}/frames":
            after = int(query["after"][0])
            newer = tuple(f for f in self.frames if (f.published_seq or 0) > after)
            return Frames(frames=newer[:FRAMES_MAX])
        if path == f"/jobs/{self.job.id}/tasks":
            return Tasks(tasks=self.tasks)
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                path = address.path.removeprefix(API)
                if path == "/events":
                    self._stream()
                    return
                answer = fake.answer(path, parse_qs(address.query))
                body = {"code": "not_found", "message": f"there is no {path}"}
                content = answer.model_dump_json() if answer else json.dumps(body)
                self._answer(content, found=bool(answer))

            def do_PUT(self) -> None:
                path = self.path.removeprefix(API)
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.asked.append((path, body))
                self._answer(fake.pools[0].model_dump_json(), found=True)

            def _answer(self, content: str, *, found: bool) -> None:
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(content.encode())))
                self.end_headers()
                self.wfile.write(content.encode())

            def _stream(self) -> None:
                fake.listened_after.append(self.headers["Last-Event-ID"])
                self.send_response(200)
                self.end_headers()
                for step in fake.streams.pop(0):
                    if callable(step):
                        step()
                    else:
                        self.wfile.write(f"data: {step.model_dump_json()}\n\n".encode())
                        self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                """Stay quiet."""

        return Handler
