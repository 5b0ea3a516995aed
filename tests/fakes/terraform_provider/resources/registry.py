"""Repositories of images: Artifact Registry's API."""

from __future__ import annotations

from typing import ClassVar

from tests.fakes.terraform_provider import mapping, waiting
from tests.fakes.terraform_provider.google import Body, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.resources.resource import RestResource
from tests.fakes.terraform_provider.values import UNKNOWN

_FIXED = ("format", "mode", "kmsKeyName")


class Repository(RestResource):
    """A repository."""

    type = "google_artifact_registry_repository"
    service = "artifact_registry"
    what = "Repository"
    parent = "projects/{project}/locations/{location}/repositories"
    item = "projects/{project}/locations/{location}/repositories/{repository_id}"
    identifier = "projects/{project}/locations/{location}/repositories/{repository_id}"
    labels = "labels"
    fields: ClassVar[Fields] = Fields(
        names={"cleanup_policies.condition.version_name_prefixes": "versionNamePrefixes"},
        virtual=frozenset(
            {
                "id",
                "project",
                "location",
                "repository_id",
                "name",
                "deletion_policy",
                "labels",
                "terraform_labels",
                "effective_labels",
                "cleanup_policies",
                "timeouts",
            }
        ),
        given=frozenset({"create_time", "update_time", "registry_uri"}),
    )

    def customize(self, google: Google, prior: Body | None, planned: Body, config: Body) -> Body:
        planned = super().customize(google, prior, planned, config)
        if planned["location"] is UNKNOWN and config.get("location") is None and google.region:
            planned["location"] = google.region
        return planned

    def create_query(self, planned: Body) -> dict[str, str]:
        return {"repository_id": planned["repository_id"]}

    def body(self, planned: Body) -> Body:
        made = super().body(planned)
        policies = planned.get("cleanup_policies") or []
        nested = self.block.blocks["cleanup_policies"]
        if policies:
            made["cleanupPolicies"] = {
                one["id"]: {
                    name: value
                    for name, value in mapping.expand(nested.block, one, Fields()).items()
                    if name != "id"
                }
                for one in policies
            }
        return made

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        """Send all that can be changed, and a mask of what is."""
        changed = self.changes(prior, planned)
        kept = {name: one for name, one in self.body(planned).items() if name not in _FIXED}
        if changed:
            mask = ",".join(sorted(changed))
            address = self._address(planned)
            google.call("PATCH", self.service, address, {**kept, **changed}, updateMask=mask)
        return self._read_back(google, {**planned, "id": prior["id"]})

    def wait(self, google: Google, answer: Body, planned: Body, what: str) -> None:
        waiting.wait_for_long_running(google, "artifact_registry", answer, what)

    def state(self, google: Google, found: Body, known: Body) -> Body:
        made = super().state(google, found, known)
        nested = self.block.blocks["cleanup_policies"]
        before = {one["id"]: one for one in known.get("cleanup_policies") or []}
        made["cleanup_policies"] = [
            {
                **mapping.flatten(nested.block, {**one, "id": name}, before.get(name), Fields()),
                "id": name,
            }
            for name, one in found.get("cleanupPolicies", {}).items()
        ]
        return {**made, "name": known["repository_id"], "repository_id": known["repository_id"]}


RESOURCES = (Repository(),)
