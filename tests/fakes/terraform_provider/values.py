"""Values as Terraform sends them: msgpack, with a mark for what is not known yet."""

from __future__ import annotations

import json
from typing import Any

import msgpack

from tests.fakes.terraform_provider import messages


class _Unknown:
    """The only value of its kind."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
"""What will be known after the apply."""

_KINDS_OF_UNKNOWN = (0, 12)
"""Without, and with, what is known of it all the same (that it is not null, how it begins)."""


def decode(value: Any) -> Any:
    """Return what a DynamicValue says."""
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, ext_hook=_unknown, strict_map_key=False)
    return json.loads(value.json) if value.json else None


def encode(value: Any) -> Any:
    """Return a DynamicValue that says so."""
    return messages.make("DynamicValue", msgpack=msgpack.packb(value, default=_mark))


def _unknown(code: int, data: bytes) -> Any:
    return UNKNOWN if code in _KINDS_OF_UNKNOWN else msgpack.ExtType(code, data)


def _mark(value: object) -> Any:
    if value is UNKNOWN:
        return msgpack.ExtType(0, b"\0")
    raise TypeError(f"Terraform has no value like {value!r}")


def is_zero(value: Any) -> bool:
    """Tell whether it is what a field has that nobody set."""
    if isinstance(value, dict):
        return all(is_zero(one) for one in value.values())
    if isinstance(value, list):
        return all(isinstance(one, dict) and is_zero(one) for one in value)
    return value is None or value is False or value in ("", 0)


def has_unknown(value: Any) -> bool:
    """Tell whether anything in it is not known yet."""
    if isinstance(value, dict):
        return any(has_unknown(one) for one in value.values())
    if isinstance(value, list):
        return any(has_unknown(one) for one in value)
    return value is UNKNOWN
