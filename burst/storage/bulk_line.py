"""Many requests to one bucket at the same time, from one event loop.

Each is asked again, with pauses, while the answer may be another one later; what stays refused is
one of our errors. What to send and what to make of the answers is the business of `bulk_send`,
`bulk_fetch` and `bulk_ask`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from burst import threads
from burst.errors import StorageAway
from burst.storage.access import Access, bucket_error, damaged_error
from burst.storage.bulk_channels import Begin, Channels, Give, Head, Take
from burst.storage.bulk_http import Answer, ArrivedDamagedError, RefusedError, check_headers
from burst.storage.bulk_reach import tls_context, uses_proxy
from burst.storage.bulk_wire import IDLE_SECONDS, Wire

if TYPE_CHECKING:
    import aiohttp

STALLED_SECONDS = 120.0
"""A request that has not moved a byte for so long is given up, and asked again."""

MOST_TRIES = 20
"""Of one request, of which none gets further than those before."""

STREAMS = 4
"""Large contents that come at once, each by a thread; more would get in each other's way."""

_DAMAGED_TRIES = 3
"""Of what arrives as something else."""

_CONNECT_SECONDS = 10.0
_READ_BYTES = 256 * 1024
"""Of an answer, before the other side has to wait; twice that is in memory at most."""
_HEADERS_SECONDS = 30.0
"""How long headers are used before they are asked for again; a token that is about to run out is
made anew minutes before it does."""

_Result = TypeVar("_Result")

Login = Callable[[bool], Awaitable[dict[str, str]]]
"""Gives the headers that a request needs; with True new ones, as the last were refused."""

Body = bytes | AsyncIterable[bytes]
"""Of a request by aiohttp."""


class _NoLoginError(Exception):
    """Nobody answers who could renew the login."""

    def __init__(self, away: StorageAway) -> None:
        super().__init__(str(away))
        self.away = away


_FAILURES = (RefusedError, _NoLoginError, ConnectionError, TimeoutError)
"""Of one try."""


