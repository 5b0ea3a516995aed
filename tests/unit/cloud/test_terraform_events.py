"""The lines of ``terraform -json``: as 1.11 writes them, as newer ones may, and as none should."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.cloud.terraform_events import (
    Completed,
    Diagnostic,
    Drifted,
    Event,
    Events,
    Failed,
    Planned,
    Progressed,
    Releasing,
    Resource,
    Started,
    Summary,
    Version,
)
from burst.cloud.terraform_plan import Progress, Took
from burst.errors import ToolError

POOL = Resource('module.pools["cpu"].google_container_node_pool.pool', "google_container_node_pool")
RESOURCE = {
    "addr": POOL.address, "module": 'module.pools["cpu"]',
    "resource": "google_container_node_pool.pool", "implied_provider": "google",
    "resource_type": POOL.type, "resource_name": "pool", "resource_key": None,
}  # fmt: skip
VERSION = {"@message": "Terraform 1.11.4", "type": "version", "terraform": "1.11.4", "ui": "1.2"}
HOOK = {"resource": RESOURCE, "action": "create", "elapsed_seconds": 20}


def told(kind: str, said: str = "said", **fields: Any) -> Event:
    lines = [json.dumps(VERSION), json.dumps({"@message": said, "type": kind, **fields})]
    *_, event = Events().read_all("\n".join(lines))
    return event


@pytest.mark.parametrize(
    ("kind", "fields", "event"),
    [
        ("planned_change", {"change": {"resource": RESOURCE, "action": "replace"}},
         Planned("said", POOL, "replace")),
        ("resource_drift", {"change": {"resource": RESOURCE, "action": "delete"}},
         Drifted("said", POOL, "delete")),
        ("apply_start", {"hook": HOOK}, Started("said", POOL, "create")),
        ("apply_progress", {"hook": HOOK}, Progressed("said", POOL, "create", 20)),
        ("apply_complete", {"hook": HOOK}, Completed("said", POOL, "create", 20)),
        ("apply_errored", {"hook": HOOK}, Failed("said", POOL, "create", 20)),
        ("change_summary",
         {"changes": {"add": 2, "change": 1, "import": 4, "remove": 3, "operation": "plan"}},
         Summary("said", "plan", 2, 1, 3, 4)),
        ("diagnostic",
         {"diagnostic": {"severity": "error", "summary": "No", "detail": "why", "address": "a.b"}},
         Diagnostic("said", "error", "No", "why", "a.b")),
        ("state_lock_release", {}, Releasing("said")),
        ("ephemeral_op_start", {"hook": {}}, Event("said")),
    ],
)  # fmt: skip
def test_each_kind_of_line_is_a_value(kind: str, fields: dict[str, Any], event: Event) -> None:
    assert told(kind, **fields) == event


def test_the_first_line_says_which_terraform_it_is() -> None:
    assert Events().read(json.dumps(VERSION)) == Version("Terraform 1.11.4", "1.11.4", "1.2")
    tofu = {"@message": "OpenTofu 1.10.0", "type": "version", "tofu": "1.10.0", "ui": "1.9"}
    assert Events().read(json.dumps(tofu)) == Version("OpenTofu 1.10.0", "1.10.0", "1.9")


@pytest.mark.parametrize("ui", ["2.0", "", "0.1", None, 1.2])
def test_another_language_is_refused(ui: object) -> None:
    with pytest.raises(ToolError, match=r"this burst understands 1\.x"):
        Events().read(json.dumps({**VERSION, "ui": ui}))


def test_lines_before_the_version_are_refused_but_words_are_passed_on() -> None:
    events = Events()
    assert events.read("│ Warning: Unable to open CLI configuration file") == Event(
        "│ Warning: Unable to open CLI configuration file"
    )
    with pytest.raises(ToolError, match="no version"):
        events.read(json.dumps({"@message": "x", "type": "apply_start"}))


def test_a_warning_is_no_error() -> None:
    warning = told("diagnostic", diagnostic={"severity": "warning", "summary": "old"})
    assert isinstance(warning, Diagnostic)
    assert (warning.is_error, warning.text, warning.address) == (False, "old", None)


WORDS = st.sampled_from(["", "action", "addr", "resource", "resource_type", "add", "summary", "x"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=4,
)
KINDS = st.sampled_from(
    ["planned_change", "resource_drift", "apply_start", "apply_complete", "change_summary",
     "diagnostic", "outputs", "log"]
)  # fmt: skip
PARTS = st.sampled_from(["change", "hook", "changes", "diagnostic", "@message", "new"])


@given(KINDS, st.dictionaries(PARTS, ANYTHING, max_size=3))
def test_whatever_the_fields_hold_a_line_is_an_event(kind: str, fields: dict[str, Any]) -> None:
    events = Events()
    events.read(json.dumps(VERSION))
    event = events.read(json.dumps({**fields, "type": kind}))
    assert isinstance(event, Event)
    Progress().hear(event)


@given(st.text())
def test_whatever_a_line_is_it_is_said_or_refused(line: str) -> None:
    events = Events()
    events.read(json.dumps(VERSION))
    assert isinstance(events.read(line), Event | None)


def test_progress_knows_what_is_under_way() -> None:
    progress = Progress()
    other = Resource("google_compute_network.network", "google_compute_network")
    for event in (
        Planned("", POOL, "create"), Planned("", other, "create"), Started("", POOL, "create"),
        Started("", other, "create"), Progressed("", POOL, "create", 10),
        Completed("", other, "create", 12), Diagnostic("", "warning", "old", "", None),
    ):  # fmt: skip
        progress.hear(event)
    assert progress.planned == {POOL.address: "create", other.address: "create"}
    assert list(progress.running) == [POOL.address]
    assert progress.done == {other.address: Took(other.type, "create", 12)}
    progress.hear(Failed("", POOL, "create", 20))
    progress.hear(Diagnostic("", "error", "No", "why", POOL.address))
    assert (progress.running, progress.failed) == ({}, [POOL.address])
    assert [error.summary for error in progress.errors] == ["No"]
