"""The calls of Terraform, each answered by the types and the resources of the provider."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable
from typing import Any

from tests.fakes.terraform_provider import messages, planning, schema
from tests.fakes.terraform_provider.google import ApiError, Failed, Google
from tests.fakes.terraform_provider.resources import DATA_SOURCES, RESOURCES
from tests.fakes.terraform_provider.resources.resource import Resource
from tests.fakes.terraform_provider.values import UNKNOWN, decode, encode, has_unknown

ERROR = 1


class Servicer:
    """Holds what Terraform said once: the settings of the provider."""

    def __init__(self) -> None:
        self._types = schema.read_schema()
        self._stopping = threading.Event()
        self._google: Google | None = None

    def handlers(self) -> dict[str, Callable[[Any], Any]]:
        """Return what answers each call."""
        return {
            "GetMetadata": self._metadata,
            "GetSchema": self._schema,
            "PrepareProviderConfig": self._prepare,
            "Configure": self._configure,
            "ValidateResourceTypeConfig": self._validate,
            "ValidateDataSourceConfig": lambda _: messages.make("DiagnosticsResponse"),
            "UpgradeResourceState": self._upgrade,
            "ReadResource": self._read,
            "PlanResourceChange": self._plan,
            "ApplyResourceChange": self._apply,
            "ImportResourceState": self._import,
            "ReadDataSource": self._data,
            "Stop": self._stop,
        }

    def _metadata(self, _: Any) -> Any:
        made = messages.make("MetadataResponse")
        made.server_capabilities.get_provider_schema_optional = True
        for name in self._types.resources:
            made.resources.add(type_name=name)
        for name in self._types.data_sources:
            made.data_sources.add(type_name=name)
        return made

    def _schema(self, _: Any) -> Any:
        made = messages.make("SchemaResponse", provider=schema.to_message(self._types.provider))
        made.server_capabilities.get_provider_schema_optional = True
        for name, one in self._types.resources.items():
            made.resource_schemas.add(key=name, value=schema.to_message(one))
        for name, one in self._types.data_sources.items():
            made.data_source_schemas.add(key=name, value=schema.to_message(one))
        return made

    def _prepare(self, request: Any) -> Any:
        return messages.make("PrepareResponse", prepared_config=request.config)

    def _configure(self, request: Any) -> Any:
        try:
            self._google = Google(decode(request.config), self._stopping)
        except Failed as failed:
            return messages.make("DiagnosticsResponse", diagnostics=[_error(failed)])
        return messages.make("DiagnosticsResponse")

    def _validate(self, request: Any) -> Any:
        block = self._types.resources[request.type_name].block
        config = decode(request.config)
        found = [
            *planning.problems(block, config),
            *RESOURCES[request.type_name].problems(config),
        ]
        return messages.make(
            "DiagnosticsResponse",
            diagnostics=[_error(Failed(text), name) for name, text in found],
        )

    def _upgrade(self, request: Any) -> Any:
        block = self._types.resources[request.type_name].block
        state = schema.conform(block, json.loads(request.raw_state.json))
        return messages.make("UpgradeResponse", upgraded_state=encode(state))

    def _read(self, request: Any) -> Any:
        block, resource = self._resource(request.type_name)
        state = decode(request.current_state)
        try:
            found = resource.read(self._ready(), state)
        except (ApiError, Failed) as failed:
            return messages.make(
                "ReadResponse", new_state=request.current_state, diagnostics=[_error(failed)]
            )
        value = None if found is None else _known(schema.conform(block, found))
        return messages.make("ReadResponse", new_state=encode(value))

    def _plan(self, request: Any) -> Any:
        block, resource = self._resource(request.type_name)
        prior, config = decode(request.prior_state), decode(request.config)
        if config is None:
            return messages.make("PlanResponse", planned_state=request.proposed_new_state)
        planned = planning.plan(block, prior, config)
        try:
            planned = resource.customize(self._ready(), prior, planned, config)
        except Failed as failed:
            return messages.make("PlanResponse", diagnostics=[_error(failed)])
        made = messages.make("PlanResponse", planned_state=encode(planned), legacy_type_system=True)
        if prior is not None:
            for path in planning.replaced_by(block, prior, planned):
                made.requires_replace.append(_path(path))
        return made

    def _apply(self, request: Any) -> Any:
        block, resource = self._resource(request.type_name)
        prior, planned = decode(request.prior_state), decode(request.planned_state)
        config = decode(request.config)
        state: dict[str, Any] | None = None
        problems = []
        try:
            if planned is None:
                resource.delete(self._ready(), prior)
            elif prior is None:
                state = resource.create(self._ready(), planned, config)
            else:
                state = resource.update(self._ready(), prior, planned, config)
        except Failed as failed:
            state, problems = failed.state if planned is not None else prior, [_error(failed)]
            if prior is not None and state is None:
                state = prior
        except ApiError as failed:
            state, problems = prior, [_error(failed)]
        value = None if state is None else _known(schema.conform(block, state))
        return messages.make(
            "ApplyResponse",
            new_state=encode(value),
            diagnostics=problems,
            legacy_type_system=True,
        )

    def _import(self, request: Any) -> Any:
        block, resource = self._resource(request.type_name)
        try:
            state = resource.import_(self._ready(), request.id)
        except (ApiError, Failed) as failed:
            return messages.make("ImportResponse", diagnostics=[_error(failed)])
        made = messages.make("ImportResponse")
        made.imported_resources.add(
            type_name=request.type_name, state=encode(schema.conform(block, state))
        )
        return made

    def _data(self, request: Any) -> Any:
        block = self._types.data_sources[request.type_name].block
        try:
            found = DATA_SOURCES[request.type_name](self._ready(), decode(request.config))
        except (ApiError, Failed) as failed:
            return messages.make("DataResponse", diagnostics=[_error(failed)])
        return messages.make("DataResponse", state=encode(schema.conform(block, found)))

    def _stop(self, _: Any) -> Any:
        self._stopping.set()
        return messages.make("StopResponse")

    def _resource(self, name: str) -> tuple[schema.Block, Resource]:
        return self._types.resources[name].block, RESOURCES[name]

    def _ready(self) -> Google:
        if self._google is None:
            raise Failed("the provider was not configured")
        return self._google


def _known(value: Any) -> Any:
    """Return it with nothing in it that is still to be known."""
    if not has_unknown(value):
        return value
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_known(one) for one in value]
    return None if value is UNKNOWN else value


def _error(problem: Exception, attribute: str = "") -> Any:
    made = messages.make("Diagnostic", severity=ERROR, summary=str(problem))
    if attribute:
        made.attribute.CopyFrom(_path((attribute,)))
    return made


def _path(path: planning.Path) -> Any:
    made = messages.make("AttributePath")
    for step in path:
        if isinstance(step, int):
            made.steps.add(element_key_int=step)
        else:
            made.steps.add(attribute_name=step)
    return made


def logged(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a handler that says in Terraform's log what it fell over."""

    def call(request: Any) -> Any:
        try:
            return handler(request)
        except Exception:
            traceback.print_exc()
            raise

    return call
