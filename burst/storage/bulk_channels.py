"""Large downloads: what comes is written and hashed by threads, past the event loop.

A thread that reads into a buffer of its own takes less than half the processor time that an event
loop's stream does, and Python's lock is free while it receives, hashes and writes. A few of them in
each process: more wait for the lock. Small files are quicker by the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

CHUNK_BYTES = 256 * 1024
"""Read at once: it stays in the processor's cache until it is hashed and written."""

THREAD_BYTES = 1024 * 1024
"""A download from here on is worth a thread."""

GENERATION_HEADER = "X-Goog-Generation"

_PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


class Head(NamedTuple):
    """The beginning of an answer."""

    status: int
    generation: str
    """Of the object; empty where something on the way took that header away."""


class Refusal(NamedTuple):
    """An answer that is none."""

    status: int
    text: str


Begin = Callable[[Head], None]
Take = Callable[[memoryview], bool]
"""Takes what came, in a thread; False is that no more is wanted."""


def uses_proxy() -> bool:
    """Say whether connections go by a proxy, which is not done here."""
    return any(os.environ.get(name) for name in _PROXIES)


class Channels:
    """The connections of the large downloads of one event loop."""

    def __init__(self, endpoint: str, count: int, connect_seconds: float, stalled_seconds: float):
        """Connect when needed.

        Args:
            endpoint: scheme and host.
            count: downloads at once.
            connect_seconds: to wait for a connection.
            stalled_seconds: after which a connection that gives nothing is given up.
        """
        address = urlsplit(endpoint)
        self._host = address.netloc
        self._is_secret = address.scheme == "https"
        self._seconds = (connect_seconds, stalled_seconds)
        self._idle: list[http.client.HTTPConnection] = []
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="channel")
        self._tls: ssl.SSLContext | None = None

    async def get(
        self, target: str, headers: Mapping[str, str], begin: Begin, take: Take
    ) -> Head | Refusal:
        """Ask once, and have ``take`` take the content.

        Canceled, it ends only when no thread is at it any more.

        Args:
            target: path and query.
            headers: of the request.
            begin: is told of an answer that is a success, before its content, in a thread.
            take: is given the content, in the same thread.

        Raises:
            ConnectionError: it was cut, or there was none.
            TimeoutError: it gave nothing for too long.
            OSError: ``take`` had it.
        """
        channel = _Channel(self._idle.pop() if self._idle else self._new(), self._seconds)
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, channel.run, target, headers, begin, take
        )
        try:
            answer = await asyncio.shield(work)
        except asyncio.CancelledError:
            channel.abort()
            await asyncio.wait([work])
            raise
        if channel.is_usable:
            self._idle.append(channel.connection)
        return answer

    def close(self) -> None:
        """Close them all; nobody may be at work."""
        for connection in self._idle:
            connection.close()
        self._idle = []
        self._threads.shutdown(wait=True)

    def _new(self) -> http.client.HTTPConnection:
        if not self._is_secret:
            return http.client.HTTPConnection(self._host, timeout=self._seconds[0])
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return http.client.HTTPSConnection(self._host, timeout=self._seconds[0], context=self._tls)


class _Channel:
    """One request on one connection."""

    def __init__(
        self, connection: http.client.HTTPConnection, seconds: tuple[float, float]
    ) -> None:
        self.connection = connection
        self.is_usable = False
        """Whether the connection can take another request."""
        self._stalled_seconds = seconds[1]
        self._lock = threading.Lock()
        self._is_aborted = False
        self._socket: socket.socket | None = None

    def run(
        self, target: str, headers: Mapping[str, str], begin: Begin, take: Take
    ) -> Head | Refusal:
        """Ask, and take what comes; in a thread."""
        try:
            with _network():
                response = self._ask(target, headers)
            if response.status >= 300:
                with _network():
                    text = response.read().decode("utf-8", errors="replace")
                self._release(response)
                return Refusal(response.status, text)
            head = Head(response.status, response.headers.get(GENERATION_HEADER, ""))
            begin(head)
            self._take_all(response, take)
        except BaseException:
            self.connection.close()
            raise
        return head

    def abort(self) -> None:
        """Have it end soon, from another thread."""
        with self._lock:
            self._is_aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _ask(self, target: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self.connection.sock is None:
            self.connection.connect()
        with self._lock:
            if self._is_aborted:
                raise ConnectionAbortedError("nobody wants it any more")
            # Kept here: the connection forgets it when the answer is the last one.
            self._socket = self.connection.sock
            self._socket.settimeout(self._stalled_seconds)
        self.connection.request("GET", target, headers=dict(headers))
        return self.connection.getresponse()

    def _take_all(self, response: http.client.HTTPResponse, take: Take) -> None:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        while True:
            with _network():
                count = response.readinto(buffer)
            if not count:
                break
            if not take(buffer[:count]):
                self.connection.close()
                return
        # What is cut looks as if it were all.
        if response.length:
            raise ConnectionResetError(f"{response.length} bytes did not come")
        self._release(response)

    def _release(self, response: http.client.HTTPResponse) -> None:
        self.is_usable = not response.will_close


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Tell what the network does from what the disk does."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except (http.client.HTTPException, OSError) as error:
        raise ConnectionResetError(str(error) or type(error).__name__) from error
