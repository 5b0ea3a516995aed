"""A bucket as a file system of fsspec, by gcsfs, with burst's login, patience and errors.

gcsfs by itself looks for a login in four places, one of which is an address that answers only
inside of Google's network; asks the bucket of what kind it is, by another protocol; and asks six
times again where nobody answers. Here it is told all that it would look for, and its one way to
the bucket is replaced. Slow to import: only `burst.storage.filesystem` does, when it is needed.
"""

from __future__ import annotations

import asyncio
import json as jsons
from typing import Any

import aiohttp
from gcsfs.core import GCSFileSystem

from burst.errors import StorageAway, StorageDenied
from burst.storage.access import Access, bucket_error

_LISTING = "b/{}/o"
"""gcsfs's path of the one request that fails only if there is no bucket."""

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)


class BucketFiles(GCSFileSystem):  # type: ignore[misc]  # it has no types
    """Files of one bucket, by ``<bucket>/<name>``; nothing is remembered of its listings."""

    cachable = False

    def __init__(self, access: Access) -> None:
        """Look into a bucket; nothing is asked of it yet."""
        self._access = access
        super().__init__(
            token="anon",  # noqa: S106 - the login is put in below
            access="read_write",
            endpoint_url=access.endpoint,
            use_listings_cache=False,
            session_kwargs={"timeout": _TIMEOUT, "trust_env": True},
        )

    def _get_headers(self, headers: dict[str, str] | None, **_cache: Any) -> dict[str, str]:
        return {**(headers or {}), **self._access.headers()}

    async def _info(self, path: str, generation: str | None = None, **kwargs: Any) -> Any:
        if self._strip_protocol(path).rstrip("/") == self._access.bucket:
            # To ask the bucket about itself needs a permission that nothing else needs.
            return {"name": self._access.bucket, "size": 0, "type": "directory"}
        return await super()._info(path, generation=generation, **kwargs)

    async def _request(
        self,
        method: str,
        path: str,
        *args: str,
        headers: dict[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        **params: Any,
    ) -> tuple[int, Any, Any, bytes]:
        params.pop("cache_type", None)
        params.pop("cache_source", None)
        pauses, is_renewed = self._access.pauses(), self._access.anonymous
        while True:
            try:
                return await self._request_once(
                    (method, path, args), {"json": json, "data": data}, headers, params
                )
            except StorageDenied:
                # The token may have been taken back before its time.
                if is_renewed:
                    raise
                is_renewed = True
                self._access.headers(anew=True)
            except StorageAway:
                pause = next(pauses, None)
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    async def _request_once(
        self,
        asked: tuple[str, str, tuple[str, ...]],
        body: dict[str, Any],
        headers: dict[str, str] | None,
        params: dict[str, Any],
    ) -> tuple[int, Any, Any, bytes]:
        method, path, args = asked
        what = f"can't look into {self._access.url}"
        await self._set_session()
        if hasattr(body["data"], "seek"):
            body["data"].seek(0)
        try:
            async with self.session.request(
                method=method,
                url=self._format_path(path, args),
                params=self._get_params(params),
                headers=self._get_headers(headers),
                **body,
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            raise bucket_error(
                None, str(getattr(error, "os_error", error)), what, self._access
            ) from error
        self._access.has_answered = True
        if answer.status < 400:
            return answer.status, answer.headers, answer.request_info, content
        if answer.status == 404 and path != _LISTING:
            raise FileNotFoundError("/".join(args) or path)
        raise bucket_error(answer.status, _said(content), what, self._access)


def _said(content: bytes) -> str:
    try:
        return str(jsons.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return content.decode("utf-8", "replace")
