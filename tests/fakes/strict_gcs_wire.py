"""HTTP for `strict_gcs`: paths, bodies that may break off, and answers that do."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fakes.strict_gcs_answers import Answer, Asked, RefusedError

if TYPE_CHECKING:
    from tests.fakes.strict_gcs import Fault, StrictGcs

_OBJECT = r"/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)"
_PATHS = [
    ("GET", r"/storage/v1/b/(?P<bucket>[^/]+)", "bucket"),
    ("GET", r"/storage/v1/b/(?P<bucket>[^/]+)/o", "list"),
    ("GET", rf"(/download)?{_OBJECT}", "look"),
    ("DELETE", _OBJECT, "delete"),
    ("POST", rf"{_OBJECT}/compose", "compose"),
    (
        "POST",
        r"/storage/v1/b/[^/]+/o/(?P<source>[^/]+)/(?P<verb>rewriteTo|copyTo)"
        r"/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)",
        "copy",
    ),
    ("POST", r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o", "insert"),
    ("PUT", r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o", "chunk"),
]


NAMED_INSIDE = ("insert", "start")
"""Whose object may be named in the body."""


class Wire(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    gcs: ClassVar[StrictGcs]

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - named by the library

    def _serve(self) -> None:
        if self.path == "/token":
            self._body(None)
            self._send(self.gcs.grant())
            return
        asked = self._asked()
        if asked is None:
            self._body(None)
            self._send(Answer.refusal(400, f"This stand-in has no {self.command} {self.path}"))
        elif self.command in ("POST", "PUT"):
            self._take(asked)
        else:
            self._give(asked)

    def _take(self, asked: Asked) -> None:
        """Answer a request that has a body."""
        if asked.operation == "chunk":
            asked = replace(asked, name=self.gcs.session_name(asked))
        early = None if asked.operation in NAMED_INSIDE else self.gcs.fault(asked)
        body = self._body(early.cut_after if early else None)
        if body is None:
            return
        asked = replace(asked, name=asked.named(body))
        fault = self.gcs.fault(asked) if asked.operation in NAMED_INSIDE else early
        if fault and fault.cut_after is not None:
            if asked.operation == "chunk":
                # What came is kept, up to where the API says.
                self.gcs.answer(replace(asked, is_cut=True), body)
            self._hang_up()
            return
        answer = self._answer(asked, _damaged(body) if fault and fault.damage else body, fault)
        if fault and fault.lost:
            self._hang_up()
        else:
            self._send(answer)

    def _give(self, asked: Asked) -> None:
        """Answer a request without a body."""
        self._body(None)
        fault = self.gcs.fault(asked)
        answer = self._answer(asked, b"", fault)
        if fault and fault.lost:
            self._hang_up()
            return
        if fault and fault.damage:
            answer = replace(answer, content=_damaged(answer.content))
        self._send(answer, fault.cut_after if fault else None)

    def _answer(self, asked: Asked, body: bytes, fault: Fault | None) -> Answer:
        is_media = asked.operation == "media"
        if fault and fault.status:
            return Answer.refusal(fault.status, fault.message or "On demand.", is_media)
        try:
            return self.gcs.answer(asked, body)
        except RefusedError as error:
            return Answer.refusal(error.status, error.message, is_media)

    def _asked(self) -> Asked | None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        for method, pattern, operation in _PATHS:
            found = re.fullmatch(pattern, parts.path)
            if found and method == self.command:
                named = {key: unquote(value) for key, value in found.groupdict().items() if value}
                if operation == "look" and query.get("alt") == "media":
                    operation = "media"
                if operation == "insert" and query.get("uploadType") == "resumable":
                    operation = "start"
                return Asked(
                    operation,
                    named["bucket"],
                    named.get("name", query.get("name", "")),
                    query,
                    {key.lower(): value for key, value in self.headers.items()},
                    named.get("source", ""),
                    named.get("verb") == "rewriteTo",
                )
        return None

    def _body(self, cut_after: int | None) -> bytes | None:
        """Return the request's body, or its start; None if the client hung up."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body if cut_after is None else body[:cut_after]
        length = int(self.headers.get("Content-Length") or 0)
        wanted = length if cut_after is None else min(cut_after, length)
        body = self.rfile.read(wanted)
        return body if len(body) == wanted else None

    def _send(self, answer: Answer, cut_after: int | None = None) -> None:
        lines = [f"HTTP/1.1 {answer.status} X", f"Content-Length: {len(answer.content)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.wfile.write(head + answer.content[:cut_after])
        if cut_after is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


def _damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
