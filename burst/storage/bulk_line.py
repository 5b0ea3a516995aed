"""Many requests to one bucket at the same time, from one event loop.

Each is asked again, with pauses, while the answer may be another one later; what stays refused is
one of our errors. What to send and what to make of the answers is the business of `bulk_send`,
`bulk_fetch` and `bulk_ask`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from burst.errors import StorageAway
from burst.storage.access import RETRIABLE_STATUSES, Access, bucket_error
from burst.storage.bulk_channels import Begin, Channels, Head, Refusal, Take, uses_proxy
from burst.storage.bulk_wire import Wire

_NO_BUCKET = "bucket does not exist"

STALLED_SECONDS = 120.0
"""A request that has not moved a byte for so long is given up, and asked again."""

MOST_TRIES = 20
"""Of one request, of which none gets further than those before."""

STREAMS = 4
"""Large contents that come at once, each by a thread; more would get in each other's way."""

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


class Answer(NamedTuple):
    """What the bucket said."""

    status: int
    content: bytes

    def read(self) -> dict[str, Any]:
        """Return its JSON object; an answer that has none is an empty one."""
        try:
            found = json.loads(self.content)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class RefusedError(Exception):
    """One try came to nothing."""

    def __init__(
        self, status: int | None, message: str, login: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.login = login
        """The headers that it was asked with."""

    @property
    def is_absent_object(self) -> bool:
        """Whether there is a bucket, but not that object in it."""
        return self.status == 404 and _NO_BUCKET not in self.message

    @property
    def may_pass(self) -> bool:
        """Whether the answer may be another one later."""
        return self.status is None or self.status in RETRIABLE_STATUSES


class _NoLoginError(Exception):
    """Nobody answers who could renew the login; its cause says so."""


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
        self._session: aiohttp.ClientSession
        self._channels: Channels | None = None
        self._wire = None if uses_proxy() else Wire(access.endpoint, _CONNECT_SECONDS)
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
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_SECONDS, sock_read=STALLED_SECONDS
            ),
            # As they are: what is sent and brought is compared with checksums.
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
            read_bufsize=_READ_BYTES,
            trust_env=uses_proxy(),
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._channels is not None:
            self._channels.close()
        if self._wire is not None:
            self._wire.close()
        await self._session.close()

    def url(self, path: str, **query: str | int) -> URL:
        """Return the address of ``path`` below the bucket."""
        return self._address("/storage/v1", path, query)

    def upload_url(self, **query: str | int) -> URL:
        """Return the address that takes uploads."""
        return self._address("/upload/storage/v1", "o", query)

    def object_path(self, name: str) -> str:
        """Return the path of an object below the bucket."""
        return f"o/{quote(name, safe='')}"

    async def ask(
        self,
        method: str,
        url: URL,
        what: str,
        *,
        body: Callable[[], Body] | None = None,
        headers: dict[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Answer:
        """Ask until there is an answer, and return it.

        Args:
            method: of HTTP.
            url: by `url` or `upload_url`.
            what: what is being done, for the error: "can't send shot.blend".
            body: makes what is sent, anew for each try.
            headers: beside those of the login.
            accept: statuses that are answers, too, beside success.

        Raises:
            StorageError: it is refused, or nobody answers; see `bucket_error`.
        """

        async def once() -> Answer:
            return await self.exchange(method, url, body() if body else None, headers, accept)

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
        hope, is_new_login, reached = _Hope(self.access), False, progress()
        while True:
            begun, is_cut = loop.time(), False
            away: BaseException | None = None
            try:
                return await attempt()
            except RefusedError as error:
                refused = error
            except _NoLoginError as error:
                refused, away = RefusedError(None, str(error)), error.__cause__
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                refused = RefusedError(None, str(error) or type(error).__name__)
                is_cut = not isinstance(error, TimeoutError)
            if refused.status == 401 and not is_new_login:
                is_new_login = True
                self._refuse(refused.login)
                continue
            if progress() > reached:
                hope, reached = _Hope(self.access), progress()
            elif is_cut and loop.time() - begun > self.access.patience_seconds:
                # It went well for a while. Where it timed out nothing moved meanwhile.
                hope.renew()
            if not refused.may_pass or not await hope.pause():
                break
        if away:
            raise away
        raise bucket_error(refused.status, refused.message, what, self.access) from refused

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: URL,
        body: Body | None = None,
        headers: dict[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask once; the answer can be read while the block runs.

        Raises:
            RefusedError: it is neither success nor among those that ``accept`` names.
        """
        loop = asyncio.get_running_loop()
        login = await self._current_headers()
        sent = {**login, **(headers or {})}
        async with asyncio.timeout(STALLED_SECONDS) as patience:

            def moved() -> None:
                patience.reschedule(loop.time() + STALLED_SECONDS)

            content = body if body is None or isinstance(body, bytes) else _watched(body, moved)
            async with self._session.request(method, url, data=content, headers=sent) as response:
                self.access.has_answered = True
                # From here on each read has its own bound.
                patience.reschedule(None)
                if response.status >= 300 and response.status not in accept:
                    text = (await response.read()).decode("utf-8", errors="replace")
                    raise RefusedError(response.status, _message(text), login)
                yield response

    async def exchange(
        self,
        method: str,
        url: URL,
        body: Body | None = None,
        headers: dict[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Answer:
        """Ask once, and return the whole answer.

        Raises:
            RefusedError: it is neither success nor among those that ``accept`` names.
        """
        if self._wire is None or not (body is None or isinstance(body, bytes)):
            async with self.open(method, url, body, headers, accept) as response:
                return Answer(response.status, await response.read())
        login = await self._current_headers()
        sent = {**login, **(headers or {})}
        status, content = await self._wire.ask(method, url.raw_path_qs, sent, body, STALLED_SECONDS)
        self.access.has_answered = True
        if status >= 300 and status not in accept:
            raise RefusedError(status, _message(content.decode("utf-8", errors="replace")), login)
        return Answer(status, content)

    async def receive(self, url: URL, headers: dict[str, str], begin: Begin, take: Take) -> Head:
        """Ask once for a large content, which threads take; see `Channels.get`.

        Raises:
            RefusedError: there is no content.
        """
        if self._channels is None:
            self._channels = Channels(
                self.access.endpoint, STREAMS, _CONNECT_SECONDS, STALLED_SECONDS
            )
        async with self._streams:
            login = await self._current_headers()
            answer = await self._channels.get(url.raw_path_qs, {**login, **headers}, begin, take)
        self.access.has_answered = True
        if isinstance(answer, Refusal):
            raise RefusedError(answer.status, _message(answer.text), login)
        return answer

    def _address(self, root: str, path: str, query: dict[str, str | int]) -> URL:
        options = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in query.items())
        address = f"{self.access.endpoint}{root}/b/{self.access.bucket}/{path}?{options}"
        return URL(address, encoded=True)

    async def _own_login(self, anew: bool) -> dict[str, str]:
        if self.access.anonymous:
            return {}
        return await asyncio.to_thread(self.access.headers, anew=anew)

    async def _current_headers(self) -> dict[str, str]:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        if asked >= self._fresh_until:
            async with self._logging_in:
                if self._failure and self._failed_at > asked:
                    # That of another task, which was waited for, is ours, too.
                    raise _NoLoginError from self._failure
                if loop.time() >= self._fresh_until:
                    await self._log_in()
        return self._headers

    async def _log_in(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._headers = await self._login(self._is_refused)
        except StorageAway as error:
            self._failed_at, self._failure = loop.time(), error
            raise _NoLoginError from error
        self._is_refused, self._fresh_until = False, loop.time() + _HEADERS_SECONDS

    def _refuse(self, login: dict[str, str] | None) -> None:
        """Have a new token made, unless another task has got one since that was refused."""
        if self._headers is login:
            self._is_refused, self._fresh_until = True, 0.0


async def _watched(body: AsyncIterable[bytes], moved: Callable[[], None]) -> AsyncIterator[bytes]:
    async for chunk in body:
        moved()
        yield chunk


def _message(text: str) -> str:
    """Return what an answer says for people: JSON of the API, or plain text of a proxy."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text
