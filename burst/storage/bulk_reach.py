"""How a host is reached: by which of its addresses, by a proxy or not, and who vouches for it."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import aiohappyeyeballs

from burst import threads
from burst.domain.text import printable
from burst.errors import ConfigError

_PORTS = {"http": 80, "https": 443}

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Who is trusted beside the system's; what else burst asks with looks there, too."""

_NEXT_ADDRESS_SECONDS = 0.25
"""After which another address is tried beside one that does not answer."""

_KNOWN_SECONDS = 10.0
"""How long addresses are not asked for again."""


def uses_proxy(endpoint: str) -> bool:
    """Say whether aiohttp goes by a proxy to ``endpoint``; nothing else here can.

    It looks at ``https_proxy`` or ``http_proxy``, by the scheme of ``endpoint``, and at
    ``no_proxy``, in either case; not at ``all_proxy``. A proxy whose own scheme is https it leaves
    alone.
    """
    parts = urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(parts.scheme, "")
    if not proxy or urlsplit(proxy).scheme == "https":
        return False
    return not urllib.request.proxy_bypass(parts.hostname or "")


def tls_context() -> ssl.SSLContext:
    """Return how a host is to prove who it is: to whom the system trusts, or Python's libraries.

    Raises:
        ConfigError: the environment names a file of certificates that can't be read.
    """
    # What Python looks at by itself makes another context, too.
    kept = tuple(os.environ.get(name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", *_BUNDLES))
    return _tls_context(kept)


@functools.lru_cache(maxsize=4)
def _tls_context(_environment: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    named = next((name for name in _BUNDLES if os.environ.get(name)), None)
    if named is None:
        import certifi

        context.load_verify_locations(certifi.where())
        return context
    bundle = Path(os.environ[named])
    try:
        if bundle.is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(bundle)
    except OSError as error:
        raise ConfigError(
            f"{named} is {printable(str(bundle))}, where no certificates can be read",
            hint=f"have it name a file of certificates in PEM, or unset {named}",
        ) from error
    return context


class Host:
    """A host to connect to, from one event loop: by whichever of its addresses answers first."""

    def __init__(self, endpoint: str) -> None:
        """``endpoint`` is scheme and host."""
        address = urlsplit(endpoint)
        self.name = address.hostname or ""
        self._port = address.port or _PORTS[address.scheme]
        self._found: asyncio.Future[list[aiohappyeyeballs.AddrInfoType]] | None = None
        """Its addresses, or that they are being asked for."""
        self._known_until = 0.0

    async def connect(self) -> socket.socket:
        """Return a connection.

        Raises:
            OSError: there is none.
        """
        return await aiohappyeyeballs.start_connection(
            await self._addresses(), happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
        )

    async def _addresses(self) -> list[aiohappyeyeballs.AddrInfoType]:
        loop = asyncio.get_running_loop()
        found = self._found
        if found is None or (found.done() and loop.time() >= self._known_until):
            # Not by the event loop's own threads: those are waited for when it ends.
            found = self._found = asyncio.wrap_future(threads.start(self._look_up, "resolver"))
            found.add_done_callback(self._note)
        # Many wait for it, and each may be canceled.
        return await asyncio.shield(found)

    def _look_up(self) -> list[aiohappyeyeballs.AddrInfoType]:
        return list(socket.getaddrinfo(self.name, self._port, type=socket.SOCK_STREAM))

    def _note(self, found: asyncio.Future[list[aiohappyeyeballs.AddrInfoType]]) -> None:
        if found.cancelled() or found.exception() is not None:
            self._found = None
        else:
            self._known_until = found.get_loop().time() + _KNOWN_SECONDS
