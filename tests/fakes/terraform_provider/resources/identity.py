"""Who may do what: service accounts, roles, and members of the policies of things."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.fakes.terraform_provider import mapping
from tests.fakes.terraform_provider.google import ApiError, Body, Failed, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.resources.resource import Resource, RestResource
from tests.fakes.terraform_provider.values import UNKNOWN

POLICY_VERSION = 3
TRIES = 5
"""Of a policy that somebody else changed in the meantime."""


class ServiceAccount(RestResource):
    """A service account."""

    type = "google_service_account"
    service = "iam_beta"
    what = "service account"
    parent = "projects/{project}/serviceAccounts"
    identifier = "projects/{project}/serviceAccounts/{email}"
    item = "{id}"
    patterns: ClassVar[dict[str, str]] = {"account_id": "^[a-z](?:[-a-z0-9]{4,28}[a-z0-9])$"}
    fields = Fields(
        virtual=frozenset(
            {"id", "account_id", "create_ignore_already_exists", "deletion_policy", "timeouts"}
        )
    )

    def customize(self, google: Google, prior: Body | None, planned: Body, config: Body) -> Body:
        planned = super().customize(google, prior, planned, config)
        account, project = planned["account_id"], planned["project"]
        if prior is None and UNKNOWN not in (account, project):
            planned["email"] = f"{account}@{project}.iam.gserviceaccount.com"
            planned["member"] = f"serviceAccount:{planned['email']}"
        return planned

    def body(self, planned: Body) -> Body:
        account = {
            "displayName": planned.get("display_name"),
            "description": planned.get("description"),
        }
        kept = {name: one for name, one in account.items() if one}
        return {"accountId": planned["account_id"], "serviceAccount": kept}

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        names = {"display_name": "displayName", "description": "description"}
        changed = {
            sent: planned[name] or ""
            for name, sent in names.items()
            if planned[name] != prior[name]
        }
        body = {
            "serviceAccount": {**changed, "email": prior["email"]},
            "updateMask": ",".join(
                name for name in ("description", "display_name") if names[name] in changed
            ),
        }
        if changed:
            google.call("PATCH", "iam_beta", prior["id"], body)
        return self._read_back(google, {**planned, "id": prior["id"]})

    def state(self, google: Google, found: Body, known: Body) -> Body:
        found = {**found, "project": found.get("projectId")}
        made = mapping.flatten(self.block, found, known, self.fields)
        made["project"] = found.get("projectId") or known["project"]
        made["account_id"] = found["email"].partition("@")[0]
        made["member"] = f"serviceAccount:{found['email']}"
        made["id"] = found["name"]
        return made


class CustomRole(Resource):
    """A role of the project's own. A deleted one stays for a week, and is taken up again."""

    type = "google_project_iam_custom_role"

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        parent = f"projects/{planned['project']}/roles"
        name = f"{parent}/{planned['role_id']}"
        state = {**planned, "id": name}
        found = google.find("iam_beta", name)
        if found is None:
            body = {"roleId": planned["role_id"], "role": self._role(planned)}
            try:
                google.call("POST", "iam_beta", parent, body)
            except ApiError as error:
                message = f"Error creating the custom project role {name}: {error}"
                raise Failed(message) from error
        elif not found.get("deleted"):
            raise Failed(f"Custom project role {name} already exists and must be imported")
        else:
            self._undelete(google, name)
            google.call("PATCH", "iam_beta", name, self._role(planned))
        return self._there(google, state)

    def read(self, google: Google, state: Body) -> Body | None:
        found = google.find("iam_beta", state["id"])
        if found is None:
            return None
        return {
            **state,
            "name": found["name"],
            "role_id": found["name"].rpartition("/")[2],
            "project": found["name"].split("/")[1],
            "title": found.get("title"),
            "description": found.get("description"),
            "stage": found.get("stage"),
            "permissions": found.get("includedPermissions", []),
            "deleted": bool(found.get("deleted")),
        }

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        if (google.find("iam_beta", prior["id"]) or {}).get("deleted"):
            self._undelete(google, prior["id"])
        google.call("PATCH", "iam_beta", prior["id"], self._role(planned))
        return self._there(google, {**planned, "id": prior["id"]})

    def delete(self, google: Google, state: Body) -> None:
        google.call("DELETE", "iam_beta", state["id"])

    def import_(self, google: Google, identifier: str) -> Body:
        return {"id": identifier}

    def _undelete(self, google: Google, name: str) -> None:
        google.call("POST", "iam_beta", f"{name}:undelete", {})

    def _there(self, google: Google, state: Body) -> Body:
        found = self.read(google, state)
        if found is None:
            raise Failed(f"the role {state['id']} was made and is not there")
        return found

    def _role(self, planned: Body) -> Body:
        return {
            "title": planned["title"],
            **({"description": planned["description"]} if planned["description"] else {}),
            "stage": planned["stage"],
            "includedPermissions": planned["permissions"],
        }


