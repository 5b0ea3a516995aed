"""A manager that answers what a test has written down, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = dict[str, Any] | int | None
"""JSON; or the status of an error; or None, which hangs up."""

CODES = {400: "invalid_request", 410: "worker_gone", 503: "database_unavailable"}


class ScriptedManager:
    """Answers each kind of call with the next of its answers, and then as an idle manager."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.script: dict[str, list[Answer]] = {}
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Otherwise a body waits 40 ms for its headers to be acknowledged.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = outer.answer(self.path.rpartition("/")[2], body)
                if answer is None:
                    self.close_connection = True
                    return
                status, content = (answer, {}) if isinstance(answer, int) else (200, answer)
                if status != 200:
                    content = {"code": CODES[status], "message": "scripted"}
                payload = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, call: str, body: dict[str, Any]) -> Answer:
        """Remember a call and return the answer to it."""
        with self.changed:
            self.asked.append((call, body))
            self.changed.notify_all()
            planned = self.script.get(call, [])
            if planned:
                return planned.pop(0)
        if call == "register":
            return {
                "session": "s",
                "lease_seconds": 20,
                "beat_seconds": 0.01,
                "idle_exit_seconds": 0,
            }
        return {"beat_seconds": 0.01, "verdicts": [{"answer": "done"} for _ in body["reports"]]}

    def wait_for(self, call: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first call of a kind that fits, waiting for it."""

        def found() -> dict[str, Any] | None:
            return next((b for c, b in self.asked if c == call and fits(b)), None)

        with self.changed:
            assert self.changed.wait_for(lambda: found() is not None, 30), self.asked
            body = found()
            assert body is not None
            return body

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def assignment(attempt_id: str = "a1", frames: tuple[int, ...] = (1,)) -> dict[str, Any]:
    """Return an assignment as it is on the wire."""
    return {
        "attempt_id": attempt_id,
        "token": f"token of {attempt_id}",
        "job_id": "job",
        "job_name": "shot",
        "task_index": 0,
        "frames": list(frames),
        "scene": {"name": "shot", "version": "v1"},
        "settings": {},
        "requirements": {},
    }
