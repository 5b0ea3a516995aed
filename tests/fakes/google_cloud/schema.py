"""What Google's APIs take and give: the paths, parameters and types of what is answered here.

``schema.json`` is written by `make_schema` from Google's discovery documents.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.fakes.google_cloud.refusals import RefusedError

SCHEMA = Path(__file__).with_name("schema.json")

OUTPUT = "!"
"""What the name of a field begins with that only Google sets: from others it is not taken."""

MOUNTS = {
    "artifactregistry": "/artifactregistry/",
    "cloudbilling": "/cloudbilling/",
    "compute": "/compute/v1/",
    "container": "/container/",
    "crm.v1": "/crm/",
    "crm.v3": "/crm/",
    "dns": "/",
    "iam": "/iam/",
    "serviceusage": "/serviceusage/",
    "storage": "/storage/v1/",
}
"""API → where its paths begin."""

EVERYWHERE = frozenset(
    {
        "$.xgafv", "$alt", "accessToken", "alt", "callback", "fields", "key", "oauthToken",
        "prettyPrint", "quotaUser", "uploadType", "uploadProtocol", "userIp", "userProject",
    }
)  # fmt: skip
"""Parameters that every method takes."""


UNTOLD_QUERY = {"compute": {"returnPartialSuccess"}}
"""API → parameters that gcloud sends, and Google takes, though its documents lack them."""
UNTOLD = {
    "compute.NetworkRoutingConfig": {"deleteBgpAlwaysCompareMed": "boolean"},
    "compute.RouterNat": {"initialNatIps": ["string"]},
}
"""Fields that the Terraform provider sends, and Google takes, though its documents lack them."""


@dataclass(frozen=True)
class Method:
    """One method of an API."""

    name: str
    verb: str
    pattern: re.Pattern[str]
    query: dict[str, Any]
    needs: tuple[str, ...]
    takes: Any
    gives: Any

    @property
    def api(self) -> str:
        """The API's name."""
        return api_of(self.name)

    def spelled(self, query: dict[str, str]) -> dict[str, str]:
        """Return parameters as they are documented: ``repository_id`` is ``repositoryId``."""
        return {
            name if name in self.query else re.sub(r"_(\w)", _upper, name): value
            for name, value in query.items()
        }

    def check_query(self, query: dict[str, str]) -> None:
        """Refuse parameters that the method does not have, and the lack of those it needs."""
        for name in query:
            untold = UNTOLD_QUERY.get(self.api, ())
            if name not in self.query and name not in EVERYWHERE and name not in untold:
                raise _payload(f'Unknown name "{name}": Cannot bind query parameter.')
        for name in self.needs:
            if name not in query:
                raise RefusedError(400, f"Required parameter: {name}", reason="required")

    def check_body(self, body: Any) -> None:
        """Refuse a body with something in it that the method does not know."""
        if self.takes is None:
            if body:
                raise _payload("The request has a body, and the method takes none.")
            return
        _check(self.takes, {} if body is None else body, "")

    def taken(self, body: Any) -> Any:
        """Return a body without what only Google sets, which it ignores."""
        return _taken(self.takes, body) if self.takes else body

    def check_answer(self, answer: Any) -> None:
        """Refuse what Google would not say."""
        if self.gives is not None and isinstance(answer, dict):
            _check(self.gives, answer, "answer")


def api_of(method: str) -> str:
    """Return the API that a method belongs to."""
    return next(api for api in MOUNTS if method.startswith(f"{api}."))


@functools.cache
def methods() -> tuple[Method, ...]:
    """Return all methods; those with more fixed text in their path come first."""
    found = [
        Method(
            name=name,
            verb=told["verb"],
            pattern=_pattern(MOUNTS[api_of(name)] + told["path"]),
            query=told["query"],
            needs=tuple(told["needs"]),
            takes=told["takes"],
            gives=told["gives"],
        )
        for name, told in _known()["methods"].items()
    ]
    return tuple(sorted(found, key=lambda one: one.pattern.pattern.count("(?P")))


def method(name: str) -> Method:
    """Return the method of a name."""
    return next(one for one in methods() if one.name == name)


def find(verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
    """Return the method that a request asks for, and what its path names."""
    for one in methods():
        if one.verb == verb and (found := one.pattern.fullmatch(path)):
            return one, {key: unquote(value) for key, value in found.groupdict().items()}
    return None


def raw(name: str) -> dict[str, Any]:
    """Return what the file says of a method."""
    told: dict[str, Any] = _known()["methods"][name]
    return told


def fields(told: Any) -> dict[str, Any]:
    """Return the fields of a type that is an object."""
    found: dict[str, Any] = _types()[told[1:]] if isinstance(told, str) else told
    return found


@functools.cache
def _known() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    return known


@functools.cache
def _types() -> dict[str, Any]:
    types: dict[str, Any] = dict(_known()["types"])
    for name, fields in UNTOLD.items():
        types[name] |= fields
    return types


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\+?(\w+)\}", path)
    # Of names before a colon, the colon is no part; a project's may have one, those here do not.
    return re.compile(
        "".join(f"(?P<{part}>[^/:]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
        if "/o/{object}" not in path
        else "".join(
            f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts)
        )
    )


def _upper(found: re.Match[str]) -> str:
    return found[1].upper()


def _payload(what: str) -> RefusedError:
    return RefusedError(400, f"Invalid JSON payload received. {what}", reason="parseError")


def _check(told: Any, value: Any, where: str) -> None:
    if value is None:
        return
    if isinstance(told, str) and told.startswith("$"):
        told = _types()[told[1:]]
    if isinstance(told, list):
        _check_list(told[0], value, where)
    elif isinstance(told, dict):
        _check_object(told, value, where)
    elif not _fits(told, value):
        raise _payload(f"Invalid value at '{where}' ({told.partition('|')[0]}), {value!r}")


def _check_list(told: Any, value: Any, where: str) -> None:
    if not isinstance(value, list):
        raise _payload(f"Invalid value at '{where}' (list), {value!r}")
    for number, one in enumerate(value):
        _check(told, one, f"{where}[{number}]")


def _check_object(told: dict[str, Any], value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise _payload(f"Invalid value at '{where}' (object), {value!r}")
    for name, one in value.items():
        inner = told.get(name, told.get(OUTPUT + name, told.get("*")))
        if inner is None:
            at = f" at '{where}'" if where else ""
            raise _payload(f'Unknown name "{name}"{at}: Cannot find field.')
        _check(inner, one, f"{where}.{name}" if where else name)


def _taken(told: Any, value: Any) -> Any:
    if isinstance(told, str) and told.startswith("$"):
        told = _types()[told[1:]]
    if isinstance(told, list) and isinstance(value, list):
        return [_taken(told[0], one) for one in value]
    if not isinstance(told, dict) or not isinstance(value, dict):
        return value
    return {
        name: _taken(told.get(name, told.get("*")), one)
        for name, one in value.items()
        if OUTPUT + name not in told
    }


def _fits(told: str, value: Any) -> bool:
    match told.partition("|")[0]:
        case "enum":
            return value in told.split("|")[1:]
        case "string":
            return isinstance(value, str) or (isinstance(value, int) and value is not True)
        case "integer" | "number" | "int64":
            return isinstance(value, int | float) or _is_number(value)
        case "boolean":
            return isinstance(value, bool)
        case _:
            return True


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
