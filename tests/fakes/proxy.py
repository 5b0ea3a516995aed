"""A TCP proxy on loopback between a client and a server, which can be cut and healed.

A cut breaks every connection and refuses new ones, as a network that is gone does, or keeps
them open and says nothing; a server that is stopped instead would lose what it holds in memory.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

_CHUNK_BYTES = 65536
_TICK_SECONDS = 0.02


class Proxy:
    """Forwards connections to one server, until it is cut."""

    def __init__(self, endpoint: str, delay_seconds: float = 0.0) -> None:
        """Listen on a free port in front of ``endpoint``, an ``http://`` URL.

        Args:
            endpoint: of the server.
            delay_seconds: how long each piece of an answer is kept back.
        """
        parts = urlsplit(endpoint)
        self._server = (str(parts.hostname), int(parts.port or 80))
        self._delay_seconds = delay_seconds
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._stopped = False
        self._carries = threading.Event()
        self.passed = 0
        """Bytes that went from the server to the client."""
        self.on_passed: Callable[[int], None] = lambda passed: None
        """Told how many that are, after each piece; may cut."""
        self._listener: socket.socket | None = None
        self._port = 0
        self.heal()
        own, theirs = urlsplit(self.endpoint).netloc, parts.netloc
        # The emulator hands out contents under the one name of its own only.
        self._hosts = (f"Host: {own}\r".encode(), f"Host: {theirs}\r".encode())

    @property
    def endpoint(self) -> str:
        """The URL to give to the client, by the name that gcsfuse needs."""
        return f"http://localhost:{self._port}"

    def cut(self, how: Literal["refused", "silent"] = "refused") -> None:
        """Break every connection, and refuse new ones; or only carry nothing any more.

        Any thread may call this.
        """
        if how == "silent":
            self._carries.clear()
            return
        with self._lock:
            listener, self._listener = self._listener, None
            sockets = [*self._open, *([listener] if listener else [])]
            self._open.clear()
        for one in sockets:
            _shut(one)

    def heal(self) -> None:
        """Carry everything again, on the same port."""
        self._carries.set()
        with self._lock:
            if self._listener is not None or self._stopped:
                return
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._port))
            listener.listen(512)
            self._port = int(listener.getsockname()[1])
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Cut for good."""
        self._stopped = True
        self.cut()
        self._carries.set()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, 10)
            except OSError:
                _shut(client)
                continue
            server.settimeout(None)
            with self._lock:
                if self._listener is not listener:
                    _shut(client)
                    _shut(server)
                    return
                self._open |= {client, server}
            for pair in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                if not is_answer:
                    chunk = chunk.replace(*self._hosts)
                else:
                    if self._delay_seconds:
                        time.sleep(self._delay_seconds)
                    with self._lock:
                        self.passed += len(chunk)
                        passed = self.passed
                    self.on_passed(passed)
                self._carries.wait()
                sink.sendall(chunk)
        with self._lock:
            self._open -= {source, sink}
        _shut(source)
        _shut(sink)


@contextmanager
def running_proxy(endpoint: str, delay_seconds: float = 0.0) -> Iterator[Proxy]:
    """Run a proxy in front of ``endpoint``."""
    proxy = Proxy(endpoint, delay_seconds)
    try:
        yield proxy
    finally:
        proxy.stop()


def _shut(one: socket.socket) -> None:
    # To close it does not wake a thread that waits in it.
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
