"""HTTP for the stand-in: requests are noted, faults strike, answers are sent or lost."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
import traceback
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.google_cloud import storage_media
from tests.fakes.google_cloud.answering import Request
from tests.fakes.google_cloud.masks import masked
from tests.fakes.google_cloud.refusals import RefusedError
from tests.fakes.strict_gcs_answers import Answer

if TYPE_CHECKING:
    from tests.fakes.google_cloud.cloud import GoogleCloud
    from tests.fakes.google_cloud.faults import Fault

PATIENCE_SECONDS = 10


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, unless it is a client that hung up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Listener:
    """The server of one stand-in."""

    def __init__(self, cloud: GoogleCloud, port: int) -> None:
        self._handler = type("Bound", (Wire,), {"cloud": cloud})
        self._server = _Server(("127.0.0.1", port), self._handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True, name="google cloud"
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_SECONDS)


class Wire(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    cloud: ClassVar[GoogleCloud]

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        raw = self._read()
        if raw is None:  # who sends half a request has nothing done
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        path = _plain(parts.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, path, query)
        kind = self.headers.get("Content-Type", "")
        api = self.cloud.api(self.command, path)
        with self.cloud.lock:
            self.cloud.requests.append(request)
        fault = self.cloud.faults.strike(self.command, path)
        if fault and fault.seconds:
            time.sleep(fault.seconds)
        if fault and fault.is_dropped:
            self._hang_up()
            return
        try:
            request.body = _decoded(raw, kind)
            answer = self._answer(request, raw, fault)
        except RefusedError as error:
            answer = _refusal(error, api)
        except Exception as error:  # noqa: BLE001 - a mistake here must not look like Google's
            traceback.print_exc()
            answer = Answer(599, f"The stand-in has a bug: {error!r}".encode())
        if fault and fault.is_lost:
            self._hang_up()
            return
        request.status = answer.status
        self._send(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - named by the library

    def _answer(self, request: Request, raw: bytes, fault: Fault | None) -> Answer:
        if self.headers.get("Authorization") != f"Bearer {self.cloud.token}":
            raise RefusedError(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential.",
            )
        if fault and fault.refusal:
            raise fault.refusal
        headers = {key.lower(): value for key, value in self.headers.items()}
        media = storage_media.answer(self.cloud, request, headers, raw)
        if media is not None:
            return media
        told = self.cloud.answer(request.method, request.path, request.query, request.body, fault)
        return Answer(204) if told is None else Answer.of(masked(told, request.query))

    def _read(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0] or b"-1", 16):
                if size < 0:
                    return None
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def _send(self, answer: Answer) -> None:
        lines = [f"HTTP/1.1 {answer.status} X"]
        if "Content-Length" not in answer.headers:
            lines.append(f"Content-Length: {len(answer.content)}")
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if "Date" not in answer.headers:
            now = time.time() + self.cloud.clock_offset
            lines.append(f"Date: {formatdate(now, usegmt=True)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.wfile.write(head + (b"" if self.command == "HEAD" else answer.content))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _refusal(error: RefusedError, api: str) -> Answer:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    return Answer(error.code, json.dumps(error.body(api)).encode(), headers)


def _plain(path: str) -> str:
    return re.sub(r"/{2,}", "/", path).rstrip("/")


def _decoded(raw: bytes, kind: str) -> Any:
    if not raw or "json" not in kind:
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise RefusedError(400, f"Invalid JSON payload received. {error}") from None
