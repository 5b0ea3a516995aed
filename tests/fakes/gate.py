"""A gate in front of the emulator: what is asked of a bucket can be lost, refused, or cut off.

The emulator overlooks the generations that copying, composing and deleting may be bound to;
the gate holds them, one request about an object at a time, by asking for the object before.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.emulator import Emulator

_PIECE = 1 << 16
_BOUND = re.compile(r"/o/(?:.*/(?:rewriteTo|copyTo)/b/[^/]+/o/)?(?P<target>[^/]+)(?:/compose)?$")
_NOT_PASSED_ON = {"connection", "transfer-encoding", "host", "keep-alive"}


@dataclass
class Rule:
    """What becomes of requests that look like this; the first rule that fits counts."""

    pattern: str
    """Sought in ``METHOD path?query``, unquoted."""
    lose: bool = False
    """It is done, and the connection ends without an answer."""
    status: int = 0
    """It is not done, and answered so."""
    message: str = ""
    times: int = 1_000_000
    every: int = 1
    """Of the requests that look so only each of that number."""
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)


class Gate:
    """Carries requests to an emulator; everything may be changed while it does."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.asked: list[str] = []
        """Every request that arrived, as rules see it."""
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._objects: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._open: set[socket.socket] = set()
        self._how: Literal["", "refused", "silent"] = ""
        self._carries = threading.Event()
        self._carries.set()
        self._server = _Server(("127.0.0.1", 0), self)
        self.endpoint = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What a program is given that goes through the gate."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint, "BURST_STORAGE_URL": self.emulator.url}

    def add(self, rule: Rule) -> Rule:
        """Have a rule from now on."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def drop(self, rule: Rule) -> None:
        """Have it no more."""
        with self._lock:
            self._rules.remove(rule)

    def cut(self, how: Literal["refused", "silent"]) -> None:
        """Let nothing through: hang up at once, or keep connections open and say nothing."""
        self._how = how
        self._carries.clear()
        if how == "refused":
            self._hang_up()

    def mend(self) -> None:
        """Let everything through again."""
        self._how = ""
        self._carries.set()

    def close(self) -> None:
        """End it."""
        self._how = "refused"
        self._carries.set()
        self._hang_up()
        self._server.shutdown()
        self._server.server_close()

    # ── Called by the handlers ───────────────────────────────────────────────────────

    def may_pass(self, connection: socket.socket) -> bool:
        """Wait while everything is cut; say whether a connection goes on."""
        if self._how == "refused":
            return False
        with self._lock:
            self._open.add(connection)
        self._carries.wait()
        return self._how != "refused"

    def forget(self, connection: socket.socket) -> None:
        """Know a connection no more."""
        with self._lock:
            self._open.discard(connection)

    def rule_for(self, request: str) -> Rule | None:
        """Return the rule that a request falls under, and count it."""
        with self._lock:
            self.asked.append(request)
            for rule in self._rules:
                if rule.hits < rule.times and re.search(rule.pattern, request):
                    rule.seen += 1
                    if rule.seen % rule.every == 0:
                        rule.hits += 1
                        return rule
        return None

    @contextlib.contextmanager
    def held(self, method: str, path: str) -> Iterator[bool]:
        """Hold the object that a bound request is about; give whether its generation fits."""
        parts = urlsplit(path)
        wanted = parse_qs(parts.query).get("ifGenerationMatch")
        found = _BOUND.search(parts.path)
        if not (wanted and found) or method not in ("POST", "DELETE") or "/upload/" in path:
            yield True
            return
        with self._lock:
            lock = self._objects[found["target"]]
        with lock:
            yield self._generation(found["target"]) == int(wanted[0])

    def _generation(self, quoted: str) -> int:
        connection = self.connect()
        with contextlib.closing(connection):
            bucket = self.emulator.bucket
            connection.request("GET", f"/storage/v1/b/{bucket}/o/{quoted}")
            answer = connection.getresponse()
            content = answer.read()
        return int(json.loads(content)["generation"]) if answer.status == 200 else 0

    def connect(self) -> HTTPConnection:
        """Open a connection to the emulator."""
        parts = urlsplit(self.emulator.endpoint)
        return HTTPConnection(str(parts.hostname), parts.port, timeout=60)

    def _hang_up(self) -> None:
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], gate: Gate) -> None:
        super().__init__(address, _Handler)
        self.gate = gate

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a connection that is cut is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        try:
            super().handle()
        finally:
            self.server.gate.forget(self.connection)

    def do_GET(self) -> None:
        gate, request = self.server.gate, f"{self.command} {unquote(self.path)}"
        body = self._body()
        if not gate.may_pass(self.connection):
            self.close_connection = True
            return
        rule = gate.rule_for(request)
        if rule and rule.status:
            self._refuse(rule.status, rule.message)
            return
        with gate.held(self.command, self.path) as fits:
            if not fits:
                self._refuse(412, "At least one of the pre-conditions you specified did not hold.")
                return
            with contextlib.closing(gate.connect()) as connection:
                self._carry(connection, body, lose=bool(rule and rule.lose))

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _refuse(self, status: int, message: str) -> None:
        content = json.dumps({"error": {"code": status, "message": message}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _carry(self, connection: HTTPConnection, body: bytes, *, lose: bool) -> None:
        own = urlsplit(self.server.gate.emulator.endpoint).netloc
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_PASSED_ON}
        headers |= {"Host": own, "Content-Length": str(len(body))}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        if lose or self.server.gate._how == "refused":
            answer.read()
            self.close_connection = True
            return
        self._answer(answer)

    def _answer(self, answer: HTTPResponse) -> None:
        gate = self.server.gate
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_PASSED_ON | {"content-length"}:
                # An upload in parts goes on through the gate, too.
                self.send_header(name, value.replace(gate.emulator.endpoint, gate.endpoint))
        length = answer.getheader("Content-Length")
        if length is None or self.command == "HEAD":
            content = answer.read()
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_header("Content-Length", length)
        self.end_headers()
        while piece := answer.read(_PIECE):
            gate._carries.wait()
            self.wfile.write(piece)


@contextmanager
def running_gate(emulator: Emulator) -> Iterator[Gate]:
    """A gate in front of an emulator, closed at the end."""
    gate = Gate(emulator)
    try:
        yield gate
    finally:
        gate.close()