class Member(Resource):
    """One member of one role of something.

    Attributes:
        subject: The address of the thing, made of the fields of the resource.
    """

    subject: ClassVar[str]

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        self._change(google, planned, lambda bindings: _with_member(bindings, planned))
        state = self.read(google, {**planned, "id": self._identifier(planned)})
        if state is None:
            raise Failed(f"{planned['member']} was given {planned['role']} and does not have it")
        return state

    def read(self, google: Google, state: Body) -> Body | None:
        try:
            policy = self.get_policy(google, self._subject(state))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        binding = _binding(policy.get("bindings", []), state)
        if binding is None or state["member"] not in binding["members"]:
            return None
        state = {**state, "condition": _as_block(binding)}
        return {**state, "etag": policy.get("etag"), "id": self._identifier(state)}

    def delete(self, google: Google, state: Body) -> None:
        try:
            self._change(google, state, lambda bindings: _without_member(bindings, state))
        except ApiError as error:
            if error.status != 404:
                raise

    def import_(self, google: Google, identifier: str) -> Body:
        parts = identifier.split(" ", 3)
        if len(parts) < 3:
            raise Failed(f"import id {identifier!r} is not as 'THING ROLE MEMBER [CONDITION]'")
        subject, role, member, *title = parts
        return {
            **self.import_subject(subject),
            "role": role,
            "member": member,
            "condition": [{"title": one} for one in title],
        }

    def import_subject(self, text: str) -> Body:
        """Return the fields that name the thing."""
        raise NotImplementedError

    def get_policy(self, google: Google, subject: str) -> Body:
        """Return who may do what with the thing."""
        raise NotImplementedError

    def set_policy(self, google: Google, subject: str, policy: Body) -> None:
        """Say who may do what with it."""
        raise NotImplementedError

    def _change(self, google: Google, planned: Body, change: Any) -> None:
        """Change the policy; again from its newest form if somebody else was faster."""
        subject = self._subject(planned)
        with google.lock(f"policy of {subject}"):
            for left in reversed(range(TRIES)):
                policy = self.get_policy(google, subject)
                bindings = change(policy.get("bindings", []))
                kept = {name: policy.get(name) for name in ("etag", "auditConfigs")}
                kept["bindings"] = bindings
                sent = {name: one for name, one in kept.items() if one}
                try:
                    self.set_policy(google, subject, {**sent, "version": POLICY_VERSION})
                except ApiError as error:
                    if error.status not in (409, 412) or not left:
                        raise
                else:
                    return

    def _subject(self, state: Body) -> str:
        return self.subject.format(**state)

    def _identifier(self, state: Body) -> str:
        parts = [self._subject(state), state["role"], state["member"]]
        asked = mapping.only(state, "condition")
        if asked:
            parts += [asked.get(name) or "" for name in ("title", "description", "expression")]
        return "/".join(parts)


