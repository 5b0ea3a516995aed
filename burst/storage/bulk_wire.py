"""Small requests by the thousand: each on a connection that stays open, with its answer whole.

httptools, the parser that web servers use, reads the answers. A request takes a quarter of the
processor time that aiohttp's takes, of which most goes to what is not needed here: cookies,
redirects, compression, streams. What goes by a proxy, or as a stream, goes by aiohttp.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

_PORTS = {"http": 80, "https": 443}


class Reply(NamedTuple):
    """What was answered."""

    status: int
    content: bytes


class Wire:
    """The connections to one host; to be used by the tasks of one event loop."""

    def __init__(self, endpoint: str, connect_seconds: float) -> None:
        """Connect when needed.

        Args:
            endpoint: scheme and host.
            connect_seconds: to wait for a connection.
        """
        address = urlsplit(endpoint)
        self._host = address.hostname or ""
        self._port = address.port or _PORTS[address.scheme]
        self._head = f"Host: {address.netloc}\r\n"
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._idle: list[_Connection] = []
        self.answered_at = 0.0
        """When the last answer came, on the event loop's clock."""

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        stalled_seconds: float,
    ) -> Reply:
        """Ask once.

        Args:
            method: of HTTP.
            target: path and query.
            headers: beside those that say where the body ends.
            body: what is sent.
            stalled_seconds: after which a request is given up when neither it nor any other one is
                answered: on a slow line many wait for each other.

        Raises:
            ConnectionError: there is no connection, or it was cut.
            TimeoutError: there is no answer.
        """
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if body is not None:
            lines += f"Content-Length: {len(body)}\r\n"
        head = f"{method} {target} HTTP/1.1\r\n{self._head}{lines}\r\n".encode("latin-1")
        connection = await self._connection()
        try:
            reply = await connection.ask([head, body] if body else [head], stalled_seconds)
        except BaseException:
            connection.abort()
            raise
        self.answered_at = asyncio.get_running_loop().time()
        if connection.is_usable:
            self._idle.append(connection)
        else:
            connection.abort()
        return reply

    def close(self) -> None:
        """Close them all."""
        for connection in self._idle:
            connection.abort()
        self._idle = []

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, made = await loop.create_connection(
                    lambda: _Connection(self), self._host, self._port, ssl=self._tls
                )
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:
            # No such host, or one that nobody vouches for.
            raise ConnectionRefusedError(str(error)) from error
        return made


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, wire: Wire) -> None:
        self.is_usable = True
        """It is open, and free."""
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Reply] | None = None
        self._content: list[bytes] = []
        self._has_head = self._has_end = False
        """The head of the answer is here; it says where the answer ends."""
        self._stalled_seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, request: list[bytes], stalled_seconds: float) -> Reply:
        self.is_usable = self._has_head = self._has_end = False
        self._content = []
        self._answer = self._loop.create_future()
        self._stalled_seconds = stalled_seconds
        self._timer = self._loop.call_later(stalled_seconds, self._look, self._loop.time())
        try:
            self._transport.writelines(request)
            return await self._answer
        finally:
            self._answer = None
            self._timer.cancel()

    def abort(self) -> None:
        self.is_usable = False
        self._transport.abort()

    def _look(self, begun: float) -> None:
        """Give it up, if nothing came of any request for too long."""
        waits = self._loop.time() - max(begun, self._wire.answered_at)
        if waits < self._stalled_seconds:
            rest = self._stalled_seconds - waits
            self._timer = self._loop.call_later(rest, self._look, begun)
        else:
            self._fail(TimeoutError(f"no answer for {self._stalled_seconds:g} s"))

    def _fail(self, error: Exception) -> None:
        self.is_usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # ── What the event loop tells ──────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is no subclass of it.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # Nobody asked. Servers say so that they close the connection.
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionResetError(f"that was no answer: {error}"))
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._has_head and not self._has_end and error is None:
            self._finish()
        self._fail(ConnectionResetError(str(error) if error else "the connection was closed"))

    # ── What the parser tells ──────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            # Nobody asked for this one: what came next might be taken for another's answer.
            self.is_usable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._has_end |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._content.append(body)

    def on_message_complete(self) -> None:
        self._finish()

    def _finish(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            # Not the answer yet, but that there will be one.
            self._has_head = self._has_end = False
            return
        if self._answer is not None and not self._answer.done():
            self.is_usable = self._parser.should_keep_alive()
            self._answer.set_result(Reply(status, b"".join(self._content)))