class _Hope:
    """For how long one request is tried again: until nothing came of it for a while."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.tries = 0
        self.renew()

    def renew(self) -> None:
        """Begin anew: something came of it."""
        self._pauses = self._access.pauses()

    async def pause(self) -> bool:
        """Wait before the next try; False is that there is none."""
        self.tries += 1
        pause = next(self._pauses, None) if self.tries < MOST_TRIES else None
        if pause is not None:
            await asyncio.sleep(pause)
        return pause is not None


class Line:
    """The connections to one bucket; to be used by the tasks of one event loop."""

    def __init__(self, access: Access, login: Login | None = None) -> None:
        """Know the bucket; ``login`` gives the headers where ``access`` itself does not."""
        self.access = access
        self._login = login or self._own_login
        self._session: aiohttp.ClientSession | None = None
        self._channels: Channels | None = None
        self.by_proxy = uses_proxy(access.endpoint)
        """It all goes by aiohttp then."""
        self._wire = None if self.by_proxy else Wire(access.endpoint, _CONNECT_SECONDS)
        self._streams = asyncio.Semaphore(STREAMS)
        self._headers: dict[str, str] = {}
        self._fresh_until = 0.0
        self._is_refused = False
        """Whether the last headers were."""
        self._logging_in = asyncio.Lock()
        self._failed_at = 0.0
        self._failure: StorageAway | None = None
        """Why there were no headers at that moment."""

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._channels is not None:
            self._channels.close()
        if self._wire is not None:
            self._wire.close()
        if self._session is not None:
            await self._session.close()
        # Connections are closed a moment later, which the event loop has to be there for.
        await asyncio.sleep(0)

    def url(self, path: str, **query: str | int) -> str:
        """Return where ``path`` is below the bucket, from the host on."""
        return self._address("/storage/v1", path, query)

    def upload_url(self, **query: str | int) -> str:
        """Return what takes uploads, from the host on."""
        return self._address("/upload/storage/v1", "o", query)

    def object_path(self, name: str) -> str:
        """Return the path of an object below the bucket."""
        return f"o/{quote(name, safe='')}"

    async def read(self, url: str, what: str) -> dict[str, Any]:
        """Ask until there is an answer that has a JSON object, and return that.

        Args:
            url: by `url`.
            what: what is being done, for the error: "can't list blobs/".

        Raises:
            StorageError: it is refused, or nobody answers; see `bucket_error`.
        """

        async def once() -> dict[str, Any]:
            return (await self.exchange("GET", url)).read()

        return await self.persist(once, what)

    async def persist(
        self,
        attempt: Callable[[], Awaitable[_Result]],
        what: str,
        progress: Callable[[], int] = lambda: 0,
    ) -> _Result:
        """Do something until it works.

        Args:
            attempt: does it once.
            what: is being done, for the error.
            progress: how far the attempts got, at most; as long as that grows there are more.

        Raises:
            StorageError: it is refused for good, or for too long.
        """
        loop = asyncio.get_running_loop()
        hope, is_new_login, reached, damaged = _Hope(self.access), False, progress(), 0
        while True:
            begun = loop.time()
            try:
                return await attempt()
            except _FAILURES as error:
                failed = error
            refused = _refusal(failed)
            if refused.status == 401 and not is_new_login:
                is_new_login = True
                self._refuse(refused.login)
                continue
            if progress() > reached:
                hope, reached = _Hope(self.access), progress()
            elif (
                isinstance(failed, ConnectionError)
                and loop.time() - begun > self.access.patience_seconds
            ):
                # It went well for a while. Where it timed out nothing moved meanwhile.
                hope.renew()
            damaged += isinstance(failed, ArrivedDamagedError)
            if damaged == _DAMAGED_TRIES:
                raise damaged_error(what) from refused
            if not refused.may_pass or not await hope.pause():
                break
        if isinstance(failed, _NoLoginError):
            raise failed.away
        raise bucket_error(refused.status, refused.message, what, self.access) from refused

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: str,
        body: Body | None = None,
        headers: dict[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask once; the answer can be read while the block runs.

        Raises:
            RefusedError: it is neither success nor among those that ``accept`` names.
            ConnectionError: it was cut, or there is no connection; its cause is what ``body``
                raised, if that did.
            TimeoutError: nothing moved for too long.
        """
        import aiohttp
        from yarl import URL

        if self._session is None:
            self._session = _new_session(self.by_proxy, self.access.endpoint.startswith("https:"))
        loop = asyncio.get_running_loop()
        login = await self._current_headers()
        sent, address = {**login, **(headers or {})}, URL(self.access.endpoint + url, encoded=True)
        check_headers(sent)
        try:
            async with asyncio.timeout(STALLED_SECONDS) as patience:

                def moved() -> None:
                    patience.reschedule(loop.time() + STALLED_SECONDS)

                data = body if body is None or isinstance(body, bytes) else _watched(body, moved)
                async with self._session.request(method, address, data=data, headers=sent) as given:
                    self.access.has_answered = True
                    # From here on each read has its own bound.
                    patience.reschedule(None)
                    if given.status >= 300 and given.status not in accept:
                        refusal = Answer(given.status, await given.read())
                        raise RefusedError(refusal.status, refusal.message, login)
                    yield given
        except TimeoutError:
            raise
        except aiohttp.ClientError as error:
            words = str(error) or type(error).__name__
            raise ConnectionResetError(words) from error.__cause__ or error

    async def exchange(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Answer:
        """Ask once, and return the whole answer.

        Raises:
            RefusedError: it is neither success nor among those that ``accept`` names.
            ConnectionError: it was cut, or there is no connection.
            TimeoutError: nothing moved for too long.
        """
        if self._wire is None:
            async with self.open(method, url, body, headers, accept) as response:
                return Answer(response.status, await response.read())
        login = await self._current_headers()
        sent = {**login, **(headers or {})}
        answer = await self._wire.ask(method, url, sent, body, STALLED_SECONDS)
        return self._accepted(answer, accept, login)

    async def receive(self, url: str, headers: dict[str, str], begin: Begin, take: Take) -> Head:
        """Ask once for a large content, which threads take; see `Channels.get`.

        Raises:
            RefusedError: there is no content.
        """
        async with self._streams:
            login = await self._current_headers()
            answer = await self._open_channels().get(url, {**login, **headers}, begin, take)
        self.access.has_answered = True
        if isinstance(answer, Answer):
            raise RefusedError(answer.status, answer.message, login)
        return answer

    async def post(
        self, url: str, headers: dict[str, str], size: int, give: Give, accept: frozenset[int]
    ) -> Answer:
        """Send a large content once, which threads do; see `Channels.post`.

        Raises:
            RefusedError: the answer is neither success nor among those that ``accept`` names.
        """
        if self.by_proxy:
            body, length = _by_and_by(give()), {"Content-Length": str(size)}
            async with self.open("POST", url, body, {**headers, **length}, accept) as response:
                return Answer(response.status, await response.read())
        async with self._streams:
            login = await self._current_headers()
            answer = await self._open_channels().post(url, {**login, **headers}, size, give)
        return self._accepted(answer, accept, login)

    def _accepted(self, answer: Answer, accept: frozenset[int], login: dict[str, str]) -> Answer:
        self.access.has_answered = True
        if answer.status >= 300 and answer.status not in accept:
            raise RefusedError(answer.status, answer.message, login)
        return answer

    def _open_channels(self) -> Channels:
        if self._channels is None:
            self._channels = Channels(
                self.access.endpoint, STREAMS, _CONNECT_SECONDS, STALLED_SECONDS
            )
        return self._channels

    def _address(self, root: str, path: str, query: dict[str, str | int]) -> str:
        options = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in query.items())
        return f"{root}/b/{self.access.bucket}/{path}?{options}"

    async def _own_login(self, anew: bool) -> dict[str, str]:
        if self.access.anonymous:
            return {}
        # Not by the event loop's own threads: those are waited for when it ends.
        asked = threads.start(lambda: self.access.headers(anew=anew), "login")
        return await asyncio.wrap_future(asked)

    async def _current_headers(self) -> dict[str, str]:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        if asked >= self._fresh_until:
            async with self._logging_in:
                if self._failure and self._failed_at > asked:
                    # That of another task, which was waited for, is ours, too.
                    raise _NoLoginError(self._failure)
                if loop.time() >= self._fresh_until:
                    await self._log_in()
        return self._headers

    async def _log_in(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._headers = await self._login(self._is_refused)
        except StorageAway as error:
            self._failed_at, self._failure = loop.time(), error
            raise _NoLoginError(error) from error
        self._is_refused, self._fresh_until = False, loop.time() + _HEADERS_SECONDS

    def _refuse(self, login: dict[str, str] | None) -> None:
        """Have a new token made, unless another task has got one since that was refused."""
        if self._headers is login:
            self._is_refused, self._fresh_until = True, 0.0


def _new_session(by_proxy: bool, is_secret: bool) -> aiohttp.ClientSession:
    # Here: what has no streams goes without it, and it is slow to import.
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=IDLE_SECONDS, ssl=tls_context() if is_secret else False
        ),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=STALLED_SECONDS
        ),
        # As they are: what is sent and brought is compared with checksums.
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding",),
        read_bufsize=_READ_BYTES,
        trust_env=by_proxy,
    )


def load_streams() -> None:
    """Import what `Line.open` needs, which it does by itself otherwise."""
    import aiohttp  # noqa: F401


async def _watched(body: AsyncIterable[bytes], moved: Callable[[], None]) -> AsyncIterator[bytes]:
    async for chunk in body:
        moved()
        yield chunk


async def _by_and_by(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks that threads make."""
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


def _refusal(failed: Exception) -> RefusedError:
    if isinstance(failed, RefusedError):
        return failed
    return RefusedError(None, str(failed) or type(failed).__name__)
