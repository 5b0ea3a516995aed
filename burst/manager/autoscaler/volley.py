"""Many requests to a cluster at once, such as a thousand Jobs to be made.

All of them in the thread that asks, on a loop of their own. With a thread for each that is on its
way it takes twice the processor's time, and longer where there is little of that: they wait for
each other, and for what reads the watches.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import urllib3
import uvloop
from kubernetes import client
from kubernetes.client.rest import should_bypass_proxies
from pydantic_core import from_json

from burst.errors import ToolError
from burst.manager.autoscaler.asking import (
    ANSWER_SECONDS,
    BAD_REQUEST,
    CONNECT_SECONDS,
    Refusal,
    translated,
)

AT_ONCE = 32
"""Requests on their way together, for each who asks."""

TRIES = 3
TRY_AGAIN_SECONDS = 0.3

FAILED_MAX = 32
"""After so many requests without an answer the others are left for later."""

HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; it must bear to be repeated."""

    method: str
    path: str
    body: Manifest


Answer = Manifest | Refusal | ToolError
"""What came of a request: an object, the cluster's no, or that it did not answer."""


class Volley:
    """Asks one cluster. Nothing is kept between two times: neither token nor certificates age."""

    def __init__(self, settings: client.Configuration) -> None:
        """Ask by the settings of the client that everything else is asked with."""
        self._settings = settings

    def ask(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """Return what came of each, in their order; several may ask at the same time.

        Raises:
            ToolError: what is needed to ask at all can't be read.
        """
        if not requests:
            return []
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._ask_all(requests))

    async def _ask_all(self, requests: Sequence[Request]) -> Sequence[Answer]:
        left, failed = deque(enumerate(requests)), list[ToolError]()
        answers: dict[int, Answer] = {}

        async def work(session: aiohttp.ClientSession) -> None:
            while left:
                number, request = left.popleft()
                if len(failed) >= FAILED_MAX:
                    answers[number] = failed[0]
                    continue
                answers[number] = answer = await self._ask_often(session, request)
                if isinstance(answer, ToolError):
                    failed.append(answer)

        with translated():
            session = self._open()
        async with session:
            await asyncio.gather(*(work(session) for _ in range(min(AT_ONCE, len(requests)))))
        return [answers[number] for number in range(len(requests))]

    def _open(self) -> aiohttp.ClientSession:
        signs: Mapping[str, Any] = self._settings.auth_settings()
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE, ssl=_tls_of(self._settings)),
            headers={**HEADERS, **{sign["key"]: sign["value"] for sign in signs.values()}},
            timeout=aiohttp.ClientTimeout(
                total=None, connect=None, sock_connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS
            ),
        )

    async def _ask_often(self, session: aiohttp.ClientSession, request: Request) -> Answer:
        """Ask again, a few times, where the cluster did not answer."""
        for number in range(TRIES):
            try:
                return await self._ask(session, request)
            except Refusal as refusal:
                return refusal
            except ToolError as error:
                if number == TRIES - 1:
                    return error
            except Exception as error:  # noqa: BLE001 - those of the other requests are not lost
                return ToolError(f"the cluster could not be asked: {error!r}")
            await asyncio.sleep(TRY_AGAIN_SECONDS)
        raise AssertionError  # pragma: no cover - the last try returns

    async def _ask(self, session: aiohttp.ClientSession, request: Request) -> Manifest:
        with translated():
            async with session.request(
                request.method,
                self._settings.host + request.path,
                data=json.dumps(request.body),
                proxy=_proxy_of(self._settings),
                proxy_headers=self._settings.proxy_headers,
                server_hostname=self._settings.tls_server_name,
            ) as response:
                content = await response.read()
            if response.status >= BAD_REQUEST:
                raise client.ApiException(
                    status=response.status,
                    reason=response.reason,
                    body=content.decode("utf-8", "replace"),
                )
            answer: Manifest = from_json(content)
            return answer


def _tls_of(settings: client.Configuration) -> ssl.SSLContext:
    """Return what the client itself would trust, and show."""
    context = urllib3.util.create_urllib3_context()
    if settings.ssl_ca_cert or settings.ca_cert_data:
        context.load_verify_locations(settings.ssl_ca_cert, cadata=settings.ca_cert_data)
    else:
        context.load_default_certs()
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    if settings.assert_hostname is False or not settings.verify_ssl:
        context.check_hostname = False
    if not settings.verify_ssl:
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy_of(settings: client.Configuration) -> str | None:
    is_spared = should_bypass_proxies(settings.host, no_proxy=settings.no_proxy or "")
    return None if is_spared else settings.proxy
