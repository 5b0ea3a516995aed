"""Bare connections: what is taken for an answer, and which of them are used again.

Left out: what is made of an answer, and when it is asked again; see `test_bulk_send`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burst.storage.bulk_http import Answer
from burst.storage.bulk_wire import Wire
from tests.fakes.asynchronous import asynchronous, on_both_loops
from tests.fakes.emulator import free_port
from tests.fakes.raw_http import Peer, RawServer, answering, ok, raw_tls, serving

LONG = 20.0
"""Seconds that are never waited."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TIMED_OUT = ok(b"too slow", "Connection: close", status="408 Request Timeout")


def wire_to(server: RawServer) -> contextlib.closing[Wire]:
    return contextlib.closing(Wire(server.url, LONG))


async def ask(wire: Wire, target: str = "/", stalled_seconds: float = LONG) -> Answer:
    return await wire.ask("GET", target, {}, None, stalled_seconds)


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if is_so():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never is")


@on_both_loops
async def test_a_request_is_sent_as_it_is_said() -> None:
    heard: list[bytes] = []

    async def talk(peer: Peer) -> None:
        for _ in range(3):
            heard.append(await peer.hear())
            await peer.say(ok(b""))

    async with serving(talk) as server:
        with wire_to(server) as wire:
            for body in (None, b"", b"content"):
                await wire.ask("PUT", "/a?b=%20", {"X-Of": "mine"}, body, LONG)
    host = server.url.removeprefix("http://")
    head = f"PUT /a?b=%20 HTTP/1.1\r\nHost: {host}\r\nX-Of: mine\r\n"
    assert [one.decode() for one in heard] == [
        f"{head}\r\n",
        f"{head}Content-Length: 0\r\n\r\n",
        f"{head}Content-Length: 7\r\n\r\ncontent",
    ]


@on_both_loops
async def test_a_connection_is_used_again() -> None:
    answers = [ok(b"1"), ok(b"", status="204 No Content"), ok(b"no", status="404 Not Found")]
    async with serving(answering(*answers)) as server:
        with wire_to(server) as wire:
            replies = [await ask(wire) for _ in answers]
    assert replies == [(200, b"1"), (204, b""), (404, b"no")]
    assert server.connections == 1


@on_both_loops
async def test_requests_at_the_same_time_have_a_connection_each() -> None:
    both = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear()
        if server.connections == 2:
            both.set()
        await both.wait()
        await peer.say(ok(b"1"))
        await peer.hear()
        await peer.say(ok(b"2"))

    async with serving(talk) as server:
        with wire_to(server) as wire:
            for content in (b"1", b"2"):
                for one in await asyncio.gather(ask(wire), ask(wire)):
                    assert one == (200, content)
    assert server.connections == 2


@on_both_loops
@pytest.mark.parametrize(
    "last",
    [
        ok(b"x", "Connection: close"),
        ok(b"x").replace(b"HTTP/1.1", b"HTTP/1.0"),
        ok(b"x") + TIMED_OUT,
        ok(b"x") + TIMED_OUT[:30],
        ok(b"x") + b"garbage",
    ],
    ids=["said", "old", "one more answer", "part of one", "garbage"],
)
async def test_a_connection_that_is_of_no_more_use_is_closed(last: bytes) -> None:
    left = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear()
        await peer.say(last)
        await peer.hung_up()
        left.set()

    async with serving(talk, answering(ok(b"y"))) as server:
        with wire_to(server) as wire:
            assert await ask(wire) == (200, b"x")
            await left.wait()
            assert await ask(wire) == (200, b"y")
    assert server.connections == 2


@on_both_loops
@pytest.mark.parametrize("content", [b"some content", b""])
async def test_an_answer_without_a_length_ends_with_the_connection(content: bytes) -> None:
    bare = answering(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n" + content, stays=False)
    async with serving(bare) as server:
        with wire_to(server) as wire:
            assert [await ask(wire), await ask(wire)] == [(200, content)] * 2
    assert server.connections == 2


@on_both_loops
async def test_chunks_are_put_together() -> None:
    async def talk(peer: Peer) -> None:
        await peer.hear()
        await peer.say(
            CHUNKED, b"4\r\nso", b"me\r", b"\n8;x=y\r\n content\r\n0\r\n", b"X: y\r\n\r\n"
        )
        await peer.hear()
        await peer.say(CHUNKED + b"0\r\n\r\n")

    async with serving(talk) as server:
        with wire_to(server) as wire:
            assert [await ask(wire), await ask(wire)] == [(200, b"some content"), (200, b"")]
    assert server.connections == 1


@on_both_loops
@pytest.mark.parametrize("before", [CONTINUE, HINTS, CONTINUE + HINTS])
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_comes_before_an_answer_is_none(before: bytes, at_once: bool) -> None:
    async def talk(peer: Peer) -> None:
        for answer in (ok(b"x"), ok(b"y")):
            await peer.hear()
            await peer.say(*([before + answer] if at_once else [before, answer]))
        await peer.hear()
        await peer.say(before, b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    async with serving(talk) as server:
        with wire_to(server) as wire:
            replies = [await ask(wire) for _ in range(3)]
    assert replies == [(200, b"x"), (200, b"y"), (200, b"until the end")]
    assert server.connections == 1


@on_both_loops
async def test_what_is_no_answer_is_an_error_and_closes_the_connection() -> None:
    left = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear()
        await peer.say(b"SSH-2.0-OpenSSH_9.6\r\n")
        await peer.hung_up()
        left.set()

    async with serving(talk) as server:
        with wire_to(server) as wire:
            with pytest.raises(ConnectionError, match="that was no answer"):
                await ask(wire)
            await left.wait()


@on_both_loops
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nX: y",
        ok(b"some content")[:-1],
        ok(b"some content")[: -len("some content")],
        CHUNKED,
        CHUNKED + b"4\r\nso",
        CHUNKED + b"4\r\nsome\r\n",
        CONTINUE,
    ],
)
async def test_an_answer_that_is_cut_is_an_error(said: bytes) -> None:
    async with serving(answering(said, stays=False), answering(ok(b"x"))) as server:
        with wire_to(server) as wire:
            with pytest.raises(ConnectionError):
                await ask(wire)
            assert await ask(wire) == (200, b"x")
    assert server.connections == 2


