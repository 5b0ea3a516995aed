"""What every resource can do, and one that an API has as an object at an address."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from tests.fakes.terraform_provider import mapping
from tests.fakes.terraform_provider.google import ApiError, Body, Failed, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.schema import Block, read_schema
from tests.fakes.terraform_provider.values import UNKNOWN, has_unknown

MADE_BY = {"goog-terraform-provisioned": "true"}
"""What the real provider puts on what it makes."""


class Resource:
    """A type of resource.

    Attributes:
        type: Its name.
        labels: The field of its labels, if it has those that the provider adds to.
        patterns: What a field has to look like, and what the real provider says if not.
    """

    type: ClassVar[str]
    labels: ClassVar[str] = ""
    patterns: ClassVar[dict[str, str]] = {}

    @property
    def block(self) -> Block:
        """Return its fields."""
        return read_schema().resources[self.type].block

    def problems(self, config: Body) -> list[tuple[str, str]]:
        """Return what is wrong with what is asked for: fields and sentences."""
        return [
            (name, f'"{name}" ("{config[name]}") doesn\'t match regexp "{pattern}"')
            for name, pattern in self.patterns.items()
            if isinstance(config.get(name), str) and not re.search(pattern, config[name])
        ]

    def customize(self, google: Google, prior: Body | None, planned: Body, config: Body) -> Body:
        """Return a plan with what the provider's settings add to it."""
        for name in ("project", "region", "zone"):
            if name in planned and planned[name] is UNKNOWN and config.get(name) is None:
                planned[name] = getattr(google, name) or UNKNOWN
        if self.labels:
            self._plan_labels(google, prior, planned)
        return planned

    def _plan_labels(self, google: Google, prior: Body | None, planned: Body) -> None:
        asked = planned.get(self.labels) or {}
        if has_unknown(asked):
            planned["terraform_labels"] = planned["effective_labels"] = UNKNOWN
            return
        before = prior or {}
        old = before.get("terraform_labels") or {}
        mark = (
            MADE_BY
            if google.marks_labels and (prior is None or MADE_BY.items() <= old.items())
            else {}
        )
        ours = {**google.default_labels, **mark, **asked}
        others = {
            name: value
            for name, value in (before.get("effective_labels") or {}).items()
            if name not in old
        }
        planned["terraform_labels"] = ours
        planned["effective_labels"] = {**others, **ours}

    def read_labels(self, found: dict[str, str], known: Body, state: Body) -> None:
        """Set the three forms of labels: asked for, with the provider's, with everybody's."""
        for name in (self.labels, "terraform_labels"):
            kept = None if known.get(name) is UNKNOWN else known.get(name)
            state[name] = kept and {one: found[one] for one in kept if one in found}
        state["effective_labels"] = found

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        """Make it; return its state."""
        raise NotImplementedError

    def read(self, google: Google, state: Body) -> Body | None:
        """Return its state as it is; None if it is gone."""
        raise NotImplementedError

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        """Change it; return its state."""
        raise NotImplementedError

    def delete(self, google: Google, state: Body) -> None:
        """Take it away; what is gone is no error."""
        raise NotImplementedError

    def import_(self, google: Google, identifier: str) -> Body:
        """Return as much of a state as `read` needs.

        Raises:
            Failed: An identifier that says too little.
        """
        raise NotImplementedError


