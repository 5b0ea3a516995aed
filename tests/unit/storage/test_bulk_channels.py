"""Large contents that threads send: early refusals, broken bodies, and connections.

Left out: downloads, see `test_bulk_fetch`; and what a bucket takes, see `test_bulk_send`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.storage.bulk_channels import Channels, _Channel
from burst.storage.bulk_http import Answer
from tests.fakes.asynchronous import asynchronous
from tests.fakes.raw_http import Peer, RawServer, answering, ok, raw_tls, serving

CHUNK = b"x" * (256 * 1024)
CHUNKS = 200
"""More than a connection holds whose other side reads nothing."""
SECONDS = 20.0


class UnreadableError(Exception):
    """What a body may raise."""


def channels_to(server: RawServer) -> contextlib.closing[Channels]:
    return contextlib.closing(Channels(server.url, 2, SECONDS, SECONDS))


async def post(channels: Channels, *chunks: bytes) -> Answer:
    return await channels.post("/up", {"X-Of": "mine"}, len(b"".join(chunks)), lambda: iter(chunks))


def endless(ended: threading.Event) -> Iterator[bytes]:
    try:
        while True:
            yield CHUNK
    finally:
        ended.set()


@asynchronous
async def test_a_body_is_sent_chunk_by_chunk_and_the_connection_used_again() -> None:
    heard: list[bytes] = []

    async def talk(peer: Peer) -> None:
        for answer in (ok(b"1"), ok(b"no", status="404 Not Found"), ok(b"3")):
            heard.append(await peer.hear())
            await peer.say(answer)

    async with serving(talk) as server:
        with channels_to(server) as channels:
            assert await post(channels, b"some", b" content") == (200, b"1")
            assert await post(channels) == (404, b"no")
            assert await post(channels, CHUNK, CHUNK) == (200, b"3")
    assert server.connections == 1
    heads, bodies = zip(*(one.split(b"\r\n\r\n") for one in heard), strict=True)
    assert bodies == (b"some content", b"", CHUNK + CHUNK)
    assert all(head.startswith(b"POST /up HTTP/1.1\r\n") for head in heads)
    assert all(b"\r\nX-Of: mine\r\n" in head for head in heads)


@asynchronous
async def test_posts_at_the_same_time_have_a_connection_each() -> None:
    both = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear()
        if server.connections == 2:
            both.set()
        await both.wait()
        await peer.say(ok(b"x"))

    async with serving(talk) as server:
        with channels_to(server) as channels:
            for one in await asyncio.gather(post(channels, CHUNK), post(channels, CHUNK)):
                assert one == (200, b"x")


@asynchronous
async def test_what_a_body_raises_comes_out_and_nothing_whole_arrives() -> None:
    arrived: list[bytes] = []

    async def talk(peer: Peer) -> None:
        await peer.hear_head()
        arrived.append(await peer.hung_up())

    def broken() -> Iterator[bytes]:
        yield CHUNK
        raise UnreadableError

    async with serving(talk, answering(ok(b"x"))) as server:
        with channels_to(server) as channels:
            with pytest.raises(UnreadableError):
                await channels.post("/up", {}, 2 * len(CHUNK), broken)
            assert await post(channels, CHUNK) == (200, b"x")
    assert arrived == [CHUNK]
    assert server.connections == 2


@asynchronous
@pytest.mark.parametrize("status", ["412 Precondition Failed", "403 Forbidden"])
@pytest.mark.parametrize("headers", [[], ["Connection: close"]])
async def test_a_refusal_before_all_is_sent_is_the_answer(status: str, headers: list[str]) -> None:
    ended = threading.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear_head()
        await peer.say(ok(b"no", *headers, status=status))

    async with serving(talk, answering(ok(b"x"))) as server:
        with channels_to(server) as channels:
            size = CHUNKS * len(CHUNK)
            reply = await channels.post("/up", {}, size, lambda: endless(ended))
            assert reply == (int(status[:3]), b"no")
            assert ended.is_set()
            # What of the body did not go would be taken for the next request.
            assert await post(channels, CHUNK) == (200, b"x")
    assert server.connections == 2


@asynchronous
async def test_who_hangs_up_without_an_answer_is_an_error() -> None:
    async def talk(peer: Peer) -> None:
        await peer.hear_head()

    async with serving(talk) as server:
        with channels_to(server) as channels, pytest.raises(ConnectionError):
            await channels.post("/up", {}, CHUNKS * len(CHUNK), lambda: iter([CHUNK] * CHUNKS))


@asynchronous
async def test_who_takes_nothing_is_not_waited_for_without_end() -> None:
    async with serving(lambda peer: asyncio.sleep(SECONDS)) as server:
        impatient = Channels(server.url, 1, SECONDS, 0.1)
        with contextlib.closing(impatient) as channels, pytest.raises(TimeoutError):
            await channels.post("/up", {}, CHUNKS * len(CHUNK), lambda: iter([CHUNK] * CHUNKS))


@asynchronous
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("is_secret", [False, True])
async def test_a_post_that_is_canceled_ends_its_thread(
    times: int, is_secret: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asked, ended = asyncio.Event(), threading.Event()

    async def talk(peer: Peer) -> None:
        await peer.hear_head()
        asked.set()
        await asyncio.sleep(SECONDS)

    async with serving(talk, tls=raw_tls(certificate) if is_secret else None) as server:
        with channels_to(server) as channels:
            task = asyncio.create_task(
                channels.post("/up", {}, CHUNKS * len(CHUNK), lambda: endless(ended))
            )
            await asked.wait()
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(ended.wait, SECONDS)
    assert [one.name for one in threading.enumerate() if one.name.startswith("channel")] == []


@asynchronous
async def test_a_post_that_is_canceled_when_it_is_done_leaves_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, used = _Channel.run, []
    loop = asyncio.get_running_loop()

    def run_and_cancel(channel: _Channel, action: Callable[[], Any]) -> Any:
        answer = run(channel, action)
        used.append(channel)
        # Before the loop hears that it is done.
        loop.call_soon_threadsafe(task.cancel)
        return answer

    monkeypatch.setattr(_Channel, "run", run_and_cancel)
    async with serving(answering(ok(b"x"))) as server:
        with channels_to(server) as channels:
            task = asyncio.create_task(post(channels, CHUNK))
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [one.connection.sock for one in used] == [None]
            await server.ended()


@asynchronous
async def test_a_host_that_somebody_vouches_for_is_sent_to(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    answers = answering(ok(b"x"), ok(b"y"))
    async with serving(answers, tls=raw_tls(certificate)) as server:
        with channels_to(server) as channels:
            assert await post(channels, CHUNK) == (200, b"x")
            assert await post(channels, CHUNK) == (200, b"y")
    assert server.connections == 1


@asynchronous
async def test_a_host_that_nobody_vouches_for_is_sent_nothing(certificate: Path) -> None:
    async with serving(answering(ok(b"x")), tls=raw_tls(certificate)) as server:
        secret = pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED")
        with channels_to(server) as channels, secret:
            await post(channels, CHUNK)
    assert server.connections == 0
