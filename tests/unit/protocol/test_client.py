"""The client against a server that answers what the test tells it to.

What the real manager answers is in the integration tests.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from burst.errors import WIRE_ERRORS, ManagerFailed, ManagerUnreachable
from burst.protocol.artist_messages import Requeue
from burst.protocol.client import ManagerClient
from burst.protocol.messages import API, LogLine

NOW = "2030-01-01T00:00:00Z"


class Server:
    """Answers every request with ``status`` and ``body``, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size)
                outer.asked.append((self.command, self.path, dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def client(server: Server) -> Iterator[ManagerClient]:
    with ManagerClient(server.url + "/", "t0ken") as made:
        yield made


def test_calls_carry_the_token_and_only_what_is_meant(
    client: ManagerClient, server: Server
) -> None:
    server.body = b'{"jobs": []}'
    assert client.jobs() == ()
    (method, path, headers, body) = server.asked[0]
    assert (method, path, body) == ("GET", f"{API}/jobs", b"")
    assert headers["Authorization"] == "Bearer t0ken"


def test_messages_are_sent_as_json(client: ManagerClient, server: Server) -> None:
    server.status, server.body = 404, b'{"code": "not_found", "message": "no"}'
    with pytest.raises(WIRE_ERRORS["not_found"]):
        client.requeue("job", Requeue(frames="1-3"))
    assert json.loads(server.asked[0][3]) == {"frames": "1-3"}
    assert server.asked[0][2]["Content-Type"] == "application/json"


@pytest.mark.parametrize("code", WIRE_ERRORS)
def test_every_code_becomes_its_error(client: ManagerClient, server: Server, code: str) -> None:
    server.status = WIRE_ERRORS[code].http_status
    server.body = json.dumps(
        {"code": code, "message": "what happened", "hint": "do this", "details": {"a": 1}}
    ).encode()
    with pytest.raises(WIRE_ERRORS[code]) as caught:
        client.status()
    error = caught.value
    assert type(error) is WIRE_ERRORS[code]
    assert (error.message, error.hint, error.details) == ("what happened", "do this", {"a": 1})


def test_a_code_of_a_later_version_is_a_manager_that_failed(
    client: ManagerClient, server: Server
) -> None:
    server.status, server.body = 418, b'{"code": "teapot", "message": "short and stout"}'
    with pytest.raises(ManagerFailed, match="short and stout"):
        client.status()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": "no code"}'])
@pytest.mark.parametrize("status", [400, 502])
def test_an_error_that_is_not_ours_asks_whether_it_is_a_manager(
    client: ManagerClient, server: Server, status: int, body: bytes
) -> None:
    server.status, server.body = status, body
    with pytest.raises(ManagerFailed, match=f"answered {status}") as caught:
        client.status()
    assert caught.value.hint == "is that burst's manager?"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"jobs": 3}', b'{"jobs": [], "new": 1}'])
def test_an_answer_that_makes_no_sense_hints_at_versions(
    client: ManagerClient, server: Server, body: bytes
) -> None:
    server.body = body
    with pytest.raises(ManagerFailed, match="is not understood") as caught:
        client.jobs()
    assert "different versions" in (caught.value.hint or "")


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with ManagerClient(url) as client:
            with pytest.raises(ManagerUnreachable, match="does not answer"):
                client.status()
            with pytest.raises(ManagerUnreachable):
                list(client.events())


def test_a_connection_that_breaks_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            listening.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with ManagerClient(url) as client, pytest.raises(ManagerUnreachable):
            client.status()
        thread.join()


def test_a_log_is_read_past_the_lines_that_keep_it_alive(
    client: ManagerClient, server: Server
) -> None:
    lines = [LogLine.model_validate({"at": NOW, "text": text}) for text in ("a", "b")]
    server.body = b"\n\n" + b"\n\n".join(line.model_dump_json().encode() for line in lines) + b"\n"
    assert list(client.job_log("job", follow=True)) == lines
    assert server.asked[0][1] == f"{API}/jobs/job/log?follow=true"


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "ü"])
def test_a_line_ends_in_a_newline_and_in_nothing_else(
    client: ManagerClient, server: Server, character: str
) -> None:
    line = LogLine.model_validate({"at": NOW, "text": f"a{character}b"})
    server.body = line.model_dump_json().encode() + b"\n"
    assert list(client.job_log("job")) == [line]
    server.body = f"one{character}line\nlast".encode()
    assert list(client.worker_log("w")) == [f"one{character}line", "last"]


def test_events_are_read_and_the_last_one_is_said(client: ManagerClient, server: Server) -> None:
    event = {"seq": 7, "kind": "tick", "at": NOW}
    server.body = f": alive\n\nid: 7\nevent: tick\ndata: {json.dumps(event)}\n\n".encode()
    (heard,) = client.events("job", after=6)
    assert (heard.seq, heard.kind) == (7, "tick")
    assert server.asked[0][1] == f"{API}/events?job=job"
    assert {k.lower(): v for k, v in server.asked[0][2].items()}["last-event-id"] == "6"


def test_a_stream_that_makes_no_sense_is_a_manager_that_failed(
    client: ManagerClient, server: Server
) -> None:
    server.body = b"nonsense\n"
    with pytest.raises(ManagerFailed, match="is not understood"):
        list(client.job_log("job"))
    server.body = b"data: {}\n\n"
    with pytest.raises(ManagerFailed, match="is not understood"):
        list(client.events())


def test_a_stream_that_is_refused_says_why(client: ManagerClient, server: Server) -> None:
    server.status, server.body = 404, b'{"code": "not_found", "message": "no job x"}'
    with pytest.raises(WIRE_ERRORS["not_found"], match="no job x"):
        list(client.job_log("x"))
