"""The objects of one bucket, by google-cloud-storage: each request, and what its answer means.

Every request that may be repeated is; how long, `burst.storage.patience` says. Uploads carry the
CRC-32C of what was meant, which the bucket compares with what arrived; downloads are compared
with the bucket's. The library is imported with the first request, and each process has a client
of its own.
"""

from __future__ import annotations

import base64
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from burst.errors import storage_error
from burst.storage.access import Access, bucket_error
from burst.storage.checksum import crc32c
from burst.storage.layout import content_type
from burst.storage.login import login_error
from burst.storage.patience import breaks, patient_retry

ABSENT = 0
"""As a generation: there must be no such object."""

CONNECTIONS = 64
"""Kept open; with fewer than there are threads each request would shake hands anew."""

_TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between two bytes of an answer."""

_CHUNK_BYTES = 16 * 1024 * 1024
"""Of a large upload: what is sent again when a connection is cut, and what memory it takes."""


class AbsentError(Exception):
    """There is no such object."""


class ChangedError(Exception):
    """The object is not of the generation that it must be of."""


class DamagedError(Exception):
    """What arrived is not what was sent."""


class Found(NamedTuple):
    """An object, as it was when it was looked at."""

    generation: int
    size: int
    """Bytes."""
    crc32c: int
    metadata: dict[str, str]


class Objects:
    """Requests about the objects of one bucket; may be used by several threads and processes.

    Every method says by ``what`` what it was asked for, in a sentence for the artist, and raises
    `StorageError` (or one of its kinds) beside what it names.
    """

    def __init__(self, access: Access) -> None:
        """Use a bucket; nothing is asked of it yet."""
        self.access = access
        self._lock = threading.Lock()
        self._bucket: tuple[int, Any] | None = None

    def look(self, name: str, what: str) -> Found | None:
        """Return what is told about an object, or None if there is none."""
        with self._asked(what):
            blob = self._object(name)
            try:
                with _absent_is_an_error():
                    blob.reload(projection="noAcl", **self._bounds())
            except AbsentError:
                return None
            return _found(blob)

    def upload(
        self,
        name: str,
        content: BinaryIO,
        expected: tuple[int, int],
        what: str,
        *,
        generation: int | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Found:
        """Send a content to an object.

        Args:
            name: of the object.
            content: where it is read from, from its start.
            expected: its size in bytes, and its CRC-32C.
            what: was asked for.
            generation: that the object must have now, or `ABSENT`.
            metadata: kept with the object.

        Raises:
            ChangedError: it is not of that generation.
            DamagedError: what arrived is not what was expected.
        """
        size, checksum = expected
        with self._asked(what):
            blob = self._object(name)
            blob.chunk_size = _CHUNK_BYTES
            blob.crc32c = _encoded(checksum)
            blob.metadata = metadata
            # Without a checksum of the library's own: where its differs from the bucket's, it
            # deletes the object, whosever it is by then.
            with _change_is_damage():
                blob.upload_from_file(
                    content,
                    rewind=True,
                    size=size,
                    content_type=content_type(name),
                    if_generation_match=generation,
                    checksum=None,
                    **self._bounds(content.tell),
                )
            found = _found(blob)
            if (found.size, found.crc32c) != expected:
                with contextlib.suppress(AbsentError):
                    self.delete(name, what, found.generation)
                raise DamagedError
            return found

    def download(self, name: str, sink: BinaryIO, what: str) -> Found:
        """Write an object's content to ``sink``.

        Raises:
            AbsentError: there is no such object.
            DamagedError: what arrived is not what the bucket has.
        """
        checked = _CheckedSink(sink)
        with self._asked(what), _absent_is_an_error():
            blob = self._object(name)
            # The library compares nothing once it had to ask again for the rest.
            bounds = self._bounds(lambda: checked.size)
            blob.download_to_file(checked, checksum=None, **bounds)
            if blob.crc32c is None:
                # Something between here and the bucket took the header away.
                blob.reload(projection="noAcl", **self._bounds())
            if blob.crc32c != _encoded(checked.crc32c):
                raise DamagedError
            return Found(blob.generation, checked.size, checked.crc32c, {})

    def copy(
        self, source: str, target: str, what: str, generation: int, metadata: dict[str, str]
    ) -> None:
        """Copy an object inside the bucket, with other metadata.

        Raises:
            AbsentError: there is no such source.
            ChangedError: the target is not of that generation.
        """
        with self._asked(what), _absent_is_an_error():
            blob = self._object(target)
            blob.content_type = content_type(target)
            blob.metadata = metadata
            token = None
            while True:
                token, _, _ = blob.rewrite(
                    self._object(source),
                    token=token,
                    if_generation_match=generation,
                    **self._bounds(),
                )
                if token is None:
                    return

    def delete(self, name: str, what: str, generation: int | None = None) -> None:
        """Delete an object, or that generation of it and no later one.

        Raises:
            AbsentError: there is no such object.
        """
        unanswered = 0

        def note() -> int:
            nonlocal unanswered
            unanswered += 1
            return 0

        with self._asked(what):
            # Named rather than set as a condition, so that it may be asked twice.
            blob = self._own_bucket().blob(name, generation=generation)
            try:
                with _absent_is_an_error():
                    blob.delete(**self._bounds(note))
            except AbsentError:
                # After a try whose answer got lost it is gone because of that one.
                if not unanswered:
                    raise

    def _object(self, name: str) -> Any:
        return self._own_bucket().blob(name)

    def _own_bucket(self) -> Any:
        with self._lock:
            # A connection must not be shared with the process that this one was forked from.
            if self._bucket is None or self._bucket[0] != os.getpid():
                bucket = _new_bucket(self.access)
                weakref.finalize(self, bucket.client.close)
                self._bucket = (os.getpid(), bucket)
            return self._bucket[1]

    def _bounds(self, progress: Callable[[], int] = lambda: 0) -> dict[str, Any]:
        return {"retry": patient_retry(self.access, progress), "timeout": _TIMEOUT_SECONDS}

    @contextlib.contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """Turn whatever the libraries raise into burst's errors."""
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import InvalidResponse

        try:
            yield
        except exceptions.PreconditionFailed as error:
            raise ChangedError from error
        except exceptions.GoogleAPICallError as error:
            raise bucket_error(error.code, _said(error), what, self.access) from error
        except InvalidResponse as error:
            status = error.response.status_code
            raise bucket_error(status, _said(error), what, self.access) from error
        except GoogleAuthError as error:
            if self.access.anonymous:
                raise bucket_error(
                    401, "anonymous callers are not answered", what, self.access
                ) from error
            raise login_error(error, what, self.access.login()) from error
        except breaks() as error:
            raise bucket_error(None, str(error), what, self.access) from error
        except OSError as error:
            raise storage_error(error, what) from error


