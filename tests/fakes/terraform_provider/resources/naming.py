"""Private names of Google's APIs: zones of Cloud DNS and the records in them."""

from __future__ import annotations

from typing import ClassVar

from tests.fakes.terraform_provider.google import ApiError, Body, Failed, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.resources.compute import network_path
from tests.fakes.terraform_provider.resources.resource import Resource, RestResource


class Zone(RestResource):
    """A zone."""

    type = "google_dns_managed_zone"
    service = "dns"
    what = "ManagedZone"
    parent = "projects/{project}/managedZones"
    identifier = "projects/{project}/managedZones/{name}"
    labels = "labels"
    fields: ClassVar[Fields] = Fields(
        names={
            "managed_zone_id": "id",
            "private_visibility_config.gke_clusters": "gkeClusters",
        },
        virtual=frozenset(
            {
                "id",
                "project",
                "deletion_policy",
                "force_destroy",
                "labels",
                "terraform_labels",
                "effective_labels",
                "timeouts",
            }
        ),
        given=frozenset({"managed_zone_id", "creation_time", "name_servers"}),
    )

    def body(self, planned: Body) -> Body:
        made = super().body(planned)
        for one in made.get("privateVisibilityConfig", {}).get("networks", []):
            path = network_path(one["networkUrl"], planned["project"])
            one["networkUrl"] = f"https://www.googleapis.com/compute/v1/{path}"
        return made

    def changes(self, prior: Body, planned: Body) -> Body:
        changed = super().changes(prior, planned)
        if not changed:
            return {}
        # A zone is sent whole, with what the API itself said of it.
        told = {
            "id": prior["managed_zone_id"],
            "creationTime": prior["creation_time"],
            "nameServers": prior["name_servers"],
        }
        return {**self.body(planned), **changed, **told}

    def update_call(self, planned: Body, changed: Body) -> tuple[str, dict[str, str]]:
        return "PUT", {}


class RecordSet(Resource):
    """Records of a name; made and taken away as a change of their zone."""

    type = "google_dns_record_set"

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        there = self._listed(google, planned)
        wanted = _record(planned)
        gone = [
            one for one in there if (one["name"], one["type"]) == (wanted["name"], wanted["type"])
        ]
        self._change(google, planned, [wanted], gone)
        return self._there(google, planned)

    def read(self, google: Google, state: Body) -> Body | None:
        try:
            found = self._listed(google, state, name=state["name"], type=state["type"])
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        if not found:
            return None
        return {
            **state,
            "id": _identifier(state),
            "ttl": found[0].get("ttl"),
            "rrdatas": found[0].get("rrdatas", []),
        }

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        self._change(google, planned, [_record(planned)], [_record(prior)])
        return self._there(google, planned)

    def delete(self, google: Google, state: Body) -> None:
        try:
            self._change(google, state, [], [_record(state)])
        except ApiError as error:
            if error.status != 404:
                raise

    def import_(self, google: Google, identifier: str) -> Body:
        parts = identifier.split("/")
        if len(parts) == 6:
            parts = [parts[1], parts[3], *parts[-2:]]
        if len(parts) != 4:
            raise Failed(f"import id {identifier!r} is not as PROJECT/ZONE/NAME/TYPE")
        project, zone, name, kind = parts
        return {"project": project, "managed_zone": zone, "name": name, "type": kind}

    def _listed(self, google: Google, state: Body, **query: str) -> list[Body]:
        return list(google.call("GET", "dns", f"{_zone(state)}/rrsets", **query).get("rrsets", []))

    def _change(
        self, google: Google, state: Body, additions: list[Body], deletions: list[Body]
    ) -> None:
        change = {"additions": additions, "deletions": deletions}
        body = {name: one for name, one in change.items() if one}
        with google.lock(_identifier(state)):
            made = google.call("POST", "dns", f"{_zone(state)}/changes", body)
            path = f"{_zone(state)}/changes/{made['id']}"
            while google.call("GET", "dns", path).get("status") != "done":
                if google.stopping.wait(google.poll_seconds):
                    raise Failed("Error waiting for Google DNS change: context canceled")

    def _there(self, google: Google, planned: Body) -> Body:
        found = self.read(google, planned)
        if found is None:
            raise Failed(f"the record set {_identifier(planned)} was made and is not there")
        return found


def _zone(state: Body) -> str:
    return f"projects/{state['project']}/managedZones/{state['managed_zone']}"


def _identifier(state: Body) -> str:
    return f"{_zone(state)}/rrsets/{state['name']}/{state['type']}"


def _record(state: Body) -> Body:
    return {name: state[name] for name in ("name", "rrdatas", "ttl", "type") if state.get(name)}


RESOURCES = (Zone(), RecordSet())
