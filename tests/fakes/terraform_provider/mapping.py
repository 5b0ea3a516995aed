"""A resource as Terraform has it and as Google's APIs have it: one made of the other.

Most names differ in form only (`ip_cidr_range`, `ipCidrRange`), a block of which there is one at
most is an object, and what is empty is not sent. `Fields` says where a type differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.terraform_provider.planning import is_same
from tests.fakes.terraform_provider.schema import Block, Nested
from tests.fakes.terraform_provider.values import UNKNOWN, is_zero

Body = dict[str, Any]
_TRUE, _FALSE = "TRUE", "FALSE"


@dataclass(frozen=True)
class Fields:
    """Where a type's names and habits are its own. Fields are named as `block.field`.

    Attributes:
        names: What the API calls a field; dots lead into objects.
        virtual: What the API knows nothing of.
        given: What the API says and nobody can ask for.
        unread: What is sent, and never looked at again.
        sent: What is sent even when it is empty, and what then.
        worded: What Terraform has as the words "TRUE" and "FALSE".
        sends_empty_blocks: Whether a block in which nothing is set is sent as an object.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    virtual: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    sent: Mapping[str, Any] = field(default_factory=dict)
    worded: frozenset[str] = frozenset()
    sends_empty_blocks: bool = False

    def name(self, path: str) -> str:
        """Return what the API calls a field."""
        return self.names.get(path) or camel(path.rpartition(".")[2])


def camel(name: str) -> str:
    """Return a name as the APIs write it."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def expand(block: Block, value: Body, fields: Fields, path: str = "") -> Body:
    """Return what is sent for a resource, or for a block of it."""
    made: Body = {}
    for name, one in {**block.attributes, **block.blocks}.items():
        at = f"{path}{name}"
        if at in fields.virtual or at in fields.given:
            continue
        sent = _expand_field(one, value.get(name), fields, at)
        if sent is not None:
            put(made, fields.name(at), sent)
    return made


def _expand_field(of: Any, value: Any, fields: Fields, path: str) -> Any:
    if isinstance(of, Nested) and value and value is not UNKNOWN:
        return _expand_nested(of, value, fields, path)
    if value is UNKNOWN or is_zero(value) or value == {}:
        return fields.sent.get(path)
    return value == _TRUE if path in fields.worded else value


def _expand_nested(nested: Nested, value: Any, fields: Fields, path: str) -> Any:
    if nested.nesting == "single":
        return None
    made = [expand(nested.block, one or {}, fields, f"{path}.") for one in value]
    if not nested.is_single:
        return made
    return made[0] if made[0] or fields.sends_empty_blocks else fields.sent.get(path)


def only(state: Body, name: str) -> Body | None:
    """Return the one block of a name; None if there is none, or nobody knows yet."""
    found = state.get(name)
    return found[0] if isinstance(found, list) and found else None


def put(into: Body, name: str, value: Any) -> None:
    """Set what a name with dots leads to."""
    *outer, last = name.split(".")
    for step in outer:
        into = into.setdefault(step, {})
    into[last] = value


def get(found: Body, name: str) -> Any:
    """Return what a name with dots leads to; None if it leads nowhere."""
    value: Any = found
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def flatten(block: Block, found: Body, known: Body | None, fields: Fields, path: str = "") -> Body:
    """Return a resource, or a block of it, as it is.

    Args:
        block: The fields.
        found: What the API says.
        known: What was planned, or what it was; None for one that nobody knew.
        fields: Where the type has names of its own.
        path: Of the block, with a dot behind it.
    """
    before = known or {}
    made: Body = {}
    for name in block.attributes:
        at = f"{path}{name}"
        prior = _settled(before.get(name))
        is_kept = at in fields.virtual or at in fields.unread
        told = get(found, fields.name(at))
        if at in fields.worded and told is not None:
            told = _TRUE if told else _FALSE
        made[name] = prior if is_kept else _told(told, prior)
    for name, nested in block.blocks.items():
        at = f"{path}{name}"
        prior = _settled(before.get(name))
        if at in fields.virtual or at in fields.unread or nested.nesting == "single":
            made[name] = prior
        else:
            made[name] = _flatten_nested(nested, get(found, fields.name(at)), prior, fields, at)
        if (
            known is not None
            and not prior
            and not nested.computed
            and before.get(name) is not UNKNOWN
        ):
            # What nobody asked for and the API made up: the real provider leaves it out, too.
            made[name] = prior
    return made


def _settled(value: Any) -> Any:
    return None if value is UNKNOWN else value


def _told(told: Any, prior: Any) -> Any:
    """Return what the API told, in the words that are known for it."""
    if told is None:
        return prior if is_zero(prior) else None
    return prior if prior is not None and is_same(prior, told) else told


def _flatten_nested(nested: Nested, told: Any, prior: Any, fields: Fields, path: str) -> Any:
    before = prior or []
    if told is None:
        return before if is_zero(before) else []
    if nested.is_single:
        one = flatten(nested.block, told, before[0] if before else None, fields, f"{path}.")
        return [one] if before or not is_zero(one) else []
    return [
        flatten(
            nested.block, one, _like(nested, one, index, before, fields, path), fields, f"{path}."
        )
        for index, one in enumerate(told)
    ]


def _like(
    nested: Nested, told: Body, index: int, before: list[Any], fields: Fields, path: str
) -> Any:
    if nested.nesting == "list":
        return before[index] if index < len(before) else None
    for one in before:
        sent = expand(nested.block, one, fields, f"{path}.")
        if all(told.get(name) == value for name, value in sent.items()):
            return one
    return None
