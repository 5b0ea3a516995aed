"""A network between a worker and its manager that a test can cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal


class Network:
    """Carries TCP connections to one port of this machine, while it is whole.

    Cut as ``refused``, connections are reset and new ones closed at once. Cut as
    ``silent``, they stay open and nothing arrives, until it is mended.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._refuses = False
        self._carries = threading.Event()
        self._carries.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, how: Literal["refused", "silent"]) -> None:
        """Let nothing through from now on."""
        self._carries.clear()
        if how == "refused":
            self._refuses = True
            self._reset()

    def mend(self) -> None:
        """Let everything through again."""
        self._refuses = False
        self._carries.set()

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self._reset()
        self._carries.set()

    def _reset(self) -> None:
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            if self._refuses:
                return
            self._carries.wait()
            with socket.create_connection(("127.0.0.1", self._port)) as far:
                with self._lock:
                    self._open |= {near, far}
                back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
                back.start()
                self._pump(near, far)
                back.join()
                with self._lock:
                    self._open -= {near, far}

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._carries.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def network_to(url: str) -> Iterator[Network]:
    """A network to the port of a URL, closed at the end."""
    network = Network(int(url.rpartition(":")[2]))
    try:
        yield network
    finally:
        network.close()
