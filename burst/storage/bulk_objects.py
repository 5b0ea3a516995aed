"""What is asked about objects and listings, and what is read in the answers."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, NamedTuple

from burst.errors import StorageError
from burst.storage.bulk_http import Answer, ArrivedDamagedError, RefusedError
from burst.storage.bulk_line import Line
from burst.storage.bulk_parts import joined_crc32c
from burst.storage.checksum import crc32c
from burst.storage.items import Stored

GONE = frozenset({404})
TAKEN = frozenset({412})
CONTENT_KIND = "application/octet-stream"

REFUSED_CONTENT = frozenset({400})
_JSON = {"Content-Type": "application/json"}

_FIELDS = "size,crc32c,generation"
_BOUNDARY = "burst-7c0d1c0b6a9f4f3e"
MULTIPART = {"Content-Type": f"multipart/related; boundary={_BOUNDARY}"}
"""Headers of what begins with `multipart_head` and ends with `MULTIPART_TAIL`."""
MULTIPART_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()


class Made(NamedTuple):
    """An object of the bucket."""

    name: str
    size: int
    """Bytes."""
    crc32c: int
    generation: str


class BulkObjects:
    """The objects of one bucket, over one line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def existing(self, name: str, size: int, crc: int) -> Made | None:
        """Return an object that was there before, or None if it has gone meanwhile.

        Raises:
            StorageError: it has another content than it must have.
        """
        url = self._line.url(self._line.object_path(name), fields=_FIELDS)

        async def once() -> Made | None:
            answer = await self._line.exchange("GET", url, accept=GONE)
            return None if answer.status in GONE else made_of(answer, name)

        found = await self._line.persist(once, f"can't look at {name}")
        if found is None:
            return None
        if (found.size, found.crc32c) != (size, crc):
            raise StorageError(
                f"{name} is damaged in the storage",
                hint=f"delete it by `gcloud storage rm {self._line.access.url}/{name}`, "
                f"and upload the scene again",
            )
        return found

    async def put(self, name: str, content: bytes, kind: str) -> None:
        """Write a small content to an object, whatever it has now.

        Args:
            name: of the object.
            content: of it.
            kind: its type, as MIME has it.

        Raises:
            StorageError: the bucket does not take it, or it arrives damaged again and again.
        """
        crc = crc32c(content)
        body = multipart(name, crc, kind, content)

        async def once() -> None:
            url = self.upload_url()
            answer = await self._line.exchange("POST", url, body, MULTIPART, REFUSED_CONTENT)
            await self.prove(answer, name, len(content), crc)

        await self._line.persist(once, f"can't store {name}")

    def upload_url(self, **query: str | int) -> str:
        """Return what takes a multipart upload."""
        return self._line.upload_url(uploadType="multipart", fields=_FIELDS, **query)

    async def prove(self, answer: Answer, name: str, size: int, crc: int) -> Made:
        """Compare what the bucket has of an upload with what was sent; delete it if it is not that.

        Raises:
            RefusedError: it is not; another try may do better.
            ConnectionError: nobody knows, as that is no answer.
        """
        if answer.status in REFUSED_CONTENT:
            raise _content_refused(answer)
        made = made_of(answer, name)
        if (made.size, made.crc32c) != (size, crc):
            await self.delete(made.name, made.generation)
            raise ArrivedDamagedError(f"what arrived as {made.name} is not what was sent")
        return made

    async def page(self, prefix: str, token: str) -> tuple[list[Stored], str]:
        """Return some of the objects whose names start with ``prefix``, and what gives the next.

        Args:
            prefix: of the names.
            token: that came with the page before, or nothing.
        """
        options = {"pageToken": token} if token else {}
        fields = "items(name,size,updated,generation),nextPageToken"
        url = self._line.url("o", prefix=prefix, fields=fields, **options)
        what = f"can't list {prefix or self._line.access.url}"
        page = await self._line.read(url, what)
        return [_stored(item) for item in page.get("items", [])], page.get("nextPageToken", "")

    async def delete(self, name: str, generation: str = "") -> None:
        """Delete an object, or that generation of it; none is no error."""
        options = {"ifGenerationMatch": generation} if generation else {}
        url = self._line.url(self._line.object_path(name), **options)

        async def once() -> None:
            answer = await self._line.exchange("DELETE", url, accept=GONE | TAKEN)
            if answer.content and answer.status not in GONE | TAKEN:
                # Whoever that was: a bucket says nothing more, or JSON.
                answer.read()

        await self._line.persist(once, f"can't delete {name}")

    async def below(self, prefix: str) -> dict[str, Made]:
        """Return the objects whose names start with ``prefix``."""
        found: dict[str, Made] = {}
        token = ""
        while True:
            options = {"pageToken": token} if token else {}
            fields = "items(name,size,crc32c,generation),nextPageToken"
            url = self._line.url("o", prefix=prefix, fields=fields, **options)
            page = await self._line.read(url, f"can't list {prefix}")
            for item in page.get("items", []):
                found[item["name"]] = _made(item, item["name"])
            token = page.get("nextPageToken", "")
            if not token:
                return found

    async def compose(self, name: str, sources: list[Made], *, is_new: bool) -> Made | None:
        """Make one object of several, end to end.

        Args:
            name: of the object.
            sources: of exactly these generations.
            is_new: nothing may have that name yet.

        Returns:
            The object, or None if there is one already, or a source is gone.

        Raises:
            StorageError: the bucket makes something else of them.
        """
        options = {"ifGenerationMatch": "0"} if is_new else {}
        path = f"{self._line.object_path(name)}/compose"
        what = f"can't join the parts of {name}"
        content = json.dumps(_composition(sources)).encode()
        url = self._line.url(path, fields=_FIELDS, **options)

        async def once() -> Made | None:
            answer = await self._line.exchange("POST", url, content, _JSON, GONE | TAKEN)
            return made_of(answer, name) if answer.status == 200 else None

        made = await self._line.persist(once, what)
        if made is None:
            return None
        if made.crc32c != joined_crc32c([(source.crc32c, source.size) for source in sources]):
            await self.delete(name, made.generation)
            raise StorageError(f"{what}: the bucket made something else of them")
        return made


