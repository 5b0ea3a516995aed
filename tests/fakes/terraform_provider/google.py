"""One call of Google's APIs, with the retries of the real provider.

It calls what ``GOOGLE_…_CUSTOM_ENDPOINT`` (or the provider's block) names and nothing else: without
an address it fails, so no test reaches Google by mistake.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import Any

from tests.fakes.terraform_provider.values import UNKNOWN

TRIES = 8
TRIES_OF_BUSY_CLUSTER = 240
"""As many as seconds that another change of a cluster may take: one is made after the other."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
POLL_SECONDS = 10.0
"""How often the real provider asks an operation, if nobody says ``poll_interval``."""

TIMEOUT_SECONDS = 120
_BUSY = (429, 502, 503)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

NO_LOGIN = (
    "Attempted to load application default credentials since neither `credentials` nor"
    " `access_token` was set in the provider block. No credentials loaded."
)

Body = dict[str, Any]


class Failed(Exception):
    """What was asked for did not come to be.

    Args:
        message: As Terraform shows it.
        state: What is there all the same; Terraform then marks a new resource as tainted.
    """

    def __init__(self, message: str, state: Body | None = None) -> None:
        super().__init__(message)
        self.state = state


class ApiError(Failed):
    """Google said no."""

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(
            f"googleapi: Error {status}: {message}" + (f", {reason}" if reason else "")
        )
        self.status, self.message, self.reason = status, message, reason

    @property
    def is_conflict_of_work(self) -> bool:
        """Whether something else has to end before."""
        return self.status == 400 and "incompatible operation" in self.message


class Google:
    """The provider's settings, and calls with them.

    Args:
        config: The provider's block.
        stopping: Set when Terraform wants to end.
    """

    def __init__(self, config: Body, stopping: threading.Event) -> None:
        self._config = {name: one for name, one in config.items() if one is not UNKNOWN}
        self.stopping = stopping
        self.project = self._setting("project", "GOOGLE_PROJECT")
        self.region = self._setting("region", "GOOGLE_REGION")
        self.zone = self._setting("zone", "GOOGLE_ZONE")
        self.default_labels: dict[str, str] = self._config.get("default_labels") or {}
        self.marks_labels = self._config.get("add_terraform_attribution_label") is not False
        self.poll_seconds = _seconds(self._config.get("poll_interval"))
        self.token = self._setting("access_token", "GOOGLE_OAUTH_ACCESS_TOKEN")
        self._locks: dict[str, threading.Lock] = {}
        self._locks_lock = threading.Lock()
        if not self.token:
            raise Failed(NO_LOGIN)

    def _setting(self, name: str, variable: str) -> str | None:
        return self._config.get(name) or os.environ.get(variable) or None

    def lock(self, name: str) -> threading.Lock:
        """Return the lock of something that one call at a time may change."""
        with self._locks_lock:
            return self._locks.setdefault(name, threading.Lock())

    def call(
        self,
        method: str,
        service: str,
        path: str,
        body: Body | None = None,
        /,
        **query: str,
    ) -> Body:
        """Call an API until it answers with something else than "busy".

        Args:
            method: Of HTTP.
            service: As its endpoint is named, as `compute`.
            path: What comes after the endpoint.
            body: What is sent.
            query: What else is asked.

        Raises:
            ApiError: It said no.
        """
        url = f"{self._endpoint(service)}{path}?{urllib.parse.urlencode({'alt': 'json', **query})}"
        pause, tries = FIRST_PAUSE_SECONDS, TRIES
        for tried in itertools.count(1):
            left = tries - tried
            try:
                return self._once(method, url, body)
            except ApiError as error:
                tries = TRIES_OF_BUSY_CLUSTER if error.is_conflict_of_work else TRIES
                if left <= 0 or not _may_pass(error):
                    raise
            except (HTTPException, OSError) as error:
                if left <= 0:
                    raise Failed(f"{method} {url}: {error}") from error
            if self.stopping.wait(pause):
                raise Failed("context canceled")
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
        raise AssertionError("a loop that always returns or raises")

    def _endpoint(self, service: str) -> str:
        found = self._setting(
            f"{service}_custom_endpoint", f"GOOGLE_{service.upper()}_CUSTOM_ENDPOINT"
        )
        if not found:
            raise Failed(f"there is no GOOGLE_{service.upper()}_CUSTOM_ENDPOINT to call")
        return found

    def _once(self, method: str, url: str, body: Body | None) -> Body:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            raise _api_error(error) from error

    def find(self, service: str, path: str, /, **query: str) -> Body | None:
        """Get something; None if it is not there."""
        try:
            return self.call("GET", service, path, **query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def _may_pass(error: ApiError) -> bool:
    return error.status in _BUSY or error.is_conflict_of_work


def _api_error(error: urllib.error.HTTPError) -> ApiError:
    try:
        said = json.loads(error.read())["error"]
    except (ValueError, KeyError, TypeError):
        return ApiError(error.code, error.reason, "")
    reasons = [one.get("reason", "") for one in said.get("errors", [])]
    return ApiError(error.code, said.get("message", ""), reasons[0] if reasons else "")


def _seconds(text: str | None) -> float:
    if not text:
        return POLL_SECONDS
    number = text.rstrip("ms")
    return float(number) * _UNITS[text[len(number) :]]