class RestResource(Resource):
    """One at an address, made by a POST beside it.

    Attributes:
        service: The API.
        parent: Where it is made, as `projects/{project}/global/networks`.
        identifier: Its `id`, of which an import takes the fields.
        what: As an error tells it.
        fields: Where its names are its own.
        item: Its address; parent and name if not said.
    """

    service: ClassVar[str] = "compute"
    parent: ClassVar[str]
    identifier: ClassVar[str]
    what: ClassVar[str]
    fields: ClassVar[Fields] = Fields()
    item: ClassVar[str] = ""

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        state = {**planned, "id": self.identifier.format(**planned)}
        try:
            answer = google.call(
                "POST",
                self.service,
                self.parent.format(**planned),
                self.body(planned),
                **self.create_query(planned),
            )
        except ApiError as error:
            raise Failed(f"Error creating {self.what}: {error}") from error
        self._finish(google, answer, planned, state)
        return self._read_back(google, state)

    def _finish(self, google: Google, answer: Body, planned: Body, state: Body) -> None:
        """Wait for what was made; the real provider forgets what it could not wait for."""
        try:
            self.wait(google, answer, planned, f"Creating {self.what}")
        except Failed as failed:
            raise Failed(f"Error waiting to create {self.what}: {failed}") from failed

    def _read_back(self, google: Google, state: Body) -> Body:
        found = self.read(google, state)
        if found is None:
            raise Failed(f"{self.what} was made and is not there")
        return found

    def read(self, google: Google, state: Body) -> Body | None:
        found = google.find(self.service, self._address(state), **self.read_query(state))
        return None if found is None else self.state(google, found, state)

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        state = {**planned, "id": prior["id"]}
        changed = self.changes(prior, planned)
        if changed:
            method, query = self.update_call(planned, changed)
            try:
                answer = google.call(method, self.service, self._address(state), changed, **query)
                self.wait(google, answer, planned, f"Updating {self.what}")
            except Failed as error:
                raise Failed(
                    f"Error updating {self.what} {prior['id']!r}: {error}", prior
                ) from error
        return self._read_back(google, state)

    def delete(self, google: Google, state: Body) -> None:
        try:
            answer = google.call("DELETE", self.service, self._address(state))
            self.wait(google, answer, state, f"Deleting {self.what}")
        except ApiError as error:
            if error.status != 404:
                raise Failed(f"Error when reading or editing {self.what}: {error}") from error

    def import_(self, google: Google, identifier: str) -> Body:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(self.identifier))
        found = re.fullmatch(pattern, identifier)
        if not found:
            raise Failed(f"{self.what}: import id {identifier!r} is not as {self.identifier}")
        return {**found.groupdict(), "id": identifier}

    def body(self, planned: Body) -> Body:
        """Return what is sent to make it."""
        made = mapping.expand(self.block, planned, self.fields)
        if self.labels and planned.get("effective_labels"):
            made["labels"] = planned["effective_labels"]
        return made

    def changes(self, prior: Body, planned: Body) -> Body:
        """Return what is sent to change it: the fields that differ; an empty one by its zero."""
        before, after = self.body(prior), self.body(planned)
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        changed.update({name: _zero(before[name]) for name in before if name not in after})
        return changed

    def state(self, google: Google, found: Body, known: Body) -> Body:
        """Return its state, of what the API says and what is known of it."""
        is_import = set(known) <= {*re.findall(r"{(\w+)}", self.identifier), "id"}
        made = mapping.flatten(self.block, found, None if is_import else known, self.fields)
        for name in ("project", *re.findall(r"{(\w+)}", self.identifier)):
            if name in self.block.attributes and known.get(name) not in (None, UNKNOWN):
                made[name] = known[name]
        made["id"] = known["id"]
        if self.labels:
            self.read_labels(found.get("labels") or {}, known, made)
        return made

    def wait(self, google: Google, answer: Body, planned: Body, what: str) -> None:
        """Wait for a change to be done."""

    def create_query(self, planned: Body) -> dict[str, str]:
        """Return what is asked beside the body of the POST."""
        return {}

    def read_query(self, state: Body) -> dict[str, str]:
        """Return what is asked with the GET."""
        return {}

    def update_call(self, planned: Body, changed: Body) -> tuple[str, dict[str, str]]:
        """Return the method and what is asked beside the body of a change."""
        return "PATCH", {}

    def _address(self, state: Body) -> str:
        return (self.item or f"{self.parent}/{{name}}").format(**state)


def _zero(value: Any) -> Any:
    return False if isinstance(value, bool) else type(value)()
