"""The way to one bucket: its name, where it answers, who asks, and what its refusals mean.

Used by everything that talks to Cloud Storage, by whichever library: the list of answers that
are asked again, the pauses between, and the sentence for each refusal are here once. Nothing of
Google's is imported before the first request needs a login.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from burst.domain.text import printable
from burst.errors import ConfigError, StorageAway, StorageConflict, StorageDenied, StorageError
from burst.storage.login import (
    LOG_IN,
    account_of,
    find_login,
    first_line,
    login_error,
    nobody,
    refused,
)

GOOGLE = "https://storage.googleapis.com"
EMULATOR = "STORAGE_EMULATOR_HOST"
"""Where an emulator answers; Google's own libraries look there, too."""

RETRIABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later; google-cloud-storage has the same list."""

_LOGIN_SECONDS = 20.0
"""For each answer to a login."""

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_PERMISSION = re.compile(r"\bstorage\.[a-zA-Z]+\.[a-zA-Z]+")
_CALLER = re.compile(r"\b[\w.+-]+@[\w.-]+\b")
_READ_ROLE = "roles/storage.objectViewer"
_WRITE_ROLE = "roles/storage.objectUser"
_ROLES = {"storage.objects.get": _READ_ROLE, "storage.objects.list": _READ_ROLE}
_KNOWN_REFUSALS = {
    "scope": f"give the machine the scope storage-rw, or {LOG_IN}",
    "billing": "link the bucket's project to an open billing account by `gcloud billing projects "
    "link PROJECT --billing-account=ACCOUNT`",
    "serviceusage.services.use": "name a project that the login may use by "
    "`gcloud auth application-default set-quota-project PROJECT`",
    "has not been used in project": "switch Cloud Storage on by "
    "`gcloud services enable storage.googleapis.com`",
}
"""What Google says, in lower case → what to do."""
_NO_OBJECT = "no such object"
"""What Google says where the bucket is there."""
_TLS = re.compile(r"\[SSL: \w+\] [^('\"]+")
_ERRNO = re.compile(r"\[Errno (-?\d+)\] ?([\w ,'-]*)")


class Access:
    """One bucket and the login to it. May be used by several threads, and by forked processes.

    To another process it goes by its URL: pickled, it is opened again there.
    """

    patience_seconds_once_reached = 60.0
    """How long a bucket that has answered before is asked again."""
    patience_seconds_at_first = 10.0
    """How long one that never has: then it is rather the network, or a typing error."""
    first_pause_seconds = 0.5
    longest_pause_seconds = 10.0

    def __init__(self, bucket: str, endpoint: str = GOOGLE, *, anonymous: bool = False) -> None:
        """Know a bucket; nothing is asked of it yet.

        Args:
            bucket: its name.
            endpoint: scheme and host of the API.
            anonymous: it is an emulator, which wants no login.
        """
        self.bucket = bucket
        self.endpoint = endpoint
        self.anonymous = anonymous
        self.has_answered = False
        """Set it when the bucket answered anything: then it is waited for longer."""
        self._lock = threading.Lock()
        self._login: Any = None
        self._request: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.bucket, self.endpoint, self.anonymous, self.has_answered)

    @property
    def url(self) -> str:
        """What `open_access` takes to open it again."""
        return f"gs://{self.bucket}"

    @property
    def patience_seconds(self) -> float:
        """How long it is asked again while it does not answer."""
        return (
            self.patience_seconds_once_reached
            if self.has_answered
            else self.patience_seconds_at_first
        )

    @property
    def pause_limit_seconds(self) -> float:
        """The longest pause between two tries; patience is not to end in the midst of one."""
        return min(self.longest_pause_seconds, self.patience_seconds / 4)

    def pauses(self) -> Iterator[float]:
        """Yield how many seconds to wait before each further try, until it is enough.

        Each is chosen by chance up to a bound that doubles, so that many who were refused
        at once don't come back at once.
        """
        started, bound = time.monotonic(), self.first_pause_seconds
        while time.monotonic() - started < self.patience_seconds:
            yield random.uniform(bound / 4, bound)  # noqa: S311 - nobody is to be kept from guessing
            bound = min(2 * bound, self.pause_limit_seconds)

    def login(self) -> Any:
        """Return the login, as Google's libraries take it.

        Raises:
            StorageDenied: there is none.
        """
        with self._lock:
            return self._own_login()

    def headers(self, *, anew: bool = False) -> dict[str, str]:
        """Return the headers that a request needs; a token that has run out is made anew.

        Args:
            anew: make it anew in any case, since the bucket refused the last one.

        Raises:
            StorageDenied: there is no login, or none any more.
            StorageAway: nobody answers who could make a new token.
        """
        if self.anonymous:
            return {}
        import functools

        from google.auth import exceptions
        from google.auth.transport.requests import Request

        with self._lock:
            login = self._own_login()
            if self._request is None:
                self._request = functools.partial(Request(), timeout=_LOGIN_SECONDS)
            headers: dict[str, str] = {}
            try:
                if anew:
                    login.refresh(self._request)
                login.before_request(self._request, "GET", self.endpoint, headers)
            except exceptions.GoogleAuthError as error:
                raise login_error(error, f"can't use {self.url}", login) from error
        return headers

    def _own_login(self) -> Any:
        if self._login is None:
            self._login = nobody() if self.anonymous else find_login()
        return self._login


def open_access(url: str) -> Access:
    """Return the access to a bucket by its URL, ``gs://`` and its name.

    ``STORAGE_EMULATOR_HOST`` leads to an emulator instead of to Google.

    Raises:
        ConfigError: the URL is not that of a bucket.
    """
    bucket, slash, folder = url.removeprefix("gs://").partition("/")
    if not _BUCKET_NAME.fullmatch(bucket):
        raise ConfigError(
            f"{url} can't be a bucket: its name has 3 to 222 of a-z, 0-9, '-', '_' and '.'",
            hint="give gs:// and the name of a bucket",
        )
    if slash and folder:
        raise ConfigError(
            f"{url} is a folder of a bucket; burst takes a whole bucket",
            hint=f"make a bucket for it, and give gs:// and its name, as in gs://{bucket}",
        )
    emulator = os.environ.get(EMULATOR, "").rstrip("/")
    if not emulator:
        return Access(bucket)
    return Access(bucket, _emulator_at(emulator), anonymous=True)


def _emulator_at(named: str) -> str:
    """Return scheme and host of an emulator.

    Raises:
        ConfigError: that is no address.
    """
    endpoint = named if "://" in named else f"http://{named}"
    try:
        parts = urlsplit(endpoint)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        endpoint.encode("ascii")
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError(
            f"{EMULATOR} is {printable(named)}, which is no address",
            hint=f"set it to one such as http://localhost:4443, or unset {EMULATOR} to talk to "
            "Google",
        )
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        # Not repeated here: it may have a password.
        raise ConfigError(
            f"{EMULATOR} has more than a host and a port, and the rest would not be heeded",
            hint=f"set it to {parts.scheme}://{parts.netloc.rpartition('@')[2]} alone",
        )
    return endpoint


def bucket_error(status: int | None, message: str, what: str, access: Access) -> StorageError:
    """Turn a refusal of the bucket into ours.

    An answer of 404 is taken for an absent bucket, unless it speaks of an object: where that
    may be absent, don't ask here.

    Args:
        status: of the HTTP answer; None if there was none.
        message: what the answer said, or why there was none.
        what: what was being done: "can't read renders/j/1.png".
        access: to the bucket.
    """
    reason = first_line(message)
    if status == 401:
        return _not_logged_in(reason, what, access)
    if status == 403:
        return _forbidden(reason, what, access)
    if status == 404 and _NO_OBJECT not in reason.lower():
        return StorageError(
            f"{what}: there is no bucket {access.bucket}",
            hint=f"make it by `gcloud storage buckets create {access.url}`, or mend the name",
        )
    if status == 412:
        return StorageConflict(f"{what}: it has changed meanwhile")
    if status is None:
        return StorageAway(
            f"{what}: {access.endpoint} can't be reached ({_why(message) or reason})",
            hint=f"look whether {EMULATOR} is right, and the emulator runs"
            if access.anonymous
            else "look at the network; then the same command goes on",
        )
    if status in RETRIABLE_STATUSES:
        return StorageAway(
            f"{what}: {access.url} is too busy or broken just now ({status} {reason})",
            hint="wait a few minutes; then the same command goes on",
        )
    return StorageError(f"{what}: {access.url} refuses it ({status} {reason})")


def damaged_error(what: str) -> StorageError:
    """Return the error for what arrives, each time, as something else than was sent."""
    return StorageError(
        f"{what}: it arrives damaged again and again",
        hint="look at the network and at this machine's memory: something changes what is sent",
    )


def _why(message: str) -> str | None:
    """Return the system's own words, out of what three libraries wrapped around them."""
    if untrusted := _TLS.search(message):
        return untrusted[0].strip()
    found = _ERRNO.search(message)
    if not found:
        return None
    # Those of names that can't be resolved are negative, and have words of their own.
    return os.strerror(int(found[1])) if int(found[1]) > 0 else found[2]