def made_of(answer: Answer, name: str) -> Made:
    """Read what an answer says of an object.

    Raises:
        StorageError: it says nothing.
        ConnectionError: it is none.
    """
    return _made(answer.read(), name)


def multipart(name: str, crc: int, kind: str, content: bytes) -> bytes:
    """Return all that is sent for a small content."""
    return b"".join((multipart_head(name, crc, kind), content, MULTIPART_TAIL))


def multipart_head(name: str, crc: int, kind: str) -> bytes:
    """Return what goes before a content that is sent with its name and its checksum."""
    about = {"name": name, "crc32c": encoded_crc32c(crc), "contentType": kind}
    return (
        f"--{_BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        f"{json.dumps(about)}\r\n--{_BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n"
    ).encode()


def encoded_crc32c(crc: int) -> str:
    """Return a checksum as Cloud Storage writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def _content_refused(answer: Answer) -> RefusedError:
    """Return the error for a 400: a content that was damaged on its way is sent again."""
    if "crc32c" in answer.message.lower():
        return ArrivedDamagedError(answer.message)
    return RefusedError(answer.status, answer.message)


def _stored(about: dict[str, Any]) -> Stored:
    try:
        changed = datetime.fromisoformat(about["updated"]).timestamp()
        size = int(about.get("size", 0))
        return Stored(about["name"], size, changed, str(about["generation"]))
    except (KeyError, ValueError) as error:
        raise StorageError("the bucket does not say what it has") from error


def _made(about: dict[str, Any], name: str) -> Made:
    try:
        crc = int.from_bytes(base64.b64decode(about["crc32c"]), "big")
        return Made(name, int(about["size"]), crc, str(about["generation"]))
    except (KeyError, ValueError) as error:
        raise StorageError(f"the bucket does not say what it has of {name}") from error


def _composition(sources: list[Made]) -> dict[str, Any]:
    return {
        "destination": {"contentType": CONTENT_KIND},
        "sourceObjects": [
            {
                "name": source.name,
                "generation": source.generation,
                "objectPreconditions": {"ifGenerationMatch": source.generation},
            }
            for source in sources
        ],
    }
