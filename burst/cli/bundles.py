"""Options that several commands share: a dataclass, one option a field, written once.

Typer reads the signature of a command. `unbundled` shows it one in which a parameter that is
such a dataclass has given way to the fields, and puts the value together again for the call.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_type_hints

_Answer = TypeVar("_Answer")


def unbundled(command: Callable[..., _Answer]) -> Callable[..., _Answer]:
    """Have the fields of a command's dataclasses as options of its own, where they stand."""
    hints = get_type_hints(command, include_extras=True)
    bundles: dict[str, Any] = {
        name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)
    }
    names = {name: [f.name for f in dataclasses.fields(kind)] for name, kind in bundles.items()}

    @functools.wraps(command)
    def called(**given: Any) -> _Answer:
        for parameter, kind in bundles.items():
            values = {name: given.pop(name) for name in names[parameter]}
            given[parameter] = kind(**values)
        return command(**given)

    shown = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command).parameters.values()
        for one in _shown(parameter.replace(annotation=hints[parameter.name]))
    ]
    called.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in shown}
    return called


def _shown(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """Yield what Typer sees of a parameter: itself, or a parameter for each field."""
    kind = parameter.annotation
    if not dataclasses.is_dataclass(kind):
        yield parameter
        return
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        yield parameter.replace(
            name=field.name, annotation=hints[field.name], default=field.default
        )