def _binding(bindings: list[Body], wanted: Body) -> Body | None:
    """Return the binding of a role and a condition; of an import only the title is known."""
    asked = _condition(wanted)
    return next(
        (
            one
            for one in bindings
            if one["role"] == wanted["role"]
            and {**(one.get("condition") or {}), **asked} == (one.get("condition") or {})
            and bool(asked) == bool(one.get("condition"))
        ),
        None,
    )


def _condition(wanted: Body) -> Body:
    asked = mapping.only(wanted, "condition") or {}
    return {name: asked[name] for name in ("description", "expression", "title") if asked.get(name)}


def _as_block(binding: Body) -> list[Body]:
    found = binding.get("condition")
    return [{"description": "", **found}] if found else []


def _with_member(bindings: list[Body], wanted: Body) -> list[Body]:
    found = _binding(bindings, wanted)
    if found is not None:
        found["members"] = sorted({*found["members"], wanted["member"]})
        return bindings
    condition = _condition(wanted)
    made = {"role": wanted["role"], "members": [wanted["member"]]}
    return sorted(
        [*bindings, {**made, **({"condition": condition} if condition else {})}], key=_role
    )


def _without_member(bindings: list[Body], wanted: Body) -> list[Body]:
    found = _binding(bindings, wanted)
    if found is None:
        return bindings
    found["members"] = [one for one in found["members"] if one != wanted["member"]]
    return [one for one in bindings if one["members"]]


def _role(binding: Body) -> str:
    return str(binding["role"])


class ProjectMember(Member):
    """A member of the project."""

    type = "google_project_iam_member"
    subject = "{project}"

    def get_policy(self, google: Google, subject: str) -> Body:
        body = {"options": {"requestedPolicyVersion": POLICY_VERSION}}
        return google.call("POST", "resource_manager", f"projects/{subject}:getIamPolicy", body)

    def set_policy(self, google: Google, subject: str, policy: Body) -> None:
        body = {"policy": policy, "updateMask": "bindings,etag,auditConfigs"}
        google.call("POST", "resource_manager", f"projects/{subject}:setIamPolicy", body)

    def import_subject(self, text: str) -> Body:
        return {"project": text}


class BucketMember(Member):
    """A member of a bucket."""

    type = "google_storage_bucket_iam_member"
    subject = "b/{bucket}"

    def get_policy(self, google: Google, subject: str) -> Body:
        asked = {"optionsRequestedPolicyVersion": str(POLICY_VERSION)}
        return google.call("GET", "storage", f"{subject}/iam", **asked)

    def set_policy(self, google: Google, subject: str, policy: Body) -> None:
        google.call("PUT", "storage", f"{subject}/iam", policy)

    def import_subject(self, text: str) -> Body:
        return {"bucket": text.removeprefix("b/")}

    def _subject(self, state: Body) -> str:
        return f"b/{state['bucket'].removeprefix('b/')}"


class RepositoryMember(Member):
    """A member of a repository of images."""

    type = "google_artifact_registry_repository_iam_member"
    subject = "projects/{project}/locations/{location}/repositories/{repository}"

    def get_policy(self, google: Google, subject: str) -> Body:
        asked = {"options.requestedPolicyVersion": str(POLICY_VERSION)}
        return google.call("GET", "artifact_registry", f"{subject}:getIamPolicy", **asked)

    def set_policy(self, google: Google, subject: str, policy: Body) -> None:
        google.call("POST", "artifact_registry", f"{subject}:setIamPolicy", {"policy": policy})

    def import_subject(self, text: str) -> Body:
        _, project, _, location, _, repository = text.split("/")
        return {"project": project, "location": location, "repository": repository}

    def customize(self, google: Google, prior: Body | None, planned: Body, config: Body) -> Body:
        planned = super().customize(google, prior, planned, config)
        if planned["location"] is UNKNOWN and config.get("location") is None and google.region:
            planned["location"] = google.region
        return planned

    def _subject(self, state: Body) -> str:
        if "/" in state["repository"]:
            return str(state["repository"])
        return super()._subject(state)


RESOURCES = (
    ServiceAccount(),
    CustomRole(),
    ProjectMember(),
    BucketMember(),
    RepositoryMember(),
)
