"""What Terraform says with ``-json``, line by line, as values.

The first line names the version of this language: 1.x is understood, anything else is refused.
Kinds of lines and fields that are not known here are no error, as new ones come with every
release: what such a line says is still said. OpenTofu speaks the same language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from burst.errors import ToolError

UI_MAJOR = "1"
"""Of the language of the lines."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a configuration."""

    address: str
    """As ``module.pools["cpu"].google_container_node_pool.pool``."""
    type: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that Terraform said; one of the kinds below, or this where it is none."""

    said: str
    """For people; may have several lines."""


@dataclass(frozen=True, slots=True)
class Version(Event):
    """What speaks: always the first line."""

    program: str
    """Version of Terraform or OpenTofu."""
    ui: str


@dataclass(frozen=True, slots=True)
class Diagnostic(Event):
    """An error or a warning."""

    severity: str
    summary: str
    detail: str
    address: str | None
    """Of the resource that it is about, if it is about one."""

    @property
    def is_error(self) -> bool:
        """Whether the call fails because of it."""
        return self.severity == "error"

    @property
    def text(self) -> str:
        """All that it says."""
        return f"{self.summary}: {self.detail}" if self.detail else self.summary


@dataclass(frozen=True, slots=True)
class Planned(Event):
    """A resource is to be changed; ``action`` is create, update, delete, replace, import, …."""

    resource: Resource
    action: str


@dataclass(frozen=True, slots=True)
class Drifted(Event):
    """A resource is not as Terraform left it; ``action`` is update or delete."""

    resource: Resource
    action: str


@dataclass(frozen=True, slots=True)
class Started(Event):
    """A resource is being changed."""

    resource: Resource
    action: str


@dataclass(frozen=True, slots=True)
class Progressed(Event):
    """A resource is still being changed; said every ten seconds or so."""

    resource: Resource
    action: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Completed(Event):
    """A resource was changed."""

    resource: Resource
    action: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """A resource could not be changed; a `Diagnostic` says why."""

    resource: Resource
    action: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary(Event):
    """How many resources are to be changed, or were."""

    operation: str
    """``plan``, ``apply`` or ``destroy``."""
    added: int
    changed: int
    removed: int
    imported: int


@dataclass(frozen=True, slots=True)
class Releasing(Event):
    """It gives the lock on the state back, and nothing comes after that."""


Hear = Callable[[Event], None]
"""Hears each event as it comes."""


class Events:
    """The lines of one call, in their order."""

    def __init__(self) -> None:
        """Begin with the first line."""
        self._is_known = False

    def read(self, line: str) -> Event | None:
        """Return what a line says, or None for an empty one.

        Raises:
            ToolError: the lines are of a language that this burst does not know.
        """
        text = line.strip()
        if not text:
            return None
        told = _object(text)
        if told is None:
            # Before its first line it warns of its own settings, and a crash is no JSON either.
            return Event(text)
        if told.get("type") == "version":
            self._is_known = self._check(told)
        elif not self._is_known and "type" in told:
            raise _unknown("no version")
        return _event(told)

    def read_all(self, text: str) -> Iterator[Event]:
        """Yield what several lines say.

        Raises:
            ToolError: they are of a language that this burst does not know.
        """
        for line in text.splitlines():
            event = self.read(line)
            if event is not None:
                yield event

    def _check(self, told: Mapping[str, Any]) -> bool:
        ui = _text(told.get("ui"))
        if ui.partition(".")[0] != UI_MAJOR:
            raise _unknown(f"version {ui or 'unknown'}")
        return True


def _unknown(what: str) -> ToolError:
    return ToolError(
        f"terraform -json speaks {what} of its language, and this burst understands {UI_MAJOR}.x",
        hint="use another version of terraform, or a newer burst",
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _event(told: Mapping[str, Any]) -> Event:
    said = _text(told.get("@message"))
    reader = _READERS.get(_text(told.get("type")))
    return reader(said, told) if reader else Event(said)


def _version(said: str, told: Mapping[str, Any]) -> Event:
    program = told.get("terraform") or told.get("tofu")
    return Version(said, _text(program), _text(told.get("ui")))


def _diagnostic(said: str, told: Mapping[str, Any]) -> Event:
    about = _mapping(told.get("diagnostic"))
    return Diagnostic(
        said,
        _text(about.get("severity")) or "error",
        _text(about.get("summary")) or said,
        _text(about.get("detail")),
        _text(about.get("address")) or None,
    )


def _planned(said: str, told: Mapping[str, Any]) -> Event:
    change = _mapping(told.get("change"))
    return Planned(said, _resource(change), _text(change.get("action")))


def _drifted(said: str, told: Mapping[str, Any]) -> Event:
    change = _mapping(told.get("change"))
    return Drifted(said, _resource(change), _text(change.get("action")))


def _started(said: str, told: Mapping[str, Any]) -> Event:
    hook = _mapping(told.get("hook"))
    return Started(said, _resource(hook), _text(hook.get("action")))


def _taking(
    kind: type[Progressed] | type[Completed] | type[Failed],
) -> Callable[[str, Mapping[str, Any]], Event]:
    def read(said: str, told: Mapping[str, Any]) -> Event:
        hook = _mapping(told.get("hook"))
        seconds = _number(hook.get("elapsed_seconds"))
        return kind(said, _resource(hook), _text(hook.get("action")), seconds)

    return read


def _summary(said: str, told: Mapping[str, Any]) -> Event:
    changes = _mapping(told.get("changes"))
    added, changed, removed, imported = (
        int(_number(changes.get(name))) for name in ("add", "change", "remove", "import")
    )
    return Summary(said, _text(changes.get("operation")), added, changed, removed, imported)


_READERS: Mapping[str, Callable[[str, Mapping[str, Any]], Event]] = {
    "version": _version,
    "diagnostic": _diagnostic,
    "planned_change": _planned,
    "resource_drift": _drifted,
    "apply_start": _started,
    "apply_progress": _taking(Progressed),
    "apply_complete": _taking(Completed),
    "apply_errored": _taking(Failed),
    "change_summary": _summary,
    "state_lock_release": lambda said, told: Releasing(said),
}


def _resource(told: Mapping[str, Any]) -> Resource:
    resource = _mapping(told.get("resource"))
    return Resource(_text(resource.get("addr")), _text(resource.get("resource_type")))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e12 else 0.0
