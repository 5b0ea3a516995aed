"""Google's REST APIs: one session for all services, with patience, pages and operations.

Services have the names that the variables of the Terraform provider have, and those variables name
other endpoints here too: ``GOOGLE_COMPUTE_CUSTOM_ENDPOINT``. Every request is asked again when it
may help: who makes something must take a `CloudConflict` for "it may be mine", as the answer to a
first try can get lost. Proxies are those of the environment.

One object serves many threads.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from burst.cloud.google_errors import (
    cloud_error,
    failure_of,
    of_login,
    operation_error,
    read_refusal,
)
from burst.errors import CloudAway, CloudError, StorageError
from burst.storage.login import TOKEN, account_of, find_login, is_given, login_error, nobody

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
OPERATION_SECONDS = 1800.0
"""What an operation may take; a cluster takes ten minutes."""

_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0
_TRIES = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 20.0
_POLL_SECONDS = 2.0
_CONNECTIONS = 32
_PAGES = 10_000
"""More than anybody has: a server that repeats itself is left."""


@dataclass(frozen=True, slots=True)
class Service:
    """One of Google's APIs."""

    title: str
    address: str
    """With its version."""


SERVICES: Mapping[str, Service] = {
    "ARTIFACT_REGISTRY": Service(
        "Artifact Registry", "https://artifactregistry.googleapis.com/v1/"
    ),
    "CLOUD_BILLING": Service("Cloud Billing", "https://cloudbilling.googleapis.com/v1/"),
    "COMPUTE": Service("Compute Engine", "https://compute.googleapis.com/compute/v1/"),
    "CONTAINER": Service("Kubernetes Engine", "https://container.googleapis.com/v1/"),
    "DNS": Service("Cloud DNS", "https://dns.googleapis.com/dns/v1/"),
    "IAM_BETA": Service("IAM", "https://iam.googleapis.com/v1/"),
    "RESOURCE_MANAGER": Service(
        "Resource Manager", "https://cloudresourcemanager.googleapis.com/v1/"
    ),
    "RESOURCE_MANAGER_V3": Service(
        "Resource Manager", "https://cloudresourcemanager.googleapis.com/v3/"
    ),
    "SERVICE_USAGE": Service("Service Usage", "https://serviceusage.googleapis.com/v1/"),
    "STORAGE": Service("Cloud Storage", "https://storage.googleapis.com/storage/v1/"),
}
"""By the names in the Terraform provider's variables."""


def endpoint(service: str, environ: Mapping[str, str]) -> str:
    """Return where a service is asked, with its version and a slash at the end."""
    own = environ.get(f"GOOGLE_{service}_CUSTOM_ENDPOINT", "").strip()
    return f"{(own or SERVICES[service].address).rstrip('/')}/"


