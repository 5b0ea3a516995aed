"""What Terraform would change, of ``terraform show -json``; and what it has changed so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burst.cloud.terraform_events import (
    Completed,
    Diagnostic,
    Event,
    Failed,
    Planned,
    Resource,
    Started,
)

_REPLACE = "replace"
_NOTHING = frozenset({"no-op", "read"})


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to one resource, or has happened to it behind Terraform's back."""

    address: str
    type: str
    action: str
    """create, update, delete, replace, import or forget."""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    """What is known of it: values that the cloud chooses are missing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be changed; `Terraform.apply` does just that."""

    file: Path
    """Terraform's own."""
    changes: tuple[Change, ...]
    drift: tuple[Change, ...]
    """What is not as Terraform left it."""
    is_empty: bool
    """Nothing is to be done."""

    def with_action(self, *actions: str) -> tuple[Change, ...]:
        """Return the changes of some kinds."""
        return tuple(change for change in self.changes if change.action in actions)


def read_plan(told: Mapping[str, Any], file: Path, *, is_empty: bool) -> Plan:
    """Return a plan as ``terraform show -json`` tells it."""
    return Plan(
        file,
        _changes(told.get("resource_changes") or ()),
        _changes(told.get("resource_drift") or ()),
        is_empty,
    )


def _changes(told: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    found = []
    for one in told:
        change: Mapping[str, Any] = one.get("change") or {}
        action = _action(change)
        if one.get("mode", "managed") == "managed" and action:
            before, after = change.get("before") or {}, change.get("after") or {}
            found.append(Change(one["address"], one["type"], action, before, after))
    return tuple(found)


def _action(change: Mapping[str, Any]) -> str:
    """Return what is done in one word; nothing for nothing."""
    actions = [action for action in change.get("actions") or () if action not in _NOTHING]
    if len(actions) > 1:
        return _REPLACE
    if actions:
        return str(actions[0])
    return "import" if change.get("importing") else ""


@dataclass(frozen=True, slots=True)
class Took:
    """How long it took to do something to a resource."""

    type: str
    action: str
    seconds: float


class Progress:
    """How far a call has come, as its events tell."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.planned: dict[str, str] = {}
        """Address → action."""
        self.running: dict[str, tuple[Resource, str]] = {}
        self.done: dict[str, Took] = {}
        self.failed: list[str] = []
        self.errors: list[Diagnostic] = []

    def hear(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case Planned(_, resource, action):
                self.planned[resource.address] = action
            case Started(_, resource, action):
                self.running[resource.address] = (resource, action)
            case Completed(_, resource, action, seconds):
                self.running.pop(resource.address, None)
                self.done[resource.address] = Took(resource.type, action, seconds)
            case Failed(_, resource, _, _):
                self.running.pop(resource.address, None)
                self.failed.append(resource.address)
            case Diagnostic() if event.is_error:
                self.errors.append(event)
            case _:
                pass
