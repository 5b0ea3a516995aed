"""Asking a bucket which of many blobs it lacks, in as few requests as can be.

Names of blobs are hashes, so they are spread evenly: the first page of their listing tells how
many there are. A bucket that holds little more than what is asked for is listed, folder by
folder; one that holds much more is asked for each name.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from burst.storage.bulk_http import RefusedError
from burst.storage.bulk_line import Line

PAGE = 1000
"""Names that a bucket lists at a time."""

_FOLDERS = 256
"""Of blobs: two hex digits."""
_BLOBS = "blobs/"
_DIGITS = 8
"""Of a hash, to tell how far through all hashes it is."""


class FirstLook(NamedTuple):
    """The first page of a bucket's blobs."""

    names: tuple[str, ...]
    """In order."""
    is_all: bool
    """There are no more."""

    @property
    def blobs(self) -> float:
        """How many blobs there are, about."""
        if self.is_all or not self.names:
            return len(self.names)
        last = self.names[-1].rpartition("/")[2][:_DIGITS]
        share = (int(last, 16) + 1) / 16 ** len(last) if _is_hex(last) else 1.0
        return len(self.names) / share


class Plan(NamedTuple):
    """What to ask after the first look."""

    folders: tuple[str, ...]
    """To be listed."""
    names: tuple[str, ...]
    """To be looked for one by one."""


def by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    """Sort names by all that is before their last slash."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folders[name.rpartition("/")[0] + "/"].append(name)
    return dict(folders)


def needs_no_look(names: Iterable[str]) -> bool:
    """Tell whether to ask for each name is the least there is: never more names than folders."""
    folders = by_folder(names)
    return all(len(found) <= 1 for found in folders.values())


def plan(names: Iterable[str], look: FirstLook) -> Plan:
    """Decide how to ask: for each folder whichever takes fewer requests.

    Args:
        names: of blobs.
        look: the first page of the bucket's blobs.
    """
    pages = max(1, math.ceil(look.blobs / _FOLDERS / PAGE))
    listed: list[str] = []
    single: list[str] = []
    for folder, found in by_folder(names).items():
        if len(found) <= pages:
            single += found
        else:
            listed.append(folder)
    return Plan(tuple(listed), tuple(single))


class Asker:
    """Asks over one line."""

    def __init__(self, line: Line, in_parallel: InParallel) -> None:
        """``in_parallel`` does one thing to many names."""
        self._line = line
        self._in_parallel = in_parallel

    async def lacking(self, names: set[str]) -> set[str]:
        """Return those names that the bucket has not.

        Raises:
            StorageError: it can't be asked.
        """
        lacking = set(names)

        async def look_for(name: str) -> None:
            if await self._is_there(name):
                lacking.discard(name)

        async def list_folder(folder: str) -> None:
            token = ""
            while True:
                found, token = await self._page(folder, token)
                lacking.difference_update(found)
                if not token:
                    return

        if needs_no_look(names):
            await self._in_parallel(look_for, names)
            return lacking
        # What is not a blob, nobody knows how it is spread.
        others = {name for name in names if not name.startswith(_BLOBS)}
        found, token = await self._page(_BLOBS, "")
        lacking.difference_update(found)
        decided = Plan((), ())
        if token:
            decided = plan(names - others, FirstLook(tuple(found), is_all=False))
        await self._in_parallel(look_for, {*others, *decided.names} & lacking)
        await self._in_parallel(list_folder, decided.folders)
        return lacking

    async def _is_there(self, name: str) -> bool:
        url = self._line.url(self._line.object_path(name), fields="size")

        async def once() -> bool:
            try:
                (await self._line.exchange("GET", url)).read()
            except RefusedError as error:
                if error.is_absent_object:
                    return False
                raise
            return True

        return await self._line.persist(once, f"can't look for {name}")

    async def _page(self, prefix: str, token: str) -> tuple[list[str], str]:
        options = {"pageToken": token} if token else {}
        url = self._line.url(
            "o", prefix=prefix, maxResults=PAGE, fields="items/name,nextPageToken", **options
        )
        page = await self._line.read(url, f"can't list {prefix}")
        return [item["name"] for item in page.get("items", [])], page.get("nextPageToken", "")


InParallel = Callable[[Callable[[str], Awaitable[None]], Iterable[str]], Awaitable[None]]


def _is_hex(text: str) -> bool:
    return bool(text) and all(digit in "0123456789abcdef" for digit in text)
