"""Who may call: a token on the workers' listener; own host and origin on the console's.

The console listens on the loopback, where every web page that the artist visits could send
requests too. A page can't forge ``Host`` and ``Origin``, so foreign ones are refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from burst.errors import Forbidden, ManagerError, Unauthorized
from burst.manager.api import errors
from burst.protocol.messages import API


class TokenGuard:
    """Lets calls below ``/api`` through that show the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        """Guard ``app``."""
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or answer 401."""
        guarded = scope["type"] == "http" and scope["path"].startswith("/api")
        if guarded and not shows_token(Headers(scope=scope), self._token):
            error = Unauthorized("the worker token is missing or wrong", hint=_TOKEN_HINT)
            await errors.answer(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class ConsoleGuard:
    """Lets calls through that were meant for this console and show its token, if it has one."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str | None) -> None:
        """Guard ``app``, which is known as any of ``hosts`` (without port)."""
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or answer 401 or 403."""
        if scope["type"] == "http" and (error := self._refusal(scope)):
            await errors.answer(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ManagerError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return Forbidden(
                f"this console is not known as {host!r}",
                hint="use its own address, or add the name to BURST_CONSOLE_HOSTS",
            )
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return Forbidden(f"calls from {origin} are refused")
        needs_token = self._token is not None and scope["path"].startswith("/api")
        if needs_token and not shows_token(headers, self._token or ""):
            return Unauthorized("the console token is missing or wrong", hint=_CONSOLE_HINT)
        return None


_TOKEN_HINT = f"send it as Authorization: Bearer …; calls are below {API}"
_CONSOLE_HINT = "give it as BURST_CONSOLE_TOKEN"


def shows_token(headers: Headers, token: str) -> bool:
    """Say whether a request carries ``token`` as its bearer token."""
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.encode(), token.encode())


def _name(host: str) -> str:
    """Return a ``Host`` header's name without its port."""
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[").lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
