"""``--set PROPERTY=VALUE``: any property of the scene, as typed on a command line. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from burst.domain.jobs import PropertyValue
from burst.errors import UsageError

ROOTS = ("scene", "view_layer", "data", "world", "camera")
"""Where a property may begin; as `burst.worker.inside.overrides` has them, inside Blender."""

_STEP = r"""(?:\.[A-Za-z][A-Za-z0-9_]*|\["[^"]+"\]|\['[^']+'\]|\[-?\d{1,9}\])"""
_ASSIGNMENT = re.compile(
    rf"\s*(?P<path>(?P<root>[A-Za-z_]+){_STEP}+)\s*=(?P<value>.*)\Z", re.ASCII | re.DOTALL
)
_EXAMPLE = "write it as scene.cycles.max_bounces=4"

_OPTIONS = {
    "scene.render.engine": "--engine",
    "scene.camera": "--camera",
    "scene.frame_start": "--frames",
    "scene.frame_end": "--frames",
    "scene.frame_step": "--frames",
    "scene.frame_current": "--frames",
    "scene.render.filepath": "--output",
    "scene.render.image_settings.file_format": "--format",
    "scene.cycles.device": "--device",
}
"""Properties that the farm itself must know of, and the options that tell it."""


def parse_assignments(typed: Sequence[str]) -> dict[str, PropertyValue]:
    """Return property → value, in the order in which they were typed.

    A value is JSON (``4``, ``0.5``, ``true``, ``null``, ``[1, 0, 0]``, ``"text"``), and what is
    no JSON is text as it stands.

    Raises:
        UsageError: one is malformed, is set twice, or has an option of its own.
    """
    values: dict[str, PropertyValue] = {}
    for text in typed:
        path, value = _parse(text)
        if path in values:
            raise UsageError(f"--set gives {path} twice")
        if path in _OPTIONS:
            raise UsageError(
                f"--set can't change {path}", hint=f"there is an option for it: {_OPTIONS[path]}"
            )
        values[path] = value
    return values


def _parse(text: str) -> tuple[str, PropertyValue]:
    match = _ASSIGNMENT.match(text)
    if match is None:
        why = "names no property" if "=" in text else "has no ="
        raise UsageError(f"--set {text!r} {why}", hint=_EXAMPLE)
    if match["root"] not in ROOTS:
        *others, last = ROOTS
        raise UsageError(
            f"--set {text!r} begins with {match['root']}",
            hint=f"a property begins with {', '.join(others)} or {last}",
        )
    return match["path"], _value(match["value"].strip(), text)


def _value(written: str, text: str) -> PropertyValue:
    def refuse(constant: str) -> NoReturn:
        raise UsageError(f"--set {text!r}: {constant} is no value that a property can have")

    try:
        value: Any = json.loads(written, parse_constant=refuse)
    except json.JSONDecodeError:
        if written[:1] in ("[", "{", '"'):
            raise UsageError(
                f"--set {text!r}: the value looks like JSON, and is not", hint=_EXAMPLE
            ) from None
        return written
    if isinstance(value, list):
        if not all(isinstance(part, (bool, int, float, str)) for part in value):
            raise UsageError(f"--set {text!r}: a list may hold numbers, text, true and false only")
        return tuple(value)
    if isinstance(value, dict):
        raise UsageError(
            f"--set {text!r}: an object is no value for a property",
            hint="set its parts one by one",
        )
    if isinstance(value, float) and math.isinf(value):
        refuse(written)
    scalar: PropertyValue = value
    return scalar
