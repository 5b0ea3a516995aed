"""Requests and answers of HTTP, whichever way they go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from burst.domain.text import printable
from burst.errors import StorageError
from burst.storage.access import RETRIABLE_STATUSES

_NO_BUCKET = "bucket does not exist"
_SHOWN = 60
"""Characters of what is no answer of the bucket."""
_ENDS_A_HEADER = frozenset("\r\n\0")


class Answer(NamedTuple):
    """What was answered."""

    status: int
    content: bytes

    def read(self) -> dict[str, Any]:
        """Return its JSON object.

        Raises:
            ConnectionResetError: it has none. It was cut, or somebody on the way has answered:
                that is no answer of the bucket, which may be asked again.
        """
        try:
            found = json.loads(self.content)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        begins = self.content[:_SHOWN].decode("utf-8", errors="replace")
        raise ConnectionResetError(f"what came is no answer of a bucket: '{printable(begins)}'")

    @property
    def message(self) -> str:
        """What it says for people: by JSON of the API, or as the plain text of a proxy."""
        text = self.content.decode("utf-8", errors="replace")
        try:
            return str(json.loads(text)["error"]["message"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return text


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


class ArrivedDamagedError(RefusedError):
    """What arrived is not what was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


def check_headers(headers: Mapping[str, str]) -> None:
    """See to it that headers are headers, and nothing beside.

    Raises:
        StorageError: one would end before its end, or can't be written.
    """
    for name, value in headers.items():
        text = name + value
        if not _ENDS_A_HEADER.isdisjoint(text) or any(char > "\xff" for char in text):
            raise StorageError(
                f"the header {printable(name)} can't be sent: it has a line break, a zero byte, "
                f"or a letter that HTTP does not know",
                hint="if that is Authorization, look after the login",
            )
