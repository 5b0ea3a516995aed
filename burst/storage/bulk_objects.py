"""Requests about single objects that bulk transfer makes beside the transfer itself."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from burst.errors import StorageError
from burst.storage.bulk_line import Answer, Line
from burst.storage.bulk_parts import joined_crc32c

GONE = frozenset({404})
TAKEN = frozenset({412})
CONTENT_KIND = "application/octet-stream"

_FIELDS = "size,crc32c,generation"


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
        answer = await self._line.ask("GET", url, f"can't look at {name}", accept=GONE)
        if answer.status in GONE:
            return None
        found = made_of(answer, name)
        if (found.size, found.crc32c) != (size, crc):
            raise StorageError(
                f"{name} is damaged in the storage",
                hint=f"delete it by `gcloud storage rm {self._line.access.url}/{name}`, "
                f"and upload the scene again",
            )
        return found

    async def delete(self, name: str, generation: str = "") -> None:
        """Delete an object, or that generation of it; none is no error."""
        options = {"ifGenerationMatch": generation} if generation else {}
        url = self._line.url(self._line.object_path(name), **options)
        await self._line.ask("DELETE", url, f"can't delete {name}", accept=GONE | TAKEN)

    async def below(self, prefix: str) -> dict[str, Made]:
        """Return the objects whose names start with ``prefix``."""
        found: dict[str, Made] = {}
        token = ""
        while True:
            options = {"pageToken": token} if token else {}
            fields = "items(name,size,crc32c,generation),nextPageToken"
            url = self._line.url("o", prefix=prefix, fields=fields, **options)
            page = (await self._line.ask("GET", url, f"can't list {prefix}")).read()
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
        answer = await self._line.ask(
            "POST",
            self._line.url(path, fields=_FIELDS, **options),
            what,
            body=content,
            headers={"Content-Type": "application/json"},
            accept=GONE | TAKEN,
        )
        if answer.status != 200:
            return None
        made = made_of(answer, name)
        if made.crc32c != joined_crc32c([(source.crc32c, source.size) for source in sources]):
            await self.delete(name, made.generation)
            raise StorageError(f"{what}: the bucket made something else of them")
        return made


def made_of(answer: Answer, name: str) -> Made:
    """Read what an answer says of an object.

    Raises:
        StorageError: it says nothing.
    """
    return _made(answer.read(), name)


def encoded_crc32c(crc: int) -> str:
    """Return a checksum as Cloud Storage writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


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
