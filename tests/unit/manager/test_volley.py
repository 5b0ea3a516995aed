"""Many requests at once: in order, again where nobody answers, as the client is set."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kubernetes import client, config

from burst.errors import ToolError
from burst.manager.autoscaler import volley
from burst.manager.autoscaler.asking import Refusal
from burst.manager.autoscaler.volley import AT_ONCE, FAILED_MAX, TRIES, Request, Volley
from tests.fakes.certificates import write_certificate

PATIENCE = 120.0


class Server(ThreadingHTTPServer):
    """Answers with what it was asked; fails where the path says so."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.signs: set[str | None] = set()
        self.callers: set[tuple[str, int]] = set()
        self.lock = threading.Lock()
        self.all_are_here = threading.Barrier(AT_ONCE)
        """Who asks for a path with "wait" is answered with as many others as may be asked."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        with server.lock:
            server.asked.append(self.path)
            server.signs.add(self.headers.get("authorization"))
            server.callers.add(self.client_address)
            first = server.asked.count(self.path) == 1
        status = 503 if "away" in self.path or ("once" in self.path and first) else 200
        if "no" in self.path:
            status, body = 403, json.dumps({"message": "you may not"}).encode()
        if "wait" in self.path:
            server.all_are_here.wait(PATIENCE)
        if "cut" in self.path and first:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def settings(server: Server, monkeypatch: pytest.MonkeyPatch) -> client.Configuration:
    monkeypatch.setattr(volley, "TRY_AGAIN_SECONDS", 0.01)
    return client.Configuration(host=f"http://127.0.0.1:{server.server_port}")


@pytest.fixture
def all_at_once(settings: client.Configuration) -> Volley:
    return Volley(settings)


def posts(*paths: str) -> list[Request]:
    return [Request("POST", f"/{path}", {"path": path}) for path in paths]


def test_answers_come_in_the_order_of_the_requests(server: Server, all_at_once: Volley) -> None:
    names = [f"{number}" for number in range(500)]
    assert all_at_once.ask(posts(*names)) == [{"path": name} for name in names]
    assert all_at_once.ask([]) == []


def test_as_many_are_on_their_way_as_may_be_and_no_more(
    server: Server, all_at_once: Volley
) -> None:
    answers = all_at_once.ask(posts(*(f"wait-{number}" for number in range(3 * AT_ONCE))))
    assert not [answer for answer in answers if isinstance(answer, ToolError)]
    assert len(server.callers) == AT_ONCE


def test_who_does_not_answer_is_asked_again(server: Server, all_at_once: Volley) -> None:
    assert all_at_once.ask(posts("once", "cut", "one")) == [
        {"path": "once"}, {"path": "cut"}, {"path": "one"},
    ]  # fmt: skip
    assert sorted(server.asked) == ["/cut", "/cut", "/once", "/once", "/one"]


def test_a_no_is_taken_at_once_and_keeps_nobody_else(server: Server, all_at_once: Volley) -> None:
    refusal, answer = all_at_once.ask(posts("no", "one"))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, str(refusal)) == (403, "you may not")
    assert answer == {"path": "one"}
    assert server.asked.count("/no") == 1


def test_a_server_that_is_away_is_left_alone_after_a_while(
    server: Server, all_at_once: Volley
) -> None:
    answers = all_at_once.ask(posts(*(f"away-{number}" for number in range(400))))
    assert all(isinstance(answer, ToolError) for answer in answers)
    assert len(answers) == 400
    assert TRIES * FAILED_MAX <= len(server.asked) <= TRIES * (AT_ONCE + FAILED_MAX)


def test_a_token_that_changes_is_used_from_the_next_requests_on(
    server: Server, settings: client.Configuration, all_at_once: Volley
) -> None:
    tokens = iter(["first", "second"])

    def refresh(held: client.Configuration) -> None:
        held.api_key["BearerToken"] = f"bearer {next(tokens)}"

    settings.api_key["BearerToken"] = "bearer none"
    vars(settings)["refresh_api_key_hook"] = refresh
    all_at_once.ask(posts("one", "two"))
    assert server.signs == {"bearer first"}
    all_at_once.ask(posts("three"))
    assert server.signs == {"bearer first", "bearer second"}


def test_several_may_ask_at_the_same_time(server: Server, all_at_once: Volley) -> None:
    found: dict[int, object] = {}

    def ask(number: int) -> None:
        found[number] = all_at_once.ask(posts(*(f"{number}-{k}" for k in range(100))))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    for number in range(3):
        assert found[number] == [{"path": f"{number}-{k}"} for k in range(100)]


@pytest.mark.parametrize(("spared", "is_asked"), [("", False), ("127.0.0.1", True)])
def test_proxies_are_those_of_the_client(
    server: Server, settings: client.Configuration, spared: str, is_asked: bool
) -> None:
    settings.proxy, settings.no_proxy = "http://127.0.0.1:9", spared
    made = Volley(settings)
    (answer,) = made.ask(posts("one"))
    assert isinstance(answer, ToolError) is not is_asked
    assert bool(server.asked) is is_asked


def test_a_token_that_can_not_be_read_is_said(
    settings: client.Configuration, all_at_once: Volley
) -> None:
    def refresh(held: client.Configuration) -> None:
        raise FileNotFoundError("token")

    settings.api_key["BearerToken"] = "bearer none"
    vars(settings)["refresh_api_key_hook"] = refresh
    with pytest.raises(ToolError, match="token"):
        all_at_once.ask(posts("one"))


def test_an_empty_token_is_said(settings: client.Configuration, all_at_once: Volley) -> None:
    def refresh(held: client.Configuration) -> None:
        raise config.ConfigException("Token file exists but empty.")

    settings.api_key["BearerToken"] = "bearer none"
    vars(settings)["refresh_api_key_hook"] = refresh
    with pytest.raises(ToolError, match="exists but empty"):
        all_at_once.ask(posts("one"))


def test_what_can_not_be_asked_at_all_keeps_nobody_else(all_at_once: Volley) -> None:
    never = Request("POST", "/set", {"a set": {1, 2}})
    wrong, right = all_at_once.ask([never, *posts("one")])
    assert isinstance(wrong, ToolError)
    assert right == {"path": "one"}


class TestCertificates:
    """A server that shows one, and asks for one."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return write_certificate(tmp_path / "certificate.pem")

    @pytest.fixture
    def settings(
        self, server: Server, certificate: Path, settings: client.Configuration
    ) -> client.Configuration:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.load_verify_locations(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
        settings.host = f"https://127.0.0.1:{server.server_port}"
        settings.ssl_ca_cert = settings.cert_file = settings.key_file = str(certificate)
        return settings

    def test_both_show_theirs(self, all_at_once: Volley) -> None:
        assert all_at_once.ask(posts("one")) == [{"path": "one"}]

    def test_who_shows_none_is_not_heard(
        self, server: Server, settings: client.Configuration, all_at_once: Volley
    ) -> None:
        settings.cert_file = None
        (answer,) = all_at_once.ask(posts("one"))
        assert isinstance(answer, ToolError)
        assert not server.asked

    @pytest.mark.parametrize("trusted", [True, False])
    def test_an_unknown_authority_is_trusted_if_that_was_said(
        self, settings: client.Configuration, all_at_once: Volley, trusted: bool
    ) -> None:
        settings.ssl_ca_cert, settings.verify_ssl = None, not trusted
        (answer,) = all_at_once.ask(posts("one"))
        assert isinstance(answer, ToolError) is not trusted

    def test_the_name_is_that_of_the_settings(
        self, settings: client.Configuration, all_at_once: Volley
    ) -> None:
        settings.tls_server_name = "elsewhere.example"
        (answer,) = all_at_once.ask(posts("one"))
        assert "elsewhere.example" in str(answer)
