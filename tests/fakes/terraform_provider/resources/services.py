"""The APIs that a project has enabled, and what is to be read of a project."""

from __future__ import annotations

from tests.fakes.terraform_provider import waiting
from tests.fakes.terraform_provider.google import Body, Failed, Google
from tests.fakes.terraform_provider.resources.resource import Resource

_ASKED = {"fields": "services/name,nextPageToken", "filter": "state:ENABLED", "pageSize": "200"}


class ProjectService(Resource):
    """An API that is enabled."""

    type = "google_project_service"

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        project, service = planned["project"], planned["service"]
        state = {**planned, "id": f"{project}/{service}"}
        if service not in _enabled(google, project):
            path = f"projects/{project}/services/{service}:enable"
            try:
                made = google.call("POST", "service_usage", path, {})
                waiting.wait_for_long_running(google, "service_usage", made, "enabling of services")
            except Failed as error:
                raise Failed(
                    f'Error when reading or editing Project Service : Request "Enable Project'
                    f' Service \\"{service}\\" for project \\"{project}\\"" returned error: {error}'
                ) from error
        return state

    def read(self, google: Google, state: Body) -> Body | None:
        project, _, service = state["id"].partition("/")
        found = google.find("resource_manager", f"projects/{project}")
        if found is None or service not in _enabled(google, project):
            return None
        return {**state, "project": project, "service": service}

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        return {**planned, "id": prior["id"]}

    def delete(self, google: Google, state: Body) -> None:
        if not state.get("disable_on_destroy"):
            return
        path = f"projects/{state['project']}/services/{state['service']}:disable"
        body = {"disableDependentServices": True} if state["disable_dependent_services"] else {}
        made = google.call("POST", "service_usage", path, body)
        waiting.wait_for_long_running(google, "service_usage", made, "disabling of services")

    def import_(self, google: Google, identifier: str) -> Body:
        return {"id": identifier}


def _enabled(google: Google, project: str) -> set[str]:
    path, token = f"projects/{project}/services", ""
    names: set[str] = set()
    while True:
        more = {"pageToken": token} if token else {}
        page = google.call("GET", "service_usage", path, **_ASKED, **more)
        names.update(one["name"].rpartition("/")[2] for one in page.get("services", []))
        token = page.get("nextPageToken", "")
        if not token:
            return names


def read_project(google: Google, config: Body) -> Body:
    """Read what a project is: its number above all."""
    project = config.get("project_id") or google.project
    found = google.call("GET", "resource_manager", f"projects/{project}")
    billing = google.call("GET", "cloud_billing", f"projects/{project}/billingInfo")
    parent = found.get("parent") or {}
    return {
        "id": f"projects/{project}",
        "project_id": project,
        "number": found["projectNumber"],
        "name": found.get("name"),
        "labels": found.get("labels") or {},
        "terraform_labels": {},
        "effective_labels": found.get("labels") or {},
        "billing_account": billing.get("billingAccountName", "").removeprefix("billingAccounts/"),
        "folder_id": parent.get("id") if parent.get("type") == "folder" else "",
        "org_id": parent.get("id") if parent.get("type") == "organization" else "",
        "auto_create_network": True,
        "deletion_policy": "PREVENT",
    }


RESOURCES = (ProjectService(),)
DATA_SOURCES = {"google_project": read_project}