def _not_logged_in(reason: str, what: str, access: Access) -> StorageError:
    if access.anonymous:
        return StorageDenied(
            f"{what}: {access.endpoint} wants a login ({reason})",
            hint=f"unset {EMULATOR} to talk to Google",
        )
    return refused(reason, what, access.login())


def _forbidden(reason: str, what: str, access: Access) -> StorageError:
    lowered = reason.lower()
    if "quota" in lowered or "rate limit" in lowered:
        return StorageAway(
            f"{what}: too many requests for {access.url} ({reason})",
            hint="wait a few minutes; then the same command goes on",
        )
    for sign, hint in _KNOWN_REFUSALS.items():
        if sign in lowered:
            return StorageDenied(f"{what}: {access.url} refuses access ({reason})", hint=hint)
    found = _PERMISSION.search(reason)
    if not found:
        return StorageDenied(f"{what}: {access.url} refuses access ({reason})")
    permission, caller = found[0], _caller(reason) or account_of(access.login())
    return StorageDenied(
        f"{what}: {caller or 'this login'} has no {permission} on {access.url}",
        hint=f"who owns the bucket grants it by `gcloud storage buckets add-iam-policy-binding "
        f"{access.url} --member={_member(caller)} --role={_ROLES.get(permission, _WRITE_ROLE)}`; "
        f"if it is somebody else's bucket, choose one of your own",
    )


def _caller(reason: str) -> str | None:
    found = _CALLER.search(reason)
    return found[0] if found else None


def _member(caller: str | None) -> str:
    if caller is None:
        return "user:YOUR_EMAIL"
    kind = "serviceAccount" if caller.endswith(".gserviceaccount.com") else "user"
    return f"{kind}:{caller}"


def _reopened(bucket: str, endpoint: str, anonymous: bool, has_answered: bool) -> Access:
    access = Access(bucket, endpoint, anonymous=anonymous)
    access.has_answered = has_answered
    return access
