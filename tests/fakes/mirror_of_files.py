"""A web server with a few files in memory, which does parts, and can cut, stall or lie."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class MirrorOfFiles:
    """The server; it runs while it is used as a context."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Path → content."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes the next answers end."""
    statuses: list[int] = field(default_factory=list)
    """What the next answers are in place of the file."""
    does_parts: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and the part that was wanted, in order."""

    def __enter__(self) -> Self:
        handler = type("Bound", (_Handler,), {"mirror": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    mirror: MirrorOfFiles

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.mirror.asked.append((self.path, wanted))
        content = self.mirror.files.get(self.path)
        if self.mirror.statuses or content is None:
            self._answer(self.mirror.statuses.pop(0) if self.mirror.statuses else 404, b"")
            return
        if wanted and self.mirror.does_parts:
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
            if first >= len(content):
                self._answer(416, b"")
            else:
                self._answer(206, content[first:])
        else:
            self._answer(200, content)

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        sent = content
        if self.mirror.cuts and content:
            sent = content[: self.mirror.cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(sent)
