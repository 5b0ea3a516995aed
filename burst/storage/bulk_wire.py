"""Small requests by the thousand: each on a connection that stays open, with its answer whole.

httptools, the parser that web servers use, reads the answers. A request takes a quarter of the
processor time that aiohttp's takes, of which most goes to what is not needed here: cookies,
redirects, compression, streams. What goes by a proxy, or as a stream, goes by aiohttp.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools

from burst.storage.bulk_http import Answer, check_headers
from burst.storage.bulk_reach import Host, tls_context

IDLE_SECONDS = 60.0
"""How long a connection stays open that nobody uses; who is on the way may have forgotten it."""

ALONE = 3
"""A request that does not move itself is given up after so many times what it is given to move:
all others may be answered for ever."""

_LOOKS = 4
"""How often it is looked, meanwhile, whether it has moved."""

_TCP_INFO = getattr(socket, "TCP_INFO", None)
_TAKEN = slice(120, 128)
"""Where Linux tells how many bytes the other side has taken: ``tcpi_bytes_acked``."""


class Wire:
    """The connections to one host; to be used by the tasks of one event loop."""

    def __init__(self, endpoint: str, connect_seconds: float) -> None:
        """Connect when needed.

        Args:
            endpoint: scheme and host.
            connect_seconds: to wait for a connection.

        Raises:
            ConfigError: it is not known who is to vouch for the host.
        """
        address = urlsplit(endpoint)
        self._host = Host(endpoint)
        self._head = f"Host: {address.netloc}\r\n"
        self._tls = tls_context() if address.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._idle: list[_Connection] = []
        """The one that became so last is the last."""
        self._sweeper: asyncio.TimerHandle | None = None
        self.answered_at = 0.0
        """When the last answer came, on the event loop's clock."""

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        stalled_seconds: float,
    ) -> Answer:
        """Ask; twice if a connection that was there before leads nowhere any more.

        Args:
            method: of HTTP.
            target: path and query.
            headers: beside those that say where the body ends.
            body: what is sent.
            stalled_seconds: after which a request is given up that does not move, when no other
                one is answered either: on a slow line many wait for each other.

        Raises:
            StorageError: a header can't be sent.
            ConnectionError: there is no connection, or it was cut.
            TimeoutError: there is no answer.
        """
        head = self._head_of(method, target, headers, body)
        request = [head, body] if body else [head]
        kept = self._kept()
        if kept is not None:
            try:
                return await self._ask_over(kept, request, stalled_seconds)
            except (ConnectionError, TimeoutError):
                # Perhaps it had ended long ago, and so have the others.
                self._close_idle()
                if kept.has_heard:
                    raise
        return await self._ask_over(await self._connect(), request, stalled_seconds)

    def close(self) -> None:
        """Close them all."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._close_idle()

    def _head_of(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
            check_headers(headers)
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        text = f"{method} {target} HTTP/1.1\r\n{self._head}{lines}{length}\r\n"
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            check_headers(headers)
            raise

    async def _ask_over(
        self, connection: _Connection, request: list[bytes], stalled_seconds: float
    ) -> Answer:
        try:
            answer = await connection.ask(request, stalled_seconds)
        except BaseException:
            connection.abort()
            raise
        loop = asyncio.get_running_loop()
        self.answered_at = connection.idle_since = loop.time()
        if not connection.is_usable:
            connection.abort()
            return answer
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_SECONDS, self._sweep)
        return answer

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    def _sweep(self) -> None:
        """Close those that nobody has used for a while."""
        loop, self._sweeper = asyncio.get_running_loop(), None
        now = loop.time()
        while self._idle and now - self._idle[0].idle_since >= IDLE_SECONDS:
            self._idle.pop(0).abort()
        if self._idle:
            due = self._idle[0].idle_since + IDLE_SECONDS
            self._sweeper = loop.call_at(due, self._sweep)

    def _close_idle(self) -> None:
        for connection in self._idle:
            connection.abort()
        self._idle = []

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                made = await self._host.connect()
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, made),
                    sock=made,
                    ssl=self._tls,
                    server_hostname=self._host.name if self._tls else None,
                )
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:
            # No such host, or one that nobody vouches for.
            raise ConnectionRefusedError(str(error)) from error
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, wire: Wire, made: socket.socket) -> None:
        self.is_usable = True
        """It is open, and free."""
        self.idle_since = 0.0
        self.has_heard = False
        """Something of an answer to the last request has come."""
        self._wire = wire
        self._socket = made
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._content: list[bytes] = []
        self._has_head = self._has_end = False
        """The head of the answer is here; it says where the answer ends."""
        self._stalled_seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._moved_at = 0.0
        """When it was begun, or moved, or was last seen to have moved."""
        self._taken: int | None = None
        """What `_bytes_taken` said when it was looked."""

    async def ask(self, request: list[bytes], stalled_seconds: float) -> Answer:
        self.is_usable = self.has_heard = self._has_head = self._has_end = False
        self._content = []
        self._answer = self._loop.create_future()
        self._stalled_seconds, self._taken = stalled_seconds, None
        self._moved_at = self._loop.time()
        self._timer = self._loop.call_later(stalled_seconds / _LOOKS, self._look)
        try:
            self._transport.writelines(request)
            return await self._answer
        finally:
            self._answer = None
            self._timer.cancel()

    def abort(self) -> None:
        self.is_usable = False
        self._transport.abort()

    def _look(self) -> None:
        """Give it up, if it has not moved, nor any other been answered, for too long."""
        if self._answer is None or self._answer.done():
            return
        now, taken = self._loop.time(), self._bytes_taken()
        if self._taken is not None and taken > self._taken:
            self._moved_at = now
        self._taken = taken
        moved = max(self._moved_at, self._wire.answered_at)
        due = min(moved + self._stalled_seconds, self._moved_at + ALONE * self._stalled_seconds)
        if now < due:
            wait = min(due - now, self._stalled_seconds / _LOOKS)
            self._timer = self._loop.call_later(wait, self._look)
        else:
            self._fail(TimeoutError(f"no answer for {self._stalled_seconds:g} s"))

    def _bytes_taken(self) -> int:
        """Return a number that grows as long as the other side takes what is sent to it."""
        if _TCP_INFO is not None:
            told = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _TAKEN.stop)
            if len(told) == _TAKEN.stop:
                return int.from_bytes(told[_TAKEN], sys.byteorder)
        # By TLS it is all in a buffer that nobody can see.
        return -self._transport.get_write_buffer_size()

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
        self.has_heard, self._moved_at = True, self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionResetError(f"that was no answer: {error}"))
            self._transport.abort()

    def eof_received(self) -> None:
        # What is closed now is gone a moment later only.
        self.is_usable = False

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
            self._answer.set_result(Answer(status, b"".join(self._content)))
