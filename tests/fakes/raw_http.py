"""A server that says what a test has it say, byte by byte; in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

_SECONDS = 120
"""Nothing here takes long: a test that hangs is ended."""
_HANGS_UP = (ConnectionError, EOFError)


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def hear_head(self) -> bytes:
        """Take the head of a request."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def hear(self) -> bytes:
        """Take a whole request."""
        head = await self.hear_head()
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        return head + (await self._reader.readexactly(int(length[1])) if length else b"")

    async def say(self, *pieces: bytes) -> None:
        """Send pieces, one after the other."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def hung_up(self) -> bytes:
        """Wait until the client has hung up; return what it said before."""
        said = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self._reader.read(1 << 16):
                said += piece
        return said

    def abort(self) -> None:
        """Hang up at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


Talk = Callable[[Peer], Awaitable[None]]
"""Says what is to be said on one connection, which is closed then."""


class RawServer:
    """What serves the connections, the first as the first of its talks says."""

    def __init__(self, talks: tuple[Talk, ...]) -> None:
        self.connections = 0
        """That were made."""
        self.url = ""
        self._talks = talks
        self._running: list[asyncio.Task[None]] = []

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one more connection."""
        talk = self._talks[min(self.connections, len(self._talks) - 1)]
        self.connections += 1
        self._running.append(asyncio.create_task(self._serve(talk, Peer(reader, writer))))

    async def _serve(self, talk: Talk, peer: Peer) -> None:
        try:
            with contextlib.suppress(*_HANGS_UP):
                await talk(peer)
            await peer.close()
        finally:
            # By TLS whoever takes leave waits for the other side; who is canceled does not.
            peer.abort()

    async def ended(self) -> None:
        """Wait until every connection is served; raises what went wrong there."""
        await asyncio.gather(*self._running)

    async def end(self) -> None:
        """End those that are being served."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(*talks: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve on a free port of loopback: each connection by the next talk, at last by the last."""
    raw = RawServer(talks)
    server = await asyncio.start_server(raw.begin, "127.0.0.1", 0, ssl=tls)
    raw.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with asyncio.timeout(_SECONDS):
            yield raw
    finally:
        server.close()
        await raw.end()


def raw_tls(certificate: Path) -> ssl.SSLContext:
    """Return what serves with a certificate, whose key is in the same file."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    return tls


def answering(*answers: bytes, stays: bool = True) -> Talk:
    """Return a talk of one answer to each request.

    Args:
        answers: as they are sent.
        stays: wait then until the client hangs up.
    """

    async def talk(peer: Peer) -> None:
        for answer in answers:
            await peer.hear()
            await peer.say(answer)
        if stays:
            await peer.hung_up()

    return talk


def ok(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content
