"""The provider of tests without Terraform: its calls, as Terraform makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud
from tests.fakes.terraform_provider import messages, schema
from tests.fakes.terraform_provider.servicer import Servicer
from tests.fakes.terraform_provider.values import decode, encode, has_unknown

ZONE = "europe-west4-a"


class Calls:
    """What Terraform does with one resource after the other."""

    def __init__(self, **settings: Any) -> None:
        self.types = schema.read_schema()
        self.handlers = Servicer().handlers()
        config = {"project": "proj-x", "region": ZONE[:-2], "zone": ZONE, "poll_interval": "10ms"}
        config = schema.conform(self.types.provider.block, {**config, **settings})
        request = messages.make("ConfigureRequest", config=encode(config))
        self.configured = self.handlers["Configure"](request)

    def problems(self, kind: str, **config: Any) -> list[str]:
        """Return what `terraform validate` would tell."""
        asked = schema.conform(self.types.resources[kind].block, config)
        request = messages.make("ValidateRequest", type_name=kind, config=encode(asked))
        answer = self.handlers["ValidateResourceTypeConfig"](request)
        return [one.summary for one in answer.diagnostics]

    def plan(self, kind: str, prior: Any, config: dict[str, Any]) -> Any:
        asked = schema.conform(self.types.resources[kind].block, config)
        return self.handlers["PlanResourceChange"](
            messages.make(
                "PlanRequest", type_name=kind, prior_state=encode(prior), config=encode(asked)
            )
        )

    def apply(self, kind: str, prior: Any, config: dict[str, Any] | None) -> tuple[Any, list[str]]:
        """Plan and apply; return the state and what went wrong."""
        planned, asked = encode(None), encode(None)
        if config is not None:
            planned = self.plan(kind, prior, config).planned_state
            asked = encode(schema.conform(self.types.resources[kind].block, config))
        answer = self.handlers["ApplyResourceChange"](
            messages.make(
                "ApplyRequest",
                type_name=kind,
                prior_state=encode(prior),
                planned_state=planned,
                config=asked,
            )
        )
        state = decode(answer.new_state)
        assert not has_unknown(state)
        return state, [one.summary for one in answer.diagnostics]

    def make(self, kind: str, **config: Any) -> Any:
        """Make something without which the resource of a test can't be."""
        state, problems = self.apply(kind, None, config)
        assert not problems
        return state

    def read(self, kind: str, state: Any) -> Any:
        answer = self.handlers["ReadResource"](
            messages.make("ReadRequest", type_name=kind, current_state=encode(state))
        )
        assert not answer.diagnostics, answer.diagnostics
        return decode(answer.new_state)

    def import_(self, kind: str, identifier: str) -> Any:
        answer = self.handlers["ImportResourceState"](
            messages.make("ImportRequest", type_name=kind, id=identifier)
        )
        assert not answer.diagnostics, answer.diagnostics
        return self.read(kind, decode(answer.imported_resources[0].state))

    def changes(self, kind: str, state: Any, config: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that a plan would change, and what to."""
        planned = decode(self.plan(kind, state, config).planned_state)
        return {name: one for name, one in planned.items() if one != state[name]}

    def replaced_by(self, kind: str, state: Any, config: dict[str, Any]) -> list[str]:
        """Return the fields whose change makes a new resource."""
        found = self.plan(kind, state, config).requires_replace
        return [path.steps[0].attribute_name for path in found]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    with GoogleCloud(operation_seconds=0.0) as made:
        for name, value in made.environ.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def calls(cloud: GoogleCloud) -> Calls:
    return Calls()
