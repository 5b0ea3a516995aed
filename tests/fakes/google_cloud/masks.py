"""The parameter ``fields``: which parts of an answer are wanted, as in ``items(id,tags/name)``."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.google_cloud.refusals import RefusedError

Mask = dict[str, "Mask"]
"""Name → what is wanted inside; nothing is everything."""


def masked(answer: Any, query: dict[str, str]) -> Any:
    """Return the part of an answer that was asked for."""
    text = query.get("fields", "")
    if not text or text == "*":
        return answer
    tokens = re.findall(r"[\w*]+|[(),/]", text)
    wanted = _parse(tokens)
    if tokens:
        raise RefusedError(400, f"Invalid field selection {text}", reason="invalidParameter")
    return _cut(answer, wanted)


def _parse(tokens: list[str]) -> Mask:
    found: Mask = {}
    while tokens and tokens[0] != ")":
        inner = found
        while True:
            name = tokens.pop(0)
            inner = inner.setdefault(name, {})
            if not tokens or tokens[0] != "/":
                break
            tokens.pop(0)
        if tokens and tokens[0] == "(":
            tokens.pop(0)
            inner.update(_parse(tokens))
            if tokens:
                tokens.pop(0)
        if tokens and tokens[0] == ",":
            tokens.pop(0)
    return found


def _cut(value: Any, wanted: Mask) -> Any:
    if not wanted or "*" in wanted:
        return value
    if isinstance(value, list):
        return [_cut(one, wanted) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _cut(value[name], wanted[name]) for name in value if name in wanted}