@on_both_loops
@pytest.mark.parametrize("unasked", [b"", TIMED_OUT, b"bye"])
async def test_a_connection_that_ends_while_it_is_idle_is_not_used(unasked: bytes) -> None:
    idle = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear()
        await peer.say(ok(b"x"))
        await idle.wait()
        if unasked:
            await peer.say(unasked)
            await peer.hung_up()

    async with serving(talk, answering(ok(b"y"))) as server:
        with wire_to(server) as wire:
            assert await ask(wire) == (200, b"x")
            (kept,) = wire._idle
            idle.set()
            await until(lambda: not kept.is_usable)
            assert await ask(wire) == (200, b"y")
    assert server.connections == 2


@on_both_loops
async def test_where_nobody_listens_it_is_refused() -> None:
    wire = Wire(f"http://127.0.0.1:{free_port()}", LONG)
    with pytest.raises(ConnectionRefusedError):
        await ask(wire)


@asynchronous
async def test_a_host_that_nobody_knows_is_like_one_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_asked: Any, **_how: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionRefusedError, match="Name or service not known"):
        await ask(Wire("http://nowhere.invalid", LONG))


@on_both_loops
async def test_silence_is_not_waited_for_without_end() -> None:
    left = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear()
        await peer.say(ok(b"some content")[:-1])
        await peer.hung_up()
        left.set()

    async with serving(talk) as server:
        with wire_to(server) as wire:
            with pytest.raises(TimeoutError, match=r"no answer for 0\.05 s"):
                await ask(wire, stalled_seconds=0.05)
            await left.wait()


@asynchronous
async def test_while_others_are_answered_none_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(peer: Peer) -> None:
        while b"/slow" not in await peer.hear():
            await peer.say(ok(b"quick"))
        await peer.hung_up()

    loop, ahead = asyncio.get_running_loop(), 0.0
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + ahead)

    async def pass_seconds(count: float) -> None:
        nonlocal ahead
        ahead += count
        # Timers that are due are due in the next round of the loop.
        for _ in range(5):
            await asyncio.sleep(0)

    async with serving(talk) as server:
        with wire_to(server) as wire:
            slow = asyncio.create_task(ask(wire, "/slow", stalled_seconds=2))
            await until(lambda: server.connections == 1)
            for _ in range(3):
                await pass_seconds(1.5)
                assert await ask(wire, stalled_seconds=2) == (200, b"quick")
                assert not slow.done()
            await pass_seconds(2.5)
            with pytest.raises(TimeoutError):
                await slow


@on_both_loops
async def test_a_request_that_is_canceled_closes_its_connection() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear()
        asked.set()
        await peer.hung_up()
        left.set()

    async with serving(talk, answering(ok(b"x"))) as server:
        with wire_to(server) as wire:
            task = asyncio.create_task(ask(wire))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await left.wait()
            assert await ask(wire) == (200, b"x")


@on_both_loops
async def test_idle_connections_are_closed_at_the_end() -> None:
    async with serving(answering(ok(b"x"))) as server:
        with wire_to(server) as wire:
            await ask(wire)
        await server.ended()


@on_both_loops
async def test_a_host_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async with serving(answering(ok(b"x")), tls=raw_tls(certificate)) as server:
        with pytest.raises(ConnectionRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
            await ask(Wire(server.url, LONG))
    assert server.connections == 0


@on_both_loops
async def test_a_host_that_somebody_vouches_for_is_asked(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(answering(ok(b"x"), ok(b"y")), tls=raw_tls(certificate)) as server:
        with wire_to(server) as wire:
            assert [await ask(wire), await ask(wire)] == [(200, b"x"), (200, b"y")]
    assert server.connections == 1
