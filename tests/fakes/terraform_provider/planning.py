"""What a change would do, as the real provider says it. Decides, and asks nobody.

The real provider's library can't tell "not set" from "empty", keeps what the API made up, and
takes the long address of a resource for its short one. A plan that says "no changes" needs all
three.
"""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.terraform_provider.schema import Attribute, Block, Nested
from tests.fakes.terraform_provider.values import UNKNOWN, is_zero

Path = tuple[str | int, ...]

_HOST = re.compile(r"^https://[^/]+/(?:[a-z]+/)?v1/")


def plan(block: Block, prior: dict[str, Any] | None, config: dict[str, Any]) -> dict[str, Any]:
    """Return what the resource would be.

    Args:
        block: The fields.
        prior: What it is; None if it is to be made.
        config: What is asked for.
    """
    before = prior or {}
    planned: dict[str, Any] = {
        name: _plan_attribute(one, before.get(name), config.get(name), prior is None)
        for name, one in block.attributes.items()
    }
    for name, nested in block.blocks.items():
        planned[name] = _plan_nested(nested, before.get(name), config.get(name), prior is None)
    return planned


def _plan_attribute(attribute: Attribute, prior: Any, config: Any, is_new: bool) -> Any:
    asked = attribute.default if config is None else config
    if asked is not None:
        return prior if is_same(prior, asked) else asked
    if attribute.computed:
        return UNKNOWN if is_new else prior
    return prior if prior is not None and is_zero(prior) else None


def _plan_nested(nested: Nested, prior: Any, config: Any, is_new: bool) -> Any:
    if nested.nesting == "single":
        return config
    if config is UNKNOWN:
        return UNKNOWN
    if not config:
        if nested.computed:
            return UNKNOWN if is_new else prior
        return prior if prior and is_zero(prior) else []
    before = _partners(nested, prior or [], config)
    return [plan(nested.block, partner, one) for one, partner in zip(config, before, strict=True)]


def _partners(nested: Nested, prior: list[Any], config: list[Any]) -> list[Any]:
    """Return what each block was: in a list the one at its place, in a set the one like it."""
    if nested.nesting == "list":
        return [prior[index] if index < len(prior) else None for index in range(len(config))]
    left, found = list(prior), []
    for one in config:
        like = next((old for old in left if _agrees(nested.block, old, one)), None)
        if like is not None:
            left.remove(like)
        found.append(like)
    return found


def _agrees(block: Block, prior: dict[str, Any], config: dict[str, Any]) -> bool:
    return plan(block, prior, config) == prior


def is_same(prior: Any, asked: Any) -> bool:
    """Tell whether two values mean one thing to Google."""
    if isinstance(prior, list) and isinstance(asked, list):
        return len(prior) == len(asked) and all(
            is_same(one, other) for one, other in zip(_sorted(prior), _sorted(asked), strict=True)
        )
    if not isinstance(prior, str) or not isinstance(asked, str) or prior == asked:
        return prior == asked and prior is not None
    return _is_same_address(prior, asked)


def _sorted(values: list[Any]) -> list[Any]:
    return sorted(values, key=repr)


def _is_same_address(one: str, other: str) -> bool:
    one, other = _HOST.sub("", one), _HOST.sub("", other)
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return "/" not in short and long.startswith("projects/") and long.endswith(f"/{short}")


def replaced_by(block: Block, prior: dict[str, Any], planned: dict[str, Any]) -> list[Path]:
    """Return the fields whose change needs a new resource."""
    return list(_replaced(block, prior, planned, ()))


def _replaced(block: Block, prior: dict[str, Any], planned: dict[str, Any], path: Path) -> Any:
    for name, one in block.attributes.items():
        if one.force_new and not _is_kept(prior.get(name), planned.get(name)):
            yield (*path, name)
    for name, nested in block.blocks.items():
        before, after = prior.get(name) or [], planned.get(name)
        if nested.nesting == "single" or after == before:
            continue
        if nested.force_new and (nested.nesting == "set" or after is UNKNOWN):
            yield (*path, name)
        elif after is not UNKNOWN and nested.nesting == "list":
            yield from _replaced_in_list(nested, before, after or [], (*path, name))


def _replaced_in_list(nested: Nested, before: list[Any], after: list[Any], path: Path) -> Any:
    if nested.force_new and len(before) != len(after):
        yield path
    for index in range(max(len(before), len(after))):
        old = before[index] if index < len(before) else {}
        new = after[index] if index < len(after) else {}
        # What is in a block that comes or goes is named by the block: it has no place in the other.
        there = (*path, index) if old and new else path
        yield from (
            (there if not (old and new) else one)
            for one in _replaced(nested.block, old, new, there)
        )


def _is_kept(prior: Any, planned: Any) -> bool:
    return prior == planned or (is_zero(prior) and is_zero(planned) and planned is not UNKNOWN)


def problems(block: Block, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with it that the types don't say: fields that exclude or need others."""
    found = []
    fields: dict[str, Attribute | Nested] = {**block.attributes, **block.blocks}
    for name, one in fields.items():
        is_set = _is_set(config, name)
        others = [other for other in one.conflicts_with if is_set and _is_set(config, other)]
        if others:
            found.append((name, f'"{name}": conflicts with {others[0]}'))
        if one.exactly_one_of and sum(_is_set(config, other) for other in one.exactly_one_of) != 1:
            among = ",".join(one.exactly_one_of)
            found.append((name, f'"{name}": exactly one of `{among}` must be specified'))
        if one.at_least_one_of and not any(_is_set(config, other) for other in one.at_least_one_of):
            among = ",".join(one.at_least_one_of)
            found.append((name, f'"{name}": one of `{among}` must be specified'))
        missing = [other for other in one.required_with if is_set and not _is_set(config, other)]
        if missing:
            among = ",".join(one.required_with)
            found.append((name, f'"{name}": all of `{among}` must be specified'))
    return found


def _is_set(config: dict[str, Any], path: str) -> bool:
    """Tell whether a field that is named as ``block.0.field`` has a value."""
    value: Any = config
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        if value is None or value is UNKNOWN:
            break
    return value is not None and value != []
