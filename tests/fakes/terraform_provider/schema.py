"""The types of the provider: read from `schema.json`, which is as the real provider says it.

Beside what Terraform asks a provider for there is what it keeps to itself: which field makes a new
resource when it changes (``force_new``), what it is when nobody says (``default``), and which
fields exclude each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.fakes.terraform_provider import messages
from tests.fakes.terraform_provider.values import UNKNOWN

_NESTING = {"single": 1, "list": 2, "set": 3}


@dataclass(frozen=True)
class Attribute:
    """A field that holds a value."""

    type: Any
    required: bool = False
    optional: bool = False
    computed: bool = False
    sensitive: bool = False
    write_only: bool = False
    force_new: bool = False
    default: Any = None
    conflicts_with: tuple[str, ...] = ()
    exactly_one_of: tuple[str, ...] = ()
    at_least_one_of: tuple[str, ...] = ()
    required_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nested:
    """A field that holds blocks."""

    block: Block
    nesting: str
    min_items: int = 0
    max_items: int = 0
    computed: bool = False
    force_new: bool = False
    conflicts_with: tuple[str, ...] = ()
    exactly_one_of: tuple[str, ...] = ()
    at_least_one_of: tuple[str, ...] = ()
    required_with: tuple[str, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether there is one at most, as the real provider has what is one object."""
        return self.nesting != "single" and self.max_items == 1


@dataclass(frozen=True)
class Block:
    """The fields of a type, or of a block in it."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, Nested] = field(default_factory=dict)


@dataclass(frozen=True)
class Type:
    """A resource or a data source."""

    version: int
    block: Block


@dataclass(frozen=True)
class Provider:
    """All there is."""

    provider: Type
    resources: dict[str, Type]
    data_sources: dict[str, Type]


@cache
def read_schema() -> Provider:
    """Read the types."""
    document = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))
    return Provider(
        _type(document["provider"]),
        {name: _type(one) for name, one in document["resources"].items()},
        {name: _type(one) for name, one in document["data_sources"].items()},
    )


def _type(document: dict[str, Any]) -> Type:
    return Type(document["version"], _block(document["block"]))


def _block(document: dict[str, Any]) -> Block:
    return Block(
        {name: Attribute(**_tuples(one)) for name, one in document.get("attributes", {}).items()},
        {
            name: Nested(**_tuples({**one, "block": _block(one["block"])}))
            for name, one in document.get("block_types", {}).items()
        },
    )


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(one) if isinstance(one, list) and name != "type" else one
        for name, one in fields.items()
    }


def to_message(of: Type) -> Any:
    """Return a type as Terraform asks for it."""
    return messages.make("Schema", version=of.version, block=_block_message(of.block))


def _block_message(block: Block) -> Any:
    made = messages.make("Block")
    for name, one in block.attributes.items():
        made.attributes.add(
            name=name,
            type=json.dumps(one.type).encode(),
            required=one.required,
            optional=one.optional,
            computed=one.computed,
            sensitive=one.sensitive,
            write_only=one.write_only,
        )
    for name, nested in block.blocks.items():
        made.block_types.add(
            type_name=name,
            block=_block_message(nested.block),
            nesting=_NESTING[nested.nesting],
            min_items=nested.min_items,
            max_items=nested.max_items,
        )
    return made


def conform(block: Block, value: dict[str, Any]) -> dict[str, Any]:
    """Return it with every field of the block and no other, each of the type that it has there."""
    made = {name: _cast(one.type, value.get(name)) for name, one in block.attributes.items()}
    for name, nested in block.blocks.items():
        made[name] = _conform_nested(nested, value.get(name))
    return made


def _conform_nested(nested: Nested, value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    if nested.nesting == "single":
        return None if value is None else conform(nested.block, value)
    return [conform(nested.block, one or {}) for one in value or []]


def _cast(kind: Any, value: Any) -> Any:
    if value is None or value is UNKNOWN:
        return value
    if isinstance(kind, list):
        return _cast_collection(kind, value)
    if kind == "number":
        return _number(value)
    if kind == "bool":
        return value in (True, "true")
    return (
        {True: "true", False: "false"}.get(value, str(value))
        if isinstance(value, bool)
        else str(value)
    )


def _cast_collection(kind: list[Any], value: Any) -> Any:
    collection, of = kind
    if collection == "map":
        return {name: _cast(of, one) for name, one in value.items()}
    if collection == "object":
        return {name: _cast(one, value.get(name)) for name, one in of.items()}
    return [_cast(of, one) for one in value]


def _number(value: Any) -> int | float:
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    return int(value) if float(value).is_integer() else float(value)
