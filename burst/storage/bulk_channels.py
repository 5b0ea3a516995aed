"""Large files, on their way by threads, past the event loop.

A thread that reads into a buffer of its own takes less than half the processor time that an event
loop's stream does, and Python's lock is free while it receives, hashes and writes, or reads and
sends. A few of them in each process: more wait for the lock. Small files are quicker by the event
loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from burst.storage.bulk_http import Answer, check_headers
from burst.storage.bulk_reach import tls_context

CHUNK_BYTES = 256 * 1024
"""Read at once: it stays in the processor's cache until it is hashed and written."""

THREAD_BYTES = 1024 * 1024
"""A download from here on is worth a thread."""

GENERATION_HEADER = "X-Goog-Generation"

_Result = TypeVar("_Result")


class Head(NamedTuple):
    """The beginning of an answer."""

    status: int
    generation: str
    """Of the object; empty where something on the way took that header away."""


Begin = Callable[[Head], None]
Take = Callable[[memoryview], bool]
"""Takes what came, in a thread; False is that no more is wanted."""
Give = Callable[[], Iterator[bytes]]
"""Makes what is sent, chunk by chunk, in a thread. What it raises ends the request."""


class Channels:
    """The connections for the large files of one event loop."""

    def __init__(self, endpoint: str, count: int, connect_seconds: float, stalled_seconds: float):
        """Connect when needed.

        Args:
            endpoint: scheme and host.
            count: requests at once.
            connect_seconds: to wait for a connection.
            stalled_seconds: after which a connection that gives, or takes, nothing is given up.
        """
        address = urlsplit(endpoint)
        self._host = address.netloc
        self._is_secret = address.scheme == "https"
        self._seconds = (connect_seconds, stalled_seconds)
        self._idle: list[http.client.HTTPConnection] = []
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="channel")

    async def get(
        self, target: str, headers: Mapping[str, str], begin: Begin, take: Take
    ) -> Head | Answer:
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
        return await self._do(lambda channel: channel.get(target, headers, begin, take))

    async def post(self, target: str, headers: Mapping[str, str], size: int, give: Give) -> Answer:
        """Send once, and return the whole answer.

        Canceled, it ends only when no thread is at it any more.

        Args:
            target: path and query.
            headers: of the request, beside its length.
            size: bytes that ``give`` makes.
            give: makes what is sent.

        Raises:
            ConnectionError: it was cut, or there was none.
            TimeoutError: it took nothing for too long.
        """
        return await self._do(lambda channel: channel.post(target, headers, size, give))

    async def _do(self, action: Callable[[_Channel], _Result]) -> _Result:
        """Have a thread do it over a connection of its own."""
        channel = _Channel(self._idle.pop() if self._idle else self._new(), self._seconds)
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, channel.run, lambda: action(channel)
        )
        try:
            answer = await asyncio.shield(work)
        except asyncio.CancelledError:
            channel.abort()
            # Perhaps it was done before it heard of that. This is seen to even where whoever
            # waits here is canceled once more.
            work.add_done_callback(channel.close_after)
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
        return http.client.HTTPSConnection(
            self._host, timeout=self._seconds[0], context=tls_context()
        )


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

    def run(self, action: Callable[[], _Result]) -> _Result:
        """Do it, in a thread; a connection on which it failed is closed."""
        try:
            return action()
        except BaseException:
            self.connection.close()
            raise

    def get(
        self, target: str, headers: Mapping[str, str], begin: Begin, take: Take
    ) -> Head | Answer:
        """Ask, and take what comes."""
        check_headers(headers)
        with _network():
            self._open()
            self.connection.request("GET", target, headers=dict(headers))
        with self._answer() as response:
            if response.status >= 300:
                return Answer(response.status, _all(response))
            head = Head(response.status, response.headers.get(GENERATION_HEADER, ""))
            begin(head)
            self._take_all(response, take)
        return head

    def post(self, target: str, headers: Mapping[str, str], size: int, give: Give) -> Answer:
        """Send what ``give`` makes."""
        check_headers(headers)
        with _network():
            self._open()
            self.connection.putrequest("POST", target, skip_accept_encoding=True)
            for name, value in {**headers, "Content-Length": str(size)}.items():
                self.connection.putheader(name, value)
            self.connection.endheaders()
        is_whole = True
        for chunk in give():
            try:
                with _network():
                    self.connection.send(chunk)
            except ConnectionError:
                # Perhaps since it was refused before it had all come.
                is_whole = False
                break
        with self._answer() as response:
            reply = Answer(response.status, _all(response))
        if not is_whole:
            # There is no telling where the next answer would begin.
            self.is_usable = False
            self.connection.close()
        return reply

    def abort(self) -> None:
        """Have it end soon, from another thread."""
        with self._lock:
            self._is_aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close_after(self, work: asyncio.Future[Any]) -> None:
        """Close the connection after ``work``; nobody wants to know how that failed."""
        work.exception()
        self.connection.close()

    def _open(self) -> None:
        if self.connection.sock is None:
            self.connection.connect()
        with self._lock:
            if self._is_aborted:
                raise ConnectionAbortedError("nobody wants it any more")
            # Kept here: the connection forgets it when the answer is the last one.
            self._socket = self.connection.sock
            self._socket.settimeout(self._stalled_seconds)

    @contextlib.contextmanager
    def _answer(self) -> Iterator[http.client.HTTPResponse]:
        """Give the answer, and close the connection unless all of it was read."""
        with _network():
            response = self.connection.getresponse()
        # The last one of a connection holds its socket.
        with contextlib.closing(response):
            yield response
            self.is_usable = response.isclosed() and not response.will_close
        if not self.is_usable:
            self.connection.close()

    def _take_all(self, response: http.client.HTTPResponse, take: Take) -> None:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        while True:
            with _network():
                count = response.readinto(buffer)
            if not count:
                break
            if not take(buffer[:count]):
                return
        # What is cut looks as if it were all.
        if response.length:
            raise ConnectionResetError(f"{response.length} bytes did not come")


def _all(response: http.client.HTTPResponse) -> bytes:
    with _network():
        return response.read()


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Tell what the network does from what the disk does."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except (http.client.HTTPException, OSError) as error:
        raise ConnectionResetError(str(error) or type(error).__name__) from error
