"""Lists as Google gives them: filtered, in pages."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Any

from tests.fakes.google_cloud.answering import Call
from tests.fakes.google_cloud.refusals import RefusedError

Test = Callable[[dict[str, Any]], bool]


def page(call: Call, found: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """Return the page that is asked for, under ``key``, and the token of the next one."""
    asked = call.query.get("maxResults") or call.query.get("pageSize")
    size = min(int(asked) if asked else call.cloud.page_size, call.cloud.page_size)
    token = call.query.get("pageToken", "")
    if token and not re.fullmatch(r"page-\d+", token):
        raise RefusedError(400, f"Invalid value for field 'pageToken': '{token}'")
    first = int(token.removeprefix("page-")) if token else 0
    answer: dict[str, Any] = {key: found[first : first + size]} if found[first:] else {}
    if first + size < len(found):
        answer["nextPageToken"] = f"page-{first + size}"
    return answer


def filtered(found: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Return what passes a filter: ``labels.a=b AND (name:x* OR -name=y)``, or ``name eq x.*``."""
    if not text.strip():
        return found
    tokens = _tokens(text)
    test = _either(tokens, text)
    if tokens:
        raise _bad(text)
    return [one for one in found if test(one)]


def _tokens(text: str) -> list[str]:
    tokens = re.findall(r"\"(?:[^\"\\]|\\.)*\"|!=|>=|<=|[()=:<>]|[^\s()\"=!:<>]+", text)
    if "".join(tokens).replace(" ", "") != text.replace(" ", ""):
        raise _bad(text)
    return tokens


def _either(tokens: list[str], text: str) -> Test:
    tests = [_all(tokens, text)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        tests.append(_all(tokens, text))
    return lambda one: any(test(one) for test in tests)


def _all(tokens: list[str], text: str) -> Test:
    tests = [_one(tokens, text)]
    while tokens and tokens[0] not in ("OR", ")"):
        if tokens[0] == "AND":
            tokens.pop(0)
        tests.append(_one(tokens, text))
    return lambda one: all(test(one) for test in tests)


def _one(tokens: list[str], text: str) -> Test:
    if not tokens:
        raise _bad(text)
    head = tokens.pop(0)
    if head == "(":
        inner = _either(tokens, text)
        if not tokens or tokens.pop(0) != ")":
            raise _bad(text)
        return inner
    if head == "NOT":
        denied = _one(tokens, text)
        return lambda one: not denied(one)
    if len(tokens) < 2:
        raise _bad(text)
    operator, value = tokens.pop(0), tokens.pop(0)
    is_denied = head.startswith("-")
    compare = _comparison(head.removeprefix("-"), operator, value.strip('"'), text)
    return (lambda one: not compare(one)) if is_denied else compare


def _comparison(name: str, operator: str, value: str, text: str) -> Test:
    def seen(one: dict[str, Any]) -> str | None:
        found: Any = one
        for part in name.strip('"').split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is None:
            return None
        return str(found).lower() if isinstance(found, bool) else str(found)

    tests: dict[str, Callable[[str | None], bool]] = {
        "=": lambda found: found is not None and fnmatch.fnmatchcase(found, value),
        "!=": lambda found: found is None or not fnmatch.fnmatchcase(found, value),
        ":": lambda found: found is not None and (value == "*" or _has(found, value)),
        "eq": lambda found: found is not None and re.fullmatch(value, found) is not None,
        "ne": lambda found: found is None or re.fullmatch(value, found) is None,
    }
    if operator not in tests:
        raise _bad(text)
    test = tests[operator]
    return lambda one: test(seen(one))


def _has(found: str, value: str) -> bool:
    if "*" in value:
        return fnmatch.fnmatchcase(found.lower(), value.lower())
    return value.lower() in found.lower()


def _bad(text: str) -> RefusedError:
    return RefusedError(
        400, f"Invalid value for field 'filter': '{text}'. Invalid list filter expression."
    )