class GoogleApi:
    """Calls of Google's APIs; all of them block."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        *,
        project: str = "",
        tries: int = _TRIES,
        read_seconds: float = _READ_SECONDS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Know the services; the login is looked for when one is first asked.

        Args:
            environ: may name other endpoints, and hold a token.
            project: is named in messages, and pays for requests of a user's own login.
            tries: of one request.
            read_seconds: what an answer may take.
            pause: waits between two tries.
        """
        self.project = project
        self._environ = environ
        self._tries = tries
        self._timeout = (min(_CONNECT_SECONDS, read_seconds), read_seconds)
        self._pause = pause
        self._sessions: dict[bool, Any] = {}
        self._lock = Lock()

    def get(
        self, service: str, path: str, query: Mapping[str, str] | None = None, *, what: str = ""
    ) -> dict[str, Any]:
        """Return what is there.

        Args:
            service: one of `SERVICES`.
            path: below the service's version.
            query: parameters.
            what: what it is for, for messages; the service's name if nothing is said.

        Raises:
            CloudError: it is refused, or nobody answers.
        """
        return self._ask("GET", service, path, query=query, what=what)

    def post(
        self,
        service: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        *,
        what: str = "",
    ) -> dict[str, Any]:
        """Make or ask for something; takes and raises what `get` does."""
        return self._ask("POST", service, path, body=body or {}, query=query, what=what)

    def patch(
        self,
        service: str,
        path: str,
        body: Mapping[str, Any],
        query: Mapping[str, str] | None = None,
        *,
        what: str = "",
    ) -> dict[str, Any]:
        """Change something; takes and raises what `get` does."""
        return self._ask("PATCH", service, path, body=body, query=query, what=what)

    def delete(
        self, service: str, path: str, query: Mapping[str, str] | None = None, *, what: str = ""
    ) -> dict[str, Any]:
        """Remove something; takes and raises what `get` does."""
        return self._ask("DELETE", service, path, query=query, what=what)

    def pages(
        self, service: str, path: str, query: Mapping[str, str] | None = None, *, what: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Return a list's pages one after another; takes and raises what `get` does."""
        token = ""
        for _ in range(_PAGES):
            asked = {**(query or {}), **({"pageToken": token} if token else {})}
            page = self.get(service, path, asked, what=what)
            yield page
            last, token = token, str(page.get("nextPageToken") or "")
            if not token:
                return
            if token == last:
                break
        raise CloudError(f"{what or SERVICES[service].title}: a list has no end")

    def wait(
        self,
        service: str,
        operation: Mapping[str, Any],
        *,
        what: str = "",
        seconds: float = OPERATION_SECONDS,
    ) -> dict[str, Any]:
        """Wait for an operation to end well, and return how it stands then.

        Args:
            service: whose it is.
            operation: as the service told it.
            what: what it does, for messages.
            seconds: how long to wait.

        Raises:
            CloudAway: it goes on for longer than that, or nobody answers.
            CloudError: it failed.
        """
        what = what or SERVICES[service].title
        ends, found = time.monotonic() + seconds, dict(operation)
        while not _is_done(found):
            if time.monotonic() > ends:
                raise CloudAway(f"{what}: it goes on for longer than {seconds / 60:.0f} minutes")
            self._pause(_POLL_SECONDS)
            found = self.get(service, operation_path(operation), what=what)
        if failure_of(found):
            raise operation_error(found, what, self.project)
        return found

    def account(self) -> str | None:
        """Return whose login it is, where it says so.

        Raises:
            LoginNeeded: there is none.
        """
        return account_of(self._session("STORAGE").credentials)

    def clock(self, service: str = "STORAGE") -> datetime:
        """Return what time it is there; nobody has to log in for that.

        Raises:
            CloudAway: nobody answers.
        """
        import requests

        parts = urlsplit(endpoint(service, self._environ))
        try:
            answer = requests.head(f"{parts.scheme}://{parts.netloc}/", timeout=self._timeout)
            return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
        except requests.RequestException as error:
            raise _away(SERVICES[service].title, error) from error
        except (KeyError, ValueError) as error:
            raise CloudAway(f"{parts.netloc} does not say what time it is") from error

    def _ask(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        what: str,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        what = what or SERVICES[service].title
        url = endpoint(service, self._environ) + path.lstrip("/")
        for left in range(self._tries - 1, -1, -1):
            after = ""
            try:
                answer = self._once(method, service, url, query, body, what)
            except CloudAway:
                if not left:
                    raise
            else:
                if answer.status_code < 400:
                    return _json(answer, what)
                refusal = read_refusal(answer.status_code, _body(answer))
                if not refusal.may_pass or not left:
                    raise cloud_error(refusal, what, self.project)
                after = answer.headers.get("Retry-After", "")
            self._pause(_pause_seconds(self._tries - 1 - left, after))
        raise AssertionError("there is at least one try")

    def _once(
        self,
        method: str,
        service: str,
        url: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        what: str,
    ) -> Any:
        import requests
        from google.auth import exceptions

        session = self._session(service, what)
        try:
            return session.request(
                method, url, params=query, json=body, timeout=self._timeout, allow_redirects=False
            )
        except exceptions.GoogleAuthError as error:
            raise of_login(login_error(error, what, session.credentials)) from error
        except requests.RequestException as error:
            raise _away(what, error) from error

    def _session(self, service: str, what: str = "can't ask Google Cloud") -> Any:
        """Return the session for a service: an emulator without a token wants nobody's login."""
        is_plain = urlsplit(endpoint(service, self._environ)).scheme == "http"
        is_anonymous = is_plain and not self._environ.get(TOKEN)
        with self._lock:
            if is_anonymous not in self._sessions:
                self._sessions[is_anonymous] = self._open(is_anonymous, what)
            return self._sessions[is_anonymous]

    def _open(self, is_anonymous: bool, what: str) -> Any:
        from google.auth.transport.requests import AuthorizedSession
        from requests.adapters import HTTPAdapter

        try:
            login = nobody() if is_anonymous else find_login((SCOPE,), what, self._environ)
        except StorageError as error:
            raise of_login(error) from error
        session = AuthorizedSession(self._paying(login))  # type: ignore[no-untyped-call]
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
        return session

    def _paying(self, login: Any) -> Any:
        """Return the login with our project, where a user's own would have requests refused."""
        is_users = bool(getattr(login, "refresh_token", None)) and not is_given(login)
        if self.project and is_users and not getattr(login, "quota_project_id", None):
            return login.with_quota_project(self.project)
        return login


def operation_path(operation: Mapping[str, Any]) -> str:
    """Return where an operation is asked for, in whichever form it was told."""
    link = str(operation.get("selfLink", ""))
    if not link:
        return str(operation["name"])
    _, _, path = link.partition("/projects/")
    if "container.googleapis.com" in link or "/container/" in link:
        path = path.replace("/zones/", "/locations/")
    return f"projects/{path}"


def _is_done(operation: Mapping[str, Any]) -> bool:
    return operation.get("done") is True or operation.get("status") in ("DONE", "ABORTING")


def _pause_seconds(tried: int, after: str) -> float:
    """Return how long to wait before another try: longer each time, and not all at once."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**tried)
    told = float(after) if after.isdigit() else 0.0
    return min(60.0, told) + random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def _json(answer: Any, what: str) -> dict[str, Any]:
    if not answer.content:
        return {}
    body = _body(answer)
    if not isinstance(body, dict):
        raise CloudAway(
            f"{what}: what answers is not Google (a proxy, perhaps)",
            hint="look at HTTPS_PROXY, and log in to the network you are in",
        )
    return body


def _body(answer: Any) -> object:
    with contextlib.suppress(ValueError):
        body: object = answer.json()
        return body
    return str(answer.text)


def _away(what: str, error: Exception) -> CloudAway:
    import requests

    text = str(error.args[0]) if error.args else ""
    if isinstance(error, requests.exceptions.ProxyError):
        why, hint = "the proxy does not let it through", "look at HTTPS_PROXY and NO_PROXY"
    elif isinstance(error, requests.exceptions.SSLError):
        why, hint = "the certificate is not trusted", "a proxy's may be named by REQUESTS_CA_BUNDLE"
    elif isinstance(error, requests.Timeout):
        why, hint = "no answer in time", _NETWORK
    elif "resolve" in text or "Name or service" in text:
        why, hint = "the name can't be resolved", _NETWORK
    else:
        why, hint = "the connection is refused or was cut", _NETWORK
    return CloudAway(f"{what}: Google Cloud does not answer: {why}", hint=hint)


_NETWORK = "look at the network; then the same command goes on"
