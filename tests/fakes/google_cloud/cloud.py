"""The stand-in itself: what there is, what is asked, and what goes wrong."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tests.fakes.google_cloud import places, schema, services
from tests.fakes.google_cloud.answering import METHODS, Call, Request
from tests.fakes.google_cloud.faults import Fault, Faults
from tests.fakes.google_cloud.operations import Operation, Operations
from tests.fakes.google_cloud.refusals import (
    RefusedError,
    api_disabled,
    billing_disabled,
    denied,
)
from tests.fakes.google_cloud.storage_media import Session
from tests.fakes.google_cloud.wire import Listener

TOKEN = "ya29.a-token-of-the-stand-in"
OWNER = "artist@example.com"
ENDPOINTS = {
    "ARTIFACT_REGISTRY": "artifactregistry/v1/",
    "CLOUD_BILLING": "cloudbilling/v1/",
    "COMPUTE": "compute/v1/",
    "CONTAINER": "container/v1/",
    "DNS": "dns/v1/",
    "IAM_BETA": "iam/v1/",
    "RESOURCE_MANAGER": "crm/v1/",
    "RESOURCE_MANAGER_V3": "crm/v3/",
    "SERVICE_USAGE": "serviceusage/v1/",
    "STORAGE": "storage/v1/",
}
"""Name in the variables of the Terraform provider → path."""

SERVICES = {
    "artifactregistry": "artifactregistry.googleapis.com",
    "cloudbilling": "cloudbilling.googleapis.com",
    "compute": "compute.googleapis.com",
    "container": "container.googleapis.com",
    "crm.v1": "cloudresourcemanager.googleapis.com",
    "crm.v3": "cloudresourcemanager.googleapis.com",
    "dns": "dns.googleapis.com",
    "iam": "iam.googleapis.com",
    "storage": "storage.googleapis.com",
}
"""API → the service that has to be enabled for it."""
PROJECTS = ("project", "projectId", "projectsId")
"""What paths call the project."""
PAID = frozenset({"artifactregistry", "compute", "container", "dns", "storage"})


@dataclass(frozen=True)
class RealCluster:
    """The Kubernetes that GKE clusters say they are."""

    endpoint: str
    """Host and port."""
    certificate: str
    """Of its authority, as PEM."""


class GoogleCloud:
    """One project of Google Cloud, on loopback."""

    def __init__(
        self,
        project: str = "proj-x",
        *,
        operation_seconds: float = 0.05,
        port: int = 0,
    ) -> None:
        self.project = project
        self.number = "123456789012"
        self.token = TOKEN
        """What a request must be signed with."""
        self.lock = threading.RLock()
        self.operations = Operations(operation_seconds)
        self.faults = Faults()
        self.requests: list[Request] = []
        """All that came in, in order."""
        self.resources: dict[str, dict[str, Any]] = {}
        """API and relative name → what there is."""
        self.pending: set[str] = set()
        """What an operation still makes."""
        self.services = set(SERVICES.values())
        """Those that are enabled."""
        self.denied: set[str] = set()
        """Permissions that the caller does not have."""
        self.has_billing = True
        self.clock_offset = 0.0
        """Seconds that its clock is ahead."""
        self.prices: Mapping[str, list[dict[str, Any]]] = {}
        """Service of the catalogue → its SKUs."""
        self.cluster: RealCluster | None = None
        self.page_size = 500
        """Entries in a page of a listing, at most."""
        self.quotas = places.quotas()
        """Region → metric → limit; the project's own are those of ``global``."""
        self.foreign_buckets: set[str] = set()
        """Names of buckets that somebody else has."""
        self.objects = services.Objects()
        self.sessions: dict[str, Session] = {}
        """Uploads in several requests."""
        self._serial = 0
        self._listener = Listener(self, port)
        services.found_project(self, OWNER)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._listener.url

    @property
    def environ(self) -> dict[str, str]:
        """What has the Terraform provider, and burst, call here with a token that is good."""
        found = {
            f"GOOGLE_{key}_CUSTOM_ENDPOINT": f"{self.url}/{ENDPOINTS[key]}" for key in ENDPOINTS
        }
        # Whoever strays to the real Google is refused at once, in place of waiting for names.
        away = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1,localhost"}
        return {**found, **away, "GOOGLE_OAUTH_ACCESS_TOKEN": self.token}

    def writes(self) -> list[Request]:
        """Return the requests that could change anything."""
        return [one for one in self.requests if one.is_write]

    def everything(self) -> dict[str, list[str]]:
        """Return what there is, by kind; what Google itself has in every project is left out."""
        with self.lock:
            self.operations.settle()
            return services.inventory(self)

    def plant(self, kind: str, body: dict[str, Any]) -> Any:
        """Make something as somebody else would, without a request that is noted.

        Args:
            kind: as `everything` names it: ``disks``, ``firewalls``, ``clusters``.
            body: the resource; its ``zone``, ``region`` or ``location`` says where. Of objects
                ``bucket``, ``name`` and ``content``, of images ``repository`` and ``name``.
        """
        with self.lock:
            if kind in ("objects", "dockerImages"):
                return services.put(self, kind, body)
            wanted = services.planting(self, kind, copy.deepcopy(body))
            made = self.perform("POST", wanted.path, wanted.body, **wanted.query)
            self.operations.settle(now=True)
            return made

    def perform(self, verb: str, path: str, body: Any = None, **query: str) -> Any:
        """Do what a request with this path does, as the owner, and without faults."""
        found = schema.find(verb, path)
        assert found, f"{verb} {path}"
        with self.lock:
            self.operations.settle()
            return self._do(found[0], found[1], query, body, "")

    def scale(self, cluster: str, pool: str, nodes: int) -> None:
        """Have so many nodes per zone in a pool, as its autoscaler would."""
        with self.lock:
            self.operations.settle()
            services.scale(self, cluster, pool, nodes)

    def finish(self) -> None:
        """End all operations that run now."""
        with self.lock:
            self.operations.settle(now=True)

    def next_number(self) -> str:
        """Return a number that nothing has yet."""
        self._serial += 1
        return str(4_000_000_000_000_000_000 + self._serial)

    def answer(
        self, verb: str, path: str, query: dict[str, str], body: Any, fault: Fault | None
    ) -> Any:
        """Do what a request asks for."""
        found = schema.find(verb, path)
        if found is None:
            raise RefusedError(404, f"The stand-in has no {verb} {path}")
        method, names = found
        with self.lock:
            self.operations.settle()
            self.admit(method.name, names)
            return self._do(method, names, query, body, fault.failure if fault else "")

    def api(self, verb: str, path: str) -> str:
        """Return the API that a path belongs to."""
        found = schema.find(verb, path)
        if found:
            return found[0].api
        return next((api for api, mount in schema.MOUNTS.items() if path.startswith(mount)), "")

    def _do(
        self,
        method: schema.Method,
        names: dict[str, str],
        query: dict[str, str],
        body: Any,
        failure: str,
    ) -> Any:
        query = method.spelled(query)
        method.check_query(query)
        method.check_body(body)
        taken = method.taken(copy.deepcopy(body or {}))
        call = Call(self, method.name, names, query, taken, failure)
        answer = METHODS[method.name](call)
        if isinstance(answer, Operation):
            answer = answer.shown()
        answer = copy.deepcopy(answer)
        try:
            method.check_answer(answer)
        except RefusedError as error:
            raise AssertionError(f"{method.name} answers what Google does not: {error}") from error
        return answer

    def admit(self, method: str, names: dict[str, str]) -> None:
        """Refuse a project that is not this one, an API that is off, and who may not."""
        for key in (*PROJECTS, *(("resource",) if method.startswith("crm.") else ())):
            if names.get(key, "-") not in ("-", self.project, self.number):
                if method.startswith(("compute.", "dns.")):
                    raise RefusedError(404, f"The resource 'projects/{names[key]}' was not found")
                raise RefusedError(403, "The caller does not have permission")
        api = schema.api_of(method)
        service = SERVICES.get(api)
        if service and service not in self.services:
            raise api_disabled(service, self.number)
        permission = services.permission(method)
        if permission in self.denied:
            raise denied(permission, f"projects/{self.project}")
        changes = permission.endswith((".create", ".insert", ".update", ".setIamPolicy"))
        if api in PAID and changes and not self.has_billing:
            raise billing_disabled(api, self.number)
