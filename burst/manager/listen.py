"""Listening sockets and servers: opened before anything is promised, closed in order."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from burst.errors import StateError
from burst.manager.settings import split_listen

BACKLOG = 2048
CLOSE_SECONDS = 3
"""What open streams have to end when the manager stops."""


class Door:
    """The way into an application: says who is inside, and lets nobody in once it is closed.

    A caller that comes too late is hung up on, as if the manager had gone already: whoever
    asks for work to be done then looks for a farm, and starts one.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before ``app``."""
        self._app = app
        self._changing = 0
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a call is under way that may change something."""
        return self._changing > 0

    def close(self) -> None:
        """Let nobody in any more; who is inside goes on."""
        self._closed = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if self._closed:
            # An answer that breaks off: the server has no other way to hang up.
            headers = [(b"content-length", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            return
        changing = scope.get("method") not in ("GET", "HEAD")
        self._changing += changing
        try:
            await self._app(scope, receive, send)
        finally:
            self._changing -= changing


def open_socket(listen: str, former_url: str | None, setting: str) -> socket.socket:
    """Bind ``host:port``; port 0 takes the port of ``former_url`` again if it is free.

    Workers that outlive a manager know only the address it had, so a new one on the same
    state directory takes the same.

    Raises:
        StateError: the port is taken or the address is not this machine's.
    """
    host, port = split_listen(listen)
    if port == 0 and former_url:
        try:
            return _bind(host, int(former_url.rpartition(":")[2]))
        except (OSError, ValueError):
            return _bind(host, 0)
    try:
        return _bind(host, port)
    except OSError as error:
        raise StateError(
            f"can't listen on {listen}: {error.strerror}",
            hint=f"choose another address with {setting}, e.g. {host}:0 for any free port",
        ) from error


def url_of(opened: socket.socket) -> str:
    """Return the URL under which a socket can be reached from this machine."""
    host, port = opened.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def create_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server for ``app`` that leaves signals to the manager."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        ws="none",
    )
    return uvicorn.Server(config)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened
