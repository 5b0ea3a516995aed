"""Which line of a ``burst.toml`` each key stands on: Python's reader of TOML does not tell.

A file is taken statement by statement, each read by that reader itself, so that quotes, arrays of
many lines and dotted keys are what they are to it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

Key = tuple[str, ...]


def key_lines(text: str) -> dict[Key, int]:
    """Return the line of each key and table, from 1; of a file that makes sense.

    Args:
        text: of the whole file.
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    for number, statement in _statements(text):
        keys = list(_keys(tomllib.loads(statement)))
        is_header = statement.lstrip().startswith("[")
        if is_header:
            table = max(keys, key=len, default=())
        for key in keys:
            lines.setdefault(key if is_header else (*table, *key), number)
    return lines


def line_of(key: Key, lines: Mapping[Key, int]) -> int | None:
    """Return the line of a key, or of the innermost table around it that stands in the file."""
    for length in range(len(key), 0, -1):
        if (number := lines.get(key[:length])) is not None:
            return number
    return None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each header and each assignment with its first line."""
    collected: list[str] = []
    # Of all that Python takes for the end of a line, TOML knows these two.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not collected and (not line.strip() or line.lstrip().startswith("#")):
            continue
        collected.append(line)
        statement = "\n".join(collected)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            # It goes on in the next line.
            continue
        yield number - len(collected) + 1, statement
        collected = []


def _keys(value: Mapping[str, Any], above: Key = ()) -> Iterator[Key]:
    for name, below in value.items():
        yield (*above, name)
        if isinstance(below, list) and below and isinstance(below[-1], dict):
            below = below[-1]
        if isinstance(below, dict):
            yield from _keys(below, (*above, name))
