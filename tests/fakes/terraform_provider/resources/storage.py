"""Buckets: Cloud Storage's API."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from tests.fakes.terraform_provider import mapping
from tests.fakes.terraform_provider.google import ApiError, Body, Failed, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.resources.resource import RestResource

_LIVE = {"LIVE": True, "ARCHIVED": False}
_STATES = {True: "LIVE", False: "ARCHIVED", None: "ANY"}
_ONLY_SENT_FLAGS = frozenset(
    f"lifecycle_rule.condition.{name}"
    for name in (
        "send_age_if_zero",
        "send_days_since_custom_time_if_zero",
        "send_days_since_noncurrent_time_if_zero",
        "send_num_newer_versions_if_zero",
        "with_state",
    )
)


class Bucket(RestResource):
    """A bucket."""

    type = "google_storage_bucket"
    service = "storage"
    what = "bucket"
    parent = "b"
    item = "b/{name}"
    identifier = "{name}"
    labels = "labels"
    fields: ClassVar[Fields] = Fields(
        names={
            "lifecycle_rule": "lifecycle.rule",
            "uniform_bucket_level_access": "iamConfiguration.uniformBucketLevelAccess.enabled",
            "public_access_prevention": "iamConfiguration.publicAccessPrevention",
            "requester_pays": "billing.requesterPays",
            "custom_placement_config.data_locations": "dataLocations",
            "encryption.default_kms_key_name": "defaultKmsKeyName",
            "url": "url",
        },
        virtual=frozenset(
            {
                "id",
                "url",
                "deletion_policy",
                "enable_object_retention",
                "force_destroy",
                "labels",
                "terraform_labels",
                "effective_labels",
                "timeouts",
                "project",
                "ip_filter",
                "encryption",
                *_ONLY_SENT_FLAGS,
            }
        ),
        given=frozenset({"project_number", "time_created", "updated", "self_link"}),
        sends_empty_blocks=True,
    )

    def customize(self, google: Google, prior: Body | None, planned: Body, config: Body) -> Body:
        planned = super().customize(google, prior, planned, config)
        if isinstance(planned["location"], str):
            planned["location"] = planned["location"].upper()
        return planned

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        # The state has a place in capitals; what is sent is as somebody wrote it.
        made = super().create(google, {**planned, "location": config["location"]}, config)
        made["location"] = made["location"].upper()
        if config.get("project") is None:
            made["project"] = self._project(google, {"projectNumber": made["project_number"]})
        return made

    def create_query(self, planned: Body) -> dict[str, str]:
        return {"project": planned["project"]}

    def _finish(self, google: Google, answer: Body, planned: Body, state: Body) -> None:
        state["id"] = planned["name"]

    def body(self, planned: Body) -> Body:
        made = super().body(planned)
        for rule, asked in zip(_rules(made), planned.get("lifecycle_rule") or [], strict=True):
            _expand_rule(rule, asked)
        soft = made.get("softDeletePolicy")
        if soft is not None:
            soft["retentionDurationSeconds"] = str(soft.get("retentionDurationSeconds", 0))
        versioning = mapping.only(planned, "versioning")
        if versioning:
            made["versioning"] = {"enabled": bool(versioning["enabled"])}
        return made

    def changes(self, prior: Body, planned: Body) -> Body:
        changed = super().changes(prior, planned)
        before = prior.get("effective_labels") or {}
        if "labels" in changed:
            gone = dict.fromkeys(name for name in before if name not in changed["labels"])
            changed["labels"] = {**changed["labels"], **gone}
        if "lifecycle" in changed:
            changed["lifecycle"] = changed["lifecycle"] or {"rule": []}
        return changed

    def state(self, google: Google, found: Body, known: Body) -> Body:
        soft = found.get("softDeletePolicy")
        if soft:
            found = {**found, "softDeletePolicy": {"retentionDurationSeconds": 0, **soft}}
        made = super().state(google, found, known)
        for rule, told in zip(made["lifecycle_rule"], _rules(found), strict=True):
            _flatten_rule(rule, told.get("condition", {}))
        return {
            **made,
            "url": f"gs://{found['name']}",
            "project": known.get("project") or self._project(google, found),
            "force_destroy": bool(known.get("force_destroy")),
        }

    def _project(self, google: Google, found: Body) -> str:
        """Return the name of a bucket's project, of which the bucket has the number."""
        return str(google.call("GET", "compute", f"projects/{found['projectNumber']}")["name"])

    def delete(self, google: Google, state: Body) -> None:
        name = state["name"]
        google.find("storage", f"b/{name}/anywhereCaches/")
        listed = google.find("storage", f"b/{name}/o", versions="true")
        while listed and listed.get("items"):
            if not state.get("force_destroy"):
                raise Failed(
                    f"Error trying to delete bucket {name} without `force_destroy` set to true"
                )
            for one in listed["items"]:
                self._delete_object(google, name, one)
            listed = google.find("storage", f"b/{name}/o", versions="true")
        super().delete(google, state)

    def _delete_object(self, google: Google, bucket: str, one: Body) -> None:
        path = f"b/{bucket}/o/{quote(one['name'], safe='')}"
        try:
            google.call("DELETE", "storage", path, generation=str(one["generation"]))
        except ApiError as error:
            if error.status != 404:
                raise

    def import_(self, google: Google, identifier: str) -> Body:
        return {"name": identifier.rpartition("/")[2], "id": identifier.rpartition("/")[2]}


def _rules(body: Body) -> list[Body]:
    return list(body.get("lifecycle", {}).get("rule", []))


def _expand_rule(rule: Body, asked: Body) -> None:
    """Set what a rule has in a form of its own: whether it is of the live ones."""
    wanted = asked["condition"][0].get("with_state")
    if wanted in _LIVE:
        rule.setdefault("condition", {})["isLive"] = _LIVE[wanted]


def _flatten_rule(rule: Body, condition: Body) -> None:
    for one in rule["condition"]:
        one["with_state"] = _STATES[condition.get("isLive")]


RESOURCES = (Bucket(),)