class _CheckedSink:
    """Takes what is downloaded, and counts and sums it on its way."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.size = 0
        self.crc32c = 0

    def write(self, content: bytes) -> None:
        self._sink.write(content)
        self.size += len(content)
        self.crc32c = crc32c(content, self.crc32c)


def _new_bucket(access: Access) -> Any:
    import google.cloud.storage as storage
    from requests.adapters import HTTPAdapter

    def note(response: Any, *_args: Any, **_kwargs: Any) -> None:
        access.has_answered = True
        if response.status_code >= 400:
            _ = response.content  # what is not read keeps its connection from the next request

    # Else a thread asks for the bucket itself, for the sake of traces that nobody takes; that
    # needs a permission which nothing else needs.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    client = storage.Client(
        project=access.bucket,  # no matter which: but where none is given, it is searched for
        credentials=access.login(),
        client_options={"api_endpoint": access.endpoint},
    )
    session = client._http
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS))
    session.hooks["response"].append(note)
    return client.bucket(access.bucket)


@contextlib.contextmanager
def _absent_is_an_error() -> Iterator[None]:
    from google.api_core import exceptions

    try:
        yield
    except exceptions.NotFound as error:
        if "bucket does not exist" in _said(error):
            raise
        raise AbsentError from error


@contextlib.contextmanager
def _change_is_damage() -> Iterator[None]:
    """Say of an upload that it must be done anew where it is not what was meant."""
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except exceptions.GoogleAPICallError as error:
        # Gone is not the object, but what was kept of a large upload so far.
        is_damage = error.code == 410 or (error.code == 400 and "crc32c" in _said(error).lower())
        if not is_damage:
            raise
        raise DamagedError from error
    except ValueError as error:
        if isinstance(error, (requests.RequestException, GoogleAuthError)):
            raise
        # The library lost its place: the file shrank, or the bucket kept less than was sent.
        raise DamagedError from error


def _said(error: Any) -> str:
    """Return what the bucket said, without the library's words around it."""
    if error.response is not None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(error.response.json()["error"]["message"])
        return str(error.response.text)
    return str(error)


def _found(blob: Any) -> Found:
    return Found(blob.generation, blob.size or 0, _decoded(blob.crc32c), blob.metadata or {})


def _encoded(checksum: int) -> str:
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def _decoded(checksum: str) -> int:
    return int.from_bytes(base64.b64decode(checksum), "big")
